"""What the calls of one server tell: how long they took, how they ended, what went on on their streams.

Invariants: nothing here changes what becomes of a call but for the trace context that goes along with a request; what
is known of an open call is forgotten with it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from broker.audit.lines import OTHER as CANCELLED
from broker.audit.lines import SUCCESS
from broker.audit.record import Record
from broker.audit.trail import Trail
from broker.metering.labels import Words, code_of, method_of, revision_of, slug_of
from broker.metering.usual import Kind, Kinds
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame, plain

if TYPE_CHECKING:
    from broker.audit.log import AuditLog
    from broker.hooks.base import Caller
    from broker.metering.meter import Meter

MAX_TOOLS: Final = 200
"""Tools of one server with a label of their own; servers of the catalogues have below 100."""

MAX_REASONS: Final = 200
"""Different reasons of one server: ours are below 150, and a server's error may claim to be one."""

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


class ServerCalls:
    """One server. `place`: how it is reached, as attributes of spans; `face`: the transport of its clients."""

    def __init__(
        self,
        meter: Meter,
        name: str,
        *,
        place: Mapping[str, str | int],
        face: str = "tcp",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.meter = meter
        self.name = name
        self.clock = clock
        self.advanced: dict[str, float] = {}
        """How far calls are that say so, by their ids."""
        self.kinds = Kinds(meter, name, face, str(place["network.transport"]))
        self._place = place
        self._transport = str(place["network.transport"])
        self._face = face
        self._tools: set[str] = set()
        self._reasons = Words(MAX_REASONS)

    def trail(self, log: AuditLog, *, peer: str = "") -> MeteredTrail:
        """What hears of the calls of one edge."""
        return MeteredTrail(log, self, peer=peer)

    @property
    def progress(self) -> float | None:
        """How far the least advanced of the calls is that say so."""
        return min(self.advanced.values(), default=None)

    def session_ended(self, revision: str, why: str, lasted_s: float) -> None:
        """A client's session is over."""
        self.meter.session_duration.observe((self.name, revision_of(revision), slug_of(why)), lasted_s)

    def began(self, record: Record, frame: Frame) -> None:
        """A request came."""
        if self.meter.tracer is not None:
            record.seen = Seen()
            record.seen.span = self.meter.tracer.server(record, frame, self.name, self._face)

    def sent(self, record: Record, caller: Caller, frame: Frame) -> None:
        """A request goes to the server, for the first time or again."""
        seen = record.seen
        if seen is None:
            seen = record.seen = Seen()
        elif seen.leg_at is not None or seen.leg is not None:
            self._answered(record, seen, "")
            self._tell_leg(seen, "")
        tool = str(record.target) if self._tools and record.method == TOOL else ""
        tool = tool if tool in self._tools else ""
        kind = self.kinds.of(record.method, caller.client_revision, caller.backend_revision, tool)
        kind.sent += 1
        seen.kind = kind
        seen.leg_at = self.clock()
        if self.meter.tracer is not None:
            seen.leg_span = self.meter.tracer.client(seen.span, record, frame, self.name, caller, self._place)

    def answered(self, record: Record, frame: Frame) -> None:
        """The server has answered what was sent last."""
        seen = record.seen
        if seen is not None:
            self._answered(record, seen, _fault_of(frame))

    def learn(self, frame: Frame) -> None:
        """A list of tools: these may stand in labels."""
        body: Any = frame.result
        tools = plain(body.get("tools")) if isinstance(body, dict) else None
        for tool in tools if isinstance(tools, list) else ():
            name = plain(tool.get("name")) if isinstance(tool, dict) else None
            if isinstance(name, str) and len(name) <= 128 and len(self._tools) < MAX_TOOLS:
                self._tools.add(name)

    def ended(self, record: Record) -> None:
        """A call is over; its record says how."""
        seen = record.seen
        if self.advanced:
            self.advanced.pop(record.uid, None)
        took = self.clock() - record.started
        kind = None if seen is None else seen.kind
        # Of `initialize` the server's revision is known only now.
        if kind is not None and kind.revisions[1] and seen.leg is not None and _plainly(record):
            self.kinds.ended(kind, took, seen.leg)
            fault = ""
        else:
            fault = self._ended(record, seen, took)
        if seen is not None and seen.span is not None and self.meter.tracer is not None:
            self.meter.tracer.over(seen.span, fault, record, client=False)

    def _ended(self, record: Record, seen: Seen | None, took: float) -> str:
        """What was wrong with it, as `error.type` says it."""
        reason, outcome = _outcome(record)
        fault = "" if outcome in ("ok", "suspended", "resumed") else error_type(record, reason)
        kind = None if seen is None else seen.kind
        if seen is not None:
            self._answered(record, seen, fault)
            self._tell_leg(seen, "")
        client, server = ("", "") if kind is None else kind.revisions
        client, server = client or revision_of(record.client_revision), server or revision_of(record.revision)
        method = method_of(record.method)
        reason = self._reasons(slug_of(reason))
        self.meter.calls.add((self.name, method, client, server, outcome, reason))
        labels = (self.name, method, "" if kind is None else kind.tool, fault, client, server, self._face)
        self.meter.server_duration.observe(labels, took)
        return fault

    def event(self, way: str, revisions: tuple[str, str], took_s: float, gap_s: float | None) -> None:
        """A message that is no answer went to the client."""
        labels = (self.name, *revisions, way)
        self.meter.event_duration.observe(labels, took_s)
        if gap_s is not None:
            self.meter.event_gap.observe(labels, gap_s)

    def _answered(self, record: Record, seen: Seen, fault: str) -> None:
        """What was sent last is answered, or will not be."""
        if seen.leg_at is None:
            return
        seen.leg, seen.leg_at = self.clock() - seen.leg_at, None
        if fault:
            self._tell_leg(seen, fault)
        if seen.leg_span is not None and self.meter.tracer is not None:
            self.meter.tracer.over(seen.leg_span, fault, record, client=True)
            seen.leg_span = None

    def _tell_leg(self, seen: Seen, fault: str) -> None:
        """Count a request by itself; that of a call that ends as most do is counted with it."""
        kind, took = seen.kind, seen.leg
        if kind is None or took is None:
            return
        seen.leg = None
        client, server = kind.revisions
        labels = (self.name, kind.method, kind.tool, fault, server, client, self._transport)
        self.meter.client_duration.observe(labels, took)


class MeteredTrail(Trail):
    """The calls of one edge, heard by the audit log and by whoever counts."""

    __slots__ = ("_event_at", "_metered")

    def __init__(self, log: AuditLog, metered: ServerCalls, *, peer: str = "") -> None:
        super().__init__(log, metered.name, peer=peer)
        self._metered = metered
        self._event_at = 0.0

    def begin(self, call: int, method: str, client_id: int | str, frame: Frame, *, peer: str = "") -> Record:
        """A call exists."""
        record = super().begin(call, method, client_id, frame, peer=peer)
        self._metered.began(record, frame)
        return record

    def sent(self, record: Record, caller: Caller, frame: Frame) -> None:
        """A request of a call goes to the server."""
        self._metered.sent(record, caller, frame)

    def arrived(self, call: int, frame: Frame) -> float:
        """A message of the server."""
        record = self.calls.get(call)
        metered = self._metered
        if frame.method is UNSET:
            if record is not None:
                metered.answered(record, frame)
                if record.method == "tools/list" and metered.meter.tools:
                    metered.learn(frame)
            return 0.0
        if frame.method == PROGRESS and record is not None:
            ratio = _ratio(frame)
            if ratio is not None:
                metered.advanced[record.uid] = ratio
        return metered.clock()

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
        metered.event("standing" if seen is None else "call", revisions, metered.clock() - since, gap)

    def end(self, call: int, outcome: str, caller: Caller | None = None) -> None:
        """A call is over."""
        record = self.calls.get(call)
        super().end(call, outcome, caller)
        if record is not None:
            self._metered.ended(record)


def _plainly(record: Record) -> bool:
    """True for a call that the server answered without an error, and nothing else is to be said of."""
    return (
        record.status == SUCCESS and not record.denied and not record.cancelled and not record.reason
        and not record.parked
    )  # fmt: skip


def error_type(record: Record, reason: str) -> str:
    """`error.type` of the semantic conventions: `tool_error`, a JSON-RPC code, `denied`, or why there was no answer."""
    if record.denied:
        return "denied"
    if record.reason == "tool-error":
        return "tool_error"
    return code_of(record.code) or slug_of(reason) or "other"


def _outcome(record: Record) -> tuple[str, str]:
    """(reason, outcome)"""
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
