"""What one process counts of its calls, and by whom it is read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from broker import telemetry
from broker.metering import catalogue
from broker.metering.calls import ServerCalls
from broker.metering.series import Counted, Histogram
from broker.metering.wanted import wanted

if TYPE_CHECKING:
    from broker.metering.otel import Otel
    from broker.watch import Watch


class Meter:
    """All servers together. `tools`: names of tools that servers list are labels; `tracer` makes spans."""

    def __init__(
        self, *, tools: bool = False, tracer: Otel | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
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
        self._servers: dict[str, ServerCalls] = {}

    @property
    def histograms(self) -> tuple[Histogram, ...]:
        """Every family of histograms, with everything in it."""
        self.settle()
        return (
            self.server_duration, self.client_duration, self.session_duration, self.event_duration, self.event_gap
        )  # fmt: skip

    @property
    def counters(self) -> tuple[Counted, ...]:
        """Every family of counters, with everything in it."""
        self.settle()
        return self.calls, self.requests

    def server(self, name: str, identity: str, *, face: str = "tcp") -> ServerCalls:
        """Who hears of a server's calls; `identity` is that of the way to it (`broker.backends.base.Reach`)."""
        before = self._servers.get(name)
        if before is not None:  # whose last calls are not over yet
            before.kinds.retire()
        found = self._servers[name] = ServerCalls(self, name, place=place_of(identity), face=face, clock=self._clock)
        return found

    def settle(self) -> None:
        """Count what calls have left to be counted together."""
        for server in self._servers.values():
            server.kinds.settle()

    def watch(self, watch: Watch, name: str, identity: str, *, face: str = "tcp") -> None:
        """Hear of a server's calls through what it reports to."""
        watch.calls = self.server(name, identity, face=face)
        if watch.audit is None:
            from broker.metering.quiet import QuietLog

            watch.audit = QuietLog()

    def close(self) -> None:
        """Give away what is not exported yet."""
        if self.tracer is not None:
            self.tracer.close()


def place_of(identity: str) -> Mapping[str, str | int]:
    """How a server is reached, as attributes: without path and query, which may be secret."""
    if identity.startswith("stdio:"):
        return {"network.transport": "pipe"}
    parts = urlsplit(identity)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "server.address": parts.hostname or "",
        "server.port": port,
    }


def meter_of(
    *, metrics: bool, tools: bool = False, mode: str = "auto", environ: Mapping[str, str] = os.environ
) -> Meter | None:
    """Who measures; None if nobody reads it. `metrics`: the status port does; `mode`: whether OpenTelemetry does.

    Raises:
        ValueError: OpenTelemetry is asked for and cannot be used.
    """
    otel = None
    if wanted(mode, environ):
        try:
            from broker.metering.otel import otel_of

            otel = otel_of(environ)
        except ImportError as error:
            if mode == "on":
                raise ValueError(
                    f"telemetry.opentelemetry needs the extra `otel`: pip install 'dragoman[otel]' ({error})"
                ) from None
            telemetry.log("warning", "OTEL_ variables are set, but the extra `otel` is not installed", extra="otel")
    if otel is None and not metrics:
        return None
    meter = Meter(tools=tools, tracer=otel)
    if otel is not None:
        otel.measure(meter)
    return meter
