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
    """An open call, beside its record. Times are those of the monotonic clock."""

    __slots__ = ("event_at", "leg", "leg_at", "progress", "revisions", "span", "started", "tool")

    def __init__(self, started: float) -> None:
        self.started = started
        self.revisions = ("", "")
        self.tool = ""
        self.leg_at = 0.0
        self.event_at = 0.0
        self.progress: float | None = None
        self.span: Any = None
        self.leg: Any = None


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
        self.open: dict[str, Seen] = {}
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
        return min((each.progress for each in self.open.values() if each.progress is not None), default=None)

    def session_ended(self, revision: str, why: str, lasted_s: float) -> None:
        """A client's session is over."""
        self.meter.session_duration.observe((self.name, revision_of(revision), slug_of(why)), lasted_s)

    def began(self, record: Record, frame: Frame) -> None:
        """A request came."""
        seen = self.open[record.uid] = Seen(self.clock())
        if self.meter.tracer is not None:
            seen.span = self.meter.tracer.server(record, frame, self.name, self._face)

    def sent(self, record: Record, frame: Frame, caller: Caller) -> None:
        """A request goes to the server, for the first time or again."""
        seen = self.open.get(record.uid)
        if seen is None:
            return
        self._leg_over(record, seen, "")
        seen.revisions = revision_of(caller.client_revision), revision_of(caller.backend_revision)
        seen.leg_at = self.clock()
        if record.method == TOOL and self._tools and record.target in self._tools:
            seen.tool = str(record.target)
        self.meter.requests.add((self.name, method_of(record.method), *seen.revisions))
        if self.meter.tracer is not None:
            seen.leg = self.meter.tracer.client(seen.span, record, frame, self.name, caller, self._place)

    def answered(self, record: Record, frame: Frame) -> None:
        """The server has answered what was sent last."""
        seen = self.open.get(record.uid)
        if seen is not None:
            self._leg_over(record, seen, _fault_of(frame))

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
        seen = self.open.pop(record.uid, None)
        if seen is None:
            return
        reason, outcome = _outcome(record)
        fault = "" if outcome in ("ok", "suspended", "resumed") else error_type(record, reason)
        self._leg_over(record, seen, fault)
        client, server = seen.revisions
        client, server = client or revision_of(record.client_revision), server or revision_of(record.revision)
        method = method_of(record.method)
        reason = self._reasons(slug_of(reason))
        self.meter.calls.add((self.name, method, client, server, outcome, reason))
        labels = (self.name, method, seen.tool, fault, client, server, self._face)
        self.meter.server_duration.observe(labels, self.clock() - seen.started)
        if seen.span is not None and self.meter.tracer is not None:
            self.meter.tracer.over(seen.span, fault, record, client=False)

    def event(self, way: str, revisions: tuple[str, str], took_s: float, gap_s: float | None) -> None:
        """A message that is no answer went to the client."""
        labels = (self.name, *revisions, way)
        self.meter.event_duration.observe(labels, took_s)
        if gap_s is not None:
            self.meter.event_gap.observe(labels, gap_s)

    def _leg_over(self, record: Record, seen: Seen, fault: str) -> None:
        if not seen.leg_at:
            return
        took, seen.leg_at = self.clock() - seen.leg_at, 0.0
        client, server = seen.revisions
        labels = (self.name, method_of(record.method), seen.tool, fault, server, client, self._transport)
        self.meter.client_duration.observe(labels, took)
        if seen.leg is not None and self.meter.tracer is not None:
            self.meter.tracer.over(seen.leg, fault, record, client=True)
            seen.leg = None


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

    def admit(self, call: int, frame: Frame, caller: Caller) -> bool:
        """A call is about to be sent."""
        if not super().admit(call, frame, caller):
            return False
        record = self.calls.get(call)
        if record is not None:
            self._metered.sent(record, frame, caller)
        return True

    def arrived(self, call: int, frame: Frame) -> float:
        """A message of the server."""
        record = self.calls.get(call)
        if frame.method is UNSET:
            if record is not None:
                self._metered.answered(record, frame)
                if record.method == "tools/list" and self._metered.meter.tools:
                    self._metered.learn(frame)
            return 0.0
        if frame.method == PROGRESS and record is not None:
            seen = self._metered.open.get(record.uid)
            if seen is not None:
                seen.progress = _ratio(frame)
        return self._metered.clock()

    def passed(self, call: int, frame: Frame, since: float) -> None:  # noqa: ARG002
        """It went on to the client, as far as it does."""
        metered = self._metered
        record = self.calls.get(call)
        seen = None if record is None else metered.open.get(record.uid)
        before = self._event_at if seen is None else seen.event_at
        gap = since - before if before else None
        if seen is None:
            self._event_at = since
        else:
            seen.event_at = since
        revisions = ("", "") if seen is None else seen.revisions
        metered.event("standing" if seen is None else "call", revisions, metered.clock() - since, gap)

    def end(self, call: int, outcome: str, caller: Caller | None = None) -> None:
        """A call is over."""
        record = self.calls.get(call)
        super().end(call, outcome, caller)
        if record is not None:
            self._metered.ended(record)


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
