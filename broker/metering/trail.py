"""The calls of one edge, as whoever counts and traces them hears of them through their trail.

Invariant: nothing here changes what becomes of a call but for the trace context that goes along with a request.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from broker.audit.lines import OTHER as CANCELLED
from broker.audit.lines import SUCCESS
from broker.audit.record import Record
from broker.audit.trail import Trail
from broker.metering.labels import code_of, method_of, revision_of, slug_of
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame, plain

if TYPE_CHECKING:
    from broker.audit.log import AuditLog
    from broker.hooks.base import Caller
    from broker.metering.calls import ServerCalls
    from broker.metering.otel import Otel
    from broker.metering.usual import Kind

PROGRESS: Final = "notifications/progress"
TOOL: Final = "tools/call"


class Seen:
    """What is known of a call beside its record, once it is sent. Times are those of the monotonic clock.

    `leg_at` is when the request that is not answered yet was sent, and `leg` how long the one that was took; one that
    the server failed has been told of.
    """

    __slots__ = ("event_at", "kind", "leg", "leg_at", "leg_span", "span")

    def __init__(self) -> None:
        self.kind: Kind | None = None
        self.leg_at: float | None = None
        self.leg: float | None = None
        self.event_at = 0.0
        self.span: Any = None
        self.leg_span: Any = None


class MeteredTrail(Trail):
    """Counts and measures."""

    __slots__ = ("_event_at", "_kinds", "_metered")

    def __init__(self, log: AuditLog, metered: ServerCalls, *, peer: str = "") -> None:
        super().__init__(log, metered.name, peer=peer)
        self._metered = metered
        self._kinds = metered.kinds
        self._event_at = 0.0

    def sent(self, record: Record, caller: Caller, frame: Frame) -> None:  # noqa: ARG002
        """A request goes to the server, for the first time or again."""
        seen: Seen | None = record.seen
        if seen is None:
            seen = record.seen = Seen()
        elif seen.leg_at is not None or seen.leg is not None:
            self._answered(record, seen, "")
            self._tell_leg(seen, "")
        tools = self._metered.tools
        tool = str(record.target) if tools and record.method == TOOL else ""
        if tool not in tools:
            tool = ""
        kind = seen.kind = self._kinds.of(record.method, caller.client_revision, caller.backend_revision, tool)
        kind.sent += 1
        seen.leg_at = self.log.monotonic()

    def arrived(self, call: int, frame: Frame) -> float:
        """A message of the server."""
        record, metered = self.calls.get(call), self._metered
        if frame.method is UNSET:
            if record is None:
                return 0.0
            seen: Seen | None = record.seen
            if seen is not None and seen.leg_at is not None:
                plainly = frame.result is not UNSET and "isError" not in frame.result
                self._answered(record, seen, "" if plainly else _fault_of(frame))
            if metered.meter.tools and record.method == "tools/list":
                metered.learn(frame)
            return 0.0
        if frame.method == PROGRESS and record is not None:
            ratio = _ratio(frame)
            if ratio is not None:
                metered.advanced[record.uid] = ratio
        return self.log.monotonic()

    def passed(self, call: int, frame: Frame, since: float) -> None:  # noqa: ARG002
        """It went on to the client, as far as it does."""
        metered = self._metered
        record = self.calls.get(call)
        seen: Seen | None = None if record is None else record.seen
        before = self._event_at if seen is None else seen.event_at
        gap = since - before if before else None
        if seen is None:
            self._event_at = since
        else:
            seen.event_at = since
        revisions = ("", "") if seen is None or seen.kind is None else seen.kind.revisions
        metered.event("standing" if seen is None else "call", revisions, self.log.monotonic() - since, gap)

    def over(self, record: Record, now: float) -> None:
        """A call is over; its record says how."""
        seen: Seen | None = record.seen
        advanced = self._metered.advanced
        if advanced:
            advanced.pop(record.uid, None)
        kind = None if seen is None else seen.kind
        # Of `initialize` the server's revision is known only now.
        if (
            kind is not None and seen.leg is not None and kind.revisions[1]  # type: ignore[union-attr]
            and record.status == SUCCESS and not record.reason
            and not (record.denied or record.cancelled or record.parked)
        ):  # fmt: skip
            self._kinds.ended(kind, now - record.started, seen.leg)  # type: ignore[union-attr]
        else:
            self._other(record, now - record.started)

    def _other(self, record: Record, took: float) -> None:
        """Count a call that ended otherwise than most."""
        metered, seen = self._metered, record.seen
        reason, outcome, fault = _outcome(record)
        kind = None if seen is None else seen.kind
        if seen is not None:
            self._answered(record, seen, fault)
            self._tell_leg(seen, "")
        if kind is not None and kind.most == 1:
            self._kinds.count(kind)
        client, server = ("", "") if kind is None else kind.revisions
        client, server = client or revision_of(record.client_revision), server or revision_of(record.revision)
        method = method_of(record.method)
        metered.meter.calls.add((metered.name, method, client, server, outcome, metered.reasons(slug_of(reason))))
        labels = (metered.name, method, "" if kind is None else kind.tool, fault, client, server, metered.face)
        metered.meter.server_duration.observe(labels, took)

    def _answered(self, record: Record, seen: Seen, fault: str) -> None:  # noqa: ARG002
        """What was sent last is answered, or will not be."""
        if seen.leg_at is None:
            return
        seen.leg, seen.leg_at = self.log.monotonic() - seen.leg_at, None
        if fault:
            self._tell_leg(seen, fault)

    def _tell_leg(self, seen: Seen, fault: str) -> None:
        """Count a request by itself; that of a call that ends as most do is counted with it."""
        kind, took = seen.kind, seen.leg
        if kind is None or took is None:
            return
        seen.leg = None
        client, server = kind.revisions
        labels = (self._metered.name, kind.method, kind.tool, fault, server, client, self._metered.transport)
        self._metered.meter.client_duration.observe(labels, took)


class TracedTrail(MeteredTrail):
    """And makes a span of each call, and of each of its requests."""

    __slots__ = ("_tracer",)

    def __init__(self, log: AuditLog, metered: ServerCalls, *, peer: str = "") -> None:
        super().__init__(log, metered, peer=peer)
        assert metered.meter.tracer is not None
        self._tracer: Otel = metered.meter.tracer

    def begin(self, call: int, method: str, client_id: int | str, frame: Frame, *, peer: str = "") -> Record:
        """A call exists."""
        record = super().begin(call, method, client_id, frame, peer=peer)
        seen = record.seen = Seen()
        seen.span = self._tracer.server(record, frame, self._metered.name, self._metered.face)
        return record

    def sent(self, record: Record, caller: Caller, frame: Frame) -> None:
        """A request goes to the server."""
        super().sent(record, caller, frame)
        seen, metered = record.seen, self._metered
        self._kinds.count(seen.kind)  # before anybody reads it, who does so in a thread of its own
        seen.leg_span = self._tracer.client(seen.span, record, frame, metered.name, caller, metered.place)

    def over(self, record: Record, now: float) -> None:
        """A call is over."""
        seen: Seen | None = record.seen
        super().over(record, now)
        if seen is not None and seen.span is not None:
            self._tracer.over(seen.span, _outcome(record)[2], record, client=False)

    def _answered(self, record: Record, seen: Seen, fault: str) -> None:
        super()._answered(record, seen, fault)
        if seen.leg_span is not None:
            self._tracer.over(seen.leg_span, fault, record, client=True)
            seen.leg_span = None


def error_type(record: Record, reason: str) -> str:
    """`error.type` of the semantic conventions: `tool_error`, a JSON-RPC code, `denied`, or why there was no answer."""
    if record.denied:
        return "denied"
    if record.reason == "tool-error":
        return "tool_error"
    return code_of(record.code) or slug_of(reason) or "other"


def _outcome(record: Record) -> tuple[str, str, str]:
    """Why a call ended so, how it ended, and what was wrong with it, as `error.type` says it."""
    reason, outcome = _end(record)
    return reason, outcome, "" if outcome in ("ok", "suspended", "resumed") else error_type(record, reason)


def _end(record: Record) -> tuple[str, str]:
    if record.denied:
        return record.rule or record.reason, "denied"
    if record.status == CANCELLED or record.cancelled:
        return "cancelled", "cancelled"
    if record.parked and not record.admitted:
        return record.reason, "resumed"
    if record.reason == "input-required":
        return "", "suspended"
    return (record.reason, "ok" if record.status == SUCCESS else "error")


def _fault_of(frame: Frame) -> str:
    if frame.error is not UNSET:
        return code_of(frame.error.code) if isinstance(frame.error, jsonrpc.ErrorObject) else "other"
    failed = frame.result is not UNSET and "isError" in frame.result and plain(frame.result["isError"]) is True
    return "tool_error" if failed else ""


def _ratio(frame: Frame) -> float | None:
    params: Any = frame.params
    if isinstance(params, dict):
        progress, total = plain(params.get("progress")), plain(params.get("total"))
        with contextlib.suppress(TypeError, ValueError, ZeroDivisionError, OverflowError):
            return min(1.0, max(0.0, float(progress) / float(total)))
    return None
