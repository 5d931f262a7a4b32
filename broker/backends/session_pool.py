"""The sessions that stateless requests share before a session backend.

A session belongs to one caller and one set of declared capabilities, because a session's capabilities never change and
a server lists tools by them. Policies (`servers.NAME.session`):

    pooled   one session per caller, further ones only for calls whose questions could be confused   the default
    keyed    as pooled, apart by what a header or a `_meta` member of the request says
    wrap     a session per request; lists and subscriptions have one of their own
    shared   one session for everybody, which can ask nobody anything

Lists, discovery and subscriptions always go to a caller's first session, so that they do not depend on which one is
free (see `session_rooms`). Invariants: every request is answered, whatever becomes of its session; none is sent twice
unless the backend provably never ran it; no caller takes all connections.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from broker.backends.base import Flow
from broker.backends.pooled_session import PooledSession
from broker.backends.session_groups import Group, declaring, may_ask, silent
from broker.backends.session_news import News
from broker.backends.session_opening import open_session
from broker.backends.session_rooms import Rooms
from broker.identity import SHARED, Principal
from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.machine import Note
from translators.reply import broken
from translators.stateless_client import LOST, Asked, Habits, State, bad_state, read_state
from translators.stateless_client.calls import Quota
from translators.stateless_client.listening import LISTEN
from translators.stateless_client.machine import SESSION

if TYPE_CHECKING:
    from broker.context import ServerContext
    from broker.faces.stateless_call import StatelessCall
    from broker.faces.stateless_relay import StatelessRelay

SWEEP_S = 15.0
"""How often idle sessions are looked for."""

CANNOT_ASK_S = 3600.0
"""How long a backend is remembered as one that cannot ask; as long as the verdict on its era."""

TOOLS_CHANGED = "notifications/tools/list_changed"

LOST_TEXT = "The suspended call was lost when the broker was restarted; it may have taken effect"


class SessionPool:
    """All sessions of one virtual server's stateless clients."""

    def __init__(self, context: ServerContext, relay: StatelessRelay) -> None:
        self.context = context
        self.relay = relay
        self.policy = context.bridge
        self.owner = secrets.token_urlsafe(6)
        self.habits = Habits()
        self.rooms = Rooms(self.policy, self.habits, lambda session: self.end(session, "evicted"))
        self.news = News(self.rooms, context.wheel)
        self.legs: dict[int, tuple[PooledSession, str]] = {}  # and whose call it is; nobody's, for a subscription
        self._open: dict[str, int] = {}
        self._mute_until = 0.0
        self._quotas: dict[str, Quota] = {}
        self._everybody = Quota(self.policy.parked)
        self._minted = 0
        self._sweeping = False
        self._not_run: list[tuple[int, Frame]] = []
        self._looking: asyncio.Task[None] | None = None

    @property
    def parked(self) -> int:
        """How many calls are suspended."""
        return self._everybody.parked

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
        if call.method != LISTEN and self._open.get(call.principal, 0) >= self.policy.calls_per_principal:
            self._refuse(call)
            return
        session = self._resumed(call, state) if state is not None else self._route(call)
        if session is not None:
            self._send(session, Asked(call.number, frame, call.capabilities, call.level, state), call)

    def abort(self, leg: int) -> None:
        """Nobody waits for this leg any more."""
        session = self._close_leg(leg)
        if session is not None:
            session.abandon(leg)

    def ticket(self, leg: int) -> Flow | None:
        """The hold on the backend's stream that serves a leg."""
        found = self.legs.get(leg)
        return found[0].ticket(leg) if found is not None else None

    def close(self) -> None:
        """The broker stops."""
        if self._looking is not None:
            self._looking.cancel()
        for session in list(self.rooms.sessions.values()):
            self.end(session, "shutdown")

    # ---- what a session says ---------------------------------------------------------------------------------------

    def to_leg(self, leg: int, frame: Frame, *, final: bool) -> None:
        """A message for one request."""
        if final:
            self._close_leg(leg)
        self.relay.leg_message(leg, frame)

    def not_run(self, leg: int, frame: Frame) -> None:
        """A request the backend refused to open a session for; `frame` is its answer, unless another era runs it."""
        self._not_run.append((leg, frame))
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look_again())

    def note(self, note: Note) -> None:
        """What a machine noted."""
        self.context.watch.effect(self.context.name, "2026-07-28", SESSION, note)

    def greeted(self) -> None:
        """A handshake succeeded."""
        self.context.greeted(stateless=False)

    def unopened(self, session: PooledSession) -> None:
        """A session could not be opened; the next request tries again."""
        self.rooms.remove(session)

    def retire(self, session: PooledSession) -> None:
        """A session takes no further requests."""
        self.rooms.retire(session)

    def heard(self, session: PooledSession, method: str) -> None:
        """A notification of this session's server."""
        if method == TOOLS_CHANGED:
            self.tools_changed(session)
        self.news.heard(session, method)

    def tools_changed(self, session: PooledSession) -> None:
        """What was learned of the tools holds no longer for whoever uses this session."""
        self.context.forget_tools(session.group.key[0])

    def cannot_ask(self, session: PooledSession, waiting: list[Asked], why: str) -> None:
        """The backend has no way to ask: its sessions declare no input, and what waited gets one of those."""
        self._mute_until = self.now() + CANNOT_ASK_S
        self.note(Note("cannot-ask", "initialize", why))
        group = session.group
        self.rooms.remove(session)
        other = self.rooms.groups.get(group.key[0], group.key[1], declaring(silent(group.capabilities)))
        fresh = other.sessions[0] if other.sessions and not session.wrapped else None
        if fresh is None:
            fresh = self._begin(other, session.relay.speaker.who, session.talk.client_info, wrapped=session.wrapped)
        for asked in waiting:
            call = self.relay.calls.get(asked.leg)
            if call is not None:
                self._send(fresh, asked, call)

    @property
    def trusts_answers(self) -> bool:
        """True if the operator says that this backend can ask."""
        return self.policy.park == "on"

    def end(self, session: PooledSession, why: str) -> None:
        """A session is over: what is left of it is answered, and the backend told."""
        self.rooms.remove(session)
        session.close("shutdown" if why == "shutdown" else "session-ended")

    # ---- requests --------------------------------------------------------------------------------------------------

    def _send(self, session: PooledSession, asked: Asked, call: StatelessCall) -> None:
        if asked.leg in self.legs:  # it goes to another session
            self._close_leg(asked.leg)
        principal = "" if call.method == LISTEN else call.principal
        self.legs[asked.leg] = session, principal
        self._open[principal] = self._open.get(principal, 0) + 1
        # A server may ask what its session declared, and what this request declares: never more than both.
        if not session.may_be_asked and may_ask(asked.capabilities):
            asked = msgspec.structs.replace(asked, capabilities=silent(asked.capabilities), muted=True)
        if session.group.key[0]:
            session.relay.speaker.who = call.who
        session.post(asked)

    def _close_leg(self, leg: int) -> PooledSession | None:
        found = self.legs.pop(leg, None)
        if found is None:
            return None
        session, principal = found
        left = self._open[principal] - 1
        if left:
            self._open[principal] = left
        else:
            del self._open[principal]
        return session

    def _resumed(self, call: StatelessCall, state: State) -> PooledSession | None:
        """The session that holds a suspended call, or any for a call that was not suspended."""
        session = self.rooms.sessions.get(state.session) if state.owner == self.owner else None
        if session is not None and not session.closed:
            session.belonging.resumed(state.call, call.who)
            return session
        if state.kind == "visit":
            return self._route(call)
        reply, reason = bad_state(call.number), "state-unknown"
        if state.owner != self.owner:
            reply, reason = broken(call.number, LOST, message=LOST_TEXT), LOST
        self.context.watch.note(self.context.name, "refused", call.method, reason)
        self.relay.leg_message(call.number, reply)
        return None

    def _route(self, call: StatelessCall) -> PooledSession | None:
        rooms = self.rooms
        rooms.mute = self._mute_until > 0.0 and self.now() < self._mute_until
        place = rooms.place(call)
        session = place.session
        if session is None and rooms.room(place.group, wrapped=place.wrapped):
            return self._begin(place.group, call.who, call.client_info, wrapped=place.wrapped)
        session = session or place.instead
        if session is None:
            if not place.group.sessions:
                rooms.groups.drop(place.group)
            self._refuse(call)
        return session

    def _refuse(self, call: StatelessCall) -> None:
        self.context.watch.note(self.context.name, "refused", call.method, "overloaded")
        self.relay.leg_message(call.number, broken(call.number, "overloaded"))

    async def _look_again(self) -> None:
        """Ask the backend for its era: what it did not run is asked of its other face, or answered as it was."""
        try:
            stateless = await self.context.left_sessions()
        except Exception as error:  # whatever went wrong: who waits is answered
            self.context.watch.note(self.context.name, "failed", reason=f"internal:{type(error).__name__}")
            stateless = False
        self._looking = None
        found, self._not_run = self._not_run, []
        for leg, frame in found:
            self._close_leg(leg)
            if stateless:
                self.relay.cross(leg)
            else:
                self.relay.leg_message(leg, frame)

    # ---- sessions --------------------------------------------------------------------------------------------------

    def _begin(self, group: Group, who: Principal, client_info: Any, *, wrapped: bool) -> PooledSession:
        self._minted += 1
        who = who if group.key[0] else SHARED
        session = open_session(self, group, self._minted, self._quotas_of(group), who, client_info, wrapped=wrapped)
        self.rooms.groups.keep(group)
        self.rooms.add(session)
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

    def _sweep(self) -> None:
        now, rooms = self.now(), self.rooms
        for session in rooms.idle(now - self.policy.idle_s):
            self.end(session, "idle")
        for principal in [principal for principal in self._quotas if not rooms.holds(principal)]:
            del self._quotas[principal]
        self._sweeping = bool(rooms.sessions)
        if self._sweeping:
            self.context.wheel.add(now + SWEEP_S, self._sweep)
