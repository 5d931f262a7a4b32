"""The pump between a client and its backend: what it answers itself, waits for, and cleans up."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.broker.http1_world import within
from tests.broker.scripted_backend import DONE, Asked, world

INITIALIZE: dict[str, Any] = {
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {"roots": {}}, "clientInfo": {"name": "x"}},
}


async def test_a_ping_for_a_client_without_a_stream_is_answered_by_the_broker() -> None:
    async with world() as here:

        async def pinging(asked: Asked) -> None:
            await asked.stream()
            await asked.event({"id": "p", "method": "ping"})
            await asked.reader.read()

        here.backend.on("GET", pinging)
        await here.client.open()
        assert (await here.backend.next("answer")).message == {"jsonrpc": "2.0", "id": "p", "result": {}}


async def test_a_ping_during_a_call_is_answered_by_the_client() -> None:
    async with world() as here:

        async def pinging(asked: Asked) -> None:
            await asked.stream()
            await asked.event({"id": "p", "method": "ping"})
            assert (await here.backend.next("answer")).message["id"] == "p"
            await asked.event({"id": asked.id, "result": DONE})
            await asked.end()

        await here.client.open()
        here.backend.on("tools/call", pinging)
        reply = await here.client.call()
        question = await reply.message()
        assert question["method"] == "ping"
        await here.client.post({"id": question["id"], "result": {}})
        assert (await reply.message())["result"] == DONE


async def test_initialized_is_taken_only_when_a_stream_for_questions_stands() -> None:
    async with world() as here:
        release = asyncio.Event()

        async def slow(asked: Asked) -> None:
            await within(release.wait())
            await asked.stream()
            await asked.reader.read()

        here.backend.on("GET", slow)
        assert (await here.client.post(INITIALIZE)).status == 200
        here.client.session = next(iter(here.context.sessions._by_id))
        posting = asyncio.ensure_future(here.client.post({"method": "notifications/initialized"}))
        await here.backend.next("GET")
        assert not posting.done()
        release.set()
        assert (await within(posting)).status == 202


async def test_a_backend_session_whose_handshake_fails_is_deleted_again() -> None:
    async def strange(asked: Asked) -> None:
        await asked.result({"protocolVersion": "1.0", "capabilities": {}}, mcp_session_id="half-open")

    async with world() as here:
        here.backend.on("initialize", strange)
        reply = await here.client.post(INITIALIZE)
        assert reply.json["error"]["data"]["reason"] == "backend-revision"
        assert (await here.backend.next("DELETE")).headers["mcp-session-id"] == "half-open"
        assert len(here.context.sessions) == 0


async def test_a_counter_offer_of_a_backend_is_taken_in_one_more_request() -> None:
    async with world() as here:

        async def choosy(asked: Asked) -> None:
            params = asked.message["params"]
            if params["protocolVersion"] != "2024-11-05":
                error = {"code": -32602, "message": "Unsupported", "data": {"supported": ["2024-11-05"]}}
                await asked.json({"id": asked.id, "error": error})
                return
            info = {"name": "x", "version": "1"}
            await asked.result({**params, "capabilities": {}, "serverInfo": info}, mcp_session_id="s")

        here.backend.on("initialize", choosy)
        reply = await here.client.open("2025-06-18", {"elicitation": {}})
        assert reply.json["result"]["protocolVersion"] == "2025-06-18"
        assert [asked.message["params"]["capabilities"] for asked in here.backend.asked[:2]] == [
            {"elicitation": {}},
            {},
        ]
        assert (await here.client.call()).json["result"] == DONE
        assert "mcp-protocol-version" not in here.backend.asked[-1].headers


async def test_a_client_that_leaves_during_the_handshake_leaves_nothing_behind() -> None:
    async with world() as here:
        closed = asyncio.Event()

        async def silent(asked: Asked) -> None:
            await asked.gone()
            closed.set()

        here.backend.on("initialize", silent)
        posting = asyncio.ensure_future(here.client.post(INITIALIZE))
        await here.backend.next("initialize")
        posting.cancel()
        await asyncio.wait([posting])
        here.client.drop()
        await within(closed.wait())
        assert len(here.context.sessions) == 0


async def test_an_initialize_answer_in_a_stream_is_an_answer() -> None:
    async with world() as here:

        async def streamed(asked: Asked) -> None:
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nmcp-session-id: s\r\n"
            await asked.raw(head + b"transfer-encoding: chunked\r\n\r\n")
            result = {**asked.message["params"], "serverInfo": {"name": "x", "version": "1"}}
            await asked.event({"id": asked.id, "result": result})
            await asked.end()

        here.backend.on("initialize", streamed)
        await here.client.open()
        assert (await here.client.call()).json["result"] == DONE
        assert here.backend.asked[-1].headers["mcp-session-id"] == "s"
