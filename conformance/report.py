"""What a run prints: one row per cell, the typed reasons below it, and the same as JSON.

Invariant: whatever is not `ok` is named in the output, excuses included.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from conformance.cells import Cell
from conformance.judge import STATUSES
from conformance.matrix import Row, Run


def header() -> str:
    """The heading of the cells' table."""
    return f"{'client':<20} {'server':<20} " + " ".join(f"{status:>8}" for status in STATUSES) + "   time"


def row_line(row: Row) -> str:
    """One cell in one line."""
    counts = " ".join(f"{row.counts[status]:>8}" for status in STATUSES)
    mark = "  FAIL" if row.failed else ""
    return f"{row.cell.client!s:<20} {row.cell.server!s:<20} {counts}  {row.seconds:5.1f}s{mark}"


def row_details(row: Row, *, every: bool = False) -> list[str]:
    """The lines below a cell: its failures, and with `every` each feature."""
    lines = [f"    trouble: {row.trouble} (logs: {row.logs})"] if row.trouble else []
    session = next((verdict for verdict in row.verdicts if verdict.feature == "initialize"), None)
    if session is not None and session.status == "failed" and not every:
        rest = sum(verdict.status == "failed" for verdict in row.verdicts) - 1
        return [
            *lines,
            f"    failed   initialize  [{session.reason}] {session.detail}; {rest} more for want of a session",
        ]
    lines.extend(
        f"    {verdict.status:<8} {verdict.feature:<24} [{verdict.reason}] {verdict.detail}"
        for verdict in row.verdicts
        if every or verdict.status == "failed"
    )
    return lines


def reasons(rows: Iterable[Row]) -> list[str]:
    """Every typed reason of what is not plainly ok, with how often and where it came up."""
    found: dict[tuple[str, str, str], int] = Counter()
    cells: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for row in rows:
        for verdict in row.verdicts:
            if verdict.status == "ok":
                continue
            key = (verdict.status, verdict.feature, verdict.reason)
            found[key] += 1
            cells[key].add(str(row.cell))
    lines = []
    for (status, feature, reason), count in sorted(found.items()):
        where = sorted(cells[status, feature, reason])
        example = where[0] if len(where) == 1 else f"{where[0]}, …"
        lines.append(f"  {status:<8} {feature:<24} {reason:<60} x{count} ({example})")
    return lines


def totals(rows: Iterable[Row]) -> str:
    """The counts over all cells in one line."""
    all_rows = list(rows)
    counts = {status: sum(row.counts[status] for row in all_rows) for status in STATUSES}
    bad = sum(row.failed for row in all_rows)
    text = ", ".join(f"{count} {status}" for status, count in counts.items())
    return f"{len(all_rows)} cells: {text}; {bad} cells failed"


def direct_lines(runs: Mapping[Cell, Run]) -> list[str]:
    """What each SDK does not do by itself: the ground of every excuse."""
    lines = []
    for cell, run in sorted(runs.items()):
        short = [line for line in run.lines.values() if line.status in ("failed", "unsupported")]
        state = run.trouble or f"{len(run.lines)} features, {len(short)} not by itself"
        lines.append(f"  {cell!s:<40} {state}")
        lines.extend(f"      {line.feature:<24} {line.brief}" for line in short)
    return lines


def as_json(rows: Iterable[Row], runs: Mapping[Cell, Run]) -> dict[str, Any]:
    """The whole run as data."""
    return {
        "cells": [
            {
                "client": str(row.cell.client),
                "server": str(row.cell.server),
                "counts": row.counts,
                "seconds": round(row.seconds, 2),
                "trouble": row.trouble,
                "verdicts": [
                    {
                        "feature": verdict.feature,
                        "status": verdict.status,
                        "outcome": verdict.outcome,
                        "reason": verdict.reason,
                        "detail": verdict.detail,
                    }
                    for verdict in row.verdicts
                ],
            }
            for row in rows
        ],
        "direct": {
            str(cell): {
                "trouble": run.trouble,
                "features": {line.feature: line.status for line in run.lines.values()},
            }
            for cell, run in sorted(runs.items())
        },
    }
