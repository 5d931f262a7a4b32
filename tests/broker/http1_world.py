"""A raw backend whose every byte the test writes, a clock it moves by hand, and a sink that remembers."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

from broker.backends.http1 import BackendFailure, DirectPool, Limits, Pool, Ticket, Timeouts, parse_url
from broker.wheel import Wheel

T = TypeVar("T")
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


async def within(awaitable: Awaitable[T]) -> T:
    """The awaitable's result, within five seconds."""
    return await asyncio.wait_for(awaitable, 5)


async def turn() -> None:
    """One turn of the loop: whatever is readable now is read."""
    passed = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(passed.set_result, None)
    await passed


class Still:
    """A timer that never fires."""

    def cancel(self) -> None:
        """Nothing to do."""


class Clock:
    """Seconds that pass only in `advance`, and the wheel that lives by them."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wheel = Wheel(lambda: self.now, lambda delay_s, callback: Still())

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.wheel.run_due()


class Peer:
    """One accepted connection, seen from the backend."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> bytes:
        return await within(self.reader.readuntil(b"\r\n\r\n"))

    async def request(self) -> tuple[bytes, bytes]:
        """One whole request: its head and its body."""
        head = await self.head()
        length = re.search(rb"\r\ncontent-length: (\d+)\r\n", head)
        return head, await within(self.reader.readexactly(int(length[1]))) if length else b""

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await within(self.writer.drain())

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> bool:
        """Whether the client has closed (anything it still had to say is read over)."""
        try:
            while await within(self.reader.read(65536)):
                pass
        except ConnectionError:
            pass
        return True


class Backend:
    """A listening socket; every connection is handed to the test."""

    def __init__(self) -> None:
        self.accepted = 0
        self.peers: asyncio.Queue[Peer] = asyncio.Queue()
        self.all: list[Peer] = []
        self.port = 0

    async def accept(self) -> Peer:
        return await within(self.peers.get())

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.accepted += 1
        self.all.append(peer)
        self.peers.put_nowait(peer)


@asynccontextmanager
async def backend(tls: ssl.SSLContext | None = None) -> AsyncIterator[Backend]:
    """A raw backend on a loopback port."""
    world = Backend()
    server = await asyncio.start_server(world._connected, "127.0.0.1", 0, ssl=tls, backlog=1024)
    world.port = server.sockets[0].getsockname()[1]
    try:
        yield world
    finally:
        server.close()
        for peer in world.all:
            peer.writer.transport.abort()
        # One turn for the transports to say goodbye, so that nothing is collected half open.
        await asyncio.gather(*(peer.writer.wait_closed() for peer in world.all), return_exceptions=True)


@asynccontextmanager
async def pool_for(
    port: int,
    clock: Clock,
    limits: Limits | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[DirectPool]:
    """A direct pool for that port, closed at the end; its connections must all be gone then."""
    scheme = "https" if tls else "http"
    origin = parse_url(f"{scheme}://{host}:{port}/mcp")
    pool = DirectPool(origin, wheel=clock.wheel, tls=tls, limits=limits, headers=headers)
    try:
        yield pool
    finally:
        await within(pool.close())
        assert pool.connections == pool.waiting == 0
        assert len(clock.wheel) == 0


class Seen:
    """A sink that remembers and can be waited for."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.bodies: list[bytes] = []
        self.failure: BackendFailure | None = None
        self.is_done = False
        self.ends = 0
        self._changed = asyncio.Event()

    @property
    def data(self) -> bytes:
        return b"".join(self.bodies)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        assert not self.status
        assert not self.ends
        self.status, self.headers = status, headers
        self._changed.set()

    def body(self, data: bytes) -> None:
        assert self.status
        assert not self.ends
        assert data
        self.bodies.append(data)
        self._changed.set()

    def done(self) -> None:
        self.ends += 1
        self.is_done = True
        self._changed.set()

    def failed(self, failure: BackendFailure) -> None:
        self.ends += 1
        self.failure = failure
        self._changed.set()

    async def _until(self, condition: str) -> None:
        while not getattr(self, condition):
            self._changed.clear()
            await self._changed.wait()

    async def headed(self) -> None:
        await within(self._until("status"))

    async def ended(self) -> Seen:
        await within(self._until("ends"))
        assert self.ends == 1
        return self

    async def why(self) -> tuple[str, str]:
        """The failure's reason and what it says about execution."""
        await self.ended()
        assert self.failure is not None
        return self.failure.reason, self.failure.executed

    async def received(self, size: int) -> None:
        while len(self.data) < size:
            self._changed.clear()
            await within(self._changed.wait())


def post(
    pool: Pool,
    body: bytes = b"{}",
    *,
    headers: bytes = b"content-type: application/json\r\n",
    timeouts: Timeouts | None = None,
    repeatable: bool = False,
    max_body: int | None = None,
    sink: Seen | None = None,
) -> tuple[Seen, Ticket]:
    """Start a POST; its sink and its ticket."""
    sink = sink or Seen()
    ticket = pool.send(
        b"POST", headers, body, sink, timeouts=timeouts or Timeouts(), repeatable=repeatable, max_body=max_body
    )
    return sink, ticket


async def exchange(pool: Pool, peer: Peer, answer: bytes = OK, body: bytes = b"{}") -> Seen:
    """One whole call over a connection that is open already."""
    seen, _ = post(pool, body)
    await peer.request()
    await peer.write(answer)
    return await seen.ended()
