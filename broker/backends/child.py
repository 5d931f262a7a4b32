"""One child process that speaks MCP on its pipes: started without a shell, read line by line, ended in good order.

Follows basic/transports (stdio) and basic/lifecycle (shutdown): standard input is closed, then the process is told to
terminate, then it is killed, and with it every process it left in its group. Invariants: the owner hears of the end
exactly once, after the last line; what a child writes to standard error goes to the log, within limits, and means
nothing else.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from broker.backends.base import ChannelOwner
from broker.backends.lines import Lines
from broker.backends.processes import argv_of, group_options, keep_standard, tell
from broker.limit_values import DEFAULTS

CLOSE_S = 2.0
"""How long a child may take to end once its standard input is closed; the Python SDK's client waits as long."""

TERMINATE_S = 3.0
"""How long it may take after SIGTERM before it is killed."""

DRAIN_S = 0.25
"""How long the pipe of a child that has ended is still read; a grandchild may hold it open for ever."""

STDERR_LINE = 2_048
"""Bytes of one line of standard error that are logged."""

STDERR_LINES = 200
"""Lines of standard error that are logged within STDERR_S; the others are counted."""

STDERR_S = 10.0

INHERITED = (
    ("APPDATA", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "PATH", "PATHEXT", "PROCESSOR_ARCHITECTURE", "SYSTEMDRIVE",
     "SYSTEMROOT", "TEMP", "USERNAME", "USERPROFILE")
    if sys.platform == "win32"
    else ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "USER")
)  # fmt: skip
"""What a child is given of the broker's environment unless told otherwise, as the SDKs' clients do."""


class Command(msgspec.Struct, frozen=True):
    """How a child is started. `environment` is all it gets, with what INHERITED names if `inherit` is false."""

    argv: tuple[str, ...]
    environment: dict[str, str] = {}
    cwd: str | None = None
    inherit: bool = False

    def variables(self, own: Mapping[str, str]) -> dict[str, str]:
        """The child's environment, from the broker's `own`. Functions that shells export are code, and left out."""
        taken = own if self.inherit else {name: own[name] for name in INHERITED if name in own}
        return {name: value for name, value in taken.items() if not value.startswith("()")} | self.environment


class Child(asyncio.SubprocessProtocol):
    """A process and its pipes. `log(line, dropped)` takes what it writes to standard error.

    `max_unread` are the bytes that may wait while it does not read its standard input, or is not started yet.
    """

    def __init__(
        self,
        command: Command,
        owner: ChannelOwner,
        *,
        max_line: int,
        max_unread: int = DEFAULTS.channel_waiting_bytes,
        log: Callable[[str, int], None] = lambda *_: None,
    ) -> None:
        self._command = command
        self._owner = owner
        self._lines = Lines(max_line, lambda: self._owner.channel_violation("line-too-long"))
        self._errors = Lines(STDERR_LINE, lambda: None)
        self._log = log
        self._max_unread = max_unread
        self._transport: asyncio.SubprocessTransport | None = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._logged = self._dropped = 0
        self._window = 0.0
        self._ending = False
        self._over = False
        self._exited = False
        self._timers: list[asyncio.TimerHandle] = []
        self._task: asyncio.Task[None] | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.pid = 0
        self.dismissed = False  # ended because nobody needs it: says nothing of its health

    # ---- what the owner does -------------------------------------------------------------------------------------

    def start(self, *, after_s: float = 0.0) -> None:
        """Start the process, now or a little later; what is written meanwhile waits for it."""
        self._task = asyncio.ensure_future(self._start(after_s))

    @property
    def closed(self) -> bool:
        """True once it is being ended or has ended: nothing can be written to it."""
        return self._ending or self._over

    def hand_over(self, owner: ChannelOwner, log: Callable[[str, int], None]) -> None:
        """Somebody else reads it from now on, what it says and what it writes to standard error."""
        self._owner = owner
        self._log = log

    def write(self, line: bytes, call: int = 0, head: bytes = b"") -> bool:  # noqa: ARG002
        """Send one message; False if the child does not read what it was sent before, or is gone."""
        if self.closed:
            return False
        transport = self._transport
        if transport is None:
            if self._waiting_bytes > self._max_unread:
                return False
            self._waiting.append(line + b"\n")
            self._waiting_bytes += len(line)
            return True
        pipe: Any = transport.get_pipe_transport(0)
        if pipe is None or pipe.is_closing() or pipe.get_write_buffer_size() > self._max_unread:
            return False
        pipe.write(line + b"\n")
        return True

    def pause(self) -> None:
        """Stop reading what it says."""
        self._reader("pause_reading")

    def resume(self) -> None:
        """Read on."""
        self._reader("resume_reading")

    def end(self) -> None:
        """End it: first politely, then not. The owner hears nothing more of it."""
        if self._ending:
            return
        self._ending = True
        if self._transport is None:
            if self._task is not None:
                self._task.cancel()
            self._close()
            return
        if self._over:
            return
        pipe: Any = self._transport.get_pipe_transport(0) if self._transport is not None else None
        if pipe is not None:
            pipe.close()
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(CLOSE_S, self._signal, "SIGTERM"))
        self._timers.append(loop.call_later(CLOSE_S + TERMINATE_S, self._signal, "SIGKILL"))

    def kill(self) -> None:
        """End it at once."""
        self.end()
        self._signal("SIGKILL")

    # ---- asyncio.SubprocessProtocol ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It runs. Comes before all it says: one that ends at once may be gone before its start returns."""
        self._transport = cast("asyncio.SubprocessTransport", transport)  # uvloop's does not say that it is one
        self.pid = self._transport.get_pid()
        waiting, self._waiting = self._waiting, []
        pipe: Any = self._transport.get_pipe_transport(0)
        if waiting and not self.closed and pipe is not None and not pipe.is_closing():
            pipe.write(b"".join(waiting))  # all of it was promised, whatever the pipe holds

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """A piece of its output."""
        if fd == 2:
            self._heard(data)
            return
        for line in self._lines.feed(data):
            if self.closed:
                return
            try:
                self._owner.channel_line(line)
            except Exception as error:  # a fault of ours, which must not cost the lines that came with this one
                blamed = {"message": f"{type(self._owner).__name__} raised at a line", "exception": error}
                asyncio.get_running_loop().call_exception_handler(blamed)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002
        """It has closed a pipe; without standard output it is of no use."""
        if fd == 1:
            self._close()

    def process_exited(self) -> None:
        """The process is gone; its last words may still be in the pipe."""
        self._exited = True
        self._signal("SIGKILL")  # whoever it left behind in its group
        if self._over:
            self._finish()
        else:
            self._timers.append(asyncio.get_running_loop().call_later(DRAIN_S, self._close))

    # ---- inside --------------------------------------------------------------------------------------------------

    async def _start(self, after_s: float) -> None:
        if after_s:
            await asyncio.sleep(after_s)
        command = self._command
        variables = command.variables(os.environ)
        loop = asyncio.get_running_loop()
        # Only uvloop hands on more than that.
        before = None if isinstance(loop, asyncio.BaseEventLoop) else keep_standard
        try:
            await loop.subprocess_exec(
                lambda: self,
                *argv_of(command.argv, variables, sys.platform),
                cwd=command.cwd,
                env=variables,
                **group_options(sys.platform),
                preexec_fn=before,
            )
        except (OSError, ValueError) as error:
            self._log(f"cannot be started: {error.strerror if isinstance(error, OSError) else error}", 0)
            self._close("backend-not-started")

    def _close(self, reason: str = "backend-closed") -> None:
        """It says nothing more: tell the owner, and see that the process ends."""
        if self._over:
            return
        self._over = True
        self._stop_timers()
        if self._transport is not None and not self._exited:
            loop = asyncio.get_running_loop()
            self._timers.append(loop.call_later(DRAIN_S, self._signal, "SIGTERM"))
            self._timers.append(loop.call_later(DRAIN_S + TERMINATE_S, self._signal, "SIGKILL"))
        else:
            self._finish()
        if not self._ending:
            self._ending = True
            self._owner.channel_ended(reason)

    def _finish(self) -> None:
        self._stop_timers()
        if self._transport is not None:
            self._transport.close()
        if not self.ended.done():
            self.ended.set_result(None)

    def _stop_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _signal(self, name: str) -> None:
        """To it and those it started."""
        transport = self._transport
        if transport is None:
            return
        alive = transport.get_returncode() is None
        try:
            tell(self.pid, name, sys.platform, alive=alive)
        except OSError:
            if sys.platform == "win32" and alive and name == "SIGKILL":
                transport.kill()  # without what it started

    def _reader(self, verb: str) -> None:
        pipe: Any = self._transport.get_pipe_transport(1) if self._transport is not None else None
        if pipe is not None and not pipe.is_closing():
            getattr(pipe, verb)()

    def _heard(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._window > STDERR_S:
            self._window, self._logged = now, 0
        for line in self._errors.feed(data):
            if self._logged >= STDERR_LINES:
                self._dropped += 1
                continue
            self._logged += 1
            dropped, self._dropped = self._dropped, 0
            self._log(line.decode("utf-8", "replace"), dropped)
