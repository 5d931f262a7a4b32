"""The pump of one client session: carries out what the core decides, and tells the core what happened.

    client frame -> Conversation -> Link -> hooks (backend's revision) -> BackendSession
    backend frame -> hooks -> Link (its own calls) -> Conversation -> Outbox -> client

Everything runs in callbacks of the loop, so that a call costs no task; only a hook that awaits makes one, and then
later messages of the session queue behind it, because order holds.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from msgspec import UNSET

from broker.backends.streamable_http import BackendSession
from broker.hooks.base import CallInfo, Deny, Drop, Replace, Verdict
from broker.hooks.runner import Runner
from broker.outbox import Outbox
from broker.watch import Watch
from broker.wheel import Wheel
from protocol_versions import by_id, jsonrpc
from protocol_versions.jsonrpc import ErrorObject, Frame
from translators.conversation import Conversation
from translators.link import Link
from translators.machine import (
    STANDING,
    Abort,
    Accept,
    ClientGone,
    Effect,
    End,
    Expired,
    Failed,
    FromClient,
    FromServer,
    Note,
    OpenStream,
    Reject,
    Repipe,
    SetTimer,
    ToClient,
    ToServer,
)
from translators.reply import answered, broken

STREAM_READY_S = 1.0
"""How long `notifications/initialized` waits for the backend's standing stream, so that no question is lost before it
stands; both SDKs' servers send its head at once, and a client's own GET comes no sooner."""

TARGET = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "resources/subscribe": "uri",
    "resources/unsubscribe": "uri",
}


class Relay:
    """One client session's traffic with one backend."""

    def __init__(
        self,
        talk: Conversation,
        outbox: Outbox,
        hooks: Runner,
        wheel: Wheel,
        watch: Watch,
        *,
        principal: str,
        name: str,
    ) -> None:
        self.talk = talk
        self.link = Link(talk)
        self.outbox = outbox
        self.hooks = hooks
        self.wheel = wheel
        self.watch = watch
        self.principal = principal
        self.name = name
        self.backend: BackendSession | None = None
        self._infos: dict[int, CallInfo] = {}
        self._stream_waiters: list[int] = []
        self._stream_after: dict[int, bool] = {}
        self._resend: dict[int, bytes] = {}
        self._busy = False
        self._queue: deque[Callable[[], Awaitable[None] | None]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    # ---- what the face says ---------------------------------------------------------------------------------------

    def client_frame(self, exchange: int, frame: Frame) -> None:
        """One message of the client."""
        if self.watch.tapping:
            self.watch.frame("client", "in", self.name, frame)
        self._run(self.talk.handle(FromClient(exchange, frame)))

    def close(self) -> None:
        """The session is over: calls end, streams end, the backend's session is deleted."""
        self._run(self.talk.handle(ClientGone()))
        if self.backend is not None:
            self.backend.close()
        self.outbox.close()
        for task in self._tasks:
            task.cancel()

    # ---- what the backend says (broker.backends.streamable_http.Owner) ---------------------------------------------

    def backend_message(self, stream: int, frame: Frame) -> None:
        """One message on a call's stream, or on the standing one (0)."""
        if self.watch.tapping:
            self.watch.frame("backend", "in", self.name, frame)
        method = frame.method
        if method is not UNSET:
            if method == "ping" and frame.id is not UNSET and not self.outbox.reachable:
                self._to_backend(0, answered(frame.id, {}))
                return
            if self.hooks.hooks and self.hooks.wants(
                "notification" if frame.id is UNSET else "params", method, "client"
            ):
                self._judged_from_backend(stream, frame, method)
                return
        elif self.hooks.hooks and frame.result is not UNSET:
            info = self._infos.get(frame.id) if type(frame.id) is int else None
            if info is not None and self.hooks.wants("result", info.method, "client"):
                self._judged_from_backend(stream, frame, info.method)
                return
        if self._queue or self._busy:
            self._later(lambda: self._from_backend(stream, frame))
            return
        self._from_backend(stream, frame)

    def backend_failed(self, call: int, reason: str, executed: Literal["no", "unknown"]) -> None:
        """A call got no answer."""
        ours = self.link.failed(call)
        if ours is not None:
            self._run(ours)
            return
        self._run(self.talk.handle(Failed(call, reason, executed)))

    def backend_lost(self, call: int, body: bytes) -> None:
        """The backend does not know our session any more."""
        if self.backend is None or self.backend.closed:
            return
        if call:
            self._resend[call] = body
        if self.link.phase == "up":
            self.backend.forget()
        self._run(self.link.lost(call))

    def backend_accepted(self, exchange: int) -> None:
        """The backend took what an exchange carried; the exchange may have to wait for the standing stream."""
        if exchange in self._stream_after and self.backend is not None:
            wait = self._stream_after.pop(exchange)
            self.backend.open_stream()
            if wait:
                self._stream_waiters.append(exchange)
                self.wheel.add(self.wheel.clock() + STREAM_READY_S, lambda: self.backend_stream(False))
                return
        self._accept(exchange)

    def backend_stream(self, usable: bool) -> None:
        """The standing stream stands, or will not come."""
        waiters, self._stream_waiters = self._stream_waiters, []
        for exchange in waiters:
            self._accept(exchange)

    def backend_violation(self, reason: str) -> None:
        """The backend said something that is carried nowhere."""
        self.watch.note(self.name, "violation", reason=reason)

    # ---- effects --------------------------------------------------------------------------------------------------

    def _run(self, effects: list[Effect] | list[Effect | Failed]) -> None:
        for effect in effects:
            kind = type(effect)
            if kind is ToServer:
                self._to_server(effect)  # type: ignore[arg-type]
            elif kind is ToClient:
                self._to_client(effect)  # type: ignore[arg-type]
            elif kind is End:
                self._infos.pop(effect.call, None)  # type: ignore[union-attr]
                self.link.ended(effect.call)  # type: ignore[union-attr]
            else:
                self._rare(effect)

    def _rare(self, effect: Effect | Failed) -> None:
        match effect:
            case Failed():
                self._run(self.talk.handle(effect))
            case Accept(exchange=exchange):
                self._accept(exchange)
            case Reject():
                found = self.outbox.exchanges.pop(effect.exchange, None)
                if found is not None:
                    data = {"origin": "broker", "reason": effect.reason}
                    reply = jsonrpc.error_response(UNSET, effect.code, effect.message, data)
                    found.finish(400, jsonrpc.encode(reply))
            case OpenStream(then=then):
                self._open_stream(then)
            case Abort(call=call):
                if self.backend is not None:
                    self.backend.abort(call)
            case SetTimer(key=key, after_s=after_s):
                self.wheel.add(self.wheel.clock() + after_s, lambda: self._run(self.talk.handle(Expired(key))))
            case Repipe(server=server):
                assert self.backend is not None
                self.backend.settle(server, by_id(server).traits)
                for call in self.link.to_resend():
                    body = self._resend.pop(call, None)
                    if body is not None:
                        asyncio.get_running_loop().call_soon(self._send_again, call, body)
            case Note():
                self.watch.effect(self.name, self.talk.peers.client, self.talk.peers.server, effect)

    def _send_again(self, call: int, body: bytes) -> None:
        if self.backend is not None and call in self.talk.book.calls:
            self.backend.request(call, body)

    def _to_server(self, effect: ToServer) -> None:
        if self.link.phase != "up" and not effect.initialize:
            sends = self.link.send(effect)
            if not (sends and sends[0] is effect):
                self._run(sends)
                return
        frame = effect.frame
        if self.hooks.hooks:
            part = "result" if frame.method is UNSET else "notification" if frame.id is UNSET else "params"
            method = frame.method if frame.method is not UNSET else ""
            if effect.call:
                target = TARGET.get(method)
                value = _text(frame, target) if target is not None else None
                self._infos[effect.call] = CallInfo(method, value, self.principal, self.name)
            if part != "result" and self.hooks.wants(part, method, "server"):
                self._judged_to_backend(effect, part, method)
                return
        if self._queue or self._busy:
            self._later(lambda: self._to_backend(effect.call, frame, effect.exchange, effect.initialize))
            return
        self._to_backend(effect.call, frame, effect.exchange, effect.initialize)

    def _to_backend(self, call: int, frame: Frame, exchange: int = -1, initialize: bool = False) -> None:
        if self.watch.tapping:
            self.watch.frame("backend", "out", self.name, frame)
        assert self.backend is not None
        body = jsonrpc.encode(frame)
        if call:
            self.backend.request(call, body, initialize=initialize)
        else:
            self.backend.notify(body, exchange)

    def _to_client(self, effect: ToClient) -> None:
        frame = effect.frame
        if self.watch.tapping:
            self.watch.frame("client", "out", self.name, frame)
        sent = self.outbox.send(
            effect.exchange, jsonrpc.encode(frame), final=effect.final, error=frame.error is not UNSET
        )
        if not sent and not effect.final:
            self.watch.note(self.name, "dropped", reason="no-stream")
        elif self.backend is not None:
            self._press(effect.exchange)

    def _press(self, number: int) -> None:
        """A reader that does not keep up stops the backend's stream instead of filling this process."""
        exchange = self.outbox.exchanges.get(number)
        stream = exchange.stream if exchange is not None else None
        if number == STANDING and self.outbox.standing:
            stream = self.outbox.standing[-1]
        if stream is None or stream.queued <= self.watch.queue_bytes or stream.pressure or not stream.attached:
            return
        assert self.backend is not None
        calls = self.talk.book.calls
        tickets: list[Any] = [
            leg.ticket
            for leg in self.backend.legs.values()
            if leg.ticket is not None and leg.call in calls and calls[leg.call].exchange == number
        ]
        if number == STANDING and self.backend.standing is not None:
            tickets.append(self.backend.standing)
        stream.pressure = True
        for ticket in tickets:
            ticket.pause()

        def relieve() -> None:
            stream.pressure = False
            for ticket in tickets:
                ticket.resume()

        stream.when_relieved(relieve)

    def _from_backend(self, stream: int, frame: Frame) -> None:
        if frame.method is UNSET and self.link.internal:
            ours = self.link.answered(frame)
            if ours is not None:
                self._run(ours)
                return
        self._run(self.talk.handle(FromServer(stream, frame)))

    def _accept(self, exchange: int) -> None:
        found = self.outbox.exchanges.get(exchange)
        if found is None:
            return
        if found.open <= 0:
            del self.outbox.exchanges[exchange]
            found.finish(202, b"")

    def _open_stream(self, then: int) -> None:
        backend = self.backend
        assert backend is not None
        offered = self.talk.peers.offered
        changes = any(
            isinstance(member, dict) and (member.get("listChanged") is True or member.get("subscribe") is True)
            for member in offered.values()
        )
        asks = any(key in self.talk.peers.declared for key in ("sampling", "elicitation", "roots"))
        # Servers of both SDKs log and ask on this stream; one without a session id has no use for it.
        if backend.session_id is None or not (changes or asks or "logging" in offered):
            return
        if then < 0:
            asyncio.get_running_loop().call_soon(backend.open_stream)
        else:
            self._stream_after[then] = asks

    # ---- hooks ----------------------------------------------------------------------------------------------------

    def _judged_to_backend(self, effect: ToServer, part: str, method: str) -> None:
        frame = effect.frame
        params: Any = frame.params if frame.params is not UNSET else {}
        info = self._infos.get(effect.call) or CallInfo(method, None, self.principal, self.name)

        def settle(verdict: Verdict) -> None:
            match verdict:
                case Deny(code=code, message=message, reason=reason):
                    self.watch.note(self.name, "denied", method, reason)
                    if effect.call:
                        error = broken(effect.call, "denied", code=code, message=message)
                        self._run(self.talk.handle(FromServer(effect.call, error, "broker")))
                    else:
                        self._accept(effect.exchange)
                case Drop(reason=reason):
                    self.watch.note(self.name, "denied", method, reason)
                    self._accept(effect.exchange)
                case _:
                    if isinstance(verdict, Replace):
                        frame.params = verdict.body
                    self._to_backend(effect.call, frame, effect.exchange, effect.initialize)

        self._judge(lambda: self.hooks.judge(part, method, "server", params, info), settle)

    def _judged_from_backend(self, stream: int, frame: Frame, method: str) -> None:
        if frame.method is UNSET:
            part, body = "result", frame.result
        else:
            part = "notification" if frame.id is UNSET else "params"
            body = frame.params if frame.params is not UNSET else {}
        info = self._infos.get(stream) or CallInfo(method, None, self.principal, self.name)

        def settle(verdict: Verdict) -> None:
            if isinstance(verdict, Deny | Drop):
                self.watch.note(self.name, "denied", method, verdict.reason)
                if part == "notification":
                    return
                code = verdict.code if isinstance(verdict, Deny) else -32603
                message = verdict.message if isinstance(verdict, Deny) else "The message was refused by policy"
                if part == "params":
                    self._to_backend(0, broken(frame.id, "denied", code=code, message=message))  # type: ignore[arg-type]
                    return
                reply = broken(frame.id, "denied", code=code, message=message)  # type: ignore[arg-type]
                self._run(self.talk.handle(FromServer(stream, reply, "broker")))
                return
            if isinstance(verdict, Replace):
                if part == "result":
                    frame.result = verdict.body
                else:
                    frame.params = verdict.body
            self._from_backend(stream, frame)

        self._judge(lambda: self.hooks.judge(part, method, "client", body, info), settle)  # type: ignore[arg-type]

    def _judge(self, ask: Callable[[], Verdict | Awaitable[Verdict]], settle: Callable[[Verdict], None]) -> None:
        def turn() -> Awaitable[None] | None:
            verdict = ask()
            if inspect.isawaitable(verdict):
                return self._await(verdict, settle)
            settle(verdict)
            return None

        self._later(turn)

    async def _await(self, pending: Awaitable[Verdict], settle: Callable[[Verdict], None]) -> None:
        settle(await pending)

    def _later(self, turn: Callable[[], Awaitable[None] | None]) -> None:
        """Run now, or behind the hook that is being awaited."""
        self._queue.append(turn)
        if not self._busy:
            self._drain()

    def _drain(self) -> None:
        while self._queue and not self._busy:
            pending = self._queue.popleft()()
            if pending is not None:
                self._busy = True
                task = asyncio.ensure_future(self._finish(pending))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _finish(self, pending: Awaitable[None]) -> None:
        try:
            await pending
        finally:
            self._busy = False
            self._drain()


def _text(frame: Frame, member: str) -> str | None:
    if frame.params is UNSET or member not in frame.params:
        return None
    value = frame.params[member]
    try:
        return str(jsonrpc.open_value(value)) if not isinstance(value, str) else value
    except jsonrpc.Refused:
        return None


__all__ = ["ErrorObject", "Relay"]
