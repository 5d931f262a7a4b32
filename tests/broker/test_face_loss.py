"""A backend that loses its session under a live client: opened again silently, told again, nothing run twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.broker.http1_world import within
from tests.broker.scripted_backend import DONE, Asked, world


async def test_a_lost_session_is_opened_again_and_the_call_is_answered() -> None:
    async with world() as here:
        await here.client.open()
        here.backend.forget_sessions()
        assert (await here.client.call()).json == {"jsonrpc": "2.0", "id": 1, "result": DONE}
        posts = [asked.key for asked in here.backend.asked if asked.verb == "POST"]
        assert posts[2:] == ["tools/call", "initialize", "notifications/initialized", "tools/call"]
        assert here.backend.count("initialize") == 2
        first, again = (asked for asked in here.backend.asked if asked.key == "tools/call")
        assert first.body == again.body
        assert again.headers["mcp-session-id"] == "backend-2"
        assert (await here.client.call(2)).json["result"] == DONE
        assert here.backend.count("initialize") == 2


async def test_a_session_that_is_lost_twice_under_one_call_is_opened_a_third_time_for_the_next() -> None:
    async with world() as here:
        await here.client.open()

        async def lose(asked: Asked) -> None:
            await asked.reply(404)

        here.backend.on("tools/call", lose)
        lost = (await here.client.call()).json["error"]
        assert lost["data"] == {"origin": "broker", "reason": "backend-session-lost"}
        del here.backend._on["tools/call"]
        assert (await here.client.call(2)).json["result"] == DONE
        sent = [asked.headers.get("mcp-session-id") for asked in here.backend.asked if asked.key == "tools/call"]
        assert sent == ["backend-1", "backend-2", "backend-3"]


async def test_level_and_subscriptions_are_told_to_the_new_session_before_the_call() -> None:
    async with world() as here:
        here.backend.capabilities = {"logging": {}, "resources": {"subscribe": True}}
        await here.client.open()
        await here.client.call(1, "logging/setLevel", level="error")
        await here.client.call(2, "resources/subscribe", uri="test://a")
        await here.client.call(3, "resources/subscribe", uri="test://b")
        await here.client.call(4, "resources/unsubscribe", uri="test://a")
        here.backend.forget_sessions()
        before = len(here.backend.asked)
        assert (await here.client.call(5)).json["result"] == DONE
        replayed = [asked for asked in here.backend.asked[before:] if asked.verb == "POST"]
        keys = [asked.key for asked in replayed]
        assert keys[:3] == ["tools/call", "initialize", "notifications/initialized"]
        assert sorted(keys[3:5]) == ["logging/setLevel", "resources/subscribe"]
        assert keys[5:] == ["tools/call"]
        told = {asked.key: asked.message["params"] for asked in replayed[3:5]}
        assert told == {"logging/setLevel": {"level": "error"}, "resources/subscribe": {"uri": "test://b"}}


async def test_nothing_is_sent_to_the_new_session_before_it_took_initialized() -> None:
    async with world() as here:
        await here.client.open()
        here.backend.forget_sessions()
        greeted = asyncio.Event()

        async def initialized(asked: Asked) -> None:
            greeted.set()
            assert here.backend.count("tools/call") == 1
            await asked.reply(202)

        async def called(asked: Asked) -> None:
            assert greeted.is_set()
            await asked.result()

        here.backend.on("notifications/initialized", initialized)
        here.backend.on("tools/call", called)
        assert (await here.client.call()).json["result"] == DONE


async def test_many_calls_that_find_one_loss_open_one_session() -> None:
    async with world() as here:
        await here.client.open()
        here.backend.forget_sessions()
        replies = await within(asyncio.gather(*(here.client.call(number) for number in range(8))))
        assert [(reply.json["id"], reply.json["result"]) for reply in replies] == [(n, DONE) for n in range(8)]
        assert here.backend.count("initialize") == 2


async def test_a_call_that_hears_of_the_loss_late_does_not_cost_another_session() -> None:
    async with world() as here:
        await here.client.open()
        release = asyncio.Event()

        async def late(asked: Asked) -> None:
            if asked.headers["mcp-session-id"] == "backend-1":
                await within(release.wait())
                await asked.reply(404)
            else:
                await asked.result()

        here.backend.on("tools/call", late)
        calling = asyncio.ensure_future(here.client.call("slow"))
        await here.backend.next("tools/call")
        here.backend.forget_sessions()
        assert (await here.client.call("quick", "tools/list")).json["result"] == DONE
        release.set()
        assert (await within(calling)).json["result"] == DONE
        assert here.backend.count("initialize") == 2


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"No valid session ID provided"}}', "json"),
        (b'{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Bad Request"}}', "json"),
        (b"Invalid or missing session ID", "plain"),
    ],
)
async def test_a_400_that_answers_no_request_of_ours_means_the_session_is_lost(body: bytes, kind: str) -> None:
    async def refusing(asked: Asked) -> None:
        if asked.headers["mcp-session-id"] == "backend-1":
            await asked.reply(400, body, "application/json" if kind == "json" else "text/plain")
        else:
            await asked.result()

    async with world() as here:
        await here.client.open()
        here.backend.on("tools/call", refusing)
        assert (await here.client.call()).json["result"] == DONE
        assert here.backend.count("initialize") == 2


async def test_a_backend_that_loses_every_session_is_not_hammered() -> None:
    async with world() as here:
        await here.client.open()
        here.backend.on("tools/call", lambda asked: asked.reply(404))
        reply = await here.client.call()
        assert reply.json["error"]["data"] == {"origin": "broker", "reason": "backend-session-lost"}
        assert here.backend.count("tools/call") == 2
        assert here.backend.count("initialize") == 2


async def test_a_session_that_cannot_be_opened_again_fails_the_call_and_the_next_call_tries_anew() -> None:
    broken = True

    async def initialize(asked: Asked) -> None:
        if broken:
            await asked.reply(503)
            return
        here.backend.sessions += 1
        result: dict[str, Any] = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "x"}}
        await asked.result(result, mcp_session_id="backend-9")

    async with world() as here:
        await here.client.open()
        here.backend.forget_sessions()
        here.backend.on("initialize", initialize)
        reply = await here.client.call()
        assert (reply.status, reply.json["error"]["data"]["reason"]) == (200, "backend-session-lost")
        note = await here.client.post({"method": "notifications/roots/list_changed"})
        assert note.status == 202
        broken = False
        assert (await here.client.call(2)).json["result"] == DONE
        assert here.backend.asked[-1].headers["mcp-session-id"] == "backend-9"


async def test_a_backend_that_comes_back_in_another_revision_is_spoken_to_in_that_one() -> None:
    async with world() as here:
        await here.client.open("2025-11-25")
        here.backend.forget_sessions()
        here.backend.revision = "2025-06-18"
        assert (await here.client.call()).json["result"] == DONE
        calls = [asked for asked in here.backend.asked if asked.key == "tools/call"]
        assert [asked.headers["mcp-protocol-version"] for asked in calls] == ["2025-11-25", "2025-06-18"]


async def test_a_notification_that_finds_the_loss_is_taken_and_the_session_opened_again() -> None:
    async with world() as here:
        await here.client.open()
        here.backend.forget_sessions()
        assert (await here.client.post({"method": "notifications/roots/list_changed"})).status == 202
        assert (await here.client.call()).json["result"] == DONE
        assert here.backend.count("initialize") == 2


async def test_the_backends_standing_stream_is_opened_again_with_the_new_session() -> None:
    async def stream(asked: Asked) -> None:
        await asked.stream()
        await asked.reader.read()

    async with world() as here:
        here.backend.on("GET", stream)
        await here.client.open()
        assert (await here.backend.next("GET")).headers["mcp-session-id"] == "backend-1"
        here.backend.forget_sessions()
        await here.client.call()
        assert (await here.backend.next("GET")).headers["mcp-session-id"] == "backend-2"
