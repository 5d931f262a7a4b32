"""One connection that is kept for all requests of a client, so that its second ones may be taken the short way."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

from tests.broker.http1_world import within
from tests.broker.scripted_backend import Json, Reply, read_head


class KeptWire:
    """`head`: the lines of every request of it, but for the length of its body."""

    def __init__(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, path: str = "/mcp"
    ) -> None:
        self.head = head
        self.path = path
        self.reader = reader
        self.writer = writer

    def write(self, body: bytes | Json) -> None:
        data = body if isinstance(body, bytes) else json.dumps({"jsonrpc": "2.0", **body}).encode()
        self.writer.write(
            f"POST {self.path} HTTP/1.1\r\n{self.head}Content-Length: {len(data)}\r\n\r\n".encode() + data
        )

    async def answer(self) -> Reply:
        first, headers = await within(read_head(self.reader))
        reply = Reply(int(first.split(" ")[1]), headers, self.reader, self.writer)
        if not reply.streams:
            reply.body = await within(self.reader.readexactly(int(headers.get("content-length", "0"))))
        return reply

    async def post(self, body: bytes | Json) -> Reply:
        self.write(body)
        return await self.answer()


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the broker, closed afterwards."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
