"""Counters and histograms in memory: a dictionary access and an addition for each call.

The Prometheus client's own take a lock and build an object for each set of labels; these are read by its exposition.
Invariant: a family has at most MAX_SERIES sets of labels, the further ones are counted together as `other`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from broker.metering.catalogue import Metric
from broker.metering.labels import OTHER

MAX_SERIES: Final = 2_000
"""Sets of labels of one family. Precedent: Prometheus' advice to keep a metric below some thousands on one target."""

Labels = tuple[str, ...]


class Series:
    """One histogram of one set of labels. `counts` has one more than there are bounds."""

    __slots__ = ("counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0


class Histogram:
    """One family."""

    __slots__ = ("also", "folded", "metric", "series")

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.series: dict[Labels, Series] = {}
        self.folded = 0
        self.also: Callable[[Labels, float], None] | None = None
        """Who is told of each duration besides."""

    def observe(self, labels: Labels, seconds: float) -> None:
        """Count one duration."""
        self.observe_all(labels, (seconds,))

    def observe_all(self, labels: Labels, durations: Sequence[float]) -> None:
        """Count durations of the same labels."""
        found = self.series.get(labels)
        if found is None:
            if len(self.series) >= MAX_SERIES:
                self.folded += 1
                labels = (OTHER,) * len(labels)
            found = self.series.setdefault(labels, Series(self.metric.bounds))
        counts, bounds, total = found.counts, self.metric.bounds, found.total
        for seconds in durations:
            counts[bisect_left(bounds, seconds)] += 1
            total += seconds
        found.total = total
        if self.also is not None:
            for seconds in durations:
                self.also(labels, seconds)


class Counted:
    """One family of counters."""

    __slots__ = ("folded", "metric", "values")

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.values: dict[Labels, int] = {}
        self.folded = 0

    def add(self, labels: Labels, count: int = 1) -> None:
        """Count one, or as many."""
        found = self.values.get(labels)
        if found is None and len(self.values) >= MAX_SERIES:
            self.folded += 1
            labels = (OTHER,) * len(labels)
            found = self.values.get(labels)
        self.values[labels] = (found or 0) + count


def folded(pairs: Iterable[tuple[Labels, int]], width: int) -> tuple[dict[Labels, int], int]:
    """Counts of equal labels together, most frequent first kept; how many sets went to `other`."""
    values: dict[Labels, int] = {}
    more = 0
    for labels, count in pairs:
        if labels not in values and len(values) >= MAX_SERIES:
            more += 1
            labels = (OTHER,) * width
        values[labels] = values.get(labels, 0) + count
    return values, more
