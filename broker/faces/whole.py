"""A small complete answer, head and body in one write.

aiohttp builds a response of several objects and header maps; for the one kind of answer that makes up nearly all
traffic (200, JSON, a live session, HTTP/1.1 keep-alive) its head is known beforehand. It speaks the three words
aiohttp's request handler uses of a response: `prepare`, `write_eof`, `keep_alive`. Everything else goes the usual way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aiohttp import HttpVersion11, web
from aiohttp.helpers import rfc822_formatted_time

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

LARGE = 32 * 1024
"""Bodies above this go the usual way, which waits for a slow reader; aiohttp's high-water mark is 64 KiB."""


def written(lines: bytes, length: int) -> bytes:
    """The head of the answer 200 with a JSON body of so many bytes; `lines` are the constant ones, each ended."""
    date = rfc822_formatted_time().encode("ascii")
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\nDate: %b\r\n\r\n" % (lines, length, date)


class Whole:
    """That answer, on the usual way."""

    __slots__ = ("_data", "_writer")

    keep_alive = True
    status = 200

    def __init__(self, lines: bytes, body: bytes) -> None:
        self._data = written(lines, len(body)) + body
        self._writer: AbstractStreamWriter | None = None

    async def prepare(self, request: web.BaseRequest) -> None:
        """Remember where to write."""
        self._writer = request.writer

    async def write_eof(self) -> None:
        """Write all of it. Raises ConnectionResetError if the client has gone."""
        transport = getattr(self._writer, "transport", None)
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        transport.write(self._data)


def answer(request: web.BaseRequest, lines: bytes, body: bytes) -> web.StreamResponse | None:
    """The answer in one write; None where the usual response is needed."""
    if len(body) > LARGE or request.version != HttpVersion11 or not request.keep_alive:
        return None
    transport = request.transport
    if transport is None or transport.get_write_buffer_size():
        return None  # earlier answers still wait for a slow reader: so must this one
    return cast("web.StreamResponse", Whole(lines, body))
