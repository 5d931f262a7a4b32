"""One session with a backend that stateless requests share: the machine that plays its client, and what it decides.

Invariants: events reach the machine one after another, also those its own effects cause; a leg is answered once; a
session that turns out to be of no use for questions is replaced before anything was asked of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import UNSET

from broker.backends.base import Flow
from broker.backends.belonging import Belonging
from broker.backends.pooled_relay import PooledRelay
from broker.backends.session_timers import Timers
from protocol_versions.jsonrpc import Frame
from translators import handshake
from translators.link import LOST
from translators.machine import (
    STANDING,
    Effect,
    Event,
    Expired,
    FromServer,
    Note,
    Origin,
    SetTimer,
    ToClient,
    ToServer,
)
from translators.reply import TEXTS, broken, reason_of
from translators.stateless_client import Asked, Greeted, StatelessClient, Unopened
from translators.v2025_11_25__v2026_07_28.fields_headers import MIRRORS

if TYPE_CHECKING:
    from broker.backends.session_groups import Group
    from broker.backends.session_pool import SessionPool
    from broker.faces.stateless_call import StatelessCall
    from broker.identity import Principal

PING = 1 << 40
"""The id of the one request this file sends itself; the machine counts from 1."""


class PooledSession:
    """A session of one caller; `wrapped` ends with its first request."""

    def __init__(
        self, pool: SessionPool, group: Group, talk: StatelessClient, relay: PooledRelay, *, wrapped: bool
    ) -> None:
        self.pool = pool
        self.group = group
        self.talk = talk
        self.relay = relay
        self.wrapped = wrapped
        self.used = pool.now()
        self.closed = False
        self.haunted = False
        self.belonging = Belonging()
        self.gone = False
        """Whether the backend has lost the session and will not open it again; what still runs in it may end."""
        self.may_be_asked = group.asks
        self._timers = Timers(pool.context.wheel, self._expired, talk.awaits)
        self._greeting: Frame | None = None
        self._events: deque[Event] = deque()
        self._running = False
        self._waited: tuple[int, StatelessCall] | None = None

    # ---- what the pool asks -----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Begin the session."""
        self._run(self.talk.open())
        self.relay.talk.facts[MIRRORS] = True

    def post(self, asked: Asked) -> None:
        """A request of a client."""
        self.used = self.pool.now()
        self.feed(asked)

    def waits(self, number: int) -> StatelessCall | None:
        """The request that waits now for the machine's request of this number."""
        before = self._waited
        if before is not None and before[0] == number and before[1].open:
            return before[1]
        call = self.talk.calls.get(number)
        if call is None:
            return None
        calls = self.pool.relay.calls
        for leg in call.legs:
            found = calls.get(leg)
            if found is not None:
                self._waited = number, found
                return found
        return None

    def abandon(self, leg: int) -> None:
        """Nobody waits for this leg any more."""
        self._run(self.talk.abandon(leg))
        self._end_if_done()

    @property
    def free(self) -> bool:
        """True if no question on the standing stream could be meant for another call than the next one.

        A call that was cancelled may still ask, until the server has taken notice; one that never does, for ever.
        """
        cancelled = any(call.cancelled for call in self.relay.talk.book.calls.values())
        return not (self.talk.may_ask or cancelled or self.haunted)

    def ticket(self, leg: int) -> Flow | None:
        """The hold on the backend's stream for the call this leg waits for, if it has one that no other call shares."""
        backend = self.relay.backend
        if backend is not None and backend.one_line and not self.wrapped:
            return None
        number = self.relay.talk.book.by_client.get(self.talk.by_leg.get(leg, 0))
        found = backend.legs.get(number) if backend is not None and number is not None else None
        return found.ticket if found is not None else None

    def end_lapsed(self, lapsed: Callable[[Principal], str]) -> None:
        """Give up the suspended calls of credentials that are good no more; `lapsed` says why one is not."""
        for call, why in self.belonging.lapsed(self.talk.calls, lapsed, self.relay.speaker.who):
            self.relay.blame(call.id, why)
            self._run(self.talk.cancel(call))
            self._end_if_done()

    def close(self, reason: str) -> None:
        """The session is over."""
        if self.closed:
            return
        self._run(self.talk.close(reason))
        self._over()
        self.relay.close()

    # ---- what the relay says (broker.backends.pooled_relay.Player) --------------------------------------------------

    def session_message(self, exchange: int, frame: Frame, origin: Origin) -> None:
        """A message of the session for its client."""
        if self.closed:
            return
        if frame.method is UNSET:
            if frame.id == PING:
                self._pong(frame, origin)
                return
            opening = type(frame.id) is int and self.talk.inner.get(frame.id) == "initialize"
            if opening and not self._greets(frame, origin):
                return
        elif frame.id is UNSET:
            self.pool.heard(self, frame.method)
        elif exchange != STANDING:
            self.pool.rooms.asked_in_calls += 1
        self.feed(FromServer(exchange, frame, origin))

    def session_accepted(self, exchange: int) -> None:
        """A message was taken; the one that matters ends the handshake."""
        if self.talk.phase == "initialized" and exchange > 0:
            self.feed(Greeted(self.relay.stands))

    def session_resumed(self, *, again: bool) -> None:
        """What the session would have said meanwhile is lost; `again`: so is what it remembered."""
        self.pool.tools_changed(self)
        self._run(self.talk.resync(self.pool.now(), again=again))

    def session_haunted(self) -> None:
        """A call was cancelled, and the server said nothing of it in good time: it may ask for it yet."""
        self.haunted = True

    def session_gone(self) -> None:
        """The backend has lost the session, and refuses to open it again."""
        if not self.gone:
            self.gone = True
            self.pool.retire(self)

    def changed_elsewhere(self, method: str) -> None:
        """Another session of the caller heard that a list has changed."""
        if not self.closed:
            self._run(self.talk.changed_elsewhere(method))

    # ---- the handshake ----------------------------------------------------------------------------------------------

    def _greets(self, frame: Frame, origin: Origin) -> bool:
        """True if the machine may go on with this answer to `initialize` now."""
        if frame.result is UNSET:
            reason = "backend-status" if origin == "peer" else reason_of(frame) or "backend-status"
            waiting, self.talk.waiting = self.talk.waiting, {}
            for leg in waiting:
                reply = broken(leg, reason, message=f"{TEXTS.get(reason, reason)}; the request was not sent")
                if reason == "backend-status":
                    self.pool.not_run(leg, reply)  # a server of another era might run it
                else:
                    self.pool.to_leg(leg, reply, final=True)
            return True
        self.pool.greeted()
        declared = self.relay.talk.peers.declared
        backend = self.relay.session
        if not any(name in declared for name in handshake.INPUTS):
            return True
        if backend.session_id is None:
            # Its replies would go nowhere: SDK servers without sessions take them with 202 and drop them.
            self._replace("no-session-id")
            return False
        if backend.streams or self.pool.trusts_answers:
            return True
        # A server that answers everything in plain JSON drops what it asks during a call; a ping shows it.
        self._greeting = frame
        self.relay.client_frame(PING, Frame(id=PING, method="ping"))
        return False

    def _pong(self, pong: Frame, origin: Origin) -> None:
        frame, self._greeting = self._greeting, None
        if frame is None:
            return
        if origin == "broker":  # no answer came, which says nothing about answers
            self.feed(FromServer(0, Frame(id=frame.id, error=pong.error), origin))
        elif self.relay.session.streams:
            self.feed(FromServer(0, frame))
        else:
            self._replace("json-answers")

    def _replace(self, why: str) -> None:
        """Open another session that declares no input; what waits for this one goes there."""
        waiting, self.talk.waiting = self.talk.waiting, {}
        self._over()
        # Not within the relay's own turn: it still has effects of this answer to carry out.
        asyncio.get_running_loop().call_soon(self.relay.close)
        self.pool.cannot_ask(self, list(waiting.values()), why)

    # ---- effects ----------------------------------------------------------------------------------------------------

    def feed(self, event: Event) -> None:
        """Tell the machine what happened, and carry out what it decides; events wait for one another."""
        if self._running:
            self._events.append(event)
            return
        self._running = True
        try:
            self._effects(self.talk.handle(event, self.pool.now()))
            while self._events:
                self._effects(self.talk.handle(self._events.popleft(), self.pool.now()))
        finally:
            self._running = False
        self._end_if_done()

    def _run(self, effects: list[Effect]) -> None:
        """Carry out what was decided outside `feed`, before anything it causes."""
        nested, self._running = self._running, True
        try:
            self._effects(effects)
        finally:
            self._running = nested
        if not nested and self._events and not self.closed:
            self.feed(self._events.popleft())

    def _effects(self, effects: list[Effect]) -> None:
        for effect in effects:
            kind = type(effect)
            if kind is ToClient:
                self._answer(effect)  # type: ignore[arg-type]
            elif kind is ToServer:
                number = effect.call or effect.exchange  # type: ignore[attr-defined]
                if effect.call and self.pool.context.lapses:  # type: ignore[attr-defined]
                    waits = self.waits(number)
                    self.belonging.sent(number, waits, self.talk.calls)
                    if waits is not None and self.group.key[0]:
                        self.relay.speaker.who = waits.who  # not that of a request which came while this one waited
                self.relay.client_frame(number, effect.frame)  # type: ignore[attr-defined]
            elif kind is SetTimer:
                self._timers.add(effect.key, effect.after_s)  # type: ignore[attr-defined]
            elif kind is Note:
                self.pool.note(effect)  # type: ignore[arg-type]
            elif kind is Unopened:
                self._over()
                self.pool.unopened(self)
                asyncio.get_running_loop().call_soon(self.relay.close)

    def _answer(self, effect: ToClient) -> None:
        if effect.final:
            self.used = self.pool.now()
            if self.gone and effect.frame.error is not UNSET and reason_of(effect.frame) == LOST:
                self.pool.not_run(effect.exchange, effect.frame)
                return
        self.pool.to_leg(effect.exchange, effect.frame, final=effect.final)

    def _expired(self, key: str) -> None:
        if not self.closed:
            self.feed(Expired(key))

    def _over(self) -> None:
        self.closed = True
        self._timers.close()
        self.pool.news.forget(self)

    def _end_if_done(self) -> None:
        if (self.wrapped or self.gone) and self.talk.idle and self.talk.phase == "ready" and not self.closed:
            self.pool.end(self, "wrapped" if self.wrapped else "gone")
