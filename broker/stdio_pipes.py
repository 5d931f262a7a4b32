"""The process's own standard input and output as pipes of messages, on every system.

Invariant: nothing but messages reaches standard output; what libraries print goes to standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import sys
import threading
from collections.abc import Callable

from broker.backends.lines import Lines

READ_BYTES = 64 * 1024


class Input(asyncio.Protocol):
    """Reads lines; `ended` is told of the end of input."""

    def __init__(self, lines: Lines, take: Callable[[bytes], object], ended: Callable[[], None]) -> None:
        self._lines = lines
        self._take = take
        self._ended = ended

    def data_received(self, data: bytes) -> None:
        """A piece of the input."""
        for line in self._lines.feed(data):
            self._take(line)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The end."""
        self._ended()


def take_output() -> int:
    """The descriptor messages are written to; what else is printed goes to standard error from now on."""
    mine = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return mine


def is_pipe(descriptor: int) -> bool:
    """True for what an event loop can wait for: not for a file, a console or the null device.

    It must be asked first: uvloop ends the process where asyncio raises (0.23).
    """
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


async def read_input(reader: Input) -> None:
    """Begin to read standard input; a file or a console, which no loop can wait for, is read by a thread."""
    loop = asyncio.get_running_loop()
    if is_pipe(0):
        with contextlib.suppress(ValueError, NotImplementedError, OSError):
            await loop.connect_read_pipe(lambda: reader, os.fdopen(os.dup(0), "rb", 0))
            return
    threading.Thread(target=_pump, args=(loop, reader), daemon=True).start()


def _pump(loop: asyncio.AbstractEventLoop, reader: Input) -> None:
    while data := os.read(0, READ_BYTES):
        loop.call_soon_threadsafe(reader.data_received, data)
    loop.call_soon_threadsafe(reader.connection_lost, None)


class Output:
    """Writes lines to a descriptor, without waiting where the loop can do that.

    A client that leaves more than `max_unread` bytes unread is as good as gone: `unread` is told how many, and then
    whoever waits for its end.
    """

    def __init__(self, descriptor: int, unread: Callable[[int], None], *, max_unread: int) -> None:
        self._descriptor = descriptor
        self._unread = unread
        self._max_unread = max_unread
        self._transport: asyncio.WriteTransport | None = None

    async def open(self, gone: Callable[[], None]) -> None:
        """Begin; `gone` is told when nobody reads any more."""
        loop = asyncio.get_running_loop()

        class Ends(asyncio.BaseProtocol):
            def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
                gone()

        if is_pipe(self._descriptor):
            with contextlib.suppress(ValueError, NotImplementedError, OSError):
                pipe = os.fdopen(os.dup(self._descriptor), "wb", 0)
                self._transport, _ = await loop.connect_write_pipe(Ends, pipe)

    def write(self, message: bytes) -> None:
        """One message."""
        transport = self._transport
        if transport is not None:
            if transport.is_closing():
                return
            waiting = transport.get_write_buffer_size()
            if waiting > self._max_unread:
                self._unread(waiting)
                transport.abort()
                return
            transport.write(message + b"\n")
            return
        rest = memoryview(message + b"\n")
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    async def close(self) -> None:
        """Everything that was written has left."""
        if self._transport is not None:
            self._transport.close()
            for _ in range(100):
                if not self._transport.get_write_buffer_size():
                    break
                await asyncio.sleep(0.01)
