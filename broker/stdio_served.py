"""What serves the one client on a pipe: who it is, the server behind, what is told of its calls, and its end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from broker.context import ServerContext
from broker.identity.principal import LOCAL, Principal

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.audit.log import AuditLog
    from broker.identity.revoked import Revoked
    from broker.metering.meter import Meter
    from broker.watch import Watch


class Served:
    """`context` is the server; `limits` has the members of `broker.settings_limits.Limits`."""

    context: ServerContext

    def __init__(self, limits: Any, principal: Principal = LOCAL, *, tap: Any = None, audit: AuditLog | None = None):
        self.limits = limits
        self.principal = principal
        self.tap = tap
        self.audit = audit
        self.revoked: Revoked | None = None
        self._meter: Meter | None = None

    def when_revoked(self, told: Callable[[], None]) -> None:
        """Say once that the caller was revoked, if there is a file of those that are."""
        revoked, wheel = self.revoked, self.context.wheel
        if revoked is None:
            return

        def look() -> None:
            revoked.look()
            if revoked.covers(self.principal):
                told()
            else:
                wheel.add(wheel.clock() + self.limits.revocation_s, look)

        look()

    def measure(self, watch: Watch, name: str, identity: str, *, tools: bool = False, mode: str = "auto") -> None:
        """Export traces and metrics of the server's calls, if OpenTelemetry's variables ask for it.

        Raises:
            ValueError: it is wanted and cannot be.
        """
        from broker.metering.meter import meter_of

        self._meter = meter_of(metrics=False, tools=tools, mode=mode)
        if self._meter is not None:
            self._meter.watch(watch, name, identity, face="pipe")

    async def close(self) -> None:
        """End the connections or processes, then what was told of them."""
        context = self.context
        await context.era.close()
        await context.reach.close()
        for hook in context.hooks.hooks:
            await hook.close()
        context.wheel.close()
        if self.tap is not None:
            self.tap.close()
        if self.audit is not None:
            self.audit.close()
        if self._meter is not None:
            self._meter.close()


def server_said(line: str, dropped: int) -> None:
    """A host shows what its command writes to standard error: the server's words go there as they are."""
    sys.stderr.write(line + (f" ({dropped} lines left out before)" if dropped else "") + "\n")
    sys.stderr.flush()


def reports() -> Any:
    """Where operators are told."""
    from broker import telemetry

    return telemetry
