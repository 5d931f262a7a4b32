"""The benchmark of the audit log: a window of each mode against a running broker, and how its table reads."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.audited import GATE, LOADS, MODES, Row, beyond, measured, text


async def test_every_mode_is_measured_against_the_same_backend(tmp_path: Path) -> None:
    (row,) = await asyncio.wait_for(measured(1, 0.05, tmp_path, LOADS[:1]), 60)
    assert set(row.us) == set(MODES)
    assert all(value > 0 for value in row.us.values())
    assert set(row.ratios) == {"interval", "each"}
    lines = (tmp_path / f"interval-{LOADS[0].backend}" / "audit.jsonl").read_bytes()
    assert lines.count(b'"event_code":"admitted"') == lines.count(b'"event_code":"outcome"') > 0


def test_the_table_shows_each_ratio_and_what_is_beyond_the_gate() -> None:
    good = Row("a", {"none": 50.0, "interval": 60.0, "each": 300.0}, {"interval": [1.1, 1.2, 1.3], "each": [6.0]})
    bad = Row("b", {"none": 50.0, "interval": 150.0, "each": 300.0}, {"interval": [GATE + 0.1], "each": [6.0]})
    assert "interval 1.20 [1.10-1.30]" in text([good])
    assert beyond([good, bad]) == ["b"]
