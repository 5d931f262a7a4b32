"""The backend's GET stream: when it is opened, that it is opened again, and what a backend without one means."""

from __future__ import annotations

from typing import Any

from tests.broker.scripted_backend import DONE, Asked, World, world

LOG = {"method": "notifications/message", "params": {"level": "info", "data": 1}}


async def test_a_backend_without_a_stream_is_asked_once() -> None:
    async with world() as here:
        await here.client.open()
        await here.backend.next("GET")
        for number in range(3):
            assert (await here.client.call(number)).json["result"] == DONE
        assert here.backend.count("GET") == 1


async def test_no_stream_is_opened_where_nothing_could_come_on_it() -> None:
    async with world() as here:
        here.backend.capabilities = {"tools": {}}
        await here.client.open()
        await here.client.call()
        assert here.backend.count("GET") == 0


async def test_no_stream_is_opened_to_a_backend_without_sessions() -> None:
    async with world() as here:

        async def initialize(asked: Asked) -> None:
            params = asked.message["params"]
            offers: dict[str, Any] = {"tools": {"listChanged": True}}
            info = {"name": "x", "version": "1"}
            answer = {"protocolVersion": params["protocolVersion"], "capabilities": offers, "serverInfo": info}
            await asked.result(answer)

        here.backend.on("initialize", initialize)
        await here.client.open()
        assert (await here.client.call()).json["result"] == DONE
        assert here.backend.count("GET") == 0
        assert "mcp-session-id" not in here.backend.asked[-1].headers


def ending(here: World) -> None:
    """Each stream carries one message and ends."""

    async def stream(asked: Asked) -> None:
        number = here.backend.count("GET")
        await asked.stream()
        if number > 2:
            await asked.reader.read()
            return
        await asked.chunk(b"retry: 10\n\n")
        await asked.event(LOG, f"e{number}")
        await asked.chunk(b"data: garbage\n\n")
        await asked.event({"id": 1, "result": {}})
        await asked.chunk(b"event: endpoint\ndata: http://evil.example/\n\n")
        await asked.end()

    here.backend.on("GET", stream)


async def test_a_stream_that_ends_is_opened_again_where_it_ended_and_garbage_on_it_is_passed_over() -> None:
    async with world() as here:
        ending(here)
        await here.client.open("2025-06-18")
        stream = await here.client.send("GET")
        for _ in range(2):
            assert (await stream.message())["params"] == LOG["params"]
        assert "last-event-id" not in (await here.backend.next("GET")).headers
        assert (await here.backend.next("GET")).headers["last-event-id"] == "e1"
        assert (await here.backend.next("GET")).headers["last-event-id"] == "e2"
        assert (await here.client.call()).json["result"] == DONE


async def test_a_stream_that_finds_the_session_lost_has_it_opened_again_at_once() -> None:
    async with world() as here:

        async def stream(asked: Asked) -> None:
            await asked.stream()
            if here.backend.count("GET") == 1:
                here.backend.forget_sessions()
                await asked.chunk(b"retry: 10\n\n")
                await asked.end()
            else:
                await asked.reader.read()

        here.backend.on("GET", stream)
        await here.client.open()
        for _ in range(3):
            got = await here.backend.next("GET")
        assert got.headers["mcp-session-id"] == "backend-2"
        assert here.backend.count("initialize") == 2
        assert (await here.client.call()).json["result"] == DONE
