"""`python -m benchmarks.restarts`: a thousand processes of servers on pipes under one broker, and what they leave.

Each session has a process of its own. They end in all the ways there are, an equal share of each: ended by the broker,
killed by it because they will not end, killed from outside, ended by themselves without an answer, after one, before
the handshake, with their output closed while they run on, and with a process left behind that holds their pipes. A lost
call must be answered all the same. The broker starts again ever more slowly what ends early, so each of many servers is
visited a few times. Between rounds, with no session open, the broker's processes, descriptors, threads and resident
size are counted, and processes of the servers wherever they are.

Exit status: 0 nothing is left, 1 something is, 2 the run could not be made.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, Final

import msgspec
import uvloop

from benchmarks import pipe_server
from benchmarks.client import HarnessError, Session
from benchmarks.pipe_server import ANSWERS, DEAD, EXITS, LEAVES, MUTE, PID, STAYS
from benchmarks.processes import Child, rss_bytes, tree
from benchmarks.rows import ECHO, NEWEST
from benchmarks.runner import say
from benchmarks.workloads import DECODE, Echo

SERVERS: Final = 200
ROUNDS: Final = 5  # pauses after early ends are half a second, doubled each time
AT_ONCE: Final = 16
KILOBYTES_EACH: Final = 2.0  # of resident size for each restart; a leaked session would be ten times that
KILOBYTES: Final = 2_048  # and for all: an allocator takes what it needs at the busiest moment, and keeps it
SETTLE_SECONDS: Final = 1.0  # for connections that were closed a moment ago
QUIET_SECONDS: Final = 20.0  # until the last process has ended; the broker kills what stays after five
ENDED, KILLED = "ended", "killed"
ANY: Final = (ENDED, KILLED, EXITS, ANSWERS, MUTE, LEAVES)
"""Ways that every server can end; those of `SPECIAL` need a server of their own."""
SPECIAL: Final = (STAYS, DEAD)
WAYS: Final = (*ANY, *SPECIAL)


class Count(msgspec.Struct):
    """What one process holds. `processes` are its descendants, and those with the run's mark that are orphans."""

    processes: int
    descriptors: int
    threads: int
    kilobytes: int


def count(pid: int, mark: str = "") -> Count:
    """What the process holds now; its size is its own, without its descendants."""
    return Count(
        processes=len({*tree(pid), *marked(mark)} - {pid}),
        descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        threads=len(list(Path(f"/proc/{pid}/task").iterdir())),
        kilobytes=rss_bytes(pid) // 1024,
    )


def marked(mark: str) -> set[int]:
    """The processes of this machine that have a word in their command line."""
    found = set()
    for each in Path("/proc").glob("[0-9]*/cmdline") if mark else ():
        try:
            if mark.encode() in each.read_bytes().split(b"\0"):
                found.add(int(each.parent.name))
        except OSError:
            continue
    return found


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


def way(server: int, turn: int) -> str:
    """How a server's process ends in a round: of eight servers two are special, the others take turns."""
    place = server % len(WAYS)
    return WAYS[place] if place >= len(ANY) else ANY[(place + turn) % len(ANY)]


class Run:
    """One broker before so many servers."""

    def __init__(self, folder: Path, servers: int) -> None:
        self.servers = range(servers)
        self.mark = f"run-{secrets.token_hex(8)}"
        configuration = {
            "servers": {str(server): {"command": self._command(server)} for server in self.servers},
            "log": {"level": "error"},
        }
        file = folder / "restarts.json"
        file.write_bytes(msgspec.json.encode(configuration))
        self.broker = Child(["{bin}/dragoman", "serve", str(file), "--port", "{port}"])
        self._room = asyncio.Semaphore(AT_ONCE)

    def _command(self, server: int) -> tuple[str, ...]:
        ends = way(server, 0)
        return pipe_server.command(sys.executable, *([ends] if ends in SPECIAL else []), self.mark)

    async def round(self, turn: int | None) -> None:
        """A process of every server, that ends as its turn is; the warm-up has none, and all end well but the dead."""
        await asyncio.gather(*(self._visit(server, turn) for server in self.servers))

    async def quiet(self) -> Count:
        """The count once every process has ended, or has had the time to."""
        pid = self.broker.process.pid
        deadline = time.monotonic() + QUIET_SECONDS
        while count(pid, self.mark).processes and time.monotonic() < deadline:  # noqa: ASYNC110 - other processes, which set no event
            await asyncio.sleep(0.05)
        await asyncio.sleep(SETTLE_SECONDS)
        return count(pid, self.mark)

    async def _visit(self, server: int, turn: int | None) -> None:
        ends = way(server, turn or 0)
        if turn is None and ends not in SPECIAL:
            ends = ENDED
        async with self._room:
            session = Session(self.broker.port, f"/servers/{server}/mcp", NEWEST, {})
            try:
                if ends == DEAD:
                    await _refused(session)
                else:
                    await session.open()
                    await _end(session, ends)
            finally:
                await session.end()


async def _refused(session: Session) -> None:
    try:
        await session.open()
    except HarnessError as error:
        if b'"error"' not in str(error).encode():
            raise
    else:
        raise HarnessError("a server that ends before the handshake was shaken hands with")


async def _end(session: Session, ends: str) -> None:
    """Call, and see to it that the process ends, unless the end of the session does that."""
    await _echo(session, ECHO)
    if ends == KILLED:
        _, [answer] = await session.ask(Echo(PID).body(2, ""))
        result = DECODE.decode(answer).result
        if result is None:
            raise HarnessError(f"the process did not say who it is: {answer!r:.200}")
        os.kill(int(result.content[0].text), signal.SIGKILL)
    elif ends == ANSWERS:
        await _echo(session, Echo(ANSWERS))
    elif ends in (EXITS, MUTE, LEAVES):
        status, messages = await session.ask(Echo(ends).body(2, "mark"))
        if status != 200 or not messages or b'"error"' not in messages[-1]:
            raise HarnessError(f"a call lost by {ends!r} was answered {status} {messages[:1]!r:.200}")


async def _echo(session: Session, tool: Echo) -> None:
    status, messages = await session.ask(tool.body(1, "mark"))
    if status != 200 or not tool.accepts(messages, 1, "mark", NEWEST):
        raise HarnessError(f"a call was answered {status} {messages[:1]!r:.200}")


async def measured(servers: int, rounds: int) -> list[Count]:
    """The counts after the warm-up and after every round."""
    with TemporaryDirectory() as folder:
        run = Run(Path(folder), servers)
        try:
            await run.broker.ready()
            await run.round(None)
            counts = [await run.quiet()]
            for turn in range(rounds):
                say(f"round {turn + 1} of {rounds}: {servers} restarts")
                await run.round(turn)
                counts.append(await run.quiet())
            return counts
        finally:
            run.broker.end()


def _stop(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(argv: list[str] | None = None) -> int:
    """Run and print; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restarts", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--servers", type=int, default=SERVERS, help="each restarted once a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds (%(default)s)")
    given = parser.parse_args(argv)
    previous: Any = signal.signal(signal.SIGTERM, _stop)
    began = time.monotonic()
    try:
        counts = uvloop.run(measured(given.servers, given.rounds))
    except (HarnessError, KeyboardInterrupt, TimeoutError, OSError) as error:
        print(f"not measured: {str(error) or type(error).__name__}", file=sys.stderr)
        return 2
    finally:
        signal.signal(signal.SIGTERM, previous)
    ends = [way(server, turn) for turn in range(given.rounds) for server in range(given.servers)]
    shares = ", ".join(f"{ends.count(name)} {name.strip('-')}" for name in WAYS)
    print(f"{len(ends)} restarts in {time.monotonic() - began:.0f} s: {shares}")
    print(f"{'after round':<12}" + "".join(f" {number or 'warm-up':>8}" for number in range(len(counts))))
    for name in Count.__struct_fields__:
        print(f"{name:<12}" + "".join(f" {getattr(each, name):>8}" for each in counts))
    found = left(counts[0], counts[-1], len(ends))
    print(f"left: {', '.join(found) or 'nothing'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
