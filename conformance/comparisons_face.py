"""Comparisons of the handshake: what each side learnt of the other's revision and capabilities.

Follows basic/lifecycle of each revision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance import projection
from conformance.comparisons import NOTHING, Compare, Reference, short
from conformance.lines import Line
from conformance.revisions import REVISIONS


def initialized(client: str, server: str) -> Compare:
    """The client negotiated exactly its own revision and sees the server's capabilities, projected."""

    def compare(line: Line, reference: Reference) -> str | None:
        if line.status != "ok":
            return line.brief
        if line.seen.get("protocolVersion") != client:
            return f"the client negotiated {line.seen.get('protocolVersion')}, not {client}"
        if reference.server is None or reference.server.status != "ok":
            return NOTHING
        declared = projection.camel(reference.server.seen.get("capabilities") or {})
        seen = projection.camel(line.seen.get("capabilities") or {})
        must, never = projection.server_capabilities(declared, client, server)
        found = _capability_difference(seen, must, never) or _flags_lost(declared, seen)
        return found or _other_name(line, reference.server, "serverInfo")

    return compare


def introduced(client: str, server: str) -> Compare:
    """The server was spoken to in exactly its own revision and saw the client's capabilities, projected."""

    def compare(line: Line, reference: Reference) -> str | None:
        if line.status != "ok":
            return line.brief
        if line.seen.get("protocolVersion") != server:
            return f"the server saw {line.seen.get('protocolVersion')}, not {server}"
        if reference.client is None or reference.client.status != "ok":
            return NOTHING
        declared = projection.camel(reference.client.seen.get("capabilities") or {})
        must, never = projection.client_capabilities(declared, client, server)
        found = _capability_difference(projection.camel(line.seen.get("capabilities") or {}), must, never)
        return found or _other_name(line, reference.client, "clientInfo")

    return compare


def negotiated(client: str, server: str) -> Compare:
    """The server was offered the client's revision, or its own when the broker knew it already.

    A client without a handshake offers nothing: before it, the newest revision that has one is offered.
    """
    own = client if client in REVISIONS else REVISIONS[-1]

    def compare(line: Line, _reference: Reference) -> str | None:
        if line.status != "ok":
            return line.brief
        offered = line.seen.get("protocolVersion")
        return None if offered in (client, own, server) else f"the server was offered {offered}"

    return compare


def _capability_difference(seen: Mapping[str, Any], must: set[str], never: set[str]) -> str | None:
    missing = sorted(key for key in must if not projection.holds(seen, key))
    wrong = sorted(key for key in never if projection.holds(seen, key))
    if missing or wrong:
        return f"capabilities missing {missing}, undue {wrong}, seen {short(seen)}"
    return None


def _other_name(line: Line, direct: Line, member: str) -> str | None:
    """Name and version of the peer are its own, never the broker's."""
    seen, wanted = line.seen.get(member) or {}, direct.seen.get(member) or {}
    for key in ("name", "version"):
        if seen.get(key) != wanted.get(key):
            return f"{member}.{key} is {short(seen.get(key))}, not {short(wanted.get(key))}"
    return None


def _flags_lost(declared: Mapping[str, Any], seen: Mapping[str, Any]) -> str | None:
    for key, flags in declared.items():
        for flag, value in flags.items() if isinstance(flags, Mapping) else ():
            if key in seen and value is True and not projection.holds(seen, f"{key}.{flag}"):
                return f"capability {key}.{flag} is lost"
    return None
