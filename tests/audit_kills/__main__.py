"""`python -m tests.audit_kills`: the run in full size; exit code 1 if the log does not tell a call that ran."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec

from broker.serve import new_loop
from tests.audit_kills.run import run


def main() -> int:
    """Run, print one JSON line, say what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.audit_kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="brokers that are killed, one after the other")
    parser.add_argument("--fsync", choices=["off", "interval", "each"], default="interval")
    parser.add_argument("--clients", type=int, default=2, help="of each era before a server of each era")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=new_loop) as runner:
        report = runner.run(run(Path(folder), given.kills, seed=given.seed, fsync=given.fsync, clients=given.clients))
    wrong, report.problems = len(report.problems), report.problems[:20]
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
