"""Policy on the way in and out of the backend: hooks judged in order, refusals fed back as if the backend had spoken.

A hook that awaits holds back every later message of its session, because order holds; one that does not costs no task.
A question of the backend and its answer are judged in the same slots whether they are messages of their own or travel
inside results and requests (`broker.hooks.inner`). An answer that is refused becomes a cancel, or, where its question
knows no cancel, an error to the backend.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import msgspec
from msgspec import UNSET

from broker.gate_edge import TARGET, Edge, Rounds, text_of, value_of
from broker.gate_failed import unsent, untold
from broker.hooks import inner
from broker.hooks.base import PASS, CallInfo, Deny, Drop, Replace, Verdict
from broker.hooks.runner import Runner
from broker.review import refused
from broker.turns import Turns
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from translators.machine import ToServer
from translators.reply import broken

MAX_ASKED = 1_024
"""Questions whose answers are waited for; four times as many as one conversation keeps open."""


class Gate:
    """The hooks of one session's traffic. `idle` gates are free. `rounds`: questions travel inside results."""

    __slots__ = (
        "__weakref__", "_asked", "_edge", "_generation", "_infos", "_rounds", "_turns", "hooks", "idle",
    )  # fmt: skip

    def __init__(self, edge: Edge, hooks: Runner, rounds: Rounds | None = None) -> None:
        self._edge = edge
        self._rounds = rounds
        self.hooks = hooks
        self._generation = hooks.generation
        self._infos: dict[int, CallInfo] = {}
        # Questions whose answers are of interest, by the backend's id.
        self._asked: dict[Any, tuple[str, CallInfo]] = {}
        self._turns = Turns()
        self.idle = not hooks.hooks
        """Whether there is nothing to judge by, and nothing that waits for a verdict."""
        hooks.gates.add(self)

    def hooks_changed(self) -> None:
        """There are other hooks from now on; what waits for a verdict is passed on behind it all the same."""
        self.idle = not self.hooks.hooks and not self._turns.busy
        if self.idle:
            self._infos.clear()  # of what ends from now on nobody is told here

    def review(self) -> None:
        """Policy may have changed: end the open calls that it refuses now, here and at the backend."""
        self._generation = self.hooks.generation
        for call in refused(self._edge, self.hooks, self._infos, self._info):
            self.forget(call)

    def forget(self, call: int) -> None:
        """A call has ended."""
        self._infos.pop(call, None)

    def method_of(self, call: int) -> str:
        """The method of an open call, empty if there is none."""
        info = self._infos.get(call)
        return "" if info is None else info.method

    def close(self) -> None:
        """The session is over: hooks that are still awaited are cancelled, what waits behind them is dropped."""
        self._turns.close()

    def to_backend(self, effect: ToServer) -> bool:
        """Judge a message for the backend; False if no hook has anything against it and nothing holds it back."""
        frame, call = effect.frame, effect.call
        if call:
            like = self.hooks.passed.like(frame, self._edge.caller(call))
            number = 1 if self._rounds is None else self._rounds.round_of(call)
            if like is not None and number == 1 and not self._turns.busy:
                self._infos[call] = like
                return False
        part = "result" if frame.method is UNSET else "notification" if frame.id is UNSET else "params"
        method = frame.method if frame.method is not UNSET else ""
        if call:
            target = TARGET.get(method)
            value = text_of(frame, target) if target is not None else None
            self._infos[effect.call] = self._info(effect.call, method, value, number)
        if part == "result":
            asked = self._asked.pop(frame.id, None) if self._asked else None
            if asked is not None and frame.result is not UNSET:
                self._judge_answer(effect, *asked)
                return True
        elif self.hooks.wants(part, method, "server") or self._carries_answers(frame):
            return self._judge_to_backend(effect, part, method)
        if self._turns.busy:
            self._turns.later(lambda: self._send(effect), unsent(self._edge, effect))
            return True
        return False

    def from_backend(self, stream: int, frame: Frame) -> bool:
        """Judge a message of the backend; False if no hook has anything against it and nothing holds it back."""
        if self._generation != self.hooks.generation:
            self.review()
            if stream and not self._edge.is_open(stream):
                return True
        method = frame.method
        if method is not UNSET:
            part = "notification" if frame.id is UNSET else "params"
            if self.hooks.wants(part, method, "client") and self._judge_from_backend(stream, frame, part, method):
                return True
        elif (info := self._infos.get(frame.id) if type(frame.id) is int else None) is not None:
            part = "error" if frame.result is UNSET else "result"
            if self._concerns(frame, part, info) and self._judge_from_backend(stream, frame, part, info.method):
                return True
        if self._turns.busy:
            self._turns.later(lambda: self._pass_on(stream, frame), untold(self._edge, stream, frame))
            return True
        if method is not UNSET:
            self._remember(stream, frame)
        return False

    def _concerns(self, frame: Frame, part: str, info: CallInfo) -> bool:
        """False for an answer that every hook would pass, told from a glance: that is nearly every answer."""
        looks = self.hooks.glances(part, info.method)
        if looks is None or self._turns.busy or (self._rounds is not None and self._asks(frame)):
            return True
        body: Any = frame.result if part == "result" else {}
        for look in looks:  # noqa: SIM110  (a generator costs as much as what it asks)
            if look(info, body):
                return True
        return False

    def _info(self, call: int, method: str, target: str | None = None, number: int = 1) -> CallInfo:
        caller = self._edge.caller(call)
        return CallInfo(method, target, caller.principal, self._edge.name, number, caller)

    def _carries_answers(self, frame: Frame) -> bool:
        """True if a request holds answers that policy may refuse."""
        given = self._rounds is not None and frame.params is not UNSET and inner.RESPONSES in frame.params
        return given and self.hooks.answers

    def _asks(self, frame: Frame) -> bool:
        """True if a result holds questions that policy may refuse."""
        asks = self._rounds is not None and frame.result is not UNSET and inner.REQUESTS in frame.result
        return asks and self.hooks.questions

    def _remember(self, stream: int, frame: Frame) -> None:
        """Keep whose question this is, if its answer is of interest; one that is taken back will have none."""
        method: Any = frame.method
        if frame.id is not UNSET and self.hooks.wants("result", method, "server"):
            if len(self._asked) >= MAX_ASKED and frame.id not in self._asked:
                del self._asked[next(iter(self._asked))]
            self._asked[frame.id] = method, self._infos.get(stream) or self._info(stream, method)
        elif self._asked and method == "notifications/cancelled":
            asked = value_of(frame, "requestId")
            if type(asked) in (int, str):
                self._asked.pop(asked, None)

    def _pass_on(self, stream: int, frame: Frame) -> None:
        if frame.method is not UNSET:
            self._remember(stream, frame)
        self._edge.from_backend(stream, frame)

    def _judge_answer(self, effect: ToServer, method: str, info: CallInfo) -> None:
        """The client's answer to a question that was a request of its own."""
        frame, edge = effect.frame, self._edge
        body: Any = frame.result

        def settle(verdict: Verdict) -> None:
            answer = effect
            if isinstance(verdict, Deny | Drop):
                edge.watch.denied(edge, 0, "answer", method, verdict.reason)
                if method == inner.ELICITATION:
                    frame.result = inner.cancelled()
                else:
                    code = verdict.code if isinstance(verdict, Deny) else jsonrpc.INTERNAL_ERROR
                    message = verdict.message if isinstance(verdict, Deny) else "The answer was refused by policy"
                    reply = broken(frame.id, "denied", code=code, message=message)  # type: ignore[arg-type]
                    answer = msgspec.structs.replace(effect, frame=reply)
            elif isinstance(verdict, Replace):
                frame.result = verdict.body
            edge.to_backend(answer)

        self._turns.judge(
            lambda: self.hooks.judge("result", method, "server", body, info), settle, unsent(edge, effect)
        )

    def _judge_to_backend(self, effect: ToServer, part: str, method: str) -> bool:
        """False for a message that is passed as it is, at once: that is nearly every message."""
        frame = effect.frame
        edge = self._edge
        params: Any = frame.params if frame.params is not UNSET else {}
        info = self._infos.get(effect.call) or self._info(effect.call, method)

        def ask() -> Verdict | Awaitable[Verdict]:
            verdict = self.hooks.judge(part, method, "server", params, info)
            if self._rounds is None or not self.hooks.answers:
                return verdict
            asked = self._rounds.asked(effect.call)
            return inner.then(verdict, lambda first: inner.answers(self.hooks, first, params, info, self._note, asked))

        now = None if self._turns.busy else ask()
        if now is PASS:
            if effect.call and info.round == 1:
                self.hooks.passed.learn(self.hooks, info)
            return False

        def settle(verdict: Verdict) -> None:
            if isinstance(verdict, Deny | Drop):
                edge.watch.denied(edge, effect.call, part, method, verdict.reason)
                if effect.call and isinstance(verdict, Deny):
                    error = broken(effect.call, "denied", code=verdict.code, message=verdict.message)
                    edge.from_backend(effect.call, error, "broker")
                elif effect.call:
                    error = broken(effect.call, "denied", message="The request was refused by policy")
                    edge.from_backend(effect.call, error, "broker")
                else:
                    edge.accept(effect.exchange)
                return
            sent = effect
            if isinstance(verdict, Replace):
                frame.params = verdict.body
                if verdict.headers:
                    sent = msgspec.structs.replace(effect, headers=verdict.headers)
            self._send(sent)

        self._turns.judge(ask if now is None else lambda: now, settle, unsent(edge, effect))
        return True

    def _note(self, method: str, reason: str) -> None:
        self._edge.watch.denied(self._edge, 0, "question", method, reason)

    def _send(self, effect: ToServer) -> None:
        call, edge = effect.call, self._edge
        if not call or edge.is_open(call):
            edge.to_backend(effect)  # else the call has ended while a hook was awaited

    def _judge_from_backend(self, stream: int, frame: Frame, part: str, method: str) -> bool:
        """The same of a message of the backend."""
        edge = self._edge
        body: Any = frame.params if frame.params is not UNSET else {}
        if part == "result":
            body = frame.result
        elif frame.error is not UNSET:
            body = {name: value for name, value in msgspec.structs.asdict(frame.error).items() if value is not UNSET}
        info = self._infos.get(stream) or self._info(stream, method)
        settled: dict[str, Any] = {}

        def ask() -> Verdict | Awaitable[Verdict]:
            verdict = self.hooks.judge(part, method, "client", body, info)
            if part != "result" or self._rounds is None or not self.hooks.questions:
                return verdict
            return inner.then(verdict, lambda it: inner.questions(self.hooks, it, body, info, self._note, settled))

        now = None if self._turns.busy else ask()
        if now is PASS and not settled:
            return False

        def settle(verdict: Verdict) -> None:
            if isinstance(verdict, Deny | Drop):
                edge.watch.denied(edge, stream, "question" if part == "params" else part, method, verdict.reason)
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
            elif isinstance(verdict, Replace) and part == "error":
                frame.error = jsonrpc.ErrorObject(**verdict.body)
            elif isinstance(verdict, Replace):
                frame.params = verdict.body
            if settled and self._rounds is not None:
                self._rounds.settle(stream, settled)
            self._pass_on(stream, frame)

        self._turns.judge(ask if now is None else lambda: now, settle, untold(edge, stream, frame))
        return True
