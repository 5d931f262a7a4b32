"""`initialize` answered from `server/discover`, and the other answers to the machine's own requests.

Follows 2026-07-28 server/discover and basic/versioning. A discovery that fails ends the `initialize` that waited for it
with an error; a catalogue that cannot be read lets its calls go without mirrored headers, which the server judges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.asks import UNREADABLE
from translators.machine import Effect, Note, ToClient
from translators.reply import broken
from translators.session_client.envelope import PREFIX, SERVER, STATELESS
from translators.tree import Body

if TYPE_CHECKING:
    from translators.session_client.machine import SessionClient

MAX_PAGES = 100
"""Pages of a catalogue that are read before a call; 100 pages of 100 tools."""


def initialize_result(found: Body, revision: str) -> dict[str, Any]:
    """The `initialize` result of a session revision from a discovery (a tree)."""
    capabilities = tree.deep(found.get("capabilities"))
    kept = dict(capabilities) if isinstance(capabilities, dict) else {}
    extensions = kept.get("extensions")
    if isinstance(extensions, dict) and f"{PREFIX}tasks" in extensions:
        kept["extensions"] = {key: value for key, value in extensions.items() if key != f"{PREFIX}tasks"}
    meta = tree.deep(found.get("_meta"))
    info = meta.get(SERVER) if isinstance(meta, dict) else None
    result: dict[str, Any] = {
        "protocolVersion": revision,
        "capabilities": kept,
        "serverInfo": info if isinstance(info, dict) else {"name": "unknown-mcp-server", "version": "0"},
    }
    instructions = tree.deep(found.get("instructions"))
    if isinstance(instructions, str):
        result["instructions"] = instructions
    return result


def discovered(talk: SessionClient, method: str, frame: Frame) -> list[Effect]:
    """The answer to one of the machine's own requests."""
    return _discovery(talk, frame) if method == "server/discover" else _catalogue(talk, frame)


def _discovery(talk: SessionClient, frame: Frame) -> list[Effect]:
    call, talk.greeting = talk.greeting, 0
    if not call:
        return []
    if frame.error is not UNSET:
        reason = "backend-revision" if frame.error.code == -32022 else _reason(frame)
        return [ToClient(call, broken(call, reason), final=True), Note("failed", "server/discover", reason)]
    result: Any = frame.result
    try:
        versions = tree.whole(result, "supportedVersions")
        if not isinstance(versions, list) or STATELESS not in versions:
            return [ToClient(call, broken(call, "backend-revision"), final=True)]
        talk.facts.learn_discover(result, talk.now)
        return talk.greet(call, tree.deep(dict(result)))
    except UNREADABLE:
        return [ToClient(call, broken(call, "backend-garbage"), final=True)]


def _catalogue(talk: SessionClient, frame: Frame) -> list[Effect]:
    cursor = None
    if frame.error is UNSET and frame.result is not UNSET:
        try:
            first = not talk.pages
            _, more = talk.facts.learn_tools(frame.result, talk.now, first=first)
            cursor = tree.whole(frame.result, "nextCursor") if more else None
        except UNREADABLE:
            cursor = None
    talk.pages = talk.pages + 1 if cursor is not None else 0
    if cursor is not None and talk.pages < MAX_PAGES:
        return [talk.inside("tools/list", {"cursor": cursor})]
    waiting, talk.waiting, talk.pages = talk.waiting, [], 0
    effects: list[Effect] = []
    for call in waiting:
        bridge = talk.bridges.get(call)
        if bridge is not None:
            effects += talk.send(bridge)
    return effects


def _reason(frame: Frame) -> str:
    """The broker's own reason, if the error is the broker's; else that the server refused."""
    assert frame.error is not UNSET
    data = tree.deep(frame.error.data) if frame.error.data is not UNSET else None
    if isinstance(data, dict) and data.get("origin") == "broker" and isinstance(data.get("reason"), str):
        return str(data["reason"])
    return "backend-status"
