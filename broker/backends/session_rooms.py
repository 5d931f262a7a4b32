"""Which session a request goes into, and whether there is room for one more.

A caller's plain sessions are bounded by `backend_sessions_per_principal`; a session for one request alone (`wrap`, or
a caller who may be several people) is as good as a call, and bounded with the calls. All of them together are bounded
by `backend_sessions`. Invariants: no two callers ever share a session, but in `shared`; a session with anything open
in it is never ended to make room.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from broker.backends.session_groups import NOTHING, Group, Groups
from broker.backends.session_policy import SessionPolicy
from translators.inputs import ASKING
from translators.stateless_client import Habits
from translators.stateless_client.answers import QUIET_CALLS

if TYPE_CHECKING:
    from broker.backends.pooled_session import PooledSession
    from broker.faces.stateless_call import StatelessCall


SURE = 20
"""Questions on calls' own streams after which a server is not expected to ask on its standing one; servers whose tools
do both have shown it by then."""


class Place(msgspec.Struct):
    """Where a request belongs: this `session`; else a new one of the group; if there is no room for it, `instead`."""

    group: Group
    wrapped: bool = False
    session: PooledSession | None = None
    instead: PooledSession | None = None


class Rooms:
    """The sessions of one backend. `end` ends one that is idle."""

    def __init__(self, policy: SessionPolicy, habits: Habits, end: Callable[[PooledSession], None]) -> None:
        self.policy = policy
        self.habits = habits
        self.groups = Groups()
        self.sessions: dict[int, PooledSession] = {}
        self.asked_in_calls = 0
        """Questions that came on the stream of their call."""
        self.mute = False
        """Whether the backend is known to have no way to ask."""
        self._end = end
        self._held: Counter[tuple[str, bool]] = Counter()

    def place(self, call: StatelessCall) -> Place:
        """The place of a request that takes up nothing that was suspended."""
        policy = self.policy
        alone = call.who.per_call_sessions and policy.session != "shared"
        asks = call.method in ASKING
        group = self._group(call)
        if alone or (asks and policy.session == "wrap"):
            return Place(group, wrapped=True)
        first = group.sessions[0] if group.sessions else None
        if first is not None and not first.wrapped and not (asks and group.asks and self._exclusive(group)):
            return Place(group, False, first)
        plain = [session for session in group.sessions if not session.wrapped]
        if not plain:
            return Place(group)
        if not (asks and self._exclusive(group)):
            return Place(group, session=plain[0])
        free = next((session for session in plain if session.free), None)
        return Place(group, session=free, instead=min(plain, key=_open))

    def room(self, group: Group, *, wrapped: bool) -> bool:
        """True if this group may have one more session; one that is idle goes for it."""
        principal, policy = group.key[0], self.policy
        most = policy.calls_per_principal if wrapped else policy.sessions_per_principal
        if self._held[principal, wrapped] >= most and not self._evict(principal):
            return False
        return len(self.sessions) < policy.sessions or self._evict(principal) or self._evict(None)

    def add(self, session: PooledSession) -> None:
        """A session begins."""
        self.sessions[session.talk.number] = session
        session.group.sessions.append(session)
        self._held[session.group.key[0], session.wrapped] += 1

    def retire(self, session: PooledSession) -> None:
        """No further request goes into this session."""
        if session in session.group.sessions:
            session.group.sessions.remove(session)
        if not session.group.sessions:
            self.groups.drop(session.group)

    def remove(self, session: PooledSession) -> None:
        """A session is over."""
        if self.sessions.pop(session.talk.number, None) is None:
            return
        self.retire(session)
        key = (session.group.key[0], session.wrapped)
        self._held[key] -= 1
        if not self._held[key]:
            del self._held[key]

    def idle(self, before: float) -> list[PooledSession]:
        """The sessions nobody has used since that moment."""
        return [session for session in self.sessions.values() if session.talk.idle and session.used < before]

    def holds(self, principal: str) -> bool:
        """True if a caller has any session."""
        return bool(self._held.get((principal, False)) or self._held.get((principal, True)))

    def _group(self, call: StatelessCall) -> Group:
        if self.policy.session == "shared":
            return self.groups.get("", "", NOTHING)  # whoever asked, nobody in particular could be asked back
        declared = self.groups.read(bytes(call.told), mute=self.mute or self.policy.park == "off")
        context = call.relay.context
        audience = context.audience(call.who) if context.hooks.tells_apart else ""
        own = f"{audience}\0{call.session_key}" if audience else call.session_key
        return self.groups.get(call.who.id, own, declared)

    def _exclusive(self, group: Group) -> bool:
        """True if two calls of one session could not tell whose question came on the standing stream."""
        if not group.asks:
            return False
        if self.policy.attribution != "auto":
            return self.policy.attribution == "exclusive"
        habits = self.habits
        return habits.asks_on_stream or (self.asked_in_calls < SURE and habits.quiet < QUIET_CALLS)

    def _evict(self, principal: str | None) -> bool:
        """End the idle session that was used longest ago, of one caller or of all; False if all are busy."""
        idle = [
            session
            for session in self.sessions.values()
            if session.talk.idle and not session.wrapped and (principal is None or session.group.key[0] == principal)
        ]
        if not idle:
            return False
        self._end(min(idle, key=lambda session: session.used))
        return True


def _open(session: PooledSession) -> int:
    """How much is open in a session."""
    return len(session.talk.calls) + len(session.talk.waiting)
