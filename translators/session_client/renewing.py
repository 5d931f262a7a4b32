"""A server that refuses the version it took before (-32022): asked what it speaks now, and then told again, or left.

Follows 2026-07-28 basic/versioning and basic/index (error codes). The error proves that nothing was dispatched, so a
call that it ended may be sent once more; nothing else is ever said twice.

    the refusal names     the machine
    no versions           ends the call: that is nonsense, and no news of the server
    versions              asks `server/discover`, once for all calls that are refused meanwhile

    the discovery                     each call that waits for it
    names this revision               is sent again, once
    names others, or is refused       is stranded: it was not run, and cannot be here
    is not answered                   ends, for that reason
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from protocol_versions.jsonrpc import ErrorObject, Frame
from translators import tree
from translators.asks import UNREADABLE
from translators.machine import Effect, Note, Stranded
from translators.reply import broken
from translators.session_client.envelope import STATELESS
from translators.session_client.handshake import is_complete, reason_of
from translators.session_client.subscribing import final

if TYPE_CHECKING:
    from translators.session_client.machine import SessionClient
    from translators.session_client.rounds import Bridge

AGAIN = "again:"
"""What the machine's second discovery is called, before its method."""

DISCOVER = "server/discover"
REFUSED = "backend-status"


def renew(talk: SessionClient, bridge: Bridge, error: ErrorObject) -> list[Effect]:
    """What a refused version leads to; nothing if the call is to end."""
    if not _names_versions(error.data):
        return []
    talk.facts.forget()
    if bridge.renewal:
        return []
    bridge.renewal = "asked"
    noted: list[Effect] = [Note("stale-facts", bridge.method, "version-refused")]
    asking = f"{AGAIN}{DISCOVER}" in talk.inner.values()
    return noted if asking else [*noted, talk.inside(DISCOVER, {}, AGAIN)]


def rediscovered(talk: SessionClient, frame: Frame) -> list[Effect]:
    """The answer to the second discovery, for every call that waits for it."""
    waiting = [bridge for bridge in talk.bridges.values() if bridge.renewal == "asked"]
    speaks, reason = _judged(talk, frame)
    effects: list[Effect] = []
    for bridge in waiting:
        bridge.renewal = "done"
        if speaks:
            effects += talk.send(bridge)
        elif reason:
            effects += [final(bridge.call, broken(bridge.call, reason)), Note("failed", bridge.method, reason)]
            effects += talk.drop(bridge)
        else:
            effects += [*talk.drop(bridge), Stranded(bridge.call)]
    return effects


def _judged(talk: SessionClient, frame: Frame) -> tuple[bool, str]:
    """Whether the server speaks this revision; if it did not say, why the calls end."""
    if frame.error is not UNSET:
        reason = reason_of(frame)
        return False, "" if reason == REFUSED else reason
    result: Any = frame.result
    try:
        versions = tree.whole(result, "supportedVersions")
        if isinstance(versions, list) and STATELESS in versions and is_complete(result):
            talk.facts.learn_discover(result, talk.now)
            return True, ""
    except UNREADABLE:
        return False, "backend-garbage"
    return False, "" if isinstance(versions, list) else "backend-garbage"


def _names_versions(data: Any) -> bool:
    try:
        opened = tree.deep(data) if data is not UNSET else None
    except UNREADABLE:
        return False
    versions = opened.get("supported") if isinstance(opened, dict) else None
    return isinstance(versions, list) and any(isinstance(version, str) for version in versions)
