"""Listening: receipt deadlines, the cap on connections, draining, and answers to what is not HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import http_parser, web

from broker import serve, telemetry
from broker.settings import Settings

BACKEND = "http://127.0.0.1:9/mcp"
HEAD_S = 0.3


class World:
    """A broker whose one handler can be held, and what it saw."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.release = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.running: serve.Running | None = None

    @property
    def port(self) -> int:
        assert self.running is not None
        return self.running.port

    def create(self, _settings: Settings, _port: int) -> web.Application:
        async def hold(request: web.Request) -> web.Response:
            self.entered.set()
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
            return web.Response(text="done")

        async def broken(request: web.Request) -> web.Response:
            raise RuntimeError("canary-in-an-exception")

        async def quick(request: web.Request) -> web.Response:
            return web.Response(text="ok")

        app = web.Application()
        app.router.add_route("*", "/hold", hold)
        app.router.add_post("/broken", broken)
        app.router.add_get("/quick", quick)
        return app

    async def start(self, **limits: Any) -> None:
        given = {"head_receipt_s": HEAD_S, **limits}
        self.running = await serve.start(Settings.for_proxy(BACKEND, port=0, limits=given), self.create)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    world.release.set()
    if world.running is not None:
        await world.running.close()


@contextlib.asynccontextmanager
async def connection(port: int, data: bytes = b"") -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def http(method: str, path: str) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What is still said until the connection ends, by either kind of close."""
    async with asyncio.timeout(5):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


@pytest.mark.parametrize("sent", [b"", b"G", b"GET /quick HTTP/1.1\r\nHost: a\r\n"])
async def test_a_silent_or_unfinished_head_meets_its_deadline(world: World, sent: bytes) -> None:
    await world.start()
    begun = time.monotonic()
    async with connection(world.port, sent) as (reader, _):
        assert await ended(reader) == b""
    assert time.monotonic() - begun >= HEAD_S * 0.9


async def test_a_second_head_on_a_connection_has_a_deadline_of_its_own(world: World) -> None:
    await world.start(keep_alive_s=60)
    async with connection(world.port, http("GET", "/quick")) as (reader, writer):
        async with asyncio.timeout(5):
            assert await reader.readuntil(b"\r\n\r\nok")
        writer.write(b"GET /qui")
        assert await ended(reader) == b""


async def test_an_idle_connection_ends_after_its_keep_alive(world: World) -> None:
    await world.start(keep_alive_s=0.2, head_receipt_s=60)
    async with connection(world.port, http("GET", "/quick")) as (reader, _):
        assert (await ended(reader)).endswith(b"ok")


async def test_a_call_may_take_longer_than_a_head(world: World) -> None:
    await world.start(head_receipt_s=0.05)
    async with connection(world.port, http("POST", "/hold")) as (reader, _):
        async with asyncio.timeout(5):
            await world.entered.wait()
        asyncio.get_running_loop().call_later(0.2, world.release.set)
        async with asyncio.timeout(5):
            assert await reader.readuntil(b"done")


async def test_connections_above_the_cap_are_closed_and_room_comes_back(world: World) -> None:
    await world.start(connections=2, head_receipt_s=60)
    async with connection(world.port, http("GET", "/quick")) as (one, _):
        async with asyncio.timeout(5):
            await one.readuntil(b"ok")
        async with connection(world.port, http("GET", "/quick")) as (two, _):
            async with asyncio.timeout(5):
                await two.readuntil(b"ok")
            async with connection(world.port, http("GET", "/quick")) as (three, _):
                assert await ended(three) == b""
    async with asyncio.timeout(5):
        while True:
            async with connection(world.port, http("GET", "/quick")) as (again, _):
                with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                    await again.readuntil(b"ok")
                    return


async def test_a_client_that_leaves_cancels_its_handler(world: World) -> None:
    await world.start()
    async with connection(world.port, http("POST", "/hold")):
        async with asyncio.timeout(5):
            await world.entered.wait()
    async with asyncio.timeout(5):
        await world.cancelled.wait()


async def test_a_call_in_flight_finishes_during_the_drain_and_nothing_new_is_accepted(world: World) -> None:
    await world.start()
    assert world.running is not None
    async with connection(world.port, http("POST", "/hold")) as (reader, _):
        async with asyncio.timeout(5):
            await world.entered.wait()
        closing = asyncio.create_task(world.running.close(grace_s=5))
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("127.0.0.1", world.port)
        world.release.set()
        assert (await ended(reader)).endswith(b"done")
        async with asyncio.timeout(5):
            assert await closing is True


async def test_a_call_that_outlives_the_grace_is_cut_off_and_told(world: World) -> None:
    await world.start()
    assert world.running is not None
    async with connection(world.port, http("POST", "/hold")) as (reader, _):
        async with asyncio.timeout(5):
            await world.entered.wait()
            assert await world.running.close(grace_s=0.05) is False
        assert await ended(reader) == b""


async def test_a_standing_stream_does_not_hold_up_the_drain(world: World) -> None:
    await world.start()
    assert world.running is not None
    async with connection(world.port, http("GET", "/hold")):
        async with asyncio.timeout(5):
            await world.entered.wait()
            assert await world.running.close(grace_s=60) is True


async def test_a_second_signal_ends_the_drain(world: World) -> None:
    await world.start()
    assert world.running is not None
    hurry = asyncio.Event()
    async with connection(world.port, http("POST", "/hold")):
        async with asyncio.timeout(5):
            await world.entered.wait()
            closing = asyncio.create_task(world.running.close(grace_s=60, hurry=hurry))
            hurry.set()
            assert await closing is False


@pytest.mark.parametrize(
    "data",
    [
        b"canary\r\n\r\n",
        b"POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\nab",
        b"POST /hold HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /quick HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET /quick HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 5_000 + b"\r\n",
    ],
)
async def test_what_is_not_http_gets_a_frozen_answer_and_the_connection_ends(world: World, data: bytes) -> None:
    await world.start()
    async with connection(world.port, data + http("POST", "/hold")) as (reader, _):
        answer = await ended(reader)
    assert answer.startswith(b"HTTP/1.") and b" 400 " in answer.split(b"\r\n")[0]  # noqa: PT018
    assert b"canary" not in answer
    assert not world.entered.is_set()


async def test_an_exception_of_ours_shows_nothing_and_ends_one_request(world: World) -> None:
    await world.start()
    async with connection(world.port, http("POST", "/broken")) as (reader, _):
        answer = await ended(reader)
    assert b" 500 " in answer.split(b"\r\n")[0]
    assert b"canary" not in answer
    async with connection(world.port, http("GET", "/quick")) as (reader, _):
        async with asyncio.timeout(5):
            assert await reader.readuntil(b"ok")


@pytest.mark.parametrize("sent", [http("GET", "/quick"), http("GET", "/none"), http("POST", "/broken"), b"no\r\n\r\n"])
async def test_no_answer_names_the_software_that_gives_it(world: World, sent: bytes) -> None:
    await world.start()
    async with connection(world.port, sent) as (reader, _), asyncio.timeout(5):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.startswith(b"http/1.")
    assert b"content-length:" in head
    assert b"\r\nserver:" not in head
    assert b"aiohttp" not in head


async def test_an_address_in_use_is_said_to_be(world: World) -> None:
    await world.start()
    with pytest.raises(serve.CannotServe, match="in use") as caught:
        serve.bind("127.0.0.1", world.port)
    assert caught.value.bind


async def test_nobody_is_told_of_a_broker_whose_status_port_is_taken(world: World) -> None:
    await world.start()
    told: list[serve.Running] = []
    settings = Settings.for_proxy(BACKEND, port=0, status={"port": world.port})
    with pytest.raises(serve.CannotServe, match="in use") as caught:
        await serve.run(settings, world.create, told.append)
    assert caught.value.bind
    assert told == []


def test_the_python_parser_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    serve.check_runtime()
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)
    with pytest.raises(serve.CannotServe, match="C parser"):
        serve.check_runtime()


@pytest.fixture(autouse=True)
def _quiet() -> None:
    telemetry.configure("json", "error")
