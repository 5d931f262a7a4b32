"""`python -m tests.walker --histories 50000 --seed 1 --jobs 2`: many histories, and the shortest that broke."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterator

from tests.walker.walk import STEPS, Broken, broken_of

CHUNK = 250
"""Histories one process takes at a time."""

MAX_BROKEN = 5
"""Broken histories after which no more are looked for."""


def _all(first: int, histories: int, jobs: int) -> Iterator[list[Broken]]:
    end = first + histories
    chunks = [range(start, min(start + CHUNK, end)) for start in range(first, end, CHUNK)]
    if jobs == 1:
        yield from map(broken_of, chunks)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(broken_of, chunks)


def _report(broken: Broken) -> str:
    return f"seed {broken.seed} ({broken.revision}), {broken.steps} moves: {' '.join(broken.names)}\n{broken.error}"


def main() -> int:
    """Exit code 0 if nothing broke, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="tests.walker", description=__doc__)
    parser.add_argument("--histories", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first history; the others follow")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    began = time.monotonic()
    done = 0
    broken: list[Broken] = []
    for found in _all(given.seed, given.histories, given.jobs):
        done = min(done + CHUNK, given.histories)
        broken += found
        if len(broken) >= MAX_BROKEN:
            break
    spent = time.monotonic() - began
    for one in broken[:MAX_BROKEN]:
        sys.stdout.write(_report(one))
    sys.stdout.write(
        f"{done} histories of {STEPS} moves from seed {given.seed} in {spent:.1f} s ({done / spent:.0f}/s), "
        f"{len(broken)} broken\n"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
