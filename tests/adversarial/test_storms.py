"""Storms of announcements on every way from a server to a client (C148, C211)."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Final

import pytest

from broker.backends.repeats import WITHIN_S
from tests.broker.http1_world import within
from tests.broker.modern_world import ask, modern
from tests.broker.pair_world import PairClient
from tests.broker.scripted_backend import Asked, Json, World, world
from tests.broker.test_face_streams import Standing

STORM: Final = 5_000
CHANGED: Final[Json] = {"method": "notifications/tools/list_changed"}
PROMPTS: Final[Json] = {"method": "notifications/prompts/list_changed"}
WANTED: Final[Json] = {"toolsListChanged": True, "promptsListChanged": True}
MARK: Final[Json] = {"method": "notifications/message", "params": {"level": "error", "data": "over"}}


async def counted(message: Any, mark: str = MARK["method"]) -> None:
    """Read to the mark, and one announcement further: few of the storm are told, and one after its end."""
    began, told = time.monotonic(), 0
    while (heard := await message())["method"] != mark:
        told += heard["method"] == CHANGED["method"]
    assert 1 <= told <= (time.monotonic() - began) / WITHIN_S + 2
    assert (await message())["method"] == CHANGED["method"]


async def storm(asked: Asked, meta: Json | None = None, mark: Json = MARK) -> None:
    data = json.dumps({"jsonrpc": "2.0", **CHANGED, **(meta or {})}).encode()
    for _ in range(STORM // 100):
        await asked.chunk(b"data: " + data + b"\n\n" + b"data: " + (data + b"\n\ndata: ") * 98 + data + b"\n\n")
    await asked.event({**mark, **(meta or {})})


@pytest.mark.parametrize("revision", ["2025-03-26", "2025-11-25"])
async def test_a_session_is_told_of_a_storm_a_few_times(revision: str) -> None:
    """C211."""
    async with world() as here:
        standing = Standing(here)
        await here.client.open(revision)
        stream = await here.client.send("GET")
        await within(standing.opened.wait())
        sending = asyncio.ensure_future(storm(standing.asked[-1]))
        await counted(stream.message)
        await sending


async def test_the_old_pair_is_told_of_a_storm_a_few_times() -> None:
    """C211."""
    async with world() as here:
        standing = Standing(here)
        pair = PairClient(here)
        await pair.open("2024-11-05")
        await within(standing.opened.wait())
        sending = asyncio.ensure_future(storm(standing.asked[-1]))
        await counted(pair.stream.message)
        await sending


@pytest.mark.parametrize("stateless", [True, False])
async def test_a_subscription_is_told_of_a_storm_a_few_times(stateless: bool) -> None:
    """C211: before a server that has no sessions, and before one that has."""
    async with modern() if stateless else world() as here:
        stands = await listening(here, stateless=stateless)
        heard = await ask(here.client, "subscriptions/listen", {"notifications": WANTED})
        assert (await heard.message())["method"].endswith("acknowledged")
        asked = await within(stands.get())
        about = {"_meta": {"io.modelcontextprotocol/subscriptionId": asked.id}} if stateless else {}
        sending = asyncio.ensure_future(storm(asked, {"params": about}, PROMPTS))
        await counted(heard.message, PROMPTS["method"])
        await sending


async def listening(here: World, *, stateless: bool) -> asyncio.Queue[Asked]:
    """A server whose stream of announcements is given to the test once it stands."""
    stands: asyncio.Queue[Asked] = asyncio.Queue()
    here.backend.capabilities = {"tools": {"listChanged": True}, "prompts": {"listChanged": True}}

    async def listen(asked: Asked) -> None:
        await asked.stream()
        if stateless:
            meta = {"io.modelcontextprotocol/subscriptionId": asked.id}
            params = {"notifications": WANTED, "_meta": meta}
            await asked.event({"method": "notifications/subscriptions/acknowledged", "params": params})
        stands.put_nowait(asked)
        await asked.reader.read()

    here.backend.on("subscriptions/listen" if stateless else "GET", listen)
    return stands
