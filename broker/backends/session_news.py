"""What one session of a caller hears of the server's lists, for the caller's subscriptions in its other sessions.

Follows 2026-07-28 basic/patterns/subscriptions: a client that listens is told, whichever of its requests caused the
change. Many servers have a state for each session and tell only the one that caused it, and a caller's calls may be in
another session than its subscription. A server that tells every session is heard several times; what the others heard
is told at once, and again at the end of a while in which more of it came, but not each time.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from translators.stateless_client.listening import FLAGS

if TYPE_CHECKING:
    from broker.backends.pooled_session import PooledSession
    from broker.backends.session_rooms import Rooms
    from broker.wheel import Handle, Wheel

WITHIN_S = 0.2
"""How close to one another news of the same list are taken for the same; below the 0.3 s in which the TypeScript SDK
gathers them."""


class News:
    """The list changes of one backend's sessions."""

    def __init__(self, rooms: Rooms, wheel: Wheel) -> None:
        self._rooms = rooms
        self._wheel = wheel
        self._told: dict[tuple[int, str], float] = {}
        self._later: dict[tuple[int, str], Handle] = {}

    def heard(self, session: PooledSession, method: str) -> None:
        """A notification of this session's server, which the session's own subscriptions are told of anyway."""
        if method not in FLAGS:
            return
        now = self._wheel.clock()
        for other in self._rooms.sessions.values():
            if not other.talk.listens.legs:
                continue
            key = other.talk.number, method
            if other is session:
                self._told[key] = now
                self._cancel(key)
            elif not _related(session, other):
                continue
            elif now - self._told.get(key, -WITHIN_S) >= WITHIN_S:
                self._tell(other, method)
            elif key not in self._later:
                due = self._told[key] + WITHIN_S
                self._later[key] = self._wheel.add(due, functools.partial(self._tell, other, method))

    def forget(self, session: PooledSession) -> None:
        """A session is over."""
        for method in FLAGS:
            key = session.talk.number, method
            self._told.pop(key, None)
            self._cancel(key)

    def _tell(self, session: PooledSession, method: str) -> None:
        key = session.talk.number, method
        self._later.pop(key, None)
        self._told[key] = self._wheel.clock()
        session.changed_elsewhere(method)

    def _cancel(self, key: tuple[int, str]) -> None:
        handle = self._later.pop(key, None)
        if handle is not None:
            self._wheel.cancel(handle)


def _related(one: PooledSession, other: PooledSession) -> bool:
    """True if both are of one caller; whoever listens in a session of its own may be several people."""
    return one.group.key[:2] == other.group.key[:2] and not other.wrapped
