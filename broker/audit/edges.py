"""The edges of sessions, with an audit trail: what the plain ones do, and a line before and after each call.

Without an audit log none of this is loaded, and the plain classes run. Invariants: a call is written down before any of
it is given to the backend; a call that cannot be written down ends as one that policy has refused; whoever takes a call
over (a pooled session, another era) takes its record along, so that one call stays one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from broker.audit import questions
from broker.audit.admitting import UNAVAILABLE, UNAVAILABLE_TEXT
from broker.audit.trail import Trail
from broker.backends.pooled_relay import PooledRelay
from broker.backends.virtual_session import VirtualSession
from broker.relay import Relay
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from translators.machine import Effect, End, Failed, Note, Origin, ToClient, ToServer
from translators.reply import broken, reason_of

if TYPE_CHECKING:
    from broker.hooks.base import Caller
    from broker.identity import Principal


CANCELLED: Final = "notifications/cancelled"


def unwritten(call: int) -> Frame:
    """The answer to a call that was not sent because it could not be written down."""
    return broken(call, UNAVAILABLE, message=UNAVAILABLE_TEXT)


class AuditedRelay(Relay):
    """A client session's relay; `trail` knows calls by the broker's ids."""

    trail: Trail
    _stream = 0
    _asked: Frame | None = None

    def client_frame(self, exchange: int, frame: Frame) -> None:
        """One message of the client; a request that comes to nothing is written down as well."""
        asks = frame.method is not UNSET and frame.id is not UNSET
        self._asked = frame if asks else None
        if frame.method is UNSET:
            self._replied(frame)
        try:
            super().client_frame(exchange, frame)
        finally:
            self._asked = None

    def close(self, reason: str = "session-ended") -> None:
        """The session is over; what is held goes first, so that what was sent before it is taken back."""
        if self.trail.held:
            self.trail.log.turn.over()
        super().close(reason)
        self.trail.close()

    def backend_failed(self, call: int, reason: str, executed: Any) -> None:
        """A call got no answer."""
        self.trail.failed(call, reason, executed)
        super().backend_failed(call, reason, executed)

    def from_backend(self, stream: int, frame: Frame, origin: Origin = "peer") -> None:
        """What is lost while this message is translated belongs to its call."""
        before, self._stream = self._stream, stream
        real = origin == "peer" and not isinstance(self.backend, VirtualSession)
        since = self.trail.arrived(stream, frame) if real else 0.0
        try:
            super().from_backend(stream, frame, origin)
        finally:
            self._stream = before
            if since:
                self.trail.passed(stream, frame, since)

    def to_backend(self, effect: ToServer) -> None:
        """Send what policy has passed, once it is written down."""
        call = effect.call
        if isinstance(self.backend, VirtualSession):
            super().to_backend(effect)  # not sent yet: the virtual session's own edge comes after this one
        elif call:
            self.trail.admit(call, effect.frame, self.caller(call), self._go, (effect, self.speaker.who))
        elif self.trail.held:
            self.trail.behind(self._go, (effect, self.speaker.who))
        else:
            super().to_backend(effect)

    def _go(self, what: tuple[ToServer, Principal], written: bool) -> None:
        effect, who = what
        call, speaker = effect.call, self.speaker
        # Its server may be shown a credential for the one that this message came with.
        now, speaker.who = speaker.who, who
        try:
            if not written:
                self.from_backend(call, unwritten(call), "broker")
            elif self.backend is None or self.backend.closed:
                self.backend_failed(call, "internal", "no")
            elif self.link.phase != "up" and call in self.talk.book.calls and not effect.initialize:
                # The session was lost since this turn began: as if it had been sent, and come back.
                if effect.headers:
                    self._headers[call] = effect.headers
                self.backend_lost(call, jsonrpc.encode(effect.frame), "")
            else:
                super().to_backend(effect)
        except Exception as error:
            self.watch.bug(self.name, error)
            self.backend_failed(call, "internal", "unknown")
        finally:
            speaker.who = now

    def run(self, effects: list[Effect] | list[Effect | Failed]) -> None:
        """Carry out what the core decided, and write down which calls that begins and ends."""
        first, count = effects[0] if effects else None, len(effects)
        kind = type(first)
        if kind is ToServer and count == 1 and (call := first.call):  # type: ignore[union-attr]
            if call not in self.trail.calls:  # which nearly every request comes to
                self._begins(call, first.frame)  # type: ignore[union-attr]
        elif kind is ToClient and count == 2 and type(last := effects[1]) is End:
            # and nearly every answer
            ordinary = last.outcome == "ok" and first.origin == "peer"  # type: ignore[union-attr]
            if not (ordinary and self.trail.finished(last.call, first.frame)):  # type: ignore[union-attr]
                self._ends(last, first)  # type: ignore[arg-type]
        else:
            self._told(effects)
        super().run(effects)

    def _told(self, effects: list[Effect] | list[Effect | Failed]) -> None:
        trail, ended, answer, current = self.trail, [], None, self._stream
        for effect in effects:
            kind = type(effect)
            if kind is ToServer and effect.call and effect.call not in trail.calls:  # type: ignore[union-attr]
                current = self._begins(effect.call, effect.frame)  # type: ignore[union-attr]
            elif kind is ToServer and not effect.call and effect.frame.method == CANCELLED:  # type: ignore[union-attr]
                trail.cancelled(effect.frame)  # type: ignore[union-attr]
            elif kind is ToClient and effect.final:  # type: ignore[union-attr]
                answer = effect
            elif kind is ToClient and effect.frame.id is not UNSET and effect.frame.method != "ping":  # type: ignore[union-attr]
                method, params = effect.frame.method, effect.frame.params  # type: ignore[union-attr]
                questions.asked(trail, current, str(method), params, self.caller(current))
            elif kind is End:
                ended.append((effect, answer))
                current = effect.call  # type: ignore[union-attr]
            elif kind is Note and effect.losses:  # type: ignore[union-attr]
                peers = self.talk.peers
                trail.lost(current, effect.method, effect.losses, (peers.client, peers.server))  # type: ignore[union-attr]
        for end, last in ended:
            self._ends(end, last)  # type: ignore[arg-type]
        if self._asked is not None and answer is not None and not ended:
            asked, self._asked = self._asked, None
            trail.answered(asked, answer.frame, self.caller(0))  # type: ignore[union-attr]

    def _replied(self, frame: Frame) -> None:
        """The client's answer to a question; one that was not asked, or not here, has no line."""
        book = self.talk.book
        ask = book.asks.get(frame.id) if type(frame.id) is int else None
        if ask is not None and ask.method != "ping":
            questions.replied(self.trail, ask.call, ask.method, frame, self.caller(ask.call))

    def _begins(self, call: int, frame: Frame) -> int:
        found = self.talk.book.calls.get(call)
        if found is not None:
            self._asked = None
            self.trail.begin(call, found.method, found.client_id, frame)
        return call

    def _ends(self, end: End, answer: ToClient | None) -> None:
        trail = self.trail
        if end.outcome == "retried":
            # `initialize` with another revision: the next request of the same call.
            again = self.talk.book.by_client.get(trail.client_id(end.call))
            if again is not None:
                trail.renumber(end.call, again)
            return
        if answer is not None and end.outcome != "cancelled":
            frame = answer.frame
            # A virtual session speaks as the server does, also where it says what the broker found out.
            ours = frame.error is not UNSET and isinstance(self.backend, VirtualSession) and reason_of(frame)
            trail.heard(end.call, frame, peer=answer.origin == "peer" and not ours)
        record = trail.calls.get(end.call)
        known = record is None or (record.admitted and record.revision)
        trail.end(end.call, end.outcome, None if known else self.caller(end.call))


class AuditedPooledRelay(AuditedRelay, PooledRelay):
    """The relay of a pooled session; a record comes from the request that waits for its call."""

    def _begins(self, call: int, frame: Frame) -> int:
        waits = self.waiting(call)
        trail = None if waits is None else waits.trail
        record = None if trail is None or waits is None else trail.calls.pop(waits.number, None)
        if record is None:
            return super()._begins(call, frame)
        self._asked = None
        self.trail.calls[call] = waits.record = record  # type: ignore[union-attr]
        self.remember(call, waits)  # type: ignore[arg-type]
        return call

    def blame(self, number: int, reason: str) -> None:
        """A call of the player ends for this reason."""
        record = self.trail.calls.get(self.talk.book.by_client.get(number, 0))
        if record is not None:
            record.cause = reason


class AuditedSession(VirtualSession):
    """A virtual session; its edge is the real one, so its legs are written down as requests of the relay's calls."""

    relay: AuditedRelay

    @property
    def trail(self) -> LegTrail:
        """For the gate."""
        return LegTrail(self)

    def to_backend(self, effect: ToServer) -> None:
        """Send a request that policy has passed, once its call is written down."""
        call = self.talk.legs.get(effect.call)
        if call is None:
            super().to_backend(effect)
        else:
            relay = self.relay
            what = effect, relay.speaker.who
            relay.trail.admit(call, effect.frame, self.caller(effect.call), self._go, what)

    def _go(self, what: tuple[ToServer, Principal], written: bool) -> None:
        effect, who = what
        leg, speaker = effect.call, self.relay.speaker
        if not self.is_open(leg) or self.closed:
            return
        now, speaker.who = speaker.who, who
        try:
            if written:
                super().to_backend(effect)
                return
            reply = unwritten(leg)
        except Exception as error:
            self.watch.bug(self.name, error)
            reply = broken(leg, "internal")
        finally:
            speaker.who = now
        asyncio.get_running_loop().call_soon(self.from_backend, leg, reply, "broker")

    def leg_failed(self, leg: int, reason: str, executed: Any) -> None:
        """A leg got no answer."""
        self.relay.trail.failed(self.talk.legs.get(leg, 0), reason, executed)
        super().leg_failed(leg, reason, executed)

    def from_backend(self, stream: int, frame: Frame, origin: Origin = "peer") -> None:
        """What is lost while this message is translated belongs to its call."""
        call = self.relay._stream = self.talk.legs.get(stream, 0)
        trail = self.relay.trail
        since = trail.arrived(call, frame) if origin == "peer" else 0.0
        try:
            super().from_backend(stream, frame, origin)
        finally:
            self.relay._stream = 0
            if since:
                trail.passed(call, frame, since)

    def _rare(self, effect: Effect) -> None:
        if isinstance(effect, Note) and effect.losses:
            relay = self.relay
            relay.trail.lost(relay._stream, effect.method, effect.losses, (relay.talk.peers.client, "2026-07-28"))
        super()._rare(effect)


class LegTrail:
    """The relay's trail, by legs."""

    __slots__ = ("_session",)

    def __init__(self, session: AuditedSession) -> None:
        self._session = session

    def deny(self, leg: int, part: str, method: str, reason: str, caller: Caller) -> None:
        """Policy refused a message of a leg."""
        session = self._session
        session.relay.trail.deny(session.talk.legs.get(leg, 0), part, method, reason, caller)
