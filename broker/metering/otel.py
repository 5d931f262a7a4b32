"""Traces and metrics by OpenTelemetry, in its conventions for MCP: the extra `otel`, loaded when it is asked for.

A call has one SERVER span towards its client, and below it a CLIENT span for each request that is sent to the server
for it. The parent is what the client says in `_meta` (`traceparent`, `tracestate`, `baggage`, by the propagators that
OTEL_PROPAGATORS names), and the server is told its CLIENT span in the same members.
Invariants: no argument, result, credential or session id is in a span; exporting never makes a call wait; what a client
says of its trace that is not well-formed is left out, and is not passed on.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET
from opentelemetry import propagate, trace
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from broker import telemetry
from broker.audit.record import Record
from broker.audit.text import fit
from broker.metering import catalogue
from broker.metering.labels import method_of, slug_of
from broker.metering.series import Counted, Histogram
from broker.metering.wanted import exporters
from broker.version import VERSION
from protocol_versions.jsonrpc import Frame, plain

if TYPE_CHECKING:
    from broker.hooks.base import Caller
    from broker.metering.meter import Meter

FIELDS: Final = ("traceparent", "tracestate", "baggage")
MAX_FIELD: Final = 8 * 1024
"""Characters of one of them. Precedent: W3C Baggage asks for 8,192 bytes at least, Trace Context for 512."""

UNTOLD: Final = frozenset(("initialize", "ping"))
"""Requests of the broker's own making towards servers, which carry no trace context."""

_TARGETS: Final = {"tools/call": "gen_ai.tool.name", "prompts/get": "gen_ai.prompt.name"}

ATTRIBUTES: Final = {
    "mcp_method_name": "mcp.method.name",
    "gen_ai_tool_name": "gen_ai.tool.name",
    "error_type": "error.type",
    "mcp_protocol_version": "mcp.protocol.version",
    "network_transport": "network.transport",
    "dragoman_server_protocol_version": "dragoman.server.protocol_version",
    "dragoman_client_protocol_version": "dragoman.client.protocol_version",
    "client_revision": "dragoman.client.protocol_version",
    "server_revision": "dragoman.server.protocol_version",
}
"""Labels that have a name of their own as attributes; the others are `dragoman.LABEL`."""


class Span:
    """A span, and the context that what belongs to it goes on in."""

    __slots__ = ("context", "span")

    def __init__(self, span: trace.Span, context: Any) -> None:
        self.span = span
        self.context = trace.set_span_in_context(span, context)


class Otel:
    """What makes spans (`broker.metering.calls` asks) and exports metrics."""

    def __init__(self, traces: TracerProvider | None, metrics: MeterProvider | None) -> None:
        self._traces = traces
        self._metrics = metrics
        self._tracer = None if traces is None else traces.get_tracer("dragoman", VERSION)

    def server(self, record: Record, frame: Frame, server: str, transport: str) -> Span | None:
        """A client's request."""
        if self._tracer is None:
            return None
        context = propagate.extract(_carrier(frame))
        given = {**_attributes(record, server), "network.transport": transport}
        given["jsonrpc.request.id"] = fit(str(record.client_id))
        return Span(self._tracer.start_span(_name(record), context, SpanKind.SERVER, given), context)

    def client(
        self, parent: Span | None, record: Record, frame: Frame, server: str, caller: Caller, place: Mapping[str, Any]
    ) -> Span | None:
        """A request to the server; it is told its span in its `_meta`."""
        if self._tracer is None or parent is None:
            return None
        given = {**_attributes(record, server), **place}
        if caller.backend_revision:  # which `initialize` is about to find out
            given["mcp.protocol.version"] = caller.backend_revision
        given["dragoman.client.protocol_version"] = caller.client_revision
        if frame.id is not UNSET:
            given["jsonrpc.request.id"] = str(frame.id)
        span = Span(self._tracer.start_span(_name(record), parent.context, SpanKind.CLIENT, given), parent.context)
        if record.method not in UNTOLD:
            _inject(frame, span.context)
        return span

    def over(self, span: Span, fault: str, record: Record, *, client: bool) -> None:
        """A request was answered, or will not be; `fault` is its `error.type`."""
        ended = span.span
        if ended.is_recording():
            if not client:
                ended.set_attribute("mcp.protocol.version", record.client_revision)
                ended.set_attribute("dragoman.server.protocol_version", record.revision)
                ended.set_attribute("dragoman.translation.lossy", bool(record.losses))
            if fault:
                ended.set_attribute("error.type", fault)
                ended.set_status(Status(StatusCode.ERROR))
                if record.code is not None:
                    ended.set_attribute("rpc.response.status_code", str(record.code))
        ended.end()

    def measure(self, meter: Meter) -> None:
        """Export what is measured."""
        if self._metrics is None:
            return
        made = self._metrics.get_meter("dragoman", VERSION)
        for histogram in meter.histograms:
            metric = histogram.metric
            instrument = made.create_histogram(
                _dotted(metric.name.removesuffix("_seconds")),
                unit="s",
                description=metric.text,
                explicit_bucket_boundaries_advisory=list(metric.bounds),
            )
            histogram.also = _recorder(histogram, instrument.record)
        for counted in meter.counters:
            _observed(made, counted.metric, _of(counted))
        _observed(made, catalogue.LOSSES, lambda: tuple(telemetry.losses.items()))
        _observed(made, catalogue.NOTES, _notes)

    def close(self) -> None:
        """Export what waits, within the deadlines of the SDK."""
        for provider in (self._traces, self._metrics):
            if provider is not None:
                with contextlib.suppress(Exception):  # whatever the SDK raises: the broker ends
                    provider.shutdown()


def otel_of(environ: Mapping[str, str] = os.environ) -> Otel:
    """As the variables say; the SDK reads the others (samplers, batches, headers, resources) itself.

    Raises:
        ValueError: an exporter is named that is not installed, or not known.
        ImportError: the extra is not installed.
    """
    named = "OTEL_SERVICE_NAME" in environ or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({"service.version": VERSION} | ({} if named else {"service.name": "dragoman"}))
    processors = [
        BatchSpanProcessor(_exporter(kind, "trace", environ)) for kind in exporters("OTEL_TRACES_EXPORTER", environ)
    ]
    readers = [
        PeriodicExportingMetricReader(_exporter(kind, "metric", environ))
        for kind in exporters("OTEL_METRICS_EXPORTER", environ)
    ]
    traces = None
    if processors:
        traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        for processor in processors:
            traces.add_span_processor(processor)
    metrics = MeterProvider(readers, resource, shutdown_on_exit=False) if readers else None
    return Otel(traces, metrics)


def _exporter(kind: str, signal: str, environ: Mapping[str, str]) -> Any:
    import importlib

    if kind == "console":
        from opentelemetry.sdk.metrics.export import ConsoleMetricExporter
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter() if signal == "trace" else ConsoleMetricExporter()
    if kind != "otlp":
        raise ValueError(f"OpenTelemetry exporter {kind}: expected otlp, console or none")
    plural = "TRACES" if signal == "trace" else "METRICS"
    protocol = environ.get(f"OTEL_EXPORTER_OTLP_{plural}_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    way = "grpc" if protocol == "grpc" else "http"
    try:
        module = importlib.import_module(f"opentelemetry.exporter.otlp.proto.{way}.{signal}_exporter")
    except ImportError:
        raise ValueError(f"OpenTelemetry over {way} needs opentelemetry-exporter-otlp-proto-{way}") from None
    return getattr(module, "OTLPSpanExporter" if signal == "trace" else "OTLPMetricExporter")()


def _name(record: Record) -> str:
    target = record.target if record.method in _TARGETS else None
    method = method_of(record.method)
    return method if target is None else f"{method} {fit(target)}"


def _attributes(record: Record, server: str) -> dict[str, Any]:
    found: dict[str, Any] = {"mcp.method.name": fit(record.method), "dragoman.server": server}
    target = record.target
    if target is not None:
        if record.method in _TARGETS:
            found[_TARGETS[record.method]] = fit(target)
        elif record.method.startswith("resources/"):
            found["mcp.resource.uri"] = fit(target)
    if record.method == "tools/call":
        found["gen_ai.operation.name"] = "execute_tool"
    return found


def _carrier(frame: Frame) -> dict[str, str]:
    """What a request says of its trace."""
    params: Any = frame.params
    meta = plain(params.get("_meta")) if isinstance(params, dict) else None
    if not isinstance(meta, dict):
        return {}
    found = {name: plain(meta.get(name)) for name in FIELDS}
    return {name: value for name, value in found.items() if isinstance(value, str) and len(value) <= MAX_FIELD}


def _inject(frame: Frame, context: Any) -> None:
    params: dict[str, Any] = dict(frame.params) if frame.params is not UNSET else {}
    meta = plain(params.get("_meta", {}))
    if not isinstance(meta, dict):
        return
    told: dict[str, str] = {}
    propagate.inject(told, context)
    ours = propagate.get_global_textmap().fields
    rest = {name: value for name, value in meta.items() if name not in ours}
    params["_meta"] = {**rest, **told}
    frame.params = params


def _dotted(name: str) -> str:
    """`mcp_server_operation_duration` as OpenTelemetry writes it; ours are `dragoman.stream_gap`."""
    return name.replace("_", ".") if name.startswith("mcp_") else name.replace("_", ".", 1)


def _keys(metric: catalogue.Metric) -> tuple[str, ...]:
    return tuple(ATTRIBUTES.get(label, f"dragoman.{label}") for label in metric.labels)


def _recorder(histogram: Histogram, record: Callable[..., None]) -> Callable[[tuple[str, ...], float], None]:
    keys = _keys(histogram.metric)

    def also(labels: tuple[str, ...], seconds: float) -> None:
        record(seconds, {key: label for key, label in zip(keys, labels, strict=True) if label})

    return also


def _observed(made: Any, metric: catalogue.Metric, read: Callable[[], Iterable[tuple[tuple[str, ...], int]]]) -> None:
    keys = _keys(metric)

    def observe(_options: Any) -> list[Observation]:
        return [
            Observation(count, {key: label for key, label in zip(keys, labels, strict=True) if label})
            for labels, count in tuple(read())
        ]

    made.create_observable_counter(_dotted(metric.name.removesuffix("_total")), [observe], description=metric.text)


def _of(counted: Counted) -> Callable[[], Iterable[tuple[tuple[str, ...], int]]]:
    return lambda: tuple(counted.values.items())


def _notes() -> Iterable[tuple[tuple[str, ...], int]]:
    for (kind, backend, method, reason), count in tuple(telemetry.counts.items()):
        yield (kind, backend, method_of(method), slug_of(reason)), count
