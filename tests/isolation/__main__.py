"""`python -m tests.isolation`: both runs in full size; exit code 1 if anybody was told what was not his."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec

from broker import telemetry
from broker.serve import new_loop
from tests.isolation.run import raise_files, run


def main() -> int:
    """Run, print one JSON line per run, say what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.isolation", description=__doc__)
    parser.add_argument("--callers", type=int, default=200)
    parser.add_argument("--calls", type=int, default=10, help="of each caller, at once")
    parser.add_argument("--kills", type=int, default=10, help="of the server, in the second run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guarded", action="store_true", help="with rules, a filter, an audit log and metrics")
    given = parser.parse_args()
    telemetry.configure("json", "error")
    raise_files()
    wrong = 0
    for kills in (0, given.kills):
        with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=new_loop) as runner:
            audit = Path(folder, "audit.jsonl") if given.guarded else None
            report = runner.run(run(given.callers, given.calls, seed=given.seed, kills=kills, audit=audit))
        found, report.problems = report.problems, report.problems[:20]
        wrong += len(found)
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
