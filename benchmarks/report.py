"""From measurements to the table: medians, ratios to the pass-through by round with their range, verdicts,
JSON.

The invariant: a figure that could not be taken, or was taken from wrong answers, never passes an enforced
gate.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable

import msgspec

from benchmarks.figures import Figure
from benchmarks.load import Window
from benchmarks.rows import CONNECTIONS, LOADS, REQUESTS, Limit, Load, Row
from benchmarks.runner import BASE, BROKER, DIRECT, TARGETS, Results

LOAD_BY_NAME = {load.name: load for load in LOADS}


class Line(msgspec.Struct):
    """One line of the table. Figures in `unit`; `ratio` is [median, lowest, highest] over the rounds."""

    name: str
    title: str
    setting: str
    unit: str
    direct: float | None
    base: float | None
    broker: float | None
    ratio: list[float]
    gate: float | None
    target: float | None
    enforced: bool
    verdict: str
    notes: list[str]
    rounds: dict[str, list[float | None]]

    @property
    def failed(self) -> bool:
        return self.verdict == "FAIL"


def judge(value: float | None, line: Row | Limit, better: str = "lower", sound: bool = True) -> str:
    """`target`, `pass`, `FAIL` (beyond an enforced gate), `beyond` (one not enforced), or empty."""
    if line.gate is None or line.target is None:
        return ""
    if value is None or not sound:
        return "FAIL" if line.enforced else "beyond"
    sign = 1 if better == "lower" else -1
    if sign * value <= sign * line.target:
        return "target"
    if sign * value <= sign * line.gate:
        return "pass"
    return "FAIL" if line.enforced else "beyond"


def ratios(broker: list[float | None], base: list[float | None]) -> list[float]:
    """Median, lowest and highest of the rounds' ratios; empty without a round that has both."""
    both = [mine / other for mine, other in zip(broker, base, strict=False) if mine is not None and other]
    return [statistics.median(both), min(both), max(both)] if both else []


def _median(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return statistics.median(present) if present else None


def _figures(windows: list[Window], figure: Figure) -> list[float | None]:
    read = (figure.read(window) for window in windows)
    return [None if value is None else value * figure.scale for value in read]


def row_line(row: Row, results: Results) -> Line:
    """The line of a row that reads a load's windows."""
    load: Load = LOAD_BY_NAME[row.load]
    windows = results.windows.get(load.name, {})
    rounds = {kind: _figures(windows.get(kind, []), row.figure) for kind in TARGETS}
    notes = results.notes.get(load.name, [])
    ratio = ratios(rounds[BROKER], rounds[BASE])
    return Line(
        name=row.name,
        title=row.title,
        setting=f"{load.client} > {load.backend} c{load.concurrency}",
        unit=row.figure.unit,
        direct=_median(rounds[DIRECT]),
        base=_median(rounds[BASE]),
        broker=_median(rounds[BROKER]),
        ratio=ratio,
        gate=row.gate,
        target=row.target,
        enforced=row.enforced,
        verdict=judge(ratio[0] if ratio else None, row, row.figure.better, sound=not notes),
        notes=notes,
        rounds=rounds,
    )


def limit_line(limit: Limit, results: Results) -> Line:
    """The line of a figure with a procedure of its own."""
    if limit in (REQUESTS, CONNECTIONS):
        values = {kind: _counts(limit, results, kind) for kind in TARGETS}
    else:
        values = {kind: list(results.limits.get(limit.name, {}).get(kind, [])) for kind in TARGETS}
    rounds: dict[str, list[float | None]] = {kind: [*found] for kind, found in values.items()}
    ratio = ratios(rounds[BROKER], rounds[BASE])
    broker = _median(rounds[BROKER])
    notes = results.notes.get(limit.name, [])
    value = (ratio[0] if ratio else None) if limit.relative else broker
    if limit in (REQUESTS, CONNECTIONS):
        # exact: the window furthest from the gate decides, in either direction
        value = max((abs(found - limit.gate) + limit.gate for found in values[BROKER]), default=None)
    return Line(
        name=limit.name,
        title=limit.title,
        setting="",
        unit=limit.unit,
        direct=_median(rounds[DIRECT]),
        base=_median(rounds[BASE]),
        broker=value if limit in (REQUESTS, CONNECTIONS) else broker,
        ratio=ratio,
        gate=limit.gate,
        target=limit.target,
        enforced=limit.enforced,
        verdict=judge(value, limit, sound=not notes),
        notes=notes,
        rounds=rounds,
    )


def _counts(limit: Limit, results: Results, kind: str) -> list[float]:
    """Backend requests (or new connections) per call sent, of every window of a target."""
    windows = [window for by_kind in results.windows.values() for window in by_kind.get(kind, [])]
    counted = [(window.requests if limit is REQUESTS else window.connections, window.sent) for window in windows]
    return [count / sent for count, sent in counted if sent]
