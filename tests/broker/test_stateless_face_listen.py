"""Subscriptions: acknowledged first, the client's own id on every message, and an end in good order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.broker.http1_world import within
from tests.broker.modern_world import COMPLETE, PREFIX, ask, modern, refused
from tests.broker.scripted_backend import Asked, Json, Reply, World

LISTEN = "subscriptions/listen"
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
WANTED: Json = {"toolsListChanged": True, "resourceSubscriptions": ["file:///a"]}
ID = f"{PREFIX}subscriptionId"


class Source:
    """The backend's side of one subscription, written by the test."""

    def __init__(self, here: World) -> None:
        self.gone = asyncio.Event()
        self.asked: Asked | None = None
        here.backend.on(LISTEN, self)

    async def __call__(self, asked: Asked) -> None:
        self.asked = asked
        await asked.stream()
        await self.say(ACKNOWLEDGED, notifications=asked.message["params"]["notifications"])
        await asked.gone()
        self.gone.set()

    async def say(self, method: str, **params: Any) -> None:
        assert self.asked is not None
        meta = {ID: self.asked.message["id"], "com.example/x": 1}
        await self.asked.event({"method": method, "params": {**params, "_meta": meta}})


async def listen(here: World, wanted: Json = WANTED, id: int | str = 7, **more: Any) -> Reply:  # noqa: A002
    return await ask(here.client, LISTEN, {"notifications": wanted}, id=id, **more)


@pytest.mark.parametrize("client_id", [0, 7, "7", "sub"])
async def test_the_acknowledgement_comes_first_and_every_message_has_the_clients_id(client_id: int | str) -> None:
    async with modern() as here:
        source = Source(here)
        reply = await listen(here, id=client_id)
        assert reply.headers["content-type"] == "text/event-stream"
        meta = {ID: client_id, "com.example/x": 1}
        first = await reply.message()
        assert first["method"] == ACKNOWLEDGED
        assert first["params"] == {"notifications": WANTED, "_meta": meta}
        await source.say("notifications/tools/list_changed")
        await source.say("notifications/resources/updated", uri="file:///a/below")
        assert (await reply.message())["params"] == {"_meta": meta}
        assert (await reply.message())["params"] == {"uri": "file:///a/below", "_meta": meta}
        assert source.asked is not None
        assert source.asked.message["id"] != client_id


async def test_what_was_not_asked_for_or_belongs_elsewhere_does_not_pass() -> None:
    async with modern() as here:
        source = Source(here)
        reply = await listen(here, {"toolsListChanged": True})
        await reply.message()
        await source.say("notifications/prompts/list_changed")
        await source.say("notifications/resources/updated", uri="file:///a")
        await source.say("notifications/message", level="error", data=1)
        await source.say("notifications/progress", progressToken=1, progress=1)
        await source.say(ACKNOWLEDGED, notifications={})
        await source.say("notifications/tools/list_changed")
        assert (await reply.message())["method"] == "notifications/tools/list_changed"


async def test_nothing_overtakes_the_acknowledgement() -> None:
    async with modern() as here:

        async def answer(asked: Asked) -> None:
            await asked.stream()
            await asked.event({"method": "notifications/tools/list_changed", "params": {}})
            await asked.event({"method": ACKNOWLEDGED, "params": {"notifications": WANTED}})
            await asked.event({"id": asked.message["id"], "result": {"resultType": "complete"}})

        here.backend.on(LISTEN, answer)
        reply = await listen(here)
        first = await reply.message()
        assert (first["method"], first["params"]["_meta"]) == (ACKNOWLEDGED, {ID: 7})
        last = await reply.message()
        assert last == {"jsonrpc": "2.0", "id": 7, "result": {"resultType": "complete", "_meta": {ID: 7}}}
        assert await reply.event() is None


async def test_a_server_that_tears_it_down_says_so_with_the_clients_id() -> None:
    async with modern() as here:
        source = Source(here)
        reply = await listen(here)
        await reply.message()
        assert source.asked is not None
        await source.say("notifications/cancelled", requestId=source.asked.message["id"], reason="bye")
        params = (await reply.message())["params"]
        assert (params["requestId"], params["_meta"][ID], params["reason"]) == (7, 7, "bye")


async def test_a_subscription_that_breaks_off_ends_with_an_error() -> None:
    async with modern() as here:
        source = Source(here)
        reply = await listen(here)
        await reply.message()
        assert source.asked is not None
        source.asked.hang_up()
        last = await reply.message()
        assert (last["id"], last["error"]["code"]) == (7, -32603)
        assert await reply.event() is None


async def test_a_client_that_goes_ends_its_subscription_at_the_backend() -> None:
    async with modern() as here:
        source = Source(here)
        reply = await listen(here)
        await reply.message()
        reply.cut()
        await within(source.gone.wait())


async def test_a_backend_that_knows_no_subscriptions_is_believed() -> None:
    async with modern() as here:

        async def answer(asked: Asked) -> None:
            await asked.json({"id": asked.message["id"], "error": {"code": -32601, "message": "no"}}, 404)

        here.backend.on(LISTEN, answer)
        reply = await listen(here)
        assert (reply.status, reply.json["id"], reply.json["error"]["code"]) == (404, 7, -32601)


async def test_one_caller_has_a_bounded_number_of_subscriptions_and_others_have_their_own() -> None:
    async with modern(limits={"streams_per_session": 2}) as here:
        source = Source(here)
        replies = [await listen(here, id=number) for number in range(2)]
        for reply in replies:
            await reply.message()
        assert refused(await listen(here, id=9)) == (429, -32603, 9, "subscriptions")
        assert (await ask(here.client)).status == 200
        replies[0].cut()
        await within(source.gone.wait())
        assert (await listen(here, id=9)).status == 200


async def test_comments_keep_a_quiet_subscription_alive() -> None:
    async with modern(limits={"comment_interval_s": 0.05}) as here:
        Source(here)
        reply = await listen(here)
        await reply.message()
        assert (await within(reply._reader.readuntil(b"\n\r\n"))).split(b"\r\n")[1].startswith(b":")


async def test_a_broker_that_stops_ends_subscriptions_in_good_order_and_lets_calls_finish() -> None:
    async with modern() as here:
        Source(here)

        async def later(asked: Asked) -> None:
            """The test answers."""

        here.backend.on("tools/call", later)
        reply = await listen(here)
        await reply.message()
        calling = asyncio.ensure_future(ask(here.another(), id="call"))
        asked = await here.backend.next("tools/call")
        closing = asyncio.ensure_future(here.broker.close(grace_s=5))
        assert (await reply.message())["result"] == {"resultType": "complete", "_meta": {ID: 7}}
        assert await reply.event() is None
        await asked.result(COMPLETE)
        assert (await within(calling)).json["result"] == COMPLETE
        assert await within(closing)
