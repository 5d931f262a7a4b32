"""The bench of heavy messages: each is sent, answered and counted, and the gate is on every one.

The invariant: no assertion here depends on how fast the machine is.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.heavy import BODIES, GATE, RESULTS, Row, beyond, measured, text


def test_every_message_is_answered_and_costs_something(tmp_path: Path) -> None:
    rows = asyncio.run(measured(1, tmp_path))
    assert [row.name for row in rows] == [*BODIES, *RESULTS]
    assert all(row.ms[0] > 0 and row.ratios[0] > 0 and row.size > 100_000 for row in rows)


def test_a_message_beyond_the_gate_is_named() -> None:
    rows = [Row("light", 1, [1.0], [GATE]), Row("heavy", 1, [1.0, 1.0, 1.0], [GATE - 1, GATE + 1, GATE + 2])]
    assert beyond(rows) == ["heavy"]
    assert f"{GATE + 1:.2f} [{GATE - 1:.2f} {GATE + 2:.2f}]" in text(rows)
