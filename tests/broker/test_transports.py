"""Which of the two HTTP transports leads to a backend: when that is asked, and what an absent backend leaves open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from broker.backends.http1 import make_pool
from broker.backends.http_reach import HttpReach
from broker.limit_values import DEFAULTS, wire_of
from tests.broker.http1_world import Backend, Clock, backend, turn, within
from tests.broker.scripted_backend import DONE, Asked, world
from tests.broker.test_pair_backend import PairServer

STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\nevent: endpoint\ndata: /post\n\n"
)


@asynccontextmanager
async def reached() -> AsyncIterator[tuple[HttpReach, Backend]]:
    """The way to a raw backend, and that backend."""
    async with backend() as server:
        wheel = Clock().wheel
        url = f"http://127.0.0.1:{server.port}/mcp"
        reach = HttpReach(
            url,
            make_pool(url, wheel=wheel),
            lambda other: make_pool(other, wheel=wheel),
            wire_of(DEFAULTS),
            {"name": "tests", "version": "1"},
            wheel,
            limits=DEFAULTS,
        )
        try:
            yield reach, server
        finally:
            await within(reach.close())


async def test_callers_that_come_while_the_transport_is_looked_for_wait_for_the_same_answer() -> None:
    async with reached() as (reach, server):
        callers = [asyncio.ensure_future(reach.settle()) for _ in range(3)]
        peer = await server.accept()
        await peer.head()
        assert not any(caller.done() for caller in callers)
        await peer.write(STREAM)
        assert await within(asyncio.gather(*callers)) == [True, True, True]
        assert reach.is_pair
        assert server.accepted == 1


async def test_a_caller_that_gives_up_leaves_the_look_to_the_others() -> None:
    async with reached() as (reach, server):
        first, second = (asyncio.ensure_future(reach.settle()) for _ in range(2))
        peer = await server.accept()
        await peer.head()
        first.cancel()
        await turn()
        await peer.write(STREAM)
        assert await within(second)
        assert reach.is_pair


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"], ids=["none", "503"]
)
async def test_a_backend_that_is_away_leaves_the_transport_open(answer: bytes) -> None:
    async with reached() as (reach, server):
        looking = asyncio.ensure_future(reach.settle())
        peer = await server.accept()
        await peer.head()
        await peer.write(answer)
        peer.close()
        assert not await within(looking)
        looking = asyncio.ensure_future(reach.settle())
        peer = await server.accept()
        await peer.head()
        await peer.write(STREAM)
        assert await within(looking)
        assert reach.is_pair
        assert await reach.settle()
        assert server.accepted == 2


async def test_the_look_ends_with_the_broker() -> None:
    async with reached() as (reach, server):
        looking = asyncio.ensure_future(reach.settle())
        peer = await server.accept()
        await peer.head()
        await within(reach.close())
        assert await peer.gone()
        with pytest.raises(asyncio.CancelledError):
            await within(looking)


async def test_a_server_of_the_pair_that_was_down_at_first_is_served_once_it_is_up() -> None:
    async with world(backend={"revision": "2024-11-05"}) as here:

        async def down(asked: Asked) -> None:
            asked.hang_up()

        for key in ("GET", "initialize"):
            here.backend.on(key, down)
        asked = {"id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}
        assert "error" in (await here.client.post(asked)).json
        PairServer(here)
        await here.client.open("2025-06-18")
        assert (await here.client.call()).json["result"] == DONE


async def test_a_server_of_the_pair_stays_one_while_it_says_that_it_is_unavailable() -> None:
    async with world() as here:
        PairServer(here)
        await here.client.open("2025-06-18")
        reach = here.context.reach

        async def unavailable(asked: Asked) -> None:
            await asked.reply(503)

        here.backend.on("server/discover", unavailable)
        assert (await reach.verdict()).kind == "inconclusive"
        other = here.another()
        await other.open("2025-06-18")
        assert (await other.call()).json["result"] == DONE
