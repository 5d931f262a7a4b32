"""One caller's messages about the calls of another: cancelling, answering and guessing ids changes nothing there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.adversarial.doors import CELLS, HTTP, MODERN, SESSIONS, Cell, before, encoded, entered
from tests.adversarial.test_servers import good, text_of
from tests.broker.http1_world import within
from tests.broker.scripted_backend import Asked
from tests.broker.test_face_streams import Standing

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


@pytest.mark.parametrize("revision", SESSIONS)
@pytest.mark.parametrize("backend", SESSIONS[1:])  # where there is a standing stream
async def test_two_that_ping_each_other_at_once_are_each_answered_by_the_other(revision: str, backend: str) -> None:
    """C196: under the same id, and on streams that cross."""
    async with before(Cell(revision, HTTP, backend)) as here:
        standing = Standing(here)
        await here.client.open(revision)
        stream = await here.client.send("GET")
        for client_id in ("p", 1):
            gate = asyncio.Event()

            async def pinged(asked: Asked, gate: asyncio.Event = gate) -> None:
                await gate.wait()
                await asked.result({})

            here.backend.on("ping", pinged)
            mine = asyncio.ensure_future(here.client.post({"id": client_id, "method": "ping"}))
            await standing.send({"id": client_id, "method": "ping"})
            theirs = await stream.message()
            assert theirs["method"] == "ping"
            assert (await here.client.post({"id": theirs["id"], "result": {}})).status == 202
            answer = await here.backend.next("answer")
            assert (answer.message["id"], answer.message["result"]) == (client_id, {})
            gate.set()
            assert (await within(mine)).json == {"jsonrpc": "2.0", "id": client_id, "result": {}}
