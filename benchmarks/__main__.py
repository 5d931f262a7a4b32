"""`python -m benchmarks`: the broker beside a bare aiohttp byte pass-through and the direct call, in one
interleaved run.

Exit status: 0 every enforced gate holds, 1 one does not, 2 the run could not be made.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import uvloop

from benchmarks import table
from benchmarks.client import HarnessError
from benchmarks.processes import BROKER_COMMAND
from benchmarks.report import Line, limit_line, row_line
from benchmarks.rows import CONNECTIONS, LIMITS, LOADS, REQUESTS, ROWS
from benchmarks.runner import Bench, Options

NAMES = tuple(row.name for row in (*ROWS, *LIMITS))
QUICK_ROUNDS, QUICK_SECONDS, QUICK_SESSIONS, QUICK_PARKED, QUICK_STARTS = 3, 0.4, (200, 600), (100, 400), 3


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", help="comma-separated; of: " + ", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: to see that all is well")
    parser.add_argument("--rounds", type=int, help="rounds (5)")
    parser.add_argument("--seconds", type=float, help="length of one window (1.5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round there")
    parser.add_argument(
        "--broker-command",
        default=BROKER_COMMAND,
        help="how the broker is started; {url} {port} {python} {bin} are filled in (%(default)s)",
    )
    return parser.parse_args(argv)


def options(given: argparse.Namespace) -> Options:
    """The measures of this run."""
    full = Options(broker_command=given.broker_command)
    return Options(
        broker_command=given.broker_command,
        rounds=given.rounds or (QUICK_ROUNDS if given.quick else full.rounds),
        seconds=given.seconds or (QUICK_SECONDS if given.quick else full.seconds),
        sessions=QUICK_SESSIONS if given.quick else full.sessions,
        parked=QUICK_PARKED if given.quick else full.parked,
        starts=QUICK_STARTS if given.quick else full.starts,
    )


async def measured(chosen: Options, names: frozenset[str]) -> list[Line]:
    """The lines of the named rows."""
    needed = {row.load for row in ROWS if row.name in names}
    if names & {REQUESTS.name, CONNECTIONS.name} and not needed:
        needed = {LOADS[0].name}
    results = await Bench(chosen).run([load for load in LOADS if load.name in needed], names)
    lines = [row_line(row, results) for row in ROWS if row.name in names]
    return lines + [limit_line(limit, results) for limit in LIMITS if limit.name in names]


def _stop(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(argv: list[str] | None = None) -> int:
    """Run, print, write; the exit status."""
    given = arguments(argv)
    names = frozenset(given.rows.split(",") if given.rows else NAMES)
    if unknown := names - set(NAMES):
        print(f"no such row: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    chosen = options(given)
    before: dict[str, Any] = table.machine()
    # ended like by Ctrl-C, so that the children are ended too
    previous = signal.signal(signal.SIGTERM, _stop)
    try:
        lines = uvloop.run(measured(chosen, names))
    except (HarnessError, KeyboardInterrupt) as error:
        print(f"not measured: {str(error) or 'interrupted'}", file=sys.stderr)
        return 2
    finally:
        signal.signal(signal.SIGTERM, previous)
    print(table.text(lines))
    if given.json:
        given.json.write_bytes(table.json(lines, chosen, before))
    return 1 if any(line.failed for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
