"""`python -m benchmarks.restarts`: a thousand processes of a server on a pipe under one broker, and what they leave.

Each session has a process of its own: it is started, called once, and ended with its session; some end in the middle of
a call instead, which the broker answers with ever longer pauses, so they are few. Before and after, with no session
open, the broker's processes, descriptors, threads and resident size are counted.

Exit status: 0 nothing is left, 1 something is, 2 the run could not be made.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, Final

import msgspec
import uvloop

from benchmarks.client import HarnessError, Session
from benchmarks.processes import Child, rss_bytes, tree
from benchmarks.rows import NEWEST
from benchmarks.runner import say
from benchmarks.workloads import Echo

COUNT: Final = 1_000
WARM: Final = 50  # sessions before the first count: pools, caches and the allocator find their size
CRASHES: Final = 4  # the pauses after them are half a second, doubled each time
AT_ONCE: Final = 4
KILOBYTES_EACH: Final = 2.0  # of resident size for each restart; a leaked session would be ten times that
KILOBYTES: Final = 2_048  # and for all: an allocator takes what it needs at the busiest moment, and keeps it
SETTLE_SECONDS: Final = 1.0  # for connections that were closed a moment ago
QUIET_SECONDS: Final = 15.0  # until the last process has ended
ECHO: Final = Echo("echo")
CHILD: Final = """
import json, os, sys
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    params = asked.get("params") or {}
    if asked["method"] == "initialize":
        info = {"name": "child", "version": "1"}
        result = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": info}
    elif params.get("name") == "crash":
        os._exit(3)
    else:
        result = {"content": [{"type": "text", "text": params["arguments"]["text"]}]}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"""


class Count(msgspec.Struct):
    """What one process holds. `processes` are its descendants."""

    processes: int
    descriptors: int
    threads: int
    kilobytes: int


def count(pid: int) -> Count:
    """What the process holds now; its size is its own, without its descendants."""
    return Count(
        processes=len(tree(pid)) - 1,
        descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        threads=len(list(Path(f"/proc/{pid}/task").iterdir())),
        kilobytes=rss_bytes(pid) // 1024,
    )


def left(before: Count, after: Count, restarts: int) -> list[str]:
    """What there is more of after so many restarts than may be."""
    found = [
        f"{getattr(after, name) - getattr(before, name)} {name}"
        for name in ("processes", "descriptors", "threads")
        if getattr(after, name) > getattr(before, name)
    ]
    if after.kilobytes - before.kilobytes > KILOBYTES + restarts * KILOBYTES_EACH:
        found.append(f"{after.kilobytes - before.kilobytes} kilobytes")
    return found


async def _one(broker: Child) -> None:
    """One session: a process is started, called, and ended."""
    session = Session(broker.port, broker.path, NEWEST, {})
    await session.open()
    try:
        status, messages = await session.ask(ECHO.body(1, "mark"))
        if status != 200 or not ECHO.accepts(messages, 1, "mark", NEWEST):
            raise HarnessError(f"a call was answered {status} {messages[:1]!r:.200}")
    finally:
        await session.end()


async def _crash(broker: Child) -> None:
    """One session whose process ends in the middle of a call: the call must be answered all the same."""
    session = Session(broker.port, broker.path, NEWEST, {})
    await session.open()
    try:
        status, messages = await session.ask(Echo("crash").body(1, "mark"))
        if status != 200 or not messages or b'"error"' not in messages[-1]:
            raise HarnessError(f"a lost call was answered {status} {messages[:1]!r:.200}")
    finally:
        await session.end()


async def _sessions(broker: Child, number: int) -> None:
    for begun in range(0, number, AT_ONCE):
        await asyncio.gather(*(_one(broker) for _ in range(min(AT_ONCE, number - begun))))


async def _quiet(broker: Child) -> Count:
    """The count once every process of a session has ended, or has had the time to."""
    deadline = time.monotonic() + QUIET_SECONDS
    while len(tree(broker.process.pid)) > 1 and time.monotonic() < deadline:  # noqa: ASYNC110 - other processes, which set no event
        await asyncio.sleep(0.05)
    await asyncio.sleep(SETTLE_SECONDS)
    return count(broker.process.pid)


async def measured(number: int, crashes: int) -> tuple[Count, Count]:
    """The counts before and after."""
    child = f"{{python}} -S -E -c {shlex.quote(CHILD.replace('{', '{{').replace('}', '}}'))}"
    broker = Child(f"{{bin}}/dragoman proxy --host 127.0.0.1 --port {{port}} --log-level error -- {child}")
    try:
        await broker.ready()
        await _sessions(broker, WARM)
        before = await _quiet(broker)
        for done in range(0, number - crashes, 100):
            say(f"{done} of {number}")
            await _sessions(broker, min(100, number - crashes - done))
        for _ in range(crashes):
            await _crash(broker)
        return before, await _quiet(broker)
    finally:
        broker.end()


def _stop(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(argv: list[str] | None = None) -> int:
    """Run and print; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restarts", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=COUNT, help="restarts (%(default)s)")
    parser.add_argument("--crashes", type=int, default=CRASHES, help="how many of them in the middle of a call")
    given = parser.parse_args(argv)
    previous: Any = signal.signal(signal.SIGTERM, _stop)
    began = time.monotonic()
    try:
        before, after = uvloop.run(measured(given.count, given.crashes))
    except (HarnessError, KeyboardInterrupt, TimeoutError, OSError) as error:
        print(f"not measured: {str(error) or type(error).__name__}", file=sys.stderr)
        return 2
    finally:
        signal.signal(signal.SIGTERM, previous)
    print(f"{given.count} restarts, {given.crashes} of them crashes, in {time.monotonic() - began:.0f} s")
    print(f"{'':<12} {'before':>8} {'after':>8}")
    for name in Count.__struct_fields__:
        print(f"{name:<12} {getattr(before, name):>8} {getattr(after, name):>8}")
    found = left(before, after, given.count)
    print(f"left: {', '.join(found) or 'nothing'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
