"""Announced changes of a stateless backend's lists, as session clients hear of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.broker.crossing_world import CHANGED, LISTEN, Listened, completes, crossing, greeted, standing
from tests.broker.scripted_backend import DONE, Asked, Json, Reply, World

OFFERS: Json = {"tools": {"listChanged": True}, "prompts": {"listChanged": True}}
PROMPTS = "notifications/prompts/list_changed"


def tools(*names: str, **more: Any) -> list[Json]:
    return [{"name": name, "inputSchema": {"type": "object"}, **more} for name in names]


async def reading(here: World, *shown: Json, revision: str = "2025-11-25") -> tuple[Listened, Reply]:
    """A client that has read these tools and listens."""
    listened = Listened()
    here.backend.on(LISTEN, listened)
    here.backend.on("tools/list", completes(tools=list(shown)))
    await greeted(here, OFFERS, revision=revision)
    stream = await standing(here)
    await here.client.call(1, "tools/list")
    return listened, stream


async def read_again(here: World) -> None:
    """The broker has read the list once more, and has made up its mind: a later call has gone all the way."""
    for _ in range(2):
        await here.backend.next("tools/list")
    await here.client.call(2)


async def test_a_list_that_is_read_again_and_is_the_same_is_not_announced() -> None:
    async with crossing() as here:
        listened, stream = await reading(here, *tools("a", "b"))
        here.backend.on("tools/list", completes(tools=tools("b", "a")))
        await listened.announce()
        await read_again(here)
        await listened.announce(PROMPTS)
        assert (await stream.message())["method"] == PROMPTS


async def test_a_list_that_is_another_is_announced_once() -> None:
    async with crossing() as here:
        listened, stream = await reading(here, *tools("a"))
        here.backend.on("tools/list", completes(tools=tools("a", "b")))
        await listened.announce()
        assert await stream.message() == {"jsonrpc": "2.0", "method": CHANGED}
        await listened.announce(PROMPTS)
        assert (await stream.message())["method"] == PROMPTS


@pytest.mark.parametrize(("revision", "told"), [("2025-06-18", [PROMPTS]), ("2025-11-25", [CHANGED, PROMPTS])])
async def test_what_the_client_would_not_see_is_no_change_of_its_list(revision: str, told: list[str]) -> None:
    async with crossing() as here:
        listened, stream = await reading(here, *tools("a"), revision=revision)
        icons = [{"src": "https://example.com/a.png"}]
        here.backend.on("tools/list", completes(tools=tools("a", icons=icons)))
        await listened.announce()
        await read_again(here)
        await listened.announce(PROMPTS)
        assert [(await stream.message())["method"] for _ in told] == told


async def test_what_a_filter_hides_is_no_change_and_not_betrayed() -> None:
    async with crossing(backend={"filter": {"tools": {"deny": ["secret*"]}}}) as here:
        listened, stream = await reading(here, *tools("a"))
        here.backend.on("tools/list", completes(tools=tools("a", "secret")))
        await listened.announce()
        await read_again(here)
        await listened.announce(PROMPTS)
        assert (await stream.message())["method"] == PROMPTS


async def test_every_announcement_is_told_where_the_operator_wants_it() -> None:
    async with crossing(backend={"compare_lists": False}) as here:
        listened, stream = await reading(here, *tools("a"))
        for _ in range(2):
            await listened.announce()
            assert (await stream.message())["method"] == CHANGED
        assert here.backend.count("tools/list") == 1


async def test_a_client_that_has_read_nothing_is_told_at_once() -> None:
    async with crossing() as here:
        here.backend.on(LISTEN, listened := Listened())
        await greeted(here, OFFERS)
        stream = await standing(here)
        await listened.announce()
        assert (await stream.message())["method"] == CHANGED
        assert here.backend.count("tools/list") == 0


async def test_a_change_right_after_the_handshake_is_told() -> None:
    async with crossing() as here:
        here.backend.on(LISTEN, listened := Listened())

        async def change(asked: Asked) -> None:
            await listened.announce()
            await asked.result({"resultType": "complete", **DONE})

        here.backend.on("tools/call", change)
        await greeted(here, OFFERS)
        stream = await here.client.send("GET", Accept="text/event-stream")
        assert (await here.client.call()).json["result"] == DONE
        assert (await stream.message())["method"] == CHANGED


@pytest.mark.parametrize("way", ["refused", "hangs up", "never"])
async def test_a_stream_that_does_not_stand_keeps_nobody_waiting(way: str) -> None:
    async def listen(asked: Asked) -> None:
        if way == "refused":
            await asked.json({"id": asked.message["id"], "error": {"code": -32601, "message": "no"}}, 404)
        elif way == "hangs up":
            asked.hang_up()

    async with crossing() as here:
        here.backend.on(LISTEN, listen)
        await greeted(here, OFFERS)
        assert (await here.client.call()).json["result"] == DONE
