"""Processes of the matrix: peers and the broker, started on loopback, awaited with a bound, ended by
process id.

Every child leads its own process group, so that what a launcher (`uv run`, `npx`) started ends with it.
Output goes to files, which are what a failing cell points at.
Invariant: leaving a `Children` block leaves no process of its own behind, whatever happened inside.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

START_DEADLINE_S: Final = 90.0
"""A cold `uv run --script` resolves and unpacks an SDK first; warm starts take about a second."""
BROKER_DEADLINE_S: Final = 20.0
TERM_GRACE_S: Final = 5.0
"""Between SIGTERM and SIGKILL; a TypeScript server with open pushes may linger to its 60 s otherwise."""
POLL_S: Final = 0.02
LOOPBACK: Final = "127.0.0.1"


class LaunchError(RuntimeError):
    """A process did not come up; the text names its log."""


HELD_PORTS: Final = 256
"""Ports that are held for their servers; whoever was given an older one has long since listened on it."""
_held: deque[socket.socket] = deque()
_held_lock = threading.Lock()


@atexit.register
def _let_go() -> None:
    """Close what is held; the system would do so, and Python would complain."""
    with _held_lock:
        while _held:
            _held.popleft().close()


def free_port() -> int:
    """A loopback port nobody listens on, and that no other process is given before a server of ours listens there.

    The socket that it was found with stays bound. On Linux that keeps the port from being chosen again, by this process
    or another, while a server that sets SO_REUSEADDR, as all event loops do, can listen on it.
    """
    held = socket.socket()
    if sys.platform == "linux":
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((LOOPBACK, 0))
    port = int(held.getsockname()[1])
    if sys.platform != "linux":
        held.close()
    with _held_lock:
        _held.append(held)
        if len(_held) > HELD_PORTS:
            _held.popleft().close()
    return port


@dataclass
class Child:
    """One started process: its files `out` and `err` grow while it lives."""

    name: str
    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        """Everything written to stdout so far."""
        return self.out.read_text(encoding="utf-8", errors="replace")

    def tail(self, lines: int = 12) -> str:
        """The last lines of stderr, for a failure's text."""
        return "\n".join(self.err.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def kill(self) -> None:
        """End the group at once, as a crash would, and reap the leader."""
        _signal_group(self.pid, signal.SIGKILL)
        self.process.wait(TERM_GRACE_S)

    def stop(self) -> int:
        """End the group: SIGTERM, a grace, then SIGKILL. Gives the leader's return code."""
        _signal_group(self.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(TERM_GRACE_S)
        _signal_group(self.pid, signal.SIGKILL)
        return self.process.wait(TERM_GRACE_S)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


@dataclass
class Children:
    """The processes of one cell; a context manager that ends them in reverse order of their start."""

    folder: Path
    _started: list[Child] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._started:
            self._started.pop().stop()

    def start(self, name: str, command: Sequence[str], env: dict[str, str] | None = None) -> Child:
        """Start `command` in a group of its own; `name` names its files, a number is added on repetition."""
        stem = name
        repeat = 1
        while (self.folder / f"{stem}.out").exists():
            repeat += 1
            stem = f"{name}-{repeat}"
        out, err = self.folder / f"{stem}.out", self.folder / f"{stem}.err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            try:
                process = subprocess.Popen(  # noqa: S603 - commands come from our own tables, without a shell
                    list(command),
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    start_new_session=True,
                    env={**os.environ, **(env or {})},
                )
            except OSError as error:
                raise LaunchError(f"{name}: cannot start {command[0]!r}: {error}") from error
        child = Child(name, process, out, err)
        self._started.append(child)
        return child

    def server(self, name: str, command: Sequence[str], port: int | None = None) -> tuple[Child, str]:
        """Start a server peer (`COMMAND --port N`); gives it and its URL once it has printed READY."""
        chosen = free_port() if port is None else port
        child = self.start(name, [*command, "--port", str(chosen)])
        return child, await_ready(child)

    def broker(
        self,
        backend: str | Sequence[str],
        *options: str,
        port: int | None = None,
        name: str = "broker",
        env: dict[str, str] | None = None,
    ) -> tuple[Child, str]:
        """Start `dragoman proxy` before the backend, a URL or a command; gives it and its URL once its port answers."""
        chosen = free_port() if port is None else port
        command = [sys.executable, "-m", "broker", "proxy", "--host", LOOPBACK, "--port", str(chosen), *options]
        child = self.start(name, [*command, *([backend] if isinstance(backend, str) else ["--", *backend])], env)
        await_port(child, chosen)
        return child, f"http://{LOOPBACK}:{chosen}/mcp"

    def configured(self, tree: Mapping[str, Any], name: str = "broker") -> str:
        """Start `dragoman serve` with a configuration; gives what its servers' paths follow, `http://HOST:PORT`."""
        port = free_port()
        file = self.folder / f"{name}-{port}.json"
        file.write_text(json.dumps({**tree, "host": LOOPBACK, "port": port}), encoding="utf-8")
        child = self.start(name, [sys.executable, "-m", "broker", "serve", str(file)])
        await_port(child, port)
        return f"http://{LOOPBACK}:{port}"

    def run(
        self, name: str, command: Sequence[str], deadline_s: float, env: dict[str, str] | None = None
    ) -> tuple[Child, int | None]:
        """Run a command to its end; gives it and its return code, None when the deadline ended it."""
        child = self.start(name, command, env)
        try:
            code: int | None = child.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            code = None
        child.stop()
        self._started.remove(child)
        return child, code


def await_ready(child: Child, deadline_s: float = START_DEADLINE_S) -> str:
    """The URL of the line `READY <url>` on the child's stdout."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        for line in child.output().splitlines():
            if line.startswith("READY "):
                return line.removeprefix("READY ").strip()
        _fail_if_ended(child)
        time.sleep(POLL_S)
    raise LaunchError(f"{child.name}: no READY line within {deadline_s:.0f} s; see {child.err}\n{child.tail()}")


def await_port(child: Child, port: int, deadline_s: float = BROKER_DEADLINE_S) -> None:
    """Return once the port accepts a connection."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        _fail_if_ended(child)
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return
        time.sleep(POLL_S)
    raise LaunchError(f"{child.name}: port {port} closed after {deadline_s:.0f} s; see {child.err}\n{child.tail()}")


def _fail_if_ended(child: Child) -> None:
    code = child.process.poll()
    if code is not None:
        raise LaunchError(f"{child.name}: ended with status {code}; see {child.err}\n{child.tail()}")
