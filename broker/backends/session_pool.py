"""The sessions that stateless requests share before a session backend: whose request goes into which.

A session belongs to one caller and one set of declared capabilities, because a session's capabilities never change and
a server lists tools by them. Policies (`servers.NAME.session`):

    pooled   one session per caller, further ones only for calls whose questions could be confused   the default
    keyed    as pooled, apart by what a header or a `_meta` member of the request says
    wrap     a session per request; lists and subscriptions have one of their own
    shared   one session for everybody, which can ask nobody anything

Lists, discovery and subscriptions always go to a caller's first session, so that they do not depend on which one is
free. Invariant: no two callers ever share a session, but in `shared`.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from broker.backends.base import Flow
from broker.backends.pooled_session import PooledSession
from broker.backends.session_groups import Group, Groups, silent
from broker.backends.session_opening import open_session
from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.handshake import INPUTS
from translators.inputs import ASKING
from translators.machine import Note
from translators.reply import broken
from translators.stateless_client import LOST, Asked, Habits, State, bad_state, read_state
from translators.stateless_client.answers import QUIET_CALLS
from translators.stateless_client.calls import Quota
from translators.stateless_client.machine import SESSION

if TYPE_CHECKING:
    from broker.context import ServerContext
    from broker.faces.stateless_call import StatelessCall
    from broker.faces.stateless_relay import StatelessRelay

SWEEP_S = 15.0
"""How often idle sessions are looked for."""

CANNOT_ASK_S = 3600.0
"""How long a backend is remembered as one that cannot ask; as long as the verdict on its era."""

LOST_TEXT = "The suspended call was lost when the broker was restarted; it may have taken effect"


class SessionPool:
    """All sessions of one virtual server's stateless clients."""

    def __init__(self, context: ServerContext, relay: StatelessRelay) -> None:
        self.context = context
        self.relay = relay
        self.policy = context.bridge
        self.owner = secrets.token_urlsafe(6)
        self.habits = Habits()
        self.groups = Groups()
        self.sessions: dict[int, PooledSession] = {}
        self.legs: dict[int, PooledSession] = {}
        self._cannot_ask_until = 0.0
        self._quotas: dict[str, Quota] = {}
        self._everybody = Quota(self.policy.parked)
        self._minted = 0
        self._sweeping = False

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return self.context.wheel.clock()

    # ---- what the face's relay asks (as of StatelessLegs) ----------------------------------------------------------

    def post(self, call: StatelessCall, frame: Frame) -> None:
        """Carry one request to a session."""
        params: Any = frame.params if frame.params is not UNSET else {}
        state = None
        if "requestState" in params:
            state = read_state(tree.deep(params["requestState"]))
            if state is None:
                self.relay.leg_message(call.number, bad_state(call.number))
                return
        asked = Asked(call.number, frame, call.capabilities, call.level, state)
        session = self._resumed(call, state) if state is not None else self._route(call)
        if session is not None:
            self.legs[call.number] = session
            session.post(asked)

    def abort(self, leg: int) -> None:
        """Nobody waits for this leg any more."""
        session = self.legs.pop(leg, None)
        if session is not None:
            session.abandon(leg)

    def ticket(self, leg: int) -> Flow | None:
        """The hold on the backend's stream that serves a leg."""
        session = self.legs.get(leg)
        return session.ticket(leg) if session is not None else None

    def close(self) -> None:
        """The broker stops."""
        for session in list(self.sessions.values()):
            self.end(session, "shutdown")

    # ---- what a session says ---------------------------------------------------------------------------------------

    def to_leg(self, leg: int, frame: Frame, *, final: bool) -> None:
        """A message for one request."""
        if final:
            self.legs.pop(leg, None)
        self.relay.leg_message(leg, frame)

    def note(self, note: Note) -> None:
        """What a machine noted."""
        self.context.watch.effect(self.context.name, "2026-07-28", SESSION, note)

    def greeted(self, session: PooledSession) -> None:  # noqa: ARG002
        """A handshake succeeded."""
        self.context.greeted(stateless=False)

    def refused(self, session: PooledSession) -> None:  # noqa: ARG002
        """A handshake was refused: the backend may be of another era by now."""
        self.context.contradicted(stateless=False)

    def unopened(self, session: PooledSession) -> None:
        """A session could not be opened; the next request tries again."""
        self._forget(session)

    def cannot_ask(self, session: PooledSession, waiting: list[Asked], why: str) -> None:
        """The backend has no way to ask: its sessions declare no input, and what waited gets one of those."""
        self._cannot_ask_until = self.now() + CANNOT_ASK_S
        self.note(Note("degraded", "initialize", why))
        group = session.group
        self._forget(session)
        other = self.groups.get(group.key[0], group.key[1], silent(group.capabilities))
        fresh = other.sessions[0] if other.sessions and not session.wrapped else None
        if fresh is None:
            fresh = self._open(other, wrapped=session.wrapped)
        for asked in waiting:
            self.legs[asked.leg] = fresh
            fresh.post(asked)

    @property
    def trusts_answers(self) -> bool:
        """True if the operator says that this backend can ask."""
        return self.policy.park == "on"

    def end(self, session: PooledSession, why: str) -> None:
        """A session is over: what is left of it is answered, and the backend told."""
        self._forget(session)
        session.close("shutdown" if why == "shutdown" else "session-ended")

    # ---- whose request goes where ----------------------------------------------------------------------------------

    def _resumed(self, call: StatelessCall, state: State) -> PooledSession | None:
        """The session that holds a suspended call, or any for a call that was not suspended."""
        session = self.sessions.get(state.session) if state.owner == self.owner else None
        if session is not None and not session.closed:
            return session
        if state.kind == "visit":
            return self._route(call)
        reply = bad_state(call.number)
        if state.owner != self.owner:
            reply = broken(call.number, LOST, message=LOST_TEXT)
        self.context.watch.note(self.context.name, "refused", call.method, "state-unknown")
        self.relay.leg_message(call.number, reply)
        return None

    def _route(self, call: StatelessCall) -> PooledSession | None:
        wrapped = self.policy.session == "wrap" or call.caller.per_call_sessions
        group = self._group(call)
        asks = call.method in ASKING
        if wrapped and (asks or call.caller.per_call_sessions):
            return self._room(call, group, wrapped=True)
        open_now = [session for session in group.sessions if not session.wrapped]
        if not open_now:
            return self._room(call, group, wrapped=False)
        if asks and self._exclusive(group):
            free = next((session for session in open_now if not session.talk.may_ask), None)
            if free is not None:
                return free
            if len(open_now) < self.policy.sessions_per_principal:
                return self._room(call, group, wrapped=False) or open_now[-1]
        return open_now[0]

    def _group(self, call: StatelessCall) -> Group:
        if self.policy.session == "shared":
            return self.groups.get("", "", {})  # whoever asked, nobody in particular could be asked back
        capabilities = self.groups.read(bytes(call.told))
        if self.policy.park == "off" or self.now() < self._cannot_ask_until:
            capabilities = silent(capabilities)
        return self.groups.get(call.caller.id, call.session_key, capabilities)

    def _exclusive(self, group: Group) -> bool:
        """True if two calls of one session could not tell whose question came on the standing stream."""
        if not any(name in group.capabilities for name in INPUTS):
            return False
        if self.policy.attribution != "auto":
            return self.policy.attribution == "exclusive"
        habits = self.habits
        return habits.asks_on_stream or (not habits.asks_in_call and habits.quiet < QUIET_CALLS)

    def _room(self, call: StatelessCall, group: Group, *, wrapped: bool) -> PooledSession | None:
        """A new session, if the caller may have one more; an idle one of the same caller goes for it."""
        principal = group.key[0]
        mine = [session for session in self.sessions.values() if session.group.key[0] == principal]
        full = len(mine) >= self.policy.sessions_per_principal or len(self.sessions) >= self.policy.sessions
        if full:
            idle = [session for session in mine if session.talk.idle and not session.wrapped]
            if not idle:
                self.context.watch.note(self.context.name, "refused", call.method, "overloaded")
                self.relay.leg_message(call.number, broken(call.number, "overloaded"))
                return None
            self.end(min(idle, key=lambda session: session.used), "evicted")
        return self._open(group, wrapped=wrapped, client_info=call.client_info)

    # ---- sessions --------------------------------------------------------------------------------------------------

    def _open(self, group: Group, *, wrapped: bool, client_info: Any = None) -> PooledSession:
        self._minted += 1
        session = open_session(self, group, self._minted, self._quotas_of(group), client_info, wrapped=wrapped)
        group.sessions.append(session)
        self.sessions[self._minted] = session
        session.open()
        if not self._sweeping:
            self._sweeping = True
            self.context.wheel.add(self.now() + SWEEP_S, self._sweep)
        return session

    def _quotas_of(self, group: Group) -> tuple[Quota, Quota]:
        principal = group.key[0]
        found = self._quotas.get(principal)
        if found is None:
            found = self._quotas[principal] = Quota(self.policy.parked_per_principal)
        return self._everybody, found

    def _forget(self, session: PooledSession) -> None:
        self.sessions.pop(session.talk.number, None)
        group = session.group
        if session in group.sessions:
            group.sessions.remove(session)
        if not group.sessions and group.discovery is None:
            self.groups.drop(group)

    def _sweep(self) -> None:
        now = self.now()
        for session in list(self.sessions.values()):
            if session.talk.idle and now - session.used > self.policy.idle_s:
                self.end(session, "idle")
        self.groups.sweep()
        held = {session.group.key[0] for session in self.sessions.values()}
        for principal in [principal for principal in self._quotas if principal not in held]:
            del self._quotas[principal]
        self._sweeping = bool(self.sessions)
        if self._sweeping:
            self.context.wheel.add(now + SWEEP_S, self._sweep)
