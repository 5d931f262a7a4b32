"""Opening a session across two session revisions: `initialize` translated, capabilities mirrored, versions per leg.

Follows basic/lifecycle of the session revisions. Invariants: each peer sees exactly its own revision; the client's
capabilities reach the server projected on its revision, neither dropped nor widened, because servers list tools by
them; nothing is offered to the client that the server's side cannot carry.
"""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from protocol_versions import REVISIONS, by_id
from protocol_versions.base import params, result
from protocol_versions.jsonrpc import ErrorObject, Frame
from translators import tree
from translators.context import Context
from translators.errors import INVALID_PARAMS
from translators.pipeline import pipeline
from translators.tree import Body

INPUTS = ("sampling", "elicitation", "roots")
"""Client capabilities that let a server ask the client."""

SESSION_REVISIONS = tuple(revision.id for revision in REVISIONS if revision.traits.sessions)


class Peers(msgspec.Struct):
    """What the handshake settled."""

    client: str
    offer: str
    pinned: bool = False
    inputs: bool = True
    tried: list[str] = []
    asked: Body = {}
    hello: Body = {}
    declared: dict[str, Any] = {}
    offered: dict[str, Any] = {}
    server: str = ""
    logging_emulated: bool = False


def hello(peers: Peers, body: Body, ctx: Context) -> Body:
    """The `initialize` parameters for the backend, in the offered revision. Raises `translators.errors.Refused`."""
    peers.asked = dict(body)
    out = pipeline(peers.client, peers.offer).lane(params("initialize")).run(dict(body), ctx)
    out["protocolVersion"] = peers.offer
    capabilities = tree.whole(out, "capabilities")
    if type(capabilities) is not dict:
        capabilities = {}
    known = _inputs_of(peers.client) if peers.inputs else ()
    # A client is asked nothing its own revision does not define, whatever it declares.
    capabilities = {key: value for key, value in capabilities.items() if key not in INPUTS or key in known}
    out["capabilities"] = peers.declared = capabilities
    if type(tree.whole(out, "clientInfo")) is not dict:
        out["clientInfo"] = {"name": "unknown-mcp-client", "version": "0"}
    peers.hello = out
    peers.tried.append(peers.offer)
    return dict(out)


@functools.cache
def _inputs_of(client: str) -> tuple[str, ...]:
    """The questions a revision's clients can be asked, by capability."""
    fields = by_id(client).client_capabilities.__struct_encode_fields__
    return tuple(key for key in INPUTS if key in fields)


def welcome(peers: Peers, body: Body, ctx: Context) -> Body | None:
    """The `initialize` result for the client, in its revision; None if the server chose one nobody here speaks."""
    chosen = tree.whole(body, "protocolVersion")
    if chosen not in SESSION_REVISIONS:
        return None
    peers.server = chosen
    out = pipeline(peers.client, chosen).lane(result("initialize")).run(body, ctx)
    capabilities = tree.whole(out, "capabilities")
    if type(capabilities) is not dict:
        capabilities = {}
    peers.offered = dict(capabilities)
    if "logging" not in capabilities:
        # Servers of every SDK send log notifications without declaring `logging`; a 2025-06-18 reader MUST NOT be
        # sent what was not negotiated, so the capability is declared here and the level kept here.
        peers.logging_emulated = True
        capabilities = {**capabilities, "logging": {}}
    out["capabilities"] = capabilities
    out["protocolVersion"] = peers.client
    if type(tree.whole(out, "serverInfo")) is not dict:
        out["serverInfo"] = {"name": "unknown-mcp-server", "version": "0"}
    return out


def counter_offer(peers: Peers, failure: ErrorObject) -> str | None:
    """The newest revision a refusing server says it supports and that was not tried yet.

    Exact-match servers answer an unknown revision with -32602 and `data.supported` instead of a counter-offer.
    """
    if peers.pinned or failure.code != INVALID_PARAMS or failure.data is msgspec.UNSET:
        return None
    data = tree.deep(failure.data)
    supported = data.get("supported") if isinstance(data, dict) else None
    if not isinstance(supported, list):
        return None
    known = [revision for revision in SESSION_REVISIONS if revision in supported and revision not in peers.tried]
    return known[-1] if known else None


def binding(client: str) -> bool:
    """True if a reader of this revision must not be sent what was not negotiated."""
    return by_id(client).traits.version_header


def reopen(peers: Peers, call: int) -> Frame:
    """The `initialize` request that opens a lost backend session again, exactly as the first time."""
    return Frame(id=call, method="initialize", params=dict(peers.hello))


def uses_of_stream(peers: Peers) -> tuple[bool, bool]:
    """What the backend's standing stream would carry: (announcements or log messages, questions to the client)."""
    announces = "logging" in peers.offered or any(
        isinstance(member, dict) and (member.get("listChanged") is True or member.get("subscribe") is True)
        for member in peers.offered.values()
    )
    return announces, any(key in peers.declared for key in INPUTS)
