"""One caller's messages about the calls of another: cancelling, answering and guessing ids changes nothing there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.adversarial.doors import CELLS, MODERN, Cell, before, encoded, entered
from tests.adversarial.test_servers import good, text_of
from tests.broker.http1_world import within
from tests.broker.scripted_backend import Asked

IDS: tuple[Any, ...] = (*range(8), *map(str, range(8)), 1_001, "1001", -1, "x", None, True, 1.5, [], {"id": 1})


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.client != MODERN], ids=str)
async def test_nobody_cancels_or_answers_what_is_anothers(cell: Cell) -> None:
    """C104, C165: whichever id it names, in its own session."""
    async with before(cell, keys=True) as here, entered(here, cell, "ann") as ann, entered(here, cell, "bob") as bob:
        held: asyncio.Queue[Asked] = asyncio.Queue()

        async def hold(asked: Asked) -> None:
            held.put_nowait(asked)

        here.backend.on("tools/call", hold)
        slow = asyncio.ensure_future(ann.call("slow"))
        waiting = await within(held.get())
        for each in IDS:
            params = {"requestId": each, "reason": "mine"}
            await bob.tell(encoded({"method": "notifications/cancelled", "params": params}))
            await bob.tell(encoded({"id": each, "result": {"action": "accept", "content": {}}}))
        stopped = [(asked.headers.get("mcp-session-id"), asked.message["params"].get("requestId"))
                   for asked in here.backend.asked if asked.key == "notifications/cancelled"]  # fmt: skip
        assert (waiting.headers.get("mcp-session-id"), waiting.message["id"]) not in stopped
        await waiting.json(good(waiting, "mine"))
        assert text_of(await within(slow)) == "mine"
        here.backend.on("tools/call", serve)
        assert text_of(await bob.call("x")) == "served"


async def serve(asked: Asked) -> None:
    await asked.json(good(asked, "served"))
