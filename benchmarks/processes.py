"""Child processes of a run: started on free loopback ports, measured from outside, ended by their own id.

CPU is the scheduler's own counter in nanoseconds, children included: the process CPU clock of Linux, which is
what /proc/<pid>/task/*/schedstat shows summed over threads, ended threads included. The invariant: a meter
never runs backwards.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.client import HarnessError

READY_SECONDS = 20.0  # the slowest start the paper saw was 6 s
END_SECONDS = 5.0  # from SIGTERM to SIGKILL
PASSTHROUGH_COMMAND = "{python} -m benchmarks.passthrough {url} --port {port}"
BACKEND_COMMAND = "{python} -m benchmarks.backend --port {port}"
ASKING_COMMAND = "{python} -m benchmarks.asking --port {port}"
BROKER_COMMAND = "{bin}/dragoman proxy {url} --host 127.0.0.1 --port {port}"
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def held_port() -> socket.socket:
    """A socket on a loopback port nobody listens on. While it is open, no process is given that port by chance, and one
    that sets SO_REUSEADDR can listen on it."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def tree(pid: int, without: str = "") -> list[int]:
    """The process and its living descendants; not those with the word `without` in their command line, nor theirs."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split() if not _says(child, without)]
            except OSError:
                continue
    return found


def _says(pid: str, word: str) -> bool:
    if not word:
        return False
    try:
        return word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False  # it has just ended


def cpu_ns(pid: int) -> int | None:
    """CPU time of one process in ns, all its threads; None when it has gone."""
    try:
        # clock_getcpuclockid(3): the scheduler's clock of a whole process
        return time.clock_gettime_ns((~pid << 3) | 2)
    except OSError:
        return None


def schedstat_ns(pid: int) -> int:
    """The same from /proc/<pid>/task/*/schedstat: living threads only."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def rss_bytes(pid: int, without: str = "") -> int:
    """Resident memory of the process tree in bytes; `without` as for `tree`."""
    total = 0
    for member in tree(pid, without):
        try:
            total += int(Path(f"/proc/{member}/statm").read_text().split()[1]) * PAGE_BYTES
        except OSError:
            continue
    return total


class Meter:
    """CPU time of a process tree; a child that has ended keeps what was last read of it.

    `without`: processes with this word in their command line are not counted, nor is what they started.
    """

    def __init__(self, pid: int, without: str = "") -> None:
        self.pid = pid
        self.without = without
        self.seen: dict[int, int] = {}

    def read_ns(self) -> int:
        """CPU time so far, in ns."""
        for member in tree(self.pid, self.without):
            now = cpu_ns(member)
            if now is not None:
                self.seen[member] = max(now, self.seen.get(member, 0))
        return sum(self.seen.values())


class Child:
    """One started process that serves `path` at `port`; `{port}` and the like in its command are filled in.

    `without`: what its meter leaves out.
    """

    def __init__(
        self,
        command: str | Sequence[str],
        path: str = "/mcp",
        url: str = "",
        *,
        environment: Mapping[str, str] | None = None,
        without: str = "",
    ) -> None:
        self.held = held_port()
        self.port = int(self.held.getsockname()[1])
        self.path = path
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        values = {
            "python": sys.executable,
            "bin": str(Path(sys.executable).parent),
            "url": url,
            "port": self.port,
        }
        words = shlex.split(command) if isinstance(command, str) else command
        self.command = [part.format(**values) for part in words]
        self.began_ns = time.perf_counter_ns()
        try:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, env=environment
            )
        except OSError as error:
            self.held.close()
            self.log.close()
            raise HarnessError(f"cannot start {self.command[0]}: {error.strerror}") from error
        self.meter = Meter(self.process.pid, without)

    async def ready(self) -> None:
        """Wait until the port answers.

        Raises:
            HarnessError: the process ended, or 20 seconds passed; carries the end of its output.
        """
        deadline = time.monotonic() + READY_SECONDS
        loop = asyncio.get_running_loop()
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.001)
                continue
            transport.close()
            return
        output = self.output()
        self.end()
        raise HarnessError(f"{' '.join(self.command)} did not come up: {output[-1500:]}")

    def output(self) -> str:
        """What the process has printed so far."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def obituary(self) -> str:
        """How a process that is no more ended, with the last lines of its output."""
        lines = self.output().strip().splitlines()[-3:]
        return f"the process ended with status {self.process.poll()}: {' / '.join(lines):.500}"

    def end(self) -> None:
        """SIGTERM by id, SIGKILL five seconds later."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(END_SECONDS)
        self.held.close()
        self.log.close()
