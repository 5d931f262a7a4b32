"""What the relay reports to operators: counted always, logged within limits, tapped when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from protocol_versions.jsonrpc import Frame
from translators.asks import NEEDS
from translators.loss import Loss
from translators.machine import Note

if TYPE_CHECKING:
    from broker.audit.log import AuditLog
    from broker.audit.trail import Trail
    from broker.metering.calls import ServerCalls


LOSING = frozenset(("violation", "dropped"))
"""Kinds of notes of messages that are not passed on, and that no call tells of."""


class Tap(Protocol):
    """Receiver of every frame on both sides."""

    def frame(self, side: str, direction: str, backend: str, frame: Frame) -> None: ...
    def lossy(self, backend: str, pair: str, note: Note) -> None: ...


class Reports(Protocol):
    """The telemetry the relay writes to; see `broker.telemetry`."""

    def note(self, kind: str, *, backend: str, method: str, reason: str, pair: str) -> None: ...
    def loss(self, *, backend: str, pair: str, method: str, path: str, change: str, loss: str) -> None: ...


class Watch:
    """One backend's reporting. `audit` is the process's audit log, if there is to be one, or what is heard of calls
    must be measured, by `calls`."""

    __slots__ = ("audit", "calls", "queue_bytes", "reports", "tap", "tapping")

    def __init__(self, reports: Reports, tap: Tap | None, queue_bytes: int, audit: AuditLog | None = None) -> None:
        self.audit = audit
        self.calls: ServerCalls | None = None
        self.reports = reports
        self.tap = tap
        self.tapping = tap is not None
        self.queue_bytes = queue_bytes

    def frame(self, side: str, direction: str, backend: str, frame: Frame) -> None:
        """One frame crossed an edge."""
        if self.tap is not None:
            self.tap.frame(side, direction, backend, frame)

    def trail(self, server: str, *, peer: str = "") -> Trail:
        """What hears of the calls of one edge, if there is an audit log."""
        assert self.audit is not None
        if self.calls is not None:
            return self.calls.trail(self.audit, peer=peer)
        from broker.audit.trail import Trail

        return Trail(self.audit, server, peer=peer)

    def note(self, backend: str, kind: str, method: str = "", reason: str = "", pair: str = "") -> None:
        """Something worth counting."""
        self.reports.note(kind, backend=backend, method=method, reason=reason, pair=pair)
        if self.audit is not None and (
            kind in LOSING or (kind == "refused" and (method in NEEDS or reason.startswith("answer-")))
        ):
            self.audit.dropped(reason, server=backend, method=method)

    def denied(self, edge: Any, call: int, part: str, method: str, reason: str) -> None:
        """Policy refused a message at an edge; `part` is that of its slot, or `question` or `answer`."""
        self.note(edge.name, "denied", method, reason)
        trail = None if self.audit is None else getattr(edge, "trail", None)
        if trail is not None:
            trail.deny(call, part, method, reason, edge.caller(call))

    def bug(self, backend: str, error: Exception) -> None:
        """An exception of ours ended one message; the operator is told its kind, not its text."""
        self.note(backend, "failed", reason=f"internal:{type(error).__name__}")

    def effect(self, backend: str, client: str, server: str, note: Note) -> None:
        """What the core noted."""
        pair = f"{client}/{server}"
        if self.tap is not None and note.losses:
            self.tap.lossy(backend, pair, note)
        if note.kind != "lossy":
            self.note(backend, note.kind, note.method, note.reason, pair)
        for lost in note.losses:
            if lost.loss is Loss.DEGRADED or note.kind != "lossy":
                self.reports.loss(
                    backend=backend,
                    pair=pair,
                    method=note.method,
                    path=lost.path,
                    change=lost.change,
                    loss=lost.loss,
                )
