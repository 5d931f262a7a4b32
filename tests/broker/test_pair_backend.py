"""Servers of the HTTP+SSE pair: how they are found out, where messages are posted, and what a lost stream means."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from broker.sse import encode
from tests.broker.scripted_backend import DONE, Asked, World, world


class PairServer:
    """The scripted backend as a server of the pair."""

    def __init__(self, here: World, endpoint: str = "/messages?session_id=1") -> None:
        self.here = here
        self.endpoint = endpoint
        self.streams: list[Asked] = []
        self.refuse: dict[str, int] = {}
        backend = here.backend
        backend.on("GET", self._stream)
        for key in ("initialize", "notifications/initialized", "tools/call", "tools/list", "ping", "answer"):
            backend.on(key, self._posted)
        backend.on("server/discover", self._no_post)

    async def _no_post(self, asked: Asked) -> None:
        await asked.reply(405)

    async def _stream(self, asked: Asked) -> None:
        await asked.stream()
        await asked.chunk(encode(self.endpoint.encode(), name="endpoint"))
        self.streams.append(asked)
        await asyncio.get_running_loop().create_future()

    async def _posted(self, asked: Asked) -> None:
        refused = self.refuse.pop(asked.key, 0)
        if refused:
            await asked.reply(refused)
            return
        await asked.reply(202, b"Accepted", "text/plain")
        if asked.key == "initialize":
            version = asked.message["params"]["protocolVersion"]
            info = {"name": "pair", "version": "1"}
            await self.say(
                {"id": asked.id, "result": {"protocolVersion": version, "capabilities": {}, "serverInfo": info}}
            )
        elif asked.key == "tools/call":
            await self.say({"id": asked.id, "result": DONE})

    async def say(self, message: dict[str, Any]) -> None:
        """A message on the newest stream."""
        text = json.dumps({"jsonrpc": "2.0", **message}).encode()
        await self.streams[-1].chunk(encode(text))


@pytest.mark.parametrize(
    "settings",
    [{}, {"transport": "sse"}, {"revision": "2024-11-05"}],
    ids=["found out", "configured", "pinned to its revision"],
)
async def test_a_server_of_the_pair_is_served(settings: dict[str, Any]) -> None:
    async with world(backend=settings) as here:
        PairServer(here)
        opened = await here.client.open("2025-06-18")
        assert opened.json["result"]["protocolVersion"] == "2025-06-18"
        assert (await here.client.call()).json["result"] == DONE


async def test_each_session_has_a_stream_of_its_own() -> None:
    async with world(backend={"transport": "sse"}) as here:
        server = PairServer(here)
        await here.client.open()
        await here.another().open()
        assert len(server.streams) == 2


@pytest.mark.parametrize("address", ["http://127.0.0.2:1/messages", "//evil.example/messages", "ftp://x/"])
async def test_messages_are_posted_to_no_other_origin(address: str) -> None:
    async with world(backend={"transport": "sse"}) as here:
        PairServer(here, address)
        info = {"name": "raw", "version": "0"}
        asked = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info}
        reply = await here.client.post({"id": 0, "method": "initialize", "params": asked})
        assert reply.json["error"]["data"]["reason"] == "backend-garbage"
        assert here.backend.count("initialize") == 0


@pytest.mark.parametrize("address", ["http://[", "//[::1/messages"])
async def test_an_address_that_is_none_is_an_error_of_the_opening(address: str) -> None:
    async with world(backend={"transport": "sse"}) as here:
        PairServer(here, address)
        reply = await here.client.post({"id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}})
        assert reply.json["error"]["data"]["reason"] == "backend-garbage"


async def test_an_absolute_address_of_the_same_origin_is_taken() -> None:
    async with world(backend={"transport": "sse"}) as here:
        PairServer(here, f"http://127.0.0.1:{here.backend.port}/elsewhere?s=1")
        await here.client.open()
        assert (await here.client.call()).json["result"] == DONE


@pytest.mark.parametrize(
    ("status", "reason"), [(400, "backend-status"), (500, "backend-status"), (401, "backend-unauthorized")]
)
async def test_a_post_that_is_refused_fails_its_call_alone(status: int, reason: str) -> None:
    async with world(backend={"transport": "sse"}) as here:
        server = PairServer(here)
        await here.client.open()
        server.refuse["tools/call"] = status
        assert (await here.client.call(1)).json["error"]["data"]["reason"] == reason
        assert (await here.client.call(2)).json["result"] == DONE


async def test_a_lost_stream_fails_what_was_open_and_another_session_is_opened() -> None:
    async with world(backend={"transport": "sse"}) as here:
        server = PairServer(here)
        await here.client.open()

        async def never(asked: Asked) -> None:
            await asked.reply(202)
            server.streams[-1].hang_up()

        here.backend.on("tools/call", never)
        assert (await here.client.call(1)).json["error"]["data"]["reason"] == "backend-closed"
        here.backend.on("tools/call", server._posted)
        assert (await here.client.call(2)).json["result"] == DONE
        assert len(server.streams) == 2
        assert here.backend.count("tools/call") == 2  # the one that was lost is never run again


async def test_a_stream_that_is_none_is_an_error_of_the_opening() -> None:
    async with world(backend={"transport": "sse"}) as here:
        reply = await here.client.post({"id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}})
        assert reply.json["error"]["data"]["reason"] == "backend-status"


async def test_the_end_of_the_clients_session_closes_the_stream() -> None:
    async with world(backend={"transport": "sse"}) as here:
        server = PairServer(here)
        await here.client.open()
        assert (await here.client.send("DELETE")).status == 200
        await server.streams[0].gone()
