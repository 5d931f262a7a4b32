"""The audit log of one process: makes lines, chains them, gives them to every sink, and knows when one fails.

Invariants: lines are numbered and chained in the order in which they are made; an `admitted` line is given to the
system before its call is sent; while a sink fails nothing that changes something is admitted, unless the configuration
says so; no error of a sink leaves this file.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from broker import telemetry
from broker.audit.chain import NOTHING, Chain
from broker.audit.files import AuditFile
from broker.audit.floods import Floods
from broker.audit.lines import FAILURE, NEITHER, OTHER, READS, Stamp, actor_of, body_of
from broker.audit.recovery import Left, Seen
from broker.audit.redact import Redactor
from broker.audit.shapes import client_text
from broker.audit.sinks import Outlet, Sink
from broker.audit.turn import Turn

if TYPE_CHECKING:
    from broker.audit.record import Record
    from broker.audit.shapes import Shape

MOST_OPEN: Final = 10_000
"""Ids of open calls in one `rotated` line; as many as there may be connections."""


class AuditLog(Floods):
    """One process's lines. `clock_ns` is the wall clock, `monotonic` in seconds; `process` a name never used before."""

    quiet = False
    """Whether there is no line to be made."""

    def __init__(
        self,
        sinks: Iterable[Sink],
        *,
        process: str,
        on_failure: str = "deny-acts",
        arguments_bytes: int = 0,
        redactor: Redactor | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.process = process
        self.monotonic = monotonic
        self.arguments_bytes = arguments_bytes
        self.redactor = redactor or Redactor()
        self.open: dict[str, None] = {}
        """Calls that were admitted and have no outcome yet, by their id."""
        self._outlets = [Outlet(sink) for sink in sinks]
        self._file = next((sink for sink in (each.sink for each in self._outlets) if isinstance(sink, AuditFile)), None)
        self._only = self._outlets[0] if len(self._outlets) == 1 and self._outlets[0].sink.whole else None
        self._on_failure = on_failure
        self._clock_ns = clock_ns
        self._begun = monotonic()
        self._chain = Chain()
        self._sequence = 0
        self._calls = 0
        self._closed = False
        self.turn = Turn(self)
        self.failing = False
        """Whether lines cannot be written now, by the last attempt."""
        self.begin_floods(self._begun)

    # ---- the process ------------------------------------------------------------------------------------------------

    def start(self, left: Left | None = None, *, fsync: str = "") -> None:
        """Begin, after what an earlier process left in the file; its calls without an outcome are written as lost."""
        left = left or Left()
        self._chain = Chain(left.head)
        torn = {} if left.torn is None else {"torn_bytes": left.torn.size, "torn_sha256": left.torn.sha256}
        head = "" if left.head == NOTHING else left.head
        self.write("started", process=self.process, fsync=fsync, head=head, scanned_all=left.all, **torn)
        for call, seen in left.open.items():
            self._lost(call, seen)
        self.flush()

    def close(self) -> None:
        """End: calls that are still open have been ended by whoever began them."""
        self.say_suppressed()
        if self._closed:
            return
        self.turn.over()
        self.write("stopped", process=self.process)
        self.flush()
        self._closed, self._only = True, None
        for outlet in self._outlets:
            if outlet.failing and not outlet.flush(math.inf):  # however lately it failed: there is no later
                lost = len(outlet.waiting) + outlet.missed
                telemetry.log("error", "audit lines lost", sink=outlet.sink.name, reason=outlet.failing, count=lost)
            try:
                outlet.sink.close()
            except OSError as error:
                telemetry.log("warning", "audit sink not closed", sink=outlet.sink.name, reason=type(error).__name__)

    def new_call(self) -> str:
        """An id for a call, never used before."""
        self._calls += 1
        return f"{self.process}.{self._calls}"

    # ---- what may happen --------------------------------------------------------------------------------------------

    def admits(self, method: str) -> bool:
        """False if a call of this method must not be sent, because what it does could not be written down."""
        if not self.failing:
            return True
        self.flush()
        if not self.failing or self._on_failure == "allow":
            return True
        return self._on_failure == "deny-acts" and method in READS

    # ---- lines ------------------------------------------------------------------------------------------------------

    def write(self, event: str, **parts: Any) -> None:
        """One line, to be flushed; `parts` are those of `lines.body_of`."""
        self._line(event, parts, self._next(self.monotonic()))

    def admitted(self, calls: Iterable[tuple[Shape, Record]]) -> None:
        """`admitted` lines that have nothing to say but numbers."""
        now, chain = self.monotonic(), self._chain
        self._roll(now)
        time_ms, clock_us = self._clock_ns() // 1_000_000, int((now - self._begun) * 1e6)
        sequence, lines = self._sequence, []
        for shape, record in calls:
            sequence += 1
            uid, client = record.texts = record.uid.encode(), client_text(record.client_id)
            body = shape.admitted % (
                time_ms, sequence, sequence, uid, client, record.server_id, clock_us, chain.head_bytes,
            )  # fmt: skip
            lines.append(chain.close(body))
        self._sequence = sequence
        self._put(lines)

    def ended(self, calls: Iterable[tuple[Shape, Record, float]]) -> None:
        """`outcome` lines of the same kind, of calls that were over at these moments of the monotonic clock."""
        now, chain, still = self.monotonic(), self._chain, self.open
        self._roll(now)
        time_ms, clock_us = self._clock_ns() // 1_000_000, int((now - self._begun) * 1e6)
        sequence, lines = self._sequence, []
        for shape, record, over in calls:
            still.pop(record.uid, None)
            sequence += 1
            uid, client = record.texts
            took = over - record.started
            body = shape.ended % (
                time_ms, int(took * 1e3), sequence, sequence, uid, client, record.server_id, int(took * 1e6), clock_us,
                chain.head_bytes,
            )  # fmt: skip
            lines.append(chain.close(body))
        self._sequence = sequence
        self._put(lines)

    def flush(self) -> None:
        """Give every line that waits to the system."""
        only = self._only
        if only is not None and not only.failing and (not only.waiting or only.flush_whole()):
            return
        if self._closed:
            return
        now = self.monotonic()
        failing = False
        for outlet in self._outlets:
            before = outlet.failing
            if outlet.flush(now):
                if before:
                    telemetry.log("warning", "audit sink works again", sink=outlet.sink.name, missed=outlet.missed)
                if outlet.missed:
                    self._gap(outlet, now)
            elif not before:
                telemetry.log("error", "audit sink fails", sink=outlet.sink.name, reason=outlet.failing)
            if outlet.failing:
                failing = True
                telemetry.counts["audit-failing", "", "", outlet.sink.name] += 1
        self.failing = failing

    def flush_soon(self) -> None:
        """Flush when this turn of the loop is over: lines that nothing waits for are written together."""
        self.turn.soon()

    # ---- within -----------------------------------------------------------------------------------------------------

    def _next(self, now: float) -> int:
        """The number of the next line, in a new file if it is time for one."""
        self._roll(now)
        self._sequence += 1
        return self._sequence

    def _roll(self, now: float) -> None:
        file = self._file
        if file is not None and (file.size >= file.limit or now >= file.old_at) and not self.failing:
            self._rotate(file)

    def _line(self, event: str, parts: dict[str, Any], sequence: int) -> None:
        clock_us = int((self.monotonic() - self._begun) * 1e6)
        stamp = Stamp(self._clock_ns() // 1_000_000, clock_us, self.process, sequence, self._chain.head)
        self._put([self._chain.seal(body_of(event, stamp, **parts))])

    def _put(self, lines: Sequence[bytes]) -> None:
        only = self._only
        if only is not None and not only.failing:
            only.waiting.extend(lines)
            return
        for outlet in self._outlets:
            for line in lines:
                outlet.put(line)

    def _rotate(self, file: AuditFile) -> None:
        self.flush()
        if self.failing:
            return
        if not file.size:
            file.postpone()
            return
        try:
            name = file.rotate(f"{self._sequence:09d}-{self.process}", self._clock_ns() // 1_000_000)
        except (OSError, ValueError) as error:
            file.postpone()
            telemetry.log("warning", "audit file not rotated", reason=type(error).__name__)
            return
        ids = list(self.open)[:MOST_OPEN]
        self._sequence += 1
        parts = {"file": name, "head": self._chain.head, "process": self.process, "open": ids}
        self._line("rotated", parts, self._sequence)

    def _gap(self, outlet: Outlet, now: float) -> None:
        missed, outlet.missed = outlet.missed, 0
        after = outlet.last[-68:-4].decode("ascii", "replace")
        self._sequence += 1
        parts = {"count": missed, "sink": outlet.sink.name, "after": after, "status": FAILURE}
        self._line("gap", parts, self._sequence)
        outlet.flush(now)

    def _lost(self, call: str, seen: Seen | None) -> None:
        parts: dict[str, Any] = {}
        if seen is not None:
            resources: Sequence[Any] = seen.resources
            parts = {"method": seen.api.operation, "server": seen.api.service.name}
            if resources:
                parts["target"] = resources[0].name
            if seen.actor.user.uid:
                parts["actor"] = actor_of(seen.actor.user.uid, seen.actor.user.type)
        process = call.partition(".")[0]
        self.write(
            "lost",
            correlation=call,
            status=OTHER,
            action=NEITHER,
            detail="broker-killed",
            executed="unknown",
            process=process,
            **parts,
        )
