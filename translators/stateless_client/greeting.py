"""Opening the session, and `server/discover` answered from how it was opened.

Follows 2025-11-25 basic/lifecycle and 2026-07-28 server/discover. Invariants: nothing is asked of the server before it
took `initialized`, because servers register tools in its handler (the reference server "everything"); a client is told
of announcements only if the stream that would carry them can be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw

from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.asks import UNREADABLE
from translators.machine import Effect, Origin, ToServer
from translators.reply import notify, reason_of
from translators.tree import Body
from translators.v2025_11_25__v2026_07_28.fields_capabilities import discover_result
from translators.v2025_11_25__v2026_07_28.fields_meta import SERVER_INFO

if TYPE_CHECKING:
    from translators.stateless_client.machine import StatelessClient

DISCOVER_TTL_MS = 60_000
"""How long a discovery may be kept: what it says changes with the server's release, and nothing announces that."""

UNKNOWN_CLIENT = {"name": "unknown-mcp-client", "version": "0"}
"""`clientInfo` is required in `initialize`, and only recommended since."""

_ANNOUNCED = ("tools", "prompts", "resources")


def hello(talk: StatelessClient) -> ToServer:
    """The session's `initialize`."""
    number = talk.mint()
    talk.inner[number] = "initialize"
    client_info = talk.client_info if isinstance(talk.client_info, dict) else UNKNOWN_CLIENT
    params: Body = {
        "protocolVersion": "2025-11-25",
        # As bytes: sessions share what was declared, and each is translated for its own server.
        "capabilities": Raw(msgspec.json.encode(talk.capabilities)),
        "clientInfo": Raw(msgspec.json.encode(client_info)),
    }
    return ToServer(number, Frame(id=number, method="initialize", params=params), number)


def answered_hello(talk: StatelessClient, frame: Frame, origin: Origin) -> list[Effect]:
    """The server's answer: what it offers, or that it will not."""
    if frame.result is UNSET:
        return talk.fail((reason_of(frame) if origin == "broker" else "") or "backend-status")
    try:
        talk.hello = tree.deep(dict(frame.result))
        found = discover_result(talk.hello)
    except UNREADABLE:
        return talk.fail("backend-garbage")
    identity = found.get("_meta", {})
    talk.identity = {name: Raw(msgspec.json.encode(value)) for name, value in identity.items()}
    talk.meta = Raw(msgspec.json.encode(identity)) if SERVER_INFO in identity else None
    talk.phase = "initialized"
    number = talk.mint()
    return [ToServer(0, notify("notifications/initialized"), number)]


def discovery(talk: StatelessClient) -> Body:
    """The `server/discover` result of this session, new to the bottom: whoever reads it may change it."""
    found = discover_result(talk.hello)
    found["ttlMs"] = DISCOVER_TTL_MS
    if not talk.stands:
        found["capabilities"] = unannounced(found["capabilities"])
    copied: Body = msgspec.json.decode(msgspec.json.encode(found))
    return copied


def announces(talk: StatelessClient, kind: str, member: str = "listChanged") -> bool:
    """True if the server declared this and there is a stream to hear it on."""
    capabilities = talk.hello.get("capabilities")
    declared = capabilities.get(kind) if isinstance(capabilities, dict) else None
    return talk.stands and isinstance(declared, dict) and declared.get(member) is True


def unannounced(capabilities: dict[str, Any]) -> dict[str, Any]:
    """A server's capabilities without what only a standing stream could keep."""
    return {
        kind: {name: value for name, value in declared.items() if name not in ("listChanged", "subscribe")}
        if kind in _ANNOUNCED and isinstance(declared, dict)
        else declared
        for kind, declared in capabilities.items()
    }
