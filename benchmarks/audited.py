"""`python -m benchmarks.audited`: what the audit log costs a call, in CPU time, beside a broker without one.

Every round visits every load, and within it a broker without an audit log and one with each way of forcing lines to the
disk, in turn and in reversed order every second round; ratios are taken per round. Exit status: 0 every gate holds,
1 one does not, 2 the run could not be made.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.client import HarnessError
from benchmarks.facts import STATELESS
from benchmarks.gated import ended
from benchmarks.load import Control, Target, window
from benchmarks.processes import BACKEND_COMMAND, BROKER_COMMAND, Child
from benchmarks.rows import ECHO, NEWEST, OLDEST, Load

MODES: Final = ("none", "interval", "each")
"""Without an audit log, and with one whose lines are forced to the disk beside the calls, or before each."""

LOADS: Final = (
    Load("equal", ECHO, NEWEST, NEWEST, 16),
    Load("older", ECHO, OLDEST, NEWEST, 16),
    Load("stateless", ECHO, STATELESS, STATELESS, 16),
    Load("bridged", ECHO, STATELESS, NEWEST, 16),
    Load("crossing", ECHO, NEWEST, STATELESS, 16),
)

GATE: Final = 2.0
"""Most of a small call's CPU with a log forced to the disk beside the calls; 1.35 is aimed for. `each` is watched."""


class Row(msgspec.Struct, frozen=True):
    """The CPU of one load, in microseconds a call by mode, and the ratios to `none` by mode."""

    load: str
    us: dict[str, float]
    ratios: dict[str, list[float]]


async def measured(rounds: int, seconds: float, folder: Path, loads: tuple[Load, ...] = LOADS) -> list[Row]:
    """All rounds."""
    backend = Child(BACKEND_COMMAND)
    children: dict[tuple[str, str], Child] = {}
    found: dict[str, dict[str, list[float]]] = {load.name: {mode: [] for mode in MODES} for load in loads}
    try:
        await backend.ready()
        control = Control(backend.port)
        for number in range(rounds):
            for load in loads:
                for mode in MODES if number % 2 == 0 else reversed(MODES):
                    gc.collect()
                    key = (mode, load.backend)
                    if key not in children:
                        url = f"http://127.0.0.1:{backend.port}/{load.backend}/mcp"
                        children[key] = Child(_command(mode, folder / f"{mode}-{load.backend}"), url=url)
                        await children[key].ready()
                    child = children[key]
                    target = Target(mode, child.port, child.path, child.meter)
                    seen = await window(target, control, load.workload, load.client, load.concurrency, seconds)
                    if seen.wrong or seen.failed or not seen.calls:
                        raise HarnessError(f"{load.name}, {mode}: {seen.wrong} wrong, {seen.failed} unanswered calls")
                    found[load.name][mode].append(seen.cpu_ns / seen.calls / 1e3)
    finally:
        backend.end()
        for child in children.values():
            child.end()
    return [_row(load.name, found[load.name]) for load in loads]


def _command(mode: str, folder: Path) -> str:
    if mode == "none":
        return BROKER_COMMAND
    folder.mkdir()
    return f"{BROKER_COMMAND} --audit {folder / 'audit.jsonl'} --audit-fsync {mode}"


def _row(load: str, seen: dict[str, list[float]]) -> Row:
    base = seen["none"]
    return Row(
        load,
        {mode: statistics.median(values) for mode, values in seen.items()},
        {mode: sorted(value / without for value, without in zip(seen[mode], base, strict=True)) for mode in MODES[1:]},
    )


def text(rows: list[Row]) -> str:
    """The table: microseconds of CPU a call, and the ratio of each mode with its range."""
    lines = [f"{'load':<12}" + "".join(f"{mode:>12}" for mode in MODES) + "   ratio [range]"]
    for row in rows:
        ratios = "   ".join(
            f"{mode} {statistics.median(values):.2f} [{values[0]:.2f}-{values[-1]:.2f}]"
            for mode, values in row.ratios.items()
        )
        lines.append(f"{row.load:<12}" + "".join(f"{row.us[mode]:>9.0f} us" for mode in MODES) + f"   {ratios}")
    return "\n".join(lines)


def beyond(rows: list[Row]) -> list[str]:
    """The loads beyond the gate."""
    return [row.load for row in rows if statistics.median(row.ratios["interval"]) > GATE]


def main(argv: list[str] | None = None) -> int:
    """Run, print; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audited", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one window")
    parser.add_argument("--loads", help="comma-separated; of: " + ", ".join(load.name for load in LOADS))
    given = parser.parse_args(argv)
    wanted = given.loads.split(",") if given.loads else [load.name for load in LOADS]
    loads = tuple(load for load in LOADS if load.name in wanted)
    return ended(lambda folder: measured(given.rounds, given.seconds, folder, loads), text, beyond, GATE)


if __name__ == "__main__":
    sys.exit(main())
