"""The pump of one client session: carries out what the core decides, and tells the core what happened.

    client frame -> Conversation -> Link -> hooks -> BackendSession
    backend frame -> hooks -> Link (its own calls) -> Conversation -> Outbox -> client
Everything runs in callbacks of the loop, so that a call costs no task; only a hook that awaits makes one, and then
later messages of the session queue behind it, because order holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET

from broker.backends.base import Headers, SessionBackend
from broker.callers import Speaker
from broker.gate import Gate
from broker.hooks.base import Caller
from broker.hooks.runner import Runner
from broker.identity import Principal
from broker.outbox import Outbox
from broker.pressure import crowded, press
from broker.relay_ending import Ending
from broker.stream_wait import StreamWait
from broker.telling import answer_here, rejection, told
from broker.watch import Watch
from broker.wheel import Wheel
from protocol_versions import by_id
from protocol_versions.jsonrpc import Frame
from translators import handshake
from translators.conversation import Conversation
from translators.link import Link
from translators.machine import (
    REOPENING,
    Abort,
    Accept,
    Effect,
    End,
    Event,
    Expired,
    Failed,
    FromClient,
    FromServer,
    Hush,
    Migrate,
    Note,
    OpenStream,
    Origin,
    Reject,
    Repipe,
    Resend,
    SetTimer,
    ToClient,
    ToServer,
    Unanswerable,
)
from translators.reply import answered, broken

if TYPE_CHECKING:
    from broker.quotas.meter import Meter
    from broker.styles import SessionStyles


class Relay(Ending):
    """One client session's traffic with one backend."""

    def __init__(
        self,
        talk: Conversation,
        outbox: Outbox,
        hooks: Runner,
        wheel: Wheel,
        watch: Watch,
        *,
        who: Principal,
        name: str,
    ) -> None:
        self.talk = talk
        self.link = Link(talk)
        self.outbox = outbox
        self.gate = Gate(self, hooks)
        self.wheel, self.watch = wheel, watch
        self.speaker: Speaker = Speaker(who)
        self.meter: Meter | None = None
        self.name = name
        self.backend: SessionBackend | None = None
        self.on_migrate: Callable[[Relay, bool | None], None] = lambda _relay, _stateless: None
        self.wait = StreamWait(wheel)
        self.styles: SessionStyles | None = None
        self._resend: dict[int, bytes] = {}
        self._headers: dict[int, Headers] = {}

    # ---- what the face says ---------------------------------------------------------------------------------------

    def client_frame(self, exchange: int, frame: Frame) -> None:
        """One message of the client."""
        if self.watch.tapping:
            self.watch.frame("client", "in", self.name, frame)
        try:
            if self.meter is None:
                self.feed(FromClient(exchange, frame))
            else:
                self.meter.take(self, exchange, frame)
        except Exception as error:
            self.watch.bug(self.name, error)
            answer_here(self, exchange, frame, broken(frame.id, "internal"))  # type: ignore[arg-type]

    def feed(self, event: Event) -> None:
        """Tell the core what happened, and carry out what it decides."""
        self.run(self.talk.handle(event))

    # ---- what the backend says (broker.backends.base.Owner) ---------------------------------------------

    def backend_message(self, stream: int, frame: Frame) -> None:
        """One message on a call's stream, or on the standing one (0)."""
        if self.watch.tapping:
            self.watch.frame("backend", "in", self.name, frame)
        if self.styles is not None and frame.method is UNSET:
            self.styles.heard(stream, frame)
        if frame.method == "ping" and frame.id is not UNSET and not self.outbox.reachable:
            self.to_backend(ToServer(0, answered(frame.id, {})))
        else:
            try:
                if self.gate.idle or not self.gate.from_backend(stream, frame):
                    self.from_backend(stream, frame)
            except Exception as error:
                self.watch.bug(self.name, error)
                if frame.method is UNSET:
                    self.feed(Failed(stream, "internal"))

    def backend_failed(self, call: int, reason: str, executed: Literal["no", "unknown"]) -> None:
        """A call got no answer."""
        ours = self.link.failed(call)
        self.run(self.talk.handle(Failed(call, reason, executed)) if ours is None else ours)

    def backend_lost(self, call: int, body: bytes, session_id: str | None) -> None:
        """The backend does not know the session that `call` (0: another message) named."""
        if self.backend is None or self.backend.closed:
            return
        if call in self.talk.book.calls:
            self._resend[call] = body
        stale = session_id != self.backend.session_id
        if not stale:
            self.backend.forget()
        self.run(self.link.lost(call, stale=stale))

    def backend_moved(self, call: int, body: bytes, *, stateless: bool | None = None) -> None:
        """The backend did not run `call`, and cannot where it was sent: the session moves to another era."""
        if self.backend is not None and not self.backend.closed and call in self.talk.book.calls:
            self._resend[call] = body
            self.run(self.link.moved(call, stateless=stateless))

    def backend_accepted(self, exchange: int) -> None:
        """The backend took what an exchange carried; the exchange may have to wait for the standing stream."""
        if exchange == REOPENING:
            self.run(self.link.greeted())
            return
        if exchange in self.wait.after and self.backend is not None:
            self.backend.open_stream()
            if self.wait.holds(exchange, lambda: self.backend_stream(False)):
                return
        self.accept(exchange)

    def backend_stream(self, _usable: bool) -> None:
        """The standing stream stands, or will not come."""
        for exchange in self.wait.release():
            self.accept(exchange)

    def backend_gap(self) -> None:
        """The standing stream was away, and without event ids: what it would have carried is lost."""
        self.watch.note(self.name, "gap", reason="standing-stream")

    def backend_violation(self, reason: str) -> None:
        """The backend said what is carried nowhere."""
        self.watch.note(self.name, "violation", reason=reason)

    # ---- effects --------------------------------------------------------------------------------------------------

    def run(self, effects: list[Effect] | list[Effect | Failed]) -> None:
        """Carry out what the core decided."""
        for effect in effects:
            kind = type(effect)
            if kind is ToServer:
                self._to_server(effect)  # type: ignore[arg-type]
            elif kind is ToClient:
                self._to_client(effect)  # type: ignore[arg-type]
            elif kind is End:
                if not self.gate.idle:
                    self.gate.forget(effect.call)  # type: ignore[union-attr]
                self.link.ended(effect.call)  # type: ignore[union-attr]
                if self.meter is not None:
                    self.meter.ended(effect.call)  # type: ignore[union-attr]
                if self._resend or self._headers:
                    self._resend.pop(effect.call, None)  # type: ignore[union-attr]
                    self._headers.pop(effect.call, None)  # type: ignore[union-attr]
            else:
                self._rare(effect)

    def _rare(self, effect: Effect | Failed) -> None:
        match effect:
            case Failed():
                self.feed(effect)
            case Hush(exchange=exchange):
                self.outbox.hush(exchange)
            case Accept(exchange=exchange):
                self.accept(exchange)
            case Reject():
                self.outbox.reject(effect.exchange, rejection(effect))
            case OpenStream(then=then):
                self._open_stream(then)
            case Abort(call=call):
                if self.backend is not None:
                    self.backend.abort(call)
            case SetTimer(key=key, after_s=after_s):
                self.wheel.add(self.wheel.clock() + after_s, lambda: self.feed(Expired(key)))
            case Repipe(server=server):
                assert self.backend is not None
                self.backend.settle(server, by_id(server).traits)
            case Resend(call=call):
                if self.backend is not None and (body := self._resend.pop(call, None)) is not None:
                    self.backend.request(call, body, headers=self._headers.get(call, ()))
            case Migrate(stateless=stateless):
                self.on_migrate(self, stateless)
            case Note():
                self.watch.effect(self.name, self.talk.peers.client, self.talk.peers.server, effect)

    def _to_server(self, effect: ToServer) -> None:
        if self.link.phase != "up" and not effect.initialize:
            sends = self.link.send(effect)
            if not (sends and sends[0] is effect):
                self.run(sends)
                return
        if self.gate.idle or not self.gate.to_backend(effect):
            self.to_backend(effect)

    def to_backend(self, effect: ToServer) -> None:
        """Send a message that policy has passed."""
        if self.watch.tapping:
            self.watch.frame("backend", "out", self.name, effect.frame)
        assert self.backend is not None
        if effect.headers and effect.call in self.talk.book.calls:
            self._headers[effect.call] = effect.headers
        if self.styles is None or not self.styles.moves(effect):
            self.backend.send(effect)

    def _to_client(self, effect: ToClient) -> None:
        frame, data = told(self.watch, self.name, effect.frame)
        question, error = frame.method is not UNSET and frame.id is not UNSET, frame.error is not UNSET
        sent = self.outbox.send(effect.exchange, data, final=effect.final, error=error, question=question)
        if sent:
            press(self, effect.exchange)
        elif not effect.final:
            if crowded(self.outbox, effect.exchange):
                self.watch.note(self.name, "dropped", reason="slow-reader")
            else:
                self.watch.note(self.name, "dropped", reason="no-stream")
            if question:
                self.feed(Unanswerable(frame.id))  # type: ignore[arg-type]

    def from_backend(self, stream: int, frame: Frame, origin: Origin = "peer") -> None:
        """Take a message that policy has passed, or what policy says in the backend's place."""
        if frame.method is UNSET and self.link.internal:
            ours = self.link.answered(frame)
            if ours is not None:
                self.gate.forget(frame.id)  # type: ignore[arg-type]
                self.run(ours)
                return
        self.feed(FromServer(stream, frame, origin))

    def caller(self, call: int) -> Caller:  # noqa: ARG002
        """Who the client is."""
        return self.speaker.caller(self.talk.peers)

    def is_open(self, call: int) -> bool:
        """True while a call, or a request of the link's own, waits for its answer."""
        return call in self.talk.book.calls or call in self.link.internal

    def accept(self, exchange: int) -> None:
        """The exchange's message was taken."""
        found = self.outbox.exchanges.get(exchange)
        if found is not None and found.open <= 0:
            del self.outbox.exchanges[exchange]
            found.finish(202, b"")

    def _open_stream(self, then: int) -> None:
        backend = self.backend
        announces, asks = handshake.uses_of_stream(self.talk.peers)
        # Servers of both SDKs log and ask on this stream; one without a session id has no use for it.
        if backend is None or backend.session_id is None or not (announces or asks):
            return
        if then < 0:
            asyncio.get_running_loop().call_soon(backend.open_stream)
        else:
            self.wait.after[then] = asks or backend.acknowledges
