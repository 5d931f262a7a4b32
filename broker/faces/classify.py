"""Which era a POSTed message belongs to, and whether a modern one may be served; decided on each message alone.

Follows 2026-07-28 basic/index (per-request protocol fields), basic/versioning and basic/transports/streamable-http
(protocol version header, standard request headers, server validation). Invariants: the body decides, never the
connection and never a header alone; a header that is there must say what the body says; nothing is sent anywhere
before all of it is in order. The order of the checks is that of both official SDKs: envelope, agreement of headers and
body, version, method.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Raw

from protocol_versions import REVISIONS, jsonrpc
from protocol_versions.base import Revision, params
from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.mirrored import Unreadable, agrees

HEADER_MISMATCH: Final = -32020
UNSUPPORTED_VERSION: Final = -32022

PREFIX: Final = "io.modelcontextprotocol/"
PROTOCOL_VERSION: Final = PREFIX + "protocolVersion"
CLIENT_CAPABILITIES: Final = PREFIX + "clientCapabilities"

SESSION_ID: Final = "Mcp-Session-Id"
VERSION_HEADER: Final = "MCP-Protocol-Version"

MODERN: Final = tuple(revision.id for revision in REVISIONS if not revision.traits.sessions)
"""The revisions whose requests stand alone, oldest first."""

LEGACY: Final = frozenset(revision.id for revision in REVISIONS if revision.traits.sessions)
"""The revisions whose conversations are sessions."""

TARGETS: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""The member Mcp-Name repeats."""

Members = dict[str, Raw]
_members = msgspec.json.Decoder(dict[str, Raw]).decode
# Discovery has no parameters but the envelope that every request of its revision carries.
_ENVELOPES: Final = {
    revision.id: (revision, msgspec.json.Decoder(revision.types[params("server/discover")]))
    for revision in REVISIONS
    if not revision.traits.sessions
}


class Modern(msgspec.Struct, frozen=True):
    """A request of a modern revision, in order as far as it can be seen without the tool's schema.

    `meta` are the members of `params._meta`, unopened but known to have the revision's shape; `target` is what Mcp-Name
    names.
    """

    revision: Revision
    method: str
    params: Members
    meta: Members
    target: str | None


class Refusal(msgspec.Struct, frozen=True):
    """Why a message is not served: HTTP status, JSON-RPC code, frozen text, members of `data`."""

    status: int
    code: int
    message: str
    reason: str
    data: dict[str, Any] = {}


LEGACY_ONLY: Final = Refusal(400, jsonrpc.METHOD_NOT_FOUND, "Method not found", "legacy-only")
"""The answer that makes every dual-era client fall back to `initialize`; -32022 would mean the opposite."""

Verdict = Literal["opening", "session", "notification"] | Modern | Refusal
"""`opening`: an `initialize`; `session`: belongs to a session, there or not; `notification`: a modern one."""


def classify(frame: Frame, headers: Mapping[str, str], served: tuple[str, ...]) -> Verdict:
    """What one message is. `headers` looks names up without case; `served` are the revisions spoken to clients."""
    version = headers.get(VERSION_HEADER)
    meta = _meta(frame)
    claimed = meta is not None and PROTOCOL_VERSION in meta
    if not any(known in served for known in MODERN) and frame.method != "initialize":
        return LEGACY_ONLY if frame.id is not UNSET and (claimed or version in MODERN) else "session"
    if meta is None or not claimed:
        return _unclaimed(frame, meta, version, SESSION_ID in headers, served)
    if frame.id is UNSET:
        return "notification"
    return _request(frame, meta, version, headers, served)


def stands_alone(frame: Frame) -> bool:
    """True for a message whose `_meta` names the revision it is written in."""
    if frame.method is UNSET or frame.params is UNSET or frame.method == "initialize":
        return False
    meta = tree.shallow(frame.params.get("_meta"))
    return isinstance(meta, dict) and PROTOCOL_VERSION in meta


def listed(served: tuple[str, ...]) -> list[str]:
    """The revisions this endpoint serves, newest first, as `supportedVersions` and `supported` name them."""
    return [revision.id for revision in reversed(REVISIONS) if revision.id in served]


def unsupported(requested: str, served: tuple[str, ...]) -> Refusal:
    """The refusal of a version. One that is served only with a session is not offered to who asked without one."""
    supported = [version for version in listed(served) if version != requested]
    data = {"supported": supported, "requested": requested}
    return Refusal(400, UNSUPPORTED_VERSION, "Unsupported protocol version", "version", data)


def _unclaimed(
    frame: Frame, meta: Members | None, version: str | None, session: bool, served: tuple[str, ...]
) -> Verdict:
    """A message without a modern envelope: legacy, unless it says elsewhere that it is not."""
    if frame.method == "initialize" and frame.id is not UNSET:
        return "opening" if any(known in LEGACY for known in served) else _no_opening(frame, served)
    if session:
        return "session"
    if version in MODERN:
        if frame.method is UNSET:
            return Refusal(400, jsonrpc.INVALID_REQUEST, "Invalid Request: responses are not accepted", "response")
        return "notification" if frame.id is UNSET else _missing(PROTOCOL_VERSION)
    if frame.method is UNSET or frame.id is UNSET:
        return "session"
    if meta is not None and CLIENT_CAPABILITIES in meta:
        return _missing(PROTOCOL_VERSION)
    if version is not None and version not in LEGACY:
        return unsupported(version, served)  # of a revision whose envelope nobody here can know
    return "session"


def _request(
    frame: Frame, meta: Members, version: str | None, headers: Mapping[str, str], served: tuple[str, ...]
) -> Verdict:
    method, members = frame.method, frame.params
    assert method is not UNSET
    assert members is not UNSET
    said = tree.deep(meta[PROTOCOL_VERSION])
    if not isinstance(said, str):
        return _invalid("protocolVersion must be a string")
    if CLIENT_CAPABILITIES not in meta:
        return _missing(CLIENT_CAPABILITIES)
    if version != said:
        return mismatch(VERSION_HEADER)
    if said not in served or said not in MODERN:
        return unsupported(said, served)
    revision, shape = _ENVELOPES[said]
    try:
        shape.decode(b'{"_meta":%b}' % members["_meta"])
    except msgspec.ValidationError:
        return _invalid("params._meta is not valid in this revision")
    if headers.get("Mcp-Method") != method:
        return mismatch("Mcp-Method")
    if not revision.knows(params(method)):
        return Refusal(404, jsonrpc.METHOD_NOT_FOUND, "Method not found", "method-unknown")
    target = None
    if method in TARGETS:
        target = tree.deep(members.get(TARGETS[method]))
        if not isinstance(target, str):
            return _invalid(f"params.{TARGETS[method]} must be a string")
        if not _says(headers.get("Mcp-Name"), target):
            return mismatch("Mcp-Name")
    return Modern(revision, method, members, meta, target)


def mismatch(header: str) -> Refusal:
    """A header that is missing, unreadable, or says something else than the body."""
    text = f"Header mismatch: {header} is missing, malformed, or differs from the body"
    return Refusal(400, HEADER_MISMATCH, text, "header-mismatch")


def _says(text: str | None, value: str) -> bool:
    try:
        return text is not None and agrees(text, value)
    except Unreadable:
        return False


def _no_opening(frame: Frame, served: tuple[str, ...]) -> Refusal:
    asked = tree.deep(frame.params.get("protocolVersion")) if frame.params is not UNSET else None
    return unsupported(asked if isinstance(asked, str) else "", served)


def _missing(key: str) -> Refusal:
    return _invalid(f"params._meta lacks {key}")


def _invalid(why: str) -> Refusal:
    return Refusal(400, jsonrpc.INVALID_PARAMS, f"Invalid params: {why}", "envelope")


def _meta(frame: Frame) -> Members | None:
    """The members of `params._meta`, None without such an object."""
    if frame.params is UNSET or frame.method is UNSET:
        return None
    raw = frame.params.get("_meta")
    if raw is None:
        return None
    try:
        return _members(raw)
    except msgspec.MsgspecError:
        return None
