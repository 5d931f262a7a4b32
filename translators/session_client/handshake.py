"""`initialize` answered from `server/discover`, and the catalogue that is read before a tool is called.

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
from translators.session_client.envelope import STATELESS
from translators.tree import Body

if TYPE_CHECKING:
    from translators.session_client.machine import SessionClient

MAX_PAGES = 100
"""Pages of a catalogue that are read before a call; 100 pages of 100 tools."""


def is_complete(result: Body) -> bool:
    """True for a result that is one; an absent type means so (basic/index, ResultType)."""
    return "resultType" not in result or tree.whole(result, "resultType") == "complete"


def discovered(talk: SessionClient, frame: Frame) -> list[Effect]:
    """The answer to `server/discover`."""
    call, talk.greeting = talk.greeting, 0
    if not call:
        return []
    if frame.error is not UNSET:
        reason = "backend-revision" if frame.error.code == -32022 else reason_of(frame)
        return [ToClient(call, broken(call, reason), final=True), Note("failed", "server/discover", reason)]
    result: Any = frame.result
    reason = "backend-garbage"
    try:
        versions = tree.whole(result, "supportedVersions")
        if isinstance(versions, list) and STATELESS not in versions:
            reason = "backend-revision"
        elif isinstance(versions, list) and is_complete(result):
            talk.facts.learn_discover(result, talk.now)
            return talk.greet(call, tree.deep(dict(result)))
    except UNREADABLE:
        pass
    return [ToClient(call, broken(call, reason), final=True), Note("failed", "server/discover", reason)]


def catalogued(talk: SessionClient, frame: Frame) -> list[Effect]:
    """One page of the catalogue that calls wait for."""
    cursor = None
    read = False
    if frame.result is not UNSET:
        try:
            if is_complete(frame.result):
                _, more = talk.facts.learn_tools(frame.result, talk.now, first=not talk.pages, walk=True)
                cursor = tree.whole(frame.result, "nextCursor") if more else None
                read = True
        except UNREADABLE:
            cursor = None
    talk.pages += 1
    if isinstance(cursor, str) and talk.pages < MAX_PAGES:
        return [talk.inside("tools/list", {"cursor": cursor})]
    if not read or cursor is not None:
        talk.facts.miss_tools(talk.now)
    waiting, talk.waiting, talk.pages = talk.waiting, [], 0
    effects: list[Effect] = []
    for call in waiting:
        bridge = talk.bridges.get(call)
        if bridge is not None:
            effects += talk.send(bridge)
    return effects


def reason_of(frame: Frame) -> str:
    """The broker's own reason, if the error is the broker's; else that the server refused."""
    assert frame.error is not UNSET
    data = tree.deep(frame.error.data) if frame.error.data is not UNSET else None
    if isinstance(data, dict) and data.get("origin") == "broker" and isinstance(data.get("reason"), str):
        return str(data["reason"])
    return "backend-status"
