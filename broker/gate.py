"""Policy on the way in and out of the backend: hooks judged in order, refusals fed back as if the backend had spoken.

A hook that awaits holds back every later message of its session, because order holds; one that does not costs no task.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import UNSET

from broker.hooks.base import CallInfo, Deny, Drop, Replace, Verdict
from broker.hooks.runner import Runner
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from translators.machine import ToServer
from translators.reply import broken

if TYPE_CHECKING:
    from broker.watch import Watch
    from translators.machine import Origin

TARGET = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "resources/subscribe": "uri",
    "resources/unsubscribe": "uri",
}
"""The member that names what a call is about."""

Turn = Callable[[], "Awaitable[None] | None"]


class Edge(Protocol):
    """The backend's edge of one session: whoever sends to a backend and hears from it."""

    principal: str
    name: str
    watch: Watch

    def to_backend(self, effect: ToServer) -> None: ...
    def from_backend(self, stream: int, frame: Frame, origin: Origin = "peer") -> None: ...
    def accept(self, exchange: int) -> None: ...
    def is_open(self, call: int) -> bool: ...


class Gate:
    """The hooks of one session's traffic. `idle` gates are free."""

    __slots__ = ("_busy", "_edge", "_infos", "_queue", "_tasks", "hooks", "idle")

    def __init__(self, edge: Edge, hooks: Runner) -> None:
        self._edge = edge
        self.hooks = hooks
        self.idle = not hooks.hooks
        self._infos: dict[int, CallInfo] = {}
        self._queue: deque[Turn] | None = None
        self._busy = False
        self._tasks: set[asyncio.Task[None]] | None = None

    def forget(self, call: int) -> None:
        """A call has ended."""
        self._infos.pop(call, None)

    def close(self) -> None:
        """The session is over: hooks that are still awaited are cancelled, what waits behind them is dropped."""
        self._queue = None
        for task in tuple(self._tasks or ()):
            task.cancel()

    def to_backend(self, effect: ToServer) -> bool:
        """Judge a message for the backend; False if no hook wants it and nothing holds it back."""
        frame = effect.frame
        part = "result" if frame.method is UNSET else "notification" if frame.id is UNSET else "params"
        method = frame.method if frame.method is not UNSET else ""
        edge = self._edge
        if effect.call:
            target = TARGET.get(method)
            value = _text(frame, target) if target is not None else None
            self._infos[effect.call] = CallInfo(method, value, edge.principal, edge.name)
        if part != "result" and self.hooks.wants(part, method, "server"):
            self._judge_to_backend(effect, part, method)
            return True
        if self._busy:
            self._later(lambda: self._send(effect))
            return True
        return False

    def from_backend(self, stream: int, frame: Frame) -> bool:
        """Judge a message of the backend; False if no hook wants it and nothing holds it back."""
        method = frame.method
        if method is not UNSET:
            part = "notification" if frame.id is UNSET else "params"
            if self.hooks.wants(part, method, "client"):
                self._judge_from_backend(stream, frame, part, method)
                return True
        elif frame.result is not UNSET:
            info = self._infos.get(frame.id) if type(frame.id) is int else None
            if info is not None and self.hooks.wants("result", info.method, "client"):
                self._judge_from_backend(stream, frame, "result", info.method)
                return True
        if self._busy:
            self._later(lambda: self._edge.from_backend(stream, frame))
            return True
        return False

    def _judge_to_backend(self, effect: ToServer, part: str, method: str) -> None:
        frame = effect.frame
        edge = self._edge
        params: Any = frame.params if frame.params is not UNSET else {}
        info = self._infos.get(effect.call) or CallInfo(method, None, edge.principal, edge.name)

        def settle(verdict: Verdict) -> None:
            if isinstance(verdict, Deny | Drop):
                edge.watch.note(edge.name, "denied", method, verdict.reason)
                if effect.call and isinstance(verdict, Deny):
                    error = broken(effect.call, "denied", code=verdict.code, message=verdict.message)
                    edge.from_backend(effect.call, error, "broker")
                elif effect.call:
                    error = broken(effect.call, "denied", message="The request was refused by policy")
                    edge.from_backend(effect.call, error, "broker")
                else:
                    edge.accept(effect.exchange)
                return
            if isinstance(verdict, Replace):
                frame.params = verdict.body
            self._send(effect)

        self._judge(lambda: self.hooks.judge(part, method, "server", params, info), settle)

    def _send(self, effect: ToServer) -> None:
        call, edge = effect.call, self._edge
        if not call or edge.is_open(call):
            edge.to_backend(effect)  # else the call has ended while a hook was awaited

    def _judge_from_backend(self, stream: int, frame: Frame, part: str, method: str) -> None:
        edge = self._edge
        body: Any = frame.result if part == "result" else frame.params if frame.params is not UNSET else {}
        info = self._infos.get(stream) or CallInfo(method, None, edge.principal, edge.name)

        def settle(verdict: Verdict) -> None:
            if isinstance(verdict, Deny | Drop):
                edge.watch.note(edge.name, "denied", method, verdict.reason)
                if part == "notification":
                    return
                code = verdict.code if isinstance(verdict, Deny) else jsonrpc.INTERNAL_ERROR
                message = verdict.message if isinstance(verdict, Deny) else "The message was refused by policy"
                reply = broken(frame.id, "denied", code=code, message=message)  # type: ignore[arg-type]
                if part == "params":
                    edge.to_backend(ToServer(0, reply))
                else:
                    edge.from_backend(stream, reply, "broker")
                return
            if isinstance(verdict, Replace) and part == "result":
                frame.result = verdict.body
            elif isinstance(verdict, Replace):
                frame.params = verdict.body
            edge.from_backend(stream, frame)

        self._judge(lambda: self.hooks.judge(part, method, "client", body, info), settle)

    def _judge(self, ask: Callable[[], Verdict | Awaitable[Verdict]], settle: Callable[[Verdict], None]) -> None:
        def turn() -> Awaitable[None] | None:
            verdict = ask()
            if inspect.isawaitable(verdict):
                return _settled(verdict, settle)
            settle(verdict)
            return None

        self._later(turn)

    def _later(self, turn: Turn) -> None:
        """Run now, or behind the hook that is being awaited."""
        if not self._busy:
            self._start(turn)
        else:
            if self._queue is None:
                self._queue = deque()
            self._queue.append(turn)

    def _start(self, turn: Turn) -> None:
        pending = turn()
        if pending is not None:
            self._busy = True
            task = asyncio.ensure_future(self._finish(pending))
            if self._tasks is None:
                self._tasks = set()
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _finish(self, pending: Awaitable[None]) -> None:
        try:
            await pending
        finally:
            self._busy = False
            while self._queue and not self._busy:
                self._start(self._queue.popleft())


async def _settled(pending: Awaitable[Verdict], settle: Callable[[Verdict], None]) -> None:
    settle(await pending)


def _text(frame: Frame, member: str) -> str | None:
    if frame.params is UNSET or member not in frame.params:
        return None
    value = frame.params[member]
    try:
        return str(jsonrpc.open_value(value)) if not isinstance(value, str) else value
    except jsonrpc.Refused:
        return None
