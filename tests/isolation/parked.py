"""`python -m tests.isolation.parked`: what a suspended call costs this process, as JSON lines.

The server is within the process and sends nothing over sockets, so that the figures are those of the broker's own
state: the call, its question, its timers, and the session it has or shares. `bytes` is the slope of the resident set
between a first and a second batch, `allocated` that of Python's allocations.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec

from broker.serve import new_loop
from tests.broker.memory_world import MemoryWorld

BATCH = 500
LIMITS = {
    "parked": 10_000,
    "parked_per_principal": 10_000,
    "parked_per_session": 10_000,
    "pool_connections": 50_000,
    "backend_calls_per_principal": 10_000,
    "backend_sessions_per_principal": 5_000,
}


class Cost(msgspec.Struct):
    """Of one suspended call; `own_session` if it has a session for itself, else a hundred share one."""

    own_session: bool
    bytes: int
    allocated: int


def resident() -> int:
    """Bytes of the process that are in memory."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def park(world: MemoryWorld, count: int, begin: int) -> None:
    """Suspend so many calls, a hundred of each caller."""
    for number in range(begin, begin + count, 100):
        found = await asyncio.gather(*(world.call(f"caller-{number}") for _ in range(100)))
        assert all(answer["resultType"] == "input_required" for answer in found)


async def measure(*, own_session: bool, measured: Any, batch: int = BATCH) -> int:
    """The slope of `measured()` over one batch, after another."""
    attribution = "exclusive" if own_session else "newest"
    world = MemoryWorld(limits=LIMITS, backend={"attribution": attribution})
    try:
        await park(world, batch, 0)
        gc.collect()
        before = measured()
        await park(world, batch, batch)
        gc.collect()
        return int((measured() - before) / batch)
    finally:
        world.close()


def main() -> int:
    """Measure both, print both."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        for own_session in (False, True):
            slope = runner.run(measure(own_session=own_session, measured=resident))
            tracemalloc.start()
            allocated = runner.run(
                measure(own_session=own_session, measured=lambda: tracemalloc.get_traced_memory()[0])
            )
            tracemalloc.stop()
            cost = Cost(own_session=own_session, bytes=slope, allocated=allocated)
            sys.stdout.write(msgspec.json.encode(cost).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
