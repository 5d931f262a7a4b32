"""The table on the terminal, and the same as JSON with the machine it was taken on.

The invariant: whoever reads a figure sees its ratio, its range, its gate and its target beside it.
"""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

import msgspec

from benchmarks.report import Line
from benchmarks.runner import Options

LIBRARIES = ("aiohttp", "httptools", "msgspec", "uvloop")
HEADINGS = (
    "figure",
    "setting",
    "direct",
    "pass-through",
    "broker",
    "ratio [range]",
    "gate",
    "target",
    "verdict",
)


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{shown} {unit}".strip() if unit != "/s" else f"{shown}/s"


def _ratio(line: Line) -> str:
    if not line.ratio:
        return "-"
    median, low, high = line.ratio
    return f"{median:.2f} [{low:.2f}-{high:.2f}]"


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def text(lines: list[Line]) -> str:
    """The table, columns aligned, notes below it."""
    cells = [HEADINGS]
    cells += [
        (
            line.title,
            line.setting,
            _number(line.direct, line.unit),
            _number(line.base, line.unit),
            _number(line.broker, line.unit),
            _ratio(line),
            _bound(line.gate) + ("*" if line.enforced else ""),
            _bound(line.target),
            line.verdict,
        )
        for line in lines
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADINGS))]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    rows.insert(1, "  ".join("-" * width for width in widths))
    notes = [f"! {line.name}: {note}" for line in lines for note in line.notes]
    legend = "* enforced gate. Ratio: broker to pass-through, median of the rounds [lowest-highest]."
    return "\n".join([*rows, "", legend, *notes])


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in LIBRARIES},
    }


def json(lines: list[Line], options: Options, before: dict[str, Any]) -> bytes:
    """The whole run as one indented JSON document."""
    document = {
        "machine": before,
        "load_after": os.getloadavg(),
        "options": options,
        "passed": not any(line.failed for line in lines),
        "rows": lines,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
