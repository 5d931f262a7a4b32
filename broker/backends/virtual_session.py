"""A session backend that is not there: what `BackendSession` offers, over a stateless (2026-07-28) server.

The relay talks to it as to any 2025-11-25 server; the machine in `translators.session_client` decides what that means
in stateless requests, and this file sends them. Hooks run here, at the real backend's edge and in its revision, so
that retries and the machine's own requests pass them too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from msgspec import UNSET

from broker.backends.base import Flow, Headers, Legs, Owner, Refusal
from broker.backends.listen_hub import LISTEN, ListenHub
from broker.backends.virtual_rounds import LegRounds
from broker.era import evidence, undispatched
from broker.gate import Gate
from broker.hooks.base import Caller
from broker.hooks.runner import Runner
from broker.watch import Watch
from broker.wheel import Wheel
from protocol_versions import jsonrpc
from protocol_versions.base import Traits
from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.errors import Refused
from translators.machine import (
    Abort,
    Effect,
    Expired,
    Failed,
    FromClient,
    FromServer,
    Note,
    Origin,
    SetTimer,
    Stranded,
    ToClient,
    ToServer,
)
from translators.mirrored import headers_of
from translators.reply import broken
from translators.session_client import SessionClient


class Held(NamedTuple):
    """An open leg: the call it serves and the hold on its connection."""

    call: int
    ticket: Flow | None


class VirtualSession:
    """One client session's legs to a stateless backend."""

    acknowledges = True
    one_line = False

    def __init__(
        self,
        talk: SessionClient,
        owner: Owner,
        hooks: Runner,
        wheel: Wheel,
        watch: Watch,
        *,
        caller: Callable[[int], Caller],
        name: str,
    ) -> None:
        self.talk = talk
        self.owner = owner
        self.wheel = wheel
        self.watch = watch
        self.caller = caller
        self.name = name
        self.rounds = LegRounds(talk)
        self.gate = Gate(self, hooks, self.rounds)
        self.http: Legs | None = None
        self.hub: ListenHub | None = None
        self.contradicted: Callable[[], None] = lambda: None
        self._frames: dict[int, Frame | bytes] = {}  # as the relay sent them, for a session that has to move
        self._queued = 0  # messages of the client that wait for the loop; later ones must not overtake them
        self.session_id: str | None = "stateless"
        self.streams = True
        self.standing: Any = None
        self._awaited = False  # whether the owner is to be told when the stream it wanted is acknowledged
        self.closed = False

    # ---- what the relay asks of a backend session -----------------------------------------------------------------

    @property
    def legs(self) -> Mapping[int, Any]:
        """The open legs with the calls they serve, for backpressure."""
        if self.http is None:
            return {}
        return {leg: Held(call, self.http.ticket(leg)) for leg, call in self.talk.legs.items()}

    def settle(self, revision: str, traits: Traits) -> None:
        """Every request names its revision by itself."""

    def forget(self) -> None:
        """There is nothing a stateless server could have lost."""

    def send(self, effect: ToServer) -> None:
        """What the relay decided to send. Parameters it has opened may be shared, so those go as bytes."""
        frame = effect.frame
        if not effect.call or effect.initialize or not tree.unopened(frame.params):
            body = jsonrpc.encode(frame)
            if effect.call:
                self.request(effect.call, body, initialize=effect.initialize)
            else:
                self.notify(body, effect.exchange)
            return
        self._frames[effect.call] = frame
        event = FromClient(effect.call, frame)
        if self._queued or not self.gate.idle or self.closed:
            self._later(event)
            return
        effects = self.talk.handle(event, self.wheel.clock())
        if len(effects) == 1 and isinstance(effects[0], ToServer) and effects[0].call not in self.talk.inner:
            self.to_backend(effects[0])  # nothing is answered within this turn, so the loop need not come round first
        else:
            self._queued += 1
            asyncio.get_running_loop().call_soon(self._run_open, effects)

    def request(self, call: int, body: bytes, *, initialize: bool = False, headers: Headers = ()) -> None:  # noqa: ARG002
        """A request of the virtual session; what policy adds to it is added here, at the real backend's edge."""
        if not initialize:
            self._frames[call] = body
        self._later(FromClient(call, jsonrpc.decode_backend(body)))

    def notify(self, body: bytes, exchange: int) -> None:
        """A notification or an answer of the virtual session; it is taken at once."""
        self._later(FromClient(0, jsonrpc.decode_backend(body)))
        asyncio.get_running_loop().call_soon(self.owner.backend_accepted, exchange)

    def sent(self, call: int) -> bytes:
        """A call as the relay sent it; empty if it is not open."""
        sent = self._frames.get(call, b"")
        return sent if isinstance(sent, bytes) else jsonrpc.encode(sent)

    def abort(self, call: int) -> None:
        """Nobody waits for this call any more."""
        self._frames.pop(call, None)
        self._run(self.talk.cancel(call))

    def open_stream(self) -> None:
        """Listen for what belongs to no call; the owner is told once the stream is acknowledged, or will not be."""
        if not self.closed:
            self._run(self.talk.stand())
            self._awaited = True
            # Not at once: the relay writes down who waits for the stream after it has asked for it.
            asyncio.get_running_loop().call_soon(self._stands)

    def close(self) -> None:
        """The session is over."""
        self.closed = True
        self._run(self.talk.close())
        self.gate.close()

    # ---- what the server says (broker.backends.base.StatelessOwner) -----------------------------------------------

    def leg_message(self, leg: int, frame: Frame) -> None:
        """One message of a leg."""
        if self.watch.tapping:
            self.watch.frame("backend", "in", self.name, frame)
        try:
            if not self.gate.idle and frame.result is not UNSET and self.gate.method_of(leg) == "tools/list":
                self.talk.facts.overhear(frame.result)  # policy may hide arguments that are sent all the same
            if self.gate.idle or not self.gate.from_backend(leg, frame):
                self.from_backend(leg, frame)
        except Exception as error:
            self.watch.bug(self.name, error)
            if frame.method is UNSET:
                self.feed(Failed(leg, "internal"))

    def observe(self, leg: int, refusal: Refusal) -> None:
        """A request was refused: if the server is stateless no more, the session is lost, and the call was not run."""
        status, code, text = refusal.status, refusal.code, refusal.text
        method = self.talk.inner.get(leg, "")
        if not evidence(status, code, text, face="modern", method=method):
            return
        self.watch.note(self.name, "era-contradicted", method, "stateless")
        self.contradicted()
        call = self.talk.legs.get(leg, 0)
        bridge = self.talk.bridges.get(call)
        if bridge is None or not undispatched(status, code, text, foreign_id=refusal.foreign_id):
            return
        self.talk.facts.forget()
        self._run(self.talk.drop(bridge))
        asyncio.get_running_loop().call_soon(self.owner.backend_lost, call, self.sent(call), self.session_id)

    def leg_failed(self, leg: int, reason: str, executed: Literal["no", "unknown"]) -> None:
        """A leg got no answer."""
        self.gate.forget(leg)
        self.feed(Failed(leg, reason, executed))

    def leg_violation(self, leg: int, reason: str) -> None:  # noqa: ARG002
        """The server said something that is carried nowhere."""
        self.watch.note(self.name, "violation", reason=reason)

    # ---- what the gate asks of an edge ----------------------------------------------------------------------------

    def is_open(self, call: int) -> bool:
        """True while a leg is of interest."""
        return call in self.talk.legs or call in self.talk.inner

    def accept(self, exchange: int) -> None:
        """Nothing waits for a notification here."""

    def to_backend(self, effect: ToServer) -> None:
        """Send a request that policy has passed; its headers mirror what is really sent."""
        frame = effect.frame
        if self.watch.tapping:
            self.watch.frame("backend", "out", self.name, frame)
        method: Any = frame.method
        params: Any = frame.params if frame.params is not UNSET else {}
        facts = self.talk.facts
        try:
            tool = tree.deep(params.get("name")) if facts.mirrors and method == "tools/call" else None
            annotations = facts.mirrored(tool) if isinstance(tool, str) else None
            headers = [*headers_of(method, params, annotations), *effect.headers]
        except Refused as refusal:
            reply = broken(effect.call, refusal.reason, code=refusal.code)
            asyncio.get_running_loop().call_soon(self.from_backend, effect.call, reply, "broker")
            return
        assert self.http is not None
        if method == LISTEN and self.hub is not None:
            self.hub.join(self, effect.call, frame, effect.headers)
        else:
            self.http.post(effect.call, frame, headers)

    def from_backend(self, stream: int, frame: Frame, origin: Origin = "peer") -> None:
        """Take a message that policy has passed."""
        if frame.method is UNSET and not self.gate.idle:
            self.gate.forget(stream)
        self.feed(FromServer(stream, frame, origin, self.rounds.taken(stream)))

    # ---- effects --------------------------------------------------------------------------------------------------

    def feed(self, event: FromServer | FromClient | Failed | Expired) -> None:
        """Tell the machine what happened, and carry out what it decides."""
        self._run(self.talk.handle(event, self.wheel.clock()))
        if self._awaited:
            self._stands()

    def _stands(self) -> None:
        if self._awaited and not self.talk.listening.opening:
            self._awaited = False
            self.owner.backend_stream(True)

    def _later(self, event: FromClient) -> None:
        # Not within the relay's own turn: an answer given at once would overtake what it still has to do.
        self._queued += 1
        asyncio.get_running_loop().call_soon(self._feed_open, event)

    def _feed_open(self, event: FromClient) -> None:
        self._queued -= 1
        if not self.closed:
            self.feed(event)

    def _run_open(self, effects: list[Effect]) -> None:
        self._queued -= 1
        if not self.closed:
            self._run(effects)

    def _run(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, ToServer):
                if self.gate.idle or not self.gate.to_backend(effect):
                    self.to_backend(effect)
            elif isinstance(effect, ToClient):
                call = effect.exchange
                if effect.final:
                    self._frames.pop(call, None)
                self.owner.backend_message(call, effect.frame)
            else:
                self._rare(effect)

    def _rare(self, effect: Effect) -> None:
        match effect:
            case Abort(call=leg):
                self.gate.forget(leg)
                if self.http is not None and not (self.hub is not None and self.hub.leave(self, leg)):
                    self.http.abort(leg)
            case SetTimer(key=key, after_s=after_s):
                asyncio.get_running_loop().call_later(after_s, self._expired, key)
            case Stranded(call=call):
                self.watch.note(self.name, "era-contradicted", reason="stateless")
                self.contradicted()
                asyncio.get_running_loop().call_soon(self.owner.backend_moved, call, self.sent(call))
            case Note():
                self.watch.effect(self.name, "session", "2026-07-28", effect)

    def _expired(self, key: str) -> None:
        if not self.closed:
            self.feed(Expired(key))
