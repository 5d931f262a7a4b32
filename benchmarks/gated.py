"""How a measurement with a gate ends as a command: its table, what is beyond the gate, and the exit status."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from benchmarks.client import HarnessError

Row = TypeVar("Row")


def ended(
    measured: Callable[[Path], Coroutine[Any, Any, list[Row]]],
    text: Callable[[list[Row]], str],
    beyond: Callable[[list[Row]], list[str]],
    gate: float,
) -> int:
    """Measure, in a folder that is gone afterwards, and print; 0 within the gate, 1 beyond, 2 for no measure."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            rows = uvloop.run(measured(Path(folder)))
    except (HarnessError, OSError, TimeoutError, KeyboardInterrupt) as error:
        print(f"not measured: {str(error) or 'interrupted'}", file=sys.stderr)
        return 2
    print(text(rows))
    found = beyond(rows)
    if found:
        print(f"beyond the gate of {gate:g}: {', '.join(found)}")
    return 1 if found else 0
