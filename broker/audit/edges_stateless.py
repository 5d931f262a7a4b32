"""The edge of requests that stand alone, with an audit trail.

Before a stateless backend each request is one call, and the state that a client brings back ties the rounds of a
conversation together (`resumes`, `suspends`). Before a backend with sessions a request's record goes to the session
that runs it: that call may outlive the request, and another request may get its answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import UNSET

from broker.audit import questions
from broker.audit.text import digest
from broker.faces.stateless_call import StatelessCall
from broker.faces.stateless_params import STATE
from broker.faces.stateless_relay import StatelessRelay
from broker.hooks.inner import REQUESTS, RESPONSES
from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.reply import reason_of

if TYPE_CHECKING:
    from broker.context import ServerContext
    from broker.outbox import Outbox


class AuditedStatelessRelay(StatelessRelay):
    """`trail` knows calls by their legs."""

    def __init__(self, context: ServerContext, *, outbox: Outbox | None = None) -> None:
        assert context.watch.audit is not None
        self.trail = context.watch.trail(context.name)
        super().__init__(context, outbox=outbox)

    def begin(self, *, peer: str = "", **parts: Any) -> StatelessCall:
        """A new call, and its record."""
        call = super().begin(**parts)
        call.trail = self.trail
        self._record(call, peer)
        return call

    def renumber(self, call: StatelessCall) -> None:
        """A call goes on by another request."""
        before = call.number
        super().renumber(call)
        self.trail.renumber(before, call.number)

    def leave(self, call: StatelessCall) -> None:
        """Nobody waits any more."""
        if call.number in self.trail.calls:
            self.trail.end(call.number, "cancelled", self.caller(call))
        super().leave(call)

    def cut(self, call: StatelessCall, answer: Frame) -> None:
        """End a call here and at the backend; where a session has its record, that learns why."""
        if call.record is not None:
            call.record.cause = reason_of(answer)
        super().cut(call, answer)

    def send(self, call: StatelessCall, frame: Frame, headers: list[tuple[str, str]]) -> None:
        """To the backend, once it is written down; a session that stands for it writes it down itself."""
        if not call.bridged:
            if call.number not in self.trail.calls:  # a session had it, and ran nothing of it
                self._record(call, "")
            self.trail.admit(call.number, frame, self.caller(call), self._go, (call, frame, headers))
        else:
            super().send(call, frame, headers)

    def _go(self, what: tuple[StatelessCall, Frame, list[tuple[str, str]]], written: bool) -> None:
        call, frame, headers = what
        if not call.open:
            return
        try:
            if written:
                super().send(call, frame, headers)
                return
            from broker.audit.edges import unwritten

            call.finish(unwritten(call.number))
        except Exception as error:
            self.bug(call, error)

    def answer(self, call: StatelessCall, frame: Frame) -> None:
        """The call's one answer."""
        trail, number = self.trail, call.number
        record = trail.calls.get(number)
        kind: Any = None if frame.result is UNSET else frame.result.get("resultType")
        asks = kind is not None and kind != "complete" and tree.deep(kind) == "input_required"
        if record is None and not asks:
            super().answer(call, frame)
            return
        state = _state(frame.result) if asks else ""  # type: ignore[arg-type]
        if record is not None:
            trail.heard(number, frame, peer=not reason_of(frame))
            if asks:
                record.reason, record.suspends = "input-required", state
                questions.asked_inside(trail, number, frame.result.get(REQUESTS), self.caller(call))  # type: ignore[union-attr]
            trail.end(number, "ok", None if record.admitted else self.caller(call))
        elif call.record is not None:  # a session has it, and it goes on
            call.record.suspends = state or call.record.suspends
        super().answer(call, frame)

    def leg_message(self, leg: int, frame: Frame) -> None:
        """One message of a leg, or of the session that stands for it."""
        call = self.calls.get(leg)
        if call is None or call.bridged:
            super().leg_message(leg, frame)
            return
        since = self.trail.arrived(leg, frame)
        super().leg_message(leg, frame)
        if since:
            self.trail.passed(leg, frame, since)

    def leg_failed(self, leg: int, reason: str, executed: Literal["no", "unknown"]) -> None:
        """A call gets no answer from the backend."""
        self.trail.failed(leg, reason, executed)
        super().leg_failed(leg, reason, executed)

    def close(self) -> None:
        """The broker stops."""
        super().close()
        self.trail.close()

    def _record(self, call: StatelessCall, peer: str) -> None:
        params = call.modern.params
        record = self.trail.begin(call.number, call.method, call.client_id, Frame(params=params), peer=peer)
        record.round = call.rounds.number
        if STATE in params:
            record.resumes, record.parked = _state(params), call.bridged
        if RESPONSES in params and not call.bridged:
            questions.replied_inside(self.trail, call.number, params[RESPONSES], self.caller(call))


def _state(members: dict[str, Any]) -> str:
    """The name of a `requestState` in lines."""
    state = tree.deep(members.get(STATE))
    return digest(state) if isinstance(state, str) else ""
