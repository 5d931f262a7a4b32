"""Where lines go besides a file, and what is kept for a sink that fails.

A sink has `write(lines)`, which writes all of them or raises OSError, and `close()`. Invariants: nothing here ends the
process or blocks it for longer than its own bound; lines for a failing sink are kept in order within a bound, and what
does not fit is counted.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from collections import deque
from typing import Any, Final, Protocol

KEPT_BYTES: Final = 4 * 1024 * 1024
"""Lines kept for a sink that fails; some 5,000, which is a minute at 80 lines a second."""

RETRY_S: Final = 1.0
"""How long a sink that failed is left alone before it is tried again."""

SEND_S: Final = 0.5
"""How long sending to a system log may take; longer, and it counts as failed."""

CHUNK: Final = 4096
"""Bytes that can be written to a pipe without waiting once it takes any (POSIX: PIPE_BUF, on Linux)."""


class Sink(Protocol):
    """Where lines go. `whole`: several lines are written as one, all or none."""

    name: str
    whole: bool

    def write(self, lines: bytes) -> None: ...
    def close(self) -> None: ...


class Outlet:
    """One sink, and the lines that wait for it."""

    __slots__ = ("_bytes", "_retry_at", "failing", "last", "missed", "sink", "waiting")

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.failing = ""
        """Why it fails; empty while it does not."""
        self.missed = 0
        """Lines that were given up since it failed."""
        self.last = b""
        """The line that was written last."""
        self.waiting: deque[bytes] = deque()
        self._bytes = 0  # that wait since it failed
        self._retry_at = 0.0

    def put(self, line: bytes) -> None:
        """Keep a line until it is flushed. Once one was given up, all that follow are, so that one gap covers them."""
        if self.failing:
            if self.missed or self._bytes + len(line) > KEPT_BYTES:
                self.missed += 1
                return
            self._bytes += len(line)
        self.waiting.append(line)

    def flush(self, now: float) -> bool:
        """Write what waits, unless it failed a moment ago; False if the sink fails."""
        if self.failing and now < self._retry_at:
            return False
        try:
            self._write()
        except (OSError, ValueError) as error:
            self.failing = reason_of(error)
            self._retry_at = now + RETRY_S
            return False
        self.failing, self._bytes = "", 0
        return True

    def flush_whole(self) -> bool:
        """Write what waits, of a sink that does not fail and takes several lines as one; False if it could not."""
        waiting = self.waiting
        try:
            self.sink.write(waiting[0] if len(waiting) == 1 else b"".join(waiting))
        except (OSError, ValueError):
            return False
        self.last = waiting[-1]
        waiting.clear()
        return True

    def _write(self) -> None:
        waiting = self.waiting
        if self.sink.whole and len(waiting) > 1:
            self.sink.write(b"".join(waiting))
            self.last = waiting[-1]
            waiting.clear()
        while waiting:
            self.sink.write(waiting[0])
            self.last = waiting.popleft()


def reason_of(error: Exception) -> str:
    """An error of the system as a short text without paths or addresses."""
    strerror = getattr(error, "strerror", None)
    return strerror if isinstance(strerror, str) else type(error).__name__


class Stdout:
    """Standard output. A reader that does not keep up makes it fail; it never makes the broker wait."""

    name = "stdout"
    whole = False

    def __init__(self, descriptor: int | None = None) -> None:
        self._fd = sys.stdout.fileno() if descriptor is None else descriptor
        self._rest = b""  # of a line that was begun

    def write(self, lines: bytes) -> None:
        """Write one line; what of it does not fit is written before the next one.

        Raises:
            OSError: nothing of it was written.
        """
        self._drain()
        if self._rest:
            raise BlockingIOError(0, "the reader does not keep up")
        self._rest = lines
        self._drain()
        if self._rest == lines:
            self._rest = b""
            raise BlockingIOError(0, "the reader does not keep up")

    def _drain(self) -> None:
        while self._rest:
            if os.name == "posix" and not select.select([], [self._fd], [], 0)[1]:
                return
            self._rest = self._rest[os.write(self._fd, self._rest[:CHUNK]) :]

    def close(self) -> None:
        """Standard output belongs to the process."""
        self._drain()


class Syslog:
    """The system's log, by its socket or by UDP or TCP, as RFC 3164 messages of the standard library's handler."""

    name = "syslog"
    whole = False

    def __init__(self, address: str | tuple[str, int], *, facility: str, tcp: bool = False) -> None:
        self._address = address
        self._facility = facility
        self._tcp = tcp
        self._handler: Any = None

    def write(self, lines: bytes) -> None:
        """Send one line.

        Raises:
            OSError: it could not be sent.
        """
        import logging

        if self._handler is None:
            self._handler = self._open()
        record = logging.LogRecord("dragoman", logging.INFO, "", 0, lines.decode("ascii").rstrip("\n"), None, None)
        try:
            self._handler.emit(record)
        except OSError:
            self.close()
            raise

    def _open(self) -> Any:
        from logging.handlers import SysLogHandler

        class Raising(SysLogHandler):
            def handleError(self, record: Any) -> None:  # noqa: ARG002, N802
                raise

        kind = socket.SOCK_STREAM if self._tcp else socket.SOCK_DGRAM
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(SEND_S)  # the handler has no timeout of its own before Python 3.14
        try:
            handler = Raising(self._address, Raising.facility_names[self._facility], kind)
        finally:
            socket.setdefaulttimeout(before)
        handler.ident = "dragoman: "
        if self._tcp:
            handler.append_nul = False
        return handler

    def close(self) -> None:
        """Close the socket; the next line opens it again."""
        handler, self._handler = self._handler, None
        if handler is not None:
            handler.close()
