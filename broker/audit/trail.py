"""What one backend's edge tells the audit log of its calls.

    begin    the call exists, nothing of it was sent                     -
    admit    policy has passed it, and it is about to be sent            `admitted`
    heard    the server, or policy in its place, has answered
    end      it is over                                                  `outcome`; `denied` or `unsent` before `admit`

A call is one request of a client over all its messages to the server: rounds that answer what the server asked, and
what is sent again, are one. Invariants: a call that was admitted has exactly one outcome, and its end is told whatever
ends it; what was never admitted has exactly one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET, Raw

from broker.audit.admitting import Admitting
from broker.audit.lines import ALLOWED, DENIED, FAILURE, OTHER, SUCCESS, Lost, actor_of, source_of
from broker.audit.record import Record, about
from broker.audit.text import digest, fit
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame, plain
from translators.loss import Loss, Noted
from translators.reply import reason_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.audit.log import AuditLog
    from broker.hooks.base import Caller

MAX_LOSSES: Final = 16
"""Losses that are written with one call; further ones are counted."""


class Trail(Admitting):
    """The calls of one edge, by the number it knows them by."""

    __slots__ = ("_session", "peer", "server")

    def __init__(self, log: AuditLog, server: str, *, peer: str = "") -> None:
        super().__init__(log)
        self.server = server
        self.peer = peer
        self._session = ""

    def within(self, session_id: str) -> None:
        """The session's id, once there is one; its digest stands in lines."""
        self._session = digest(session_id)
        self._shapes.clear()

    def begin(self, call: int, method: str, client_id: int | str, frame: Frame, *, peer: str = "") -> Record:
        """A call exists; `frame` has its parameters."""
        log = self.log
        record = self.calls[call] = Record(log.new_call(), method, log.monotonic(), client_id, peer or self.peer)
        about(record, frame, log)
        return record

    def renumber(self, before: int, after: int) -> None:
        """A call goes by another number from now on."""
        record = self.calls.pop(before, None)
        if record is not None:
            self.calls[after] = record

    def client_id(self, call: int) -> int | str:
        """The client's own id of a call, -1 if there is none."""
        record = self.calls.get(call)
        return -1 if record is None else record.client_id

    def heard(self, call: int, frame: Frame, *, peer: bool) -> None:
        """The answer of a call, as it will be taken; `peer`: the server gave it. The last one counts."""
        record = self.calls.get(call)
        if record is None or record.denied:
            return
        if frame.error is not UNSET:
            error = frame.error
            assert isinstance(error, jsonrpc.ErrorObject)
            record.status, record.code = FAILURE, error.code
            record.reason = "error" if peer else record.reason or reason_of(frame) or "error"
            if peer:
                record.executed = "yes"
        elif frame.result is not UNSET:
            failed = "isError" in frame.result and plain(frame.result["isError"]) is True
            record.status, record.code = (FAILURE if failed else SUCCESS), None
            record.reason = "tool-error" if failed else ""
            record.executed = "yes"

    def failed(self, call: int, reason: str, executed: str) -> None:
        """No answer came. `executed` is `no` if the server provably never ran the call."""
        record = self.calls.get(call)
        if record is not None and not record.denied:
            record.status, record.reason, record.executed = FAILURE, reason, executed

    def cancelled(self, notification: Frame) -> None:
        """The client takes a call back; what comes of that is its outcome all the same."""
        params: Any = notification.params
        number = None if params is UNSET else plain(params.get("requestId"))
        record = self.calls.get(number) if type(number) is int else None
        if record is not None:
            record.cancelled = True

    def deny(self, call: int, part: str, method: str, reason: str, caller: Caller) -> None:
        """Policy refused a message: the request of a call, its result, or another one on its stream."""
        record = self.calls.get(call)
        if record is not None and part == "params" and not record.admitted and record.method == method:
            record.denied, record.rule, record.reason, record.executed = True, reason, "policy", "no"
        elif record is not None and part in ("result", "error"):
            record.denied, record.rule, record.reason = True, reason, "policy"
        else:
            self.log.write(
                "denied",
                method=method,
                server=self.server,
                correlation="" if record is None else record.uid,
                actor=self.actor(caller),
                source=source_of(self.peer),
                status=FAILURE,
                action=DENIED,
                detail="policy",
                decision="deny",
                rule=fit(reason),
            )
            self.log.flush_soon()

    def lost(self, call: int, method: str, losses: Sequence[Noted], pair: tuple[str, str]) -> None:
        """A translation lost something, in a message of this call or of none."""
        record = self.calls.get(call)
        if record is None:
            some = [_lost(each) for each in losses if each.loss is Loss.DEGRADED]
            if some:
                self.log.write(
                    "degraded",
                    method=method,
                    server=self.server,
                    revision=pair[1],
                    client_revision=pair[0],
                    source=source_of(self.peer),
                    losses=some[:MAX_LOSSES],
                    losses_left_out=max(0, len(some) - MAX_LOSSES),
                )
                self.log.flush_soon()
            return
        if record.losses is None:
            record.losses = []
        for each in losses:
            if len(record.losses) < MAX_LOSSES:
                record.losses.append(_lost(each))
            else:
                record.left_out += 1

    def finished(self, call: int, frame: Frame) -> bool:
        """The server has answered a call, and it is over: as `heard` and `end`, if that is all; else False."""
        record = self.calls.get(call)
        if (
            record is None or frame.result is UNSET or "isError" in frame.result or not record.admitted
            or record.requests != 1 or record.denied or record.cancelled or record.suspends or not record.revision
            or record.losses is not None or record.reason or record.status != SUCCESS
        ):  # fmt: skip
            return False
        log = self.log
        if record.shape is None and not log.quiet:
            return False
        del self.calls[call]
        record.ended, record.executed = True, "yes"
        now = log.monotonic()
        self.over(record, now)
        log.turn.ended(record.shape, record, now)
        return True

    def end(self, call: int, outcome: str, caller: Caller | None = None) -> None:
        """A call is over; `outcome` is `cancelled`, or anything else for what was heard last."""
        record = self.calls.pop(call, None)
        if record is None:
            return
        record.ended = True
        log = self.log
        if caller is not None and record.actor is None:
            self._name(record, caller)
        elif caller is not None and not record.revision:
            record.revision = caller.backend_revision  # which `initialize` has found out
        if (outcome == "cancelled" or (record.cancelled and outcome != "cut")) and not record.denied:
            record.status, record.reason = (FAILURE, record.cause) if record.cause else (OTHER, "cancelled")
        if record.denied:
            record.status = FAILURE
        now = log.monotonic()
        self.over(record, now)
        if log.quiet:
            return
        if record.admitted:
            shape = record.ordinary
            if shape is not None and outcome != "cancelled":
                log.turn.ended(shape, record, now)
                return
            log.open.pop(record.uid, None)
            if record.shape is not None:
                self._name(record, record.shape.caller)
        took = now - record.started
        event = "outcome"
        if not record.admitted:
            event = "denied" if record.denied else "answered" if record.status == SUCCESS else "unsent"
            if record.parked and not record.denied:
                event = "resumed"
            if event == "answered" and record.method == "ping":
                return
        log.write(
            event,
            **self._parts(record),
            code=record.code,
            status=record.status,
            detail=record.reason,
            action=DENIED if record.denied else ALLOWED,
            duration_ms=int(took * 1e3),
            decision="deny" if record.denied else "allow",
            rule=fit(record.rule),
            requests=max(1, record.requests),
            suspends=record.suspends,
            executed=(record.executed or "unknown") if record.admitted else "" if event == "resumed" else "no",
            latency_us=int(took * 1e6),
            losses=record.losses or [],
            losses_left_out=record.left_out,
        )
        log.flush_soon()

    def answered(self, asked: Frame, reply: Frame, caller: Caller) -> None:
        """A request that the broker answered at once, which is a refusal if the answer is an error."""
        call = -1  # there is none
        record = self.begin(call, str(asked.method), asked.id, asked)  # type: ignore[arg-type]
        self.heard(call, reply, peer=False)
        record.denied = record.status == FAILURE
        self.end(call, "ok", caller)

    def close(self) -> None:
        """The edge is gone: whatever is open ends with it."""
        for call in list(self.calls):
            self.end(call, "cancelled")

    def _parts(self, record: Record) -> dict[str, Any]:
        parts: dict[str, Any] = {
            "method": record.method,
            "server": self.server,
            "revision": record.revision,
            "client_id": str(record.client_id),
            "correlation": record.uid,
            "target": record.target,
            "source": source_of(record.peer),
            "client_revision": record.client_revision,
            "client_version": record.client_version,
            "server_request_id": record.server_id,
            "round": record.round,
            "resumes": record.resumes,
        }
        if record.actor is not None:
            parts["actor"] = record.actor
        if record.arguments is not None and not record.admitted:
            parts["arguments"], parts["arguments_cut"] = record.arguments, record.cut
        return parts

    def _name(self, record: Record, caller: Caller) -> None:
        record.actor = self.actor(caller)
        record.client_revision, record.revision = caller.client_revision, caller.backend_revision
        record.client_version = fit(caller.client_version)

    def actor(self, caller: Caller) -> Raw:
        """The caller as lines name it."""
        return actor_of(caller.principal, caller.kind, caller.client_name, self._session)


def _lost(noted: Noted) -> Lost:
    return Lost(fit(noted.change), fit(noted.path), str(noted.loss))
