"""What one process counts of its calls, and by whom it is read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from broker.metering import catalogue
from broker.metering.calls import ServerCalls
from broker.metering.series import Counted, Histogram

if TYPE_CHECKING:
    from broker.settings import Settings


class Meter:
    """All servers together. `tools`: names of tools that servers list are labels; `tracer` makes spans."""

    def __init__(self, *, tools: bool = False, tracer: Any = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.tools = tools
        self.tracer = tracer
        self.server_duration = Histogram(catalogue.SERVER_DURATION)
        self.client_duration = Histogram(catalogue.CLIENT_DURATION)
        self.session_duration = Histogram(catalogue.SESSION_DURATION)
        self.event_duration = Histogram(catalogue.EVENT_DURATION)
        self.event_gap = Histogram(catalogue.EVENT_GAP)
        self.calls = Counted(catalogue.CALLS)
        self.requests = Counted(catalogue.RESENT)
        self._clock = clock

    @property
    def histograms(self) -> tuple[Histogram, ...]:
        """Every family of histograms."""
        return (
            self.server_duration, self.client_duration, self.session_duration, self.event_duration, self.event_gap
        )  # fmt: skip

    @property
    def counters(self) -> tuple[Counted, ...]:
        """Every family of counters."""
        return self.calls, self.requests

    def server(self, name: str, *, pipe: bool) -> ServerCalls:
        """Who hears of a server's calls."""
        return ServerCalls(self, name, pipe=pipe, clock=self._clock)

    def close(self) -> None:
        """Give away what is not exported yet."""
        if self.tracer is not None:
            self.tracer.close()


def meter_of(settings: Settings) -> Meter | None:
    """What these settings ask for; None if they ask for nothing."""
    telemetry = settings.telemetry
    if settings.status.port is not None and telemetry.metrics:
        return Meter(tools=telemetry.tools)
    return None
