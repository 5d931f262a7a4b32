"""`python -m tests.revocation`: every way a credential ends, in full size; exit code 1 if anything is wrong."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec

from broker import telemetry
from broker.serve import new_loop
from tests.isolation.run import raise_files
from tests.revocation.run import ERAS, WAYS, run


def main() -> int:
    """Run, print one JSON line per run, say what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.revocation", description=__doc__)
    parser.add_argument("--streams", type=int, default=500, help="of the caller whose credential ends")
    parser.add_argument("--others", type=int, default=50, help="streams of another caller, which go on")
    given = parser.parse_args()
    telemetry.configure("json", "error")
    raise_files()
    wrong = 0
    for era in ERAS:
        for way in WAYS:
            with asyncio.Runner(loop_factory=new_loop) as runner, tempfile.TemporaryDirectory() as folder:
                report = runner.run(run(given.streams, given.others, era=era, way=way, folder=Path(folder)))
            wrong += len(report.problems)
            report.problems = report.problems[:20]
            sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
            sys.stdout.flush()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
