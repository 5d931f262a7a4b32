"""An audit log that writes nothing: calls are heard of by their trails, and nobody asked for lines."""

from __future__ import annotations

from typing import Any

from broker.audit.log import AuditLog
from broker.audit.turn import NoTurn


class QuietLog(AuditLog):
    """Admits everything."""

    quiet = True

    def __init__(self) -> None:
        super().__init__((), process="")
        self.turn = NoTurn(self)

    def admits(self, method: str) -> bool:  # noqa: ARG002
        """There is nothing that could not be written down."""
        return True

    def write(self, event: str, **parts: Any) -> None:
        """No line."""

    def flush(self) -> None:
        """Nothing waits."""

    def refused(self, reason: str, **parts: Any) -> None:
        """No line: refusals at the door are counted by `broker.telemetry`."""

    def dropped(self, reason: str, **parts: Any) -> None:
        """No line: it is counted by `broker.telemetry`."""

    def close(self) -> None:
        """Nothing is open."""
