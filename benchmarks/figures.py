"""What is read from a window of load: CPU by call or event, rates, latencies.

The invariant: a figure is None, never zero or infinite, when the window holds nothing to read it from.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Literal

import msgspec

from benchmarks.load import Window


class Figure(msgspec.Struct, frozen=True):
    """A reading, its unit, the factor from ns (or /s) to that unit, and which direction is better."""

    read: Callable[[Window], float | None]
    unit: str
    scale: float
    better: Literal["lower", "higher"]


def _cpu_per_call(window: Window) -> float | None:
    return window.cpu_ns / window.calls if window.calls and window.cpu_ns else None


def _cpu_per_event(window: Window) -> float | None:
    return window.cpu_ns / window.events if window.events and window.cpu_ns else None


def _calls_per_second(window: Window) -> float | None:
    return window.calls / window.seconds if window.calls else None


def _events_per_second(window: Window) -> float | None:
    return window.events / window.seconds if window.events else None


def _median(values: list[int]) -> float | None:
    return statistics.median(values) if values else None


def _p99(values: list[int]) -> float | None:
    ordered = sorted(values)
    return ordered[int(len(ordered) * 0.99)] if ordered else None


CPU_CALL = Figure(_cpu_per_call, "us", 1e-3, "lower")
CPU_EVENT = Figure(_cpu_per_event, "us", 1e-3, "lower")
CALLS = Figure(_calls_per_second, "/s", 1.0, "higher")
EVENTS = Figure(_events_per_second, "/s", 1.0, "higher")
P50 = Figure(lambda window: _median(window.latencies_ns), "ms", 1e-6, "lower")
P99 = Figure(lambda window: _p99(window.latencies_ns), "ms", 1e-6, "lower")
FIRST_EVENT = Figure(lambda window: _median(window.first_events_ns), "ms", 1e-6, "lower")
EVENT_DELAY = Figure(lambda window: _median(window.delays_ns), "ms", 1e-6, "lower")
