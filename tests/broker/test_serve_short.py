"""The short way of requests with a known head: when it is taken, and that nothing else differs from the usual way."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from broker import serve
from broker.serve_connection import Connection
from broker.settings import Settings
from broker.short_way import MAX_HEADS, Handler, Heads, Taken, split
from tests.broker.http1_world import turn, within

HEAD = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def post(body: bytes, head: bytes = HEAD) -> bytes:
    return head % len(body) + body


class Short:
    """A call that answers at once, or when the test says so."""

    def __init__(self, here: World, connection: Taken, body: bytes) -> None:
        self.here = here
        self.connection = connection
        self.body = body
        self.lost = asyncio.Event()

    @property
    def usual(self) -> Handler:
        return self.here.handle

    def begin(self) -> None:
        self.here.calls.append(self)
        self.here.begun.set()
        if b"later" not in self.body:
            self.end()

    def end(self) -> None:
        if b"over" in self.body:
            self.connection.hand_over()
        else:
            text = b"short:" + self.body * (1_000_000 if b"big" in self.body else 1)
            self.connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text), text)

    def gone(self) -> None:
        self.lost.set()


class World:
    """A listener whose handler proves what it reads; it and its short way say which of them answered."""

    def __init__(self) -> None:
        self.calls: list[Short] = []
        self.begun = asyncio.Event()
        self.seen = asyncio.Event()
        self.running: serve.Running | None = None

    @property
    def port(self) -> int:
        assert self.running is not None
        return self.running.port

    def take(self, connection: Taken, body: bytes) -> Short | None:
        if b"bug" in body:
            raise RuntimeError("canary")
        return None if b"usual" in body else Short(self, connection, body)

    async def handle(self, request: web.Request) -> web.Response:
        connection = request.protocol
        assert isinstance(connection, Connection)
        self.seen.set()
        body = await request.read()
        call, connection.handed = connection.handed, None
        connection.prove(request, body, self)
        if call is not None:
            assert isinstance(call, Short)
            return web.Response(body=b"handed:" + call.body)
        return web.Response(body=b"usual:" + body)

    def create(self, _settings: Settings, _port: int) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/x", self.handle)
        return app

    async def start(self, **limits: float) -> None:
        self.running = await serve.start(
            Settings.for_proxy("http://127.0.0.1:9/mcp", port=0, limits=limits), self.create
        )


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    if world.running is not None:
        await world.running.close()


class Wire:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> bytes:
        """The body of the next answer."""
        head = await within(self.reader.readuntil(b"\r\n\r\n"))
        size = re.search(rb"(?i)content-length: (\d+)", head)
        return await within(self.reader.readexactly(int(size[1]) if size else 0))

    async def ask(self, data: bytes) -> bytes:
        self.writer.write(data)
        return await self.answer()


@contextlib.asynccontextmanager
async def wire(world: World, *, known: bool = True) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    here = Wire(reader, writer)
    try:
        if known:
            assert (await here.ask(post(b"{0}"))).endswith(b":{0}")
        yield here
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_head_is_known_from_its_second_request_on_whatever_the_length(world: World) -> None:
    await world.start()
    async with wire(world, known=False) as here:
        assert await here.ask(post(b"{1}")) == b"usual:{1}"
        assert await here.ask(post(b"{2}")) == b"short:{2}"
        assert await here.ask(post(b"{%b}" % (b"3" * 2000))) == b"short:{%b}" % (b"3" * 2000)
    async with wire(world, known=False) as here:
        assert await here.ask(post(b"{4}")) == b"short:{4}"


@pytest.mark.parametrize(
    "head",
    [
        HEAD.replace(b"Host: a", b"Host: b"),
        HEAD.replace(b"Host: a", b"host: a"),
        HEAD.replace(b"/x ", b"/x?a=b "),
        HEAD.replace(b"\r\n\r\n", b"\r\nOrigin: http://evil.example\r\n\r\n"),
        HEAD.replace(b"Content-Length", b"content-length"),
    ],
)
async def test_a_head_that_differs_in_a_byte_goes_the_usual_way(world: World, head: bytes) -> None:
    await world.start()
    async with wire(world) as here:
        assert await here.ask(post(b"{1}", head)) == b"usual:{1}"
        assert await here.ask(post(b"{2}")) == b"short:{2}"


HOSTILE = [
    HEAD.replace(b"%d\r\n", b"%d\r\nTransfer-Encoding: chunked\r\n"),
    HEAD.replace(b"%d\r\n", b"%d\r\nContent-Length: 9\r\n"),
    HEAD.replace(b"Host: a", b"Host: a\r\n folded"),
    HEAD.replace(b"Host: a\r\n", b"Host: a\n"),
    HEAD.replace(b"Content-Length:", b"Content-Length :"),
    HEAD.replace(b"%d", b"+%d"),
    HEAD.replace(b"HTTP/1.1", b"HTTP/1.2"),
    HEAD.replace(b"Host: a", b"Host: a\0"),
]


@pytest.mark.parametrize("head", HOSTILE)
async def test_what_two_readers_could_take_differently_never_goes_the_short_way(world: World, head: bytes) -> None:
    await world.start()
    hidden = post(b"{hidden}")
    async with wire(world) as here:
        here.writer.write(head.replace(b"%d", b"%d" % len(hidden)) + hidden)
        rest = await within(here.reader.read())
        assert b"400" in rest.split(b"\r\n")[0]
        assert b"hidden" not in rest
    assert [call.body for call in world.calls] == []


async def test_bytes_beyond_the_length_are_the_next_request(world: World) -> None:
    await world.start()
    async with wire(world) as here:
        here.writer.write(post(b"{1}") + post(b"{2}") + post(b"{3}"))
        assert [await here.answer() for _ in range(3)] == [b"usual:{1}", b"usual:{2}", b"usual:{3}"]
        # From here on it is not known where the parser stands.
        assert await here.ask(post(b"{4}")) == b"usual:{4}"


@pytest.mark.parametrize("sent", [b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", post(b"[1]"), post(b" {1}"), HEAD % 0])
async def test_only_a_message_proves_where_the_parser_stands(world: World, sent: bytes) -> None:
    await world.start()
    async with wire(world):
        pass
    async with wire(world, known=False) as here:
        other = sent.replace(b"Host: a", b"Host: other")
        for request in (other, other, post(b"{2}")):
            assert (await here.ask(request)).startswith(b"usual:")


async def test_a_body_may_come_after_its_head(world: World) -> None:
    await world.start()
    request = post(b"{%b}" % (b"1" * 50))
    async with wire(world) as here:
        for cut in (request.index(b"\r\n\r\n") + 4, len(request) - 1):
            here.writer.write(request[:cut])
            await here.writer.drain()
            await turn()
            assert (await here.ask(request[cut:])).endswith(request[-52:])
        assert (await here.ask(post(b"{2}"))).endswith(b":{2}")


async def test_a_body_that_does_not_come_is_waited_for_the_usual_way(world: World) -> None:
    await world.start()
    async with wire(world) as here:
        here.writer.write(HEAD % 3 + b"{")
        world.seen.clear()
        await within(world.seen.wait())
        assert await here.ask(b"1}") == b"usual:{1}"
        assert await here.ask(post(b"{2}")) == b"short:{2}"


async def test_what_comes_behind_a_call_is_answered_after_it(world: World) -> None:
    await world.start()
    long = post(b"{%b}" % (b"5" * 300_000))
    async with wire(world) as here:
        here.writer.write(post(b"{later 1}"))
        await within(world.begun.wait())
        here.writer.write(post(b"{2}") + long)
        await turn()
        world.calls[0].end()
        assert [await here.answer() for _ in range(2)] == [b"short:{later 1}", b"usual:{2}"]
        assert len(await here.answer()) == len(b"usual:{}") + 300_000


async def test_an_answer_that_its_reader_has_not_taken_is_not_done(world: World) -> None:
    await world.start()
    assert world.running is not None
    async with wire(world) as here:
        here.writer.write(post(b"{big}"))
        await within(world.begun.wait())
        here.writer.write(post(b"{2}"))
        closing = asyncio.create_task(world.running.close(grace_s=5))
        await turn()
        assert len(await here.answer()) == len(b"short:") + 5_000_000
        assert await within(here.reader.read()) == b""
        assert await within(closing)
    assert [call.body for call in world.calls] == [b"{big}"]


async def test_a_call_is_handed_to_the_handler_of_its_request(world: World) -> None:
    await world.start()
    async with wire(world) as here:
        assert await here.ask(post(b"{over 1}")) == b"handed:{over 1}"
        assert await here.ask(post(b"{2}")) == b"short:{2}"
        here.writer.write(post(b"{later over 3}"))
        while not any(b"later" in call.body for call in world.calls):
            world.begun.clear()
            await within(world.begun.wait())
        here.writer.write(post(b"{4}"))
        await turn()
        world.calls[-1].end()
        assert await here.answer() == b"handed:{later over 3}"
        assert (await here.answer()).endswith(b":{4}")


async def test_what_the_short_way_cannot_take_goes_the_usual_way(world: World) -> None:
    await world.start()
    async with wire(world) as here:
        for body in (b"{usual}", b"{bug}"):
            assert await here.ask(post(body)) == b"usual:" + body
            assert await here.ask(post(b"{2}")) == b"short:{2}"


async def test_a_call_learns_that_its_client_has_gone(world: World) -> None:
    await world.start()
    async with wire(world) as here:
        here.writer.write(post(b"{later}"))
        await within(world.begun.wait())
        here.writer.transport.abort()
        await within(world.calls[0].lost.wait())
        world.calls[0].end()


async def test_a_call_may_take_longer_than_a_connection_may_be_idle(world: World) -> None:
    await world.start(keep_alive_s=0.1)
    async with wire(world) as here:
        here.writer.write(post(b"{later}"))
        await within(world.begun.wait())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(here.reader.read(1), 0.3)
        world.calls[0].end()
        assert await here.answer() == b"short:{later}"
        assert await within(here.reader.read()) == b""


async def test_a_call_in_flight_finishes_during_the_drain(world: World) -> None:
    await world.start()
    assert world.running is not None
    async with wire(world) as here:
        here.writer.write(post(b"{later}"))
        await within(world.begun.wait())
        closing = asyncio.create_task(world.running.close(grace_s=5))
        await turn()
        world.calls[0].end()
        assert await here.answer() == b"short:{later}"
        assert await within(here.reader.read()) == b""
        assert await within(closing)


def test_a_length_is_read_only_as_plain_digits() -> None:
    assert split(post(b"{}")) == (HEAD.replace(b"%d", b"")[:-4], b"{}", 0)
    assert split(post(b"{}")[:-1]) == (HEAD.replace(b"%d", b"")[:-4], b"{", 1)
    for text in (b"-2", b"+2", b"2 ", b" 2", b"0x2", b"2,2", b"", b"\xb2", b"12345678"):
        assert split(HEAD.replace(b"%d", text) + b"{}") is None
    assert split(post(b"{}") + b"x") is None
    assert split((HEAD % 2)[:-2]) is None


def test_the_heads_that_are_known_are_bounded(world: World) -> None:
    heads = Heads()
    for number in range(MAX_HEADS + 10):
        heads.remember(post(b"{}", HEAD.replace(b"Host: a", b"Host: %05d" % number)), world)
    assert heads.find(post(b"{}", HEAD.replace(b"Host: a", b"Host: 00000"))) is None
    assert heads.find(post(b"{}", HEAD.replace(b"Host: a", b"Host: %05d" % MAX_HEADS))) == (world, b"{}", 0)
