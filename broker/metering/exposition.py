"""`/metrics`: everything that is counted, in the text formats of Prometheus and OpenMetrics.

Gauges are read when they are asked for, so that they cost calls nothing. Invariant: the number of series is bounded,
whatever peers send.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from broker import telemetry
from broker.metering import catalogue as names
from broker.metering.catalogue import Metric
from broker.metering.labels import method_of, slug_of
from broker.metering.series import Counted, Histogram, folded
from broker.version import VERSION

if TYPE_CHECKING:
    from broker.faces.streamable_http import StreamableHttp
    from broker.metering.meter import Meter
    from broker.outbox import Outbox

Faces = Callable[[], "Mapping[str, StreamableHttp]"]


class Exposition(Collector):
    """One broker's metrics. `meter`: what was measured of calls, if anything is."""

    def __init__(self, faces: Faces, accepting: Callable[[], bool], began: float, meter: Meter | None) -> None:
        self._faces = faces
        self._accepting = accepting
        self._began = began
        self._meter = meter
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self, accept: str) -> tuple[bytes, str]:
        """The page, and its Content-Type, as the reader asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[Family]:
        """Every family (prometheus_client asks)."""
        more: dict[str, int] = {}
        if self._meter is not None:
            yield from (_histogram(each, more) for each in self._meter.histograms)
            yield from (_counted(each, more) for each in self._meter.counters)
        yield _counter(names.LOSSES, ((_loss(key), count) for key, count in telemetry.losses.items()), more)
        yield _counter(names.NOTES, ((_note(key), count) for key, count in telemetry.counts.items()), more)
        yield _gauge(names.INFO, {(VERSION,): 1})
        yield _gauge(names.UPTIME, {(): time.monotonic() - self._began})
        yield _gauge(names.ACCEPTING, {(): int(self._accepting())})
        yield from self._servers()
        yield _gauge(names.FOLDED, {(name,): count for name, count in more.items()})

    def _servers(self) -> Iterator[Family]:
        faces = self._faces()
        found: dict[Metric, dict[tuple[str, ...], float]] = {metric: {} for metric in _OF_SERVER}
        for name, face in faces.items():
            for metric, value in _gauges(face):
                found[metric][name,] = value
            settled = face.context.era.settled
            found[names.ERA][name, settled.kind if settled is not None else "unknown"] = 1
            failure = telemetry.last_failures.get(name)
            if failure is not None:
                found[names.FAILED][name,] = time.monotonic() - failure[1]
        yield from (_gauge(metric, values) for metric, values in found.items())


_OF_SERVER = (
    names.ERA, names.SESSIONS, names.BACKEND_SESSIONS, names.OPEN, names.PARKED, names.STREAMS, names.CONNECTIONS,
    names.WAITING, names.PROCESSES, names.PROGRESS, names.FAILED,
)  # fmt: skip


def _gauges(face: StreamableHttp) -> Iterator[tuple[Metric, float]]:
    context, relay = face.context, face.modern.relay
    pool: Any = getattr(context.reach, "pool", None)
    outboxes = [*(session.outbox for session in context.sessions), relay.outbox]
    yield names.SESSIONS, len(context.sessions) + len(face.pair)
    yield names.BACKEND_SESSIONS, len(relay.bridge.rooms.sessions)
    yield names.OPEN, context.sessions.busy() + len(relay.calls)
    yield names.PARKED, relay.bridge.parked
    yield names.STREAMS, sum(map(_read, outboxes))
    if isinstance(connections := getattr(pool, "connections", None), int):
        yield names.CONNECTIONS, connections
    if isinstance(waiting := getattr(pool, "waiting", None), int):
        yield names.WAITING, waiting
    if isinstance(processes := getattr(context.reach, "processes", None), int):
        yield names.PROCESSES, processes
    calls = context.watch.calls
    if calls is not None and (progress := calls.progress) is not None:
        yield names.PROGRESS, progress


def _read(outbox: Outbox) -> int:
    """How many streams of it somebody reads."""
    calls = sum(each.stream is not None and each.stream.attached for each in outbox.exchanges.values())
    return calls + sum(stream.attached for stream in outbox.standing)


def _loss(key: tuple[str, str, str, str, str]) -> tuple[str, ...]:
    pair, method, path, change, loss = key
    return pair, method_of(method), path, change, loss


def _note(key: tuple[str, str, str, str]) -> tuple[str, ...]:
    kind, backend, method, reason = key
    return kind, backend, method_of(method), slug_of(reason)


def _counter(metric: Metric, counts: Iterable[tuple[tuple[str, ...], int]], more: dict[str, int]) -> Family:
    values, others = folded(counts, len(metric.labels))
    more[metric.name] = others
    family = CounterMetricFamily(metric.name.removesuffix("_total"), metric.text, labels=metric.labels)
    for labels, count in values.items():
        family.add_metric(labels, count)
    return family


def _counted(counted: Counted, more: dict[str, int]) -> Family:
    family = _counter(counted.metric, counted.values.items(), more)
    more[counted.metric.name] += counted.folded
    return family


def _gauge(metric: Metric, values: Mapping[tuple[str, ...], float]) -> Family:
    family = GaugeMetricFamily(metric.name, metric.text, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _histogram(histogram: Histogram, more: dict[str, int]) -> Family:
    metric = histogram.metric
    more[metric.name] = histogram.folded
    family = HistogramMetricFamily(metric.name, metric.text, labels=metric.labels)
    bounds = [*(str(bound) for bound in metric.bounds), "+Inf"]
    for labels, series in list(histogram.series.items()):
        family.add_metric(labels, list(zip(bounds, accumulate(series.counts), strict=True)), series.total)
    return family
