"""`python -m benchmarks.pipes`: `dragoman` beside PyPI's `mcp-proxy`, interleaved, in both directions.

`pipe` is `dragoman stdio URL` before one HTTP server, `front` is `dragoman proxy -- COMMAND` before a server on a pipe.
What is paid for a bridge: the time from exec to the first `initialize` answered, and its CPU time for each small call.
mcp-proxy is installed into an environment of its own, at a pinned release. Both are started once before they are timed
and keep their bytecode in a folder of the run, as installed programs do.

Exit status: 0 every enforced gate holds, 1 one does not, 2 the run could not be made.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, Final

import msgspec
import uvloop

from benchmarks import fronts, mcp_proxy, table
from benchmarks.client import HarnessError
from benchmarks.mcp_proxy import BROKER, OTHER, TARGETS, turns
from benchmarks.pipe_client import PipeHost
from benchmarks.processes import BACKEND_COMMAND, Child, Meter, rss_bytes
from benchmarks.report import judge, ratios
from benchmarks.rows import NEWEST, Limit
from benchmarks.runner import say

START: Final = Limit("pipe-start", "exec to first answer on a pipe", "ms", 0.4, 0.25, enforced=True, relative=True)
CPU: Final = Limit("pipe-cpu", "CPU per small call on a pipe, 16 at once", "us", 0.2, 1 / 15, True, relative=True)
CPU_ONE: Final = Limit("pipe-cpu-1", "the same, one at a time", "us", 0.2, 1 / 15, relative=True)
IDLE: Final = Limit("pipe-idle", "size after the handshake", "MB", 0.75, 0.5, relative=True)
CONCURRENCY: Final = {CPU.name: 16, CPU_ONE.name: 1, **fronts.CONCURRENCY}
PIPE, FRONT = "pipe", "front"
LIMITS: Final[Mapping[str, tuple[Limit, ...]]] = {PIPE: (START, IDLE, CPU, CPU_ONE), FRONT: fronts.LIMITS}
Figures = dict[str, dict[str, list[float]]]
"""Of every round, by limit and target."""


class Options(msgspec.Struct, frozen=True):
    """How often and how long."""

    starts: int = 9
    rounds: int = 5
    seconds: float = 1.5


class Line(msgspec.Struct):
    """One figure: medians, and the median, lowest and highest of the rounds' ratios."""

    name: str
    title: str
    unit: str
    gate: float
    target: float
    enforced: bool
    medians: dict[str, float | None]
    ratio: list[float]
    verdict: str
    rounds: dict[str, list[float]]


def commands(url: str) -> dict[str, tuple[str, ...]]:
    """What a host starts, by target.

    Raises:
        HarnessError: mcp-proxy cannot be installed.
    """
    return {
        OTHER: (str(mcp_proxy.program()), "--transport", "streamablehttp", "--log-level", "ERROR", url),
        BROKER: (mcp_proxy.broker(), "stdio", url),
    }


async def measured(parts: Iterable[str], options: Options, bytecode: str) -> Figures:
    """Every figure of every round; one warm-up start each, which is not counted."""
    found: Figures = {limit.name: {kind: [] for kind in TARGETS} for part in parts for limit in LIMITS[part]}
    backend = Child(BACKEND_COMMAND)
    try:
        await backend.ready()
        argv = commands(f"http://127.0.0.1:{backend.port}/{NEWEST}/one/mcp")
        start = partial(PipeHost, revision=NEWEST, environment=mcp_proxy.environment(bytecode))
        if PIPE in parts:
            await _rounds(
                PIPE,
                options,
                found,
                lambda kind: _start(start(argv[kind])),
                lambda kind, at_once: _cpu(start(argv[kind]), at_once, options.seconds),
            )
        if FRONT in parts:
            await _rounds(
                FRONT,
                options,
                found,
                lambda kind: fronts.start(fronts.child(kind, bytecode)),
                lambda kind, at_once: fronts.cpu(fronts.child(kind, bytecode), at_once, options.seconds),
            )
    finally:
        backend.end()
    return found


async def _rounds(
    part: str,
    options: Options,
    found: Figures,
    start: Callable[[str], Awaitable[tuple[float, float]]],
    cpu: Callable[[str, int], Awaitable[float]],
) -> None:
    """The starts of a part, then its windows; every one is a fresh process, and targets take turns."""
    started, idle, *loads = LIMITS[part]
    for number in range(options.starts + 1):
        say(f"{part}: start {number} of {options.starts}")
        for kind in turns(number):
            ms, megabytes = await start(kind)
            if number:
                found[started.name][kind].append(ms)
                found[idle.name][kind].append(megabytes)
    for number in range(options.rounds):
        say(f"{part}: round {number + 1} of {options.rounds}")
        for kind in turns(number):
            for load in loads:
                found[load.name][kind].append(await cpu(kind, CONCURRENCY[load.name]))


async def _start(host: PipeHost) -> tuple[float, float]:
    """Milliseconds to the first answer, and megabytes after it."""
    try:
        await host.open()
        return (host.answered_ns - host.began_ns) / 1e6, rss_bytes(host.pid) / 1024 / 1024
    finally:
        await host.end()


async def _cpu(host: PipeHost, concurrency: int, seconds: float) -> float:
    """Microseconds of CPU time for each right answer.

    Raises:
        HarnessError: an answer was wrong, or none came.
    """
    try:
        await host.open()
        window = await host.window(Meter(host.pid), concurrency, seconds)
    finally:
        await host.end()
    if window.wrong or not window.calls or window.negotiated != NEWEST:
        raise HarnessError(
            f"{host.command[0]}: {window.wrong} wrong of {window.sent} calls, negotiated {window.negotiated}"
        )
    return window.cpu_ns / window.calls / 1e3


def lines(found: Mapping[str, Mapping[str, list[float]]]) -> list[Line]:
    """The table's lines."""
    made = []
    for limit in (limit for part in LIMITS.values() for limit in part if limit.name in found):
        rounds = {kind: list(found[limit.name][kind]) for kind in TARGETS}
        ratio = ratios([*rounds[BROKER]], [*rounds[OTHER]])
        medians = {kind: sorted(values)[len(values) // 2] if values else None for kind, values in rounds.items()}
        verdict = judge(ratio[0] if ratio else None, limit)
        bounds = (limit.gate, limit.target, limit.enforced)
        made.append(Line(limit.name, limit.title, limit.unit, *bounds, medians, ratio, verdict, rounds))
    return made


def text(made: list[Line]) -> str:
    """The table on the terminal; a `*` marks an enforced gate."""
    shown = [f"{'figure':<42} {OTHER:>12} {BROKER:>12}  ratio [range]       gate   target  verdict"]
    for line in made:
        values = " ".join(f"{line.medians[kind] or 0:>9.1f} {line.unit:<2}" for kind in TARGETS)
        ratio = "{:.3f} [{:.3f}-{:.3f}]".format(*line.ratio) if line.ratio else "-"
        gate = f"{line.gate:g}{'*' if line.enforced else ''}"
        shown.append(f"{line.title:<42} {values}  {ratio:<19} {gate:<6} {line.target:<7.3g} {line.verdict}")
    return "\n".join(shown)


def _stop(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(argv: list[str] | None = None) -> int:
    """Run, print, write; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipes", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", default=",".join(LIMITS), help="comma-separated (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round there")
    given = parser.parse_args(argv)
    parts = given.parts.split(",")
    if set(parts) - set(LIMITS):
        parser.error(f"--parts: of {', '.join(LIMITS)}")
    options = Options(starts=3, rounds=2, seconds=0.5) if given.quick else Options()
    before: dict[str, Any] = table.machine()
    previous = signal.signal(signal.SIGTERM, _stop)  # ended like by Ctrl-C, so that the children are ended too
    try:
        with TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            made = lines(runner.run(measured(parts, options, folder)))
    except (HarnessError, KeyboardInterrupt, TimeoutError) as error:
        print(f"not measured: {str(error) or type(error).__name__}", file=sys.stderr)
        return 2
    finally:
        signal.signal(signal.SIGTERM, previous)
    print(text(made))
    if given.json:
        whole = {"machine": before, "requirements": mcp_proxy.REQUIREMENTS, "options": options, "lines": made}
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(whole)))
    return 1 if any(line.verdict == "FAIL" for line in made) else 0


if __name__ == "__main__":
    sys.exit(main())
