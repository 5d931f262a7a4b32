"""The load generator's raw HTTP/1.1 client: keep-alive, one exchange at a time, JSON or event-stream answers.

Follows basic/transports (Streamable HTTP) of the stateful revisions. The invariant: every message of an
answer reaches the reader in order, as soon as its last byte has come; an exchange ends once, by `complete` or
`lost`.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol, cast

import httptools
import msgspec

from benchmarks import facts

OPEN_SECONDS = 20.0  # bound on a handshake; generous, because a busy machine has stalled whole processes for seconds
CLIENT_INFO = {"name": "bench", "version": "1"}


class HarnessError(Exception):
    """The run cannot go on, or what was measured would not mean what the table says."""


class Reader(Protocol):
    """Who is told of an exchange's answer."""

    def message(self, data: bytes) -> None: ...

    def complete(self, status: int) -> None: ...

    def lost(self) -> None: ...


class Connection(asyncio.Protocol):
    """One connection; give it a `reader`, then `send` whole requests, one after another."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.reader: Reader | None = None
        self.open = False
        self.head: asyncio.Future[int] | None = None
        self.session = b""
        self.parts: list[bytes] = []
        self.streaming = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:

        self.transport = cast("asyncio.Transport", transport)
        self.send = self.transport.write
        self.open = True

    def connection_lost(self, _: Exception | None) -> None:
        self.open = False
        if self.head is not None and not self.head.done():
            self.head.set_exception(HarnessError("connection lost before the answer's head"))
        reader, self.reader = self.reader, None
        if reader is not None:
            reader.lost()

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()

    def on_message_begin(self) -> None:
        self.parts.clear()
        self.streaming = False

    def on_header(self, name: bytes, value: bytes) -> None:
        size = len(name)
        if size == 12 and name.lower() == b"content-type":
            self.streaming = value.startswith(b"text/event-stream")
        elif size == 14 and name.lower() == b"mcp-session-id":
            self.session = value

    def on_headers_complete(self) -> None:
        if self.head is not None and not self.head.done():
            self.head.set_result(self.parser.get_status_code())

    def on_body(self, data: bytes) -> None:
        self.parts.append(data)
        if self.streaming and b"\n" in data:
            self._events()

    def _events(self) -> None:
        """Hand over the events that are whole; the rest stays for the next bytes."""
        body = b"".join(self.parts)
        *whole, rest = (body if b"\r" not in body else body.replace(b"\r\n", b"\n")).split(b"\n\n")
        self.parts = [rest]
        for text in whole:
            data = event_data(text)
            if data and self.reader is not None:
                self.reader.message(data)

    def on_message_complete(self) -> None:
        reader = self.reader
        if reader is None:
            return
        if self.parts and not self.streaming:
            reader.message(b"".join(self.parts))
        reader.complete(self.parser.get_status_code())

    def close(self) -> None:
        """Close; the reader is not told."""
        self.reader = None
        if self.open:
            self.transport.abort()


def event_data(text: bytes) -> bytes:
    """The data of one event: its `data` lines joined; empty for comments and priming events."""
    if text.startswith(b"data: ") and b"\n" not in text:
        return text[6:]
    lines = (line[5:].removeprefix(b" ") for line in text.split(b"\n") if line.startswith(b"data:"))
    return b"\n".join(lines)


class _Once:
    """Collects one exchange's answer and wakes who waits for it."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def message(self, data: bytes) -> None:
        self.messages.append(data)

    def complete(self, status: int) -> None:
        if not self.future.done():
            self.future.set_result(status)

    def lost(self) -> None:
        if not self.future.done():
            self.future.set_exception(HarnessError("connection lost before the answer's end"))


class Session:
    """One MCP session at one target: a connection, its ready request head, and what was negotiated.

    `key` is the caller's bearer key or token, if it has one.
    """

    def __init__(self, port: int, path: str, revision: str, capabilities: dict[str, object], key: str = "") -> None:
        self.port = port
        self.path = path
        self.revision = revision
        self.capabilities = capabilities
        self.negotiated = ""
        self.answered_ns = 0  # when `initialize` was answered
        self.authorization = b"Authorization: Bearer %b\r\n" % key.encode() if key else b""
        self.lines = b""
        self.connection = Connection()
        self.head = b""

    async def open(self) -> None:
        """Connect, `initialize`, `notifications/initialized`.

        Raises:
            HarnessError: refused, lost, or not answered within 20 seconds.
        """
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                self.connection = await connect(self.port)
                self.head = self._head(b"")
                await self._handshake()
        except (OSError, TimeoutError, msgspec.DecodeError) as error:
            raise HarnessError(f"handshake at port {self.port}: {type(error).__name__} {error}") from error

    async def _handshake(self) -> None:
        asked = {
            "protocolVersion": self.revision,
            "capabilities": self.capabilities,
            "clientInfo": CLIENT_INFO,
        }
        status, messages = await self.ask(
            msgspec.json.encode({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": asked})
        )
        answer = msgspec.json.decode(messages[-1]) if messages else {}
        if status != 200 or "result" not in answer:
            raise HarnessError(f"initialize at port {self.port} answered {status} {messages[:1]!r:.300}")
        self.answered_ns = time.perf_counter_ns()
        self.negotiated = answer["result"]["protocolVersion"]
        lines = b""
        if facts.version_header(self.negotiated):
            lines += b"MCP-Protocol-Version: %b\r\n" % self.negotiated.encode()
        if self.connection.session:
            lines += b"Mcp-Session-Id: %b\r\n" % self.connection.session
        self.lines = lines
        self.head = self._head(lines)
        status, _ = await self.ask(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
        if status != 202:
            raise HarnessError(f"notifications/initialized at port {self.port} answered {status}")

    def _head(self, lines: bytes) -> bytes:
        return (
            b"POST %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
            b"Accept: application/json, text/event-stream\r\n%b%bContent-Length: "
            % (self.path.encode(), self.port, self.authorization, lines)
        )

    def post(self, body: bytes) -> bytes:
        """The bytes of a whole POST in this session."""
        return b"%b%d\r\n\r\n%b" % (self.head, len(body), body)

    async def ask(self, body: bytes) -> tuple[int, list[bytes]]:
        """POST one message on the session's connection; its status and the messages of the answer."""
        return await exchange(self.connection, self.post(body))

    async def hold(self) -> Connection:
        """Open the standing GET stream on a connection of its own; returns it once its head has come."""
        async with asyncio.timeout(OPEN_SECONDS):
            held = await connect(self.port)
            held.head = asyncio.get_running_loop().create_future()
            held.send(self._bare(b"GET", b"Accept: text/event-stream\r\n"))
            status = await held.head
        if status != 200 or not held.streaming:
            held.close()
            raise HarnessError(f"GET stream at port {self.port} answered {status}")
        return held

    async def end(self) -> None:
        """DELETE the session and close; a session that cannot be ended any more is just closed."""
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                if self.connection.open and self.connection.session:
                    await exchange(self.connection, self._bare(b"DELETE", b""))
        except (HarnessError, TimeoutError):
            pass
        finally:
            self.connection.close()

    def _bare(self, method: bytes, accept: bytes) -> bytes:
        return b"%b %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%b%b%b\r\n" % (
            method,
            self.path.encode(),
            self.port,
            self.authorization,
            accept,
            self.lines,
        )


async def connect(port: int) -> Connection:
    """A fresh loopback connection. Raises OSError when nobody listens."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connection


async def exchange(connection: Connection, request: bytes) -> tuple[int, list[bytes]]:
    """Send one request and wait for the end of its answer."""
    if not connection.open:
        raise HarnessError("connection already closed")
    once = _Once()
    connection.reader = once
    connection.send(request)
    try:
        status = await once.future
    finally:
        if connection.reader is once:
            connection.reader = None
    return status, once.messages
