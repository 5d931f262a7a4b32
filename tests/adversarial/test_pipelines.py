"""More requests on one connection than anybody waits for (C052)."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import pytest

from broker.serve_connection import Connection
from broker.serve_short import HELD_BYTES
from tests.adversarial.doors import HTTP, MODERN, Cell, before, entered, ran
from tests.broker.http1_world import turn, within
from tests.broker.kept_wire import KeptWire, connected
from tests.broker.modern_world import headers
from tests.broker.scripted_backend import ACCEPT, DONE, Asked, World

REQUESTS: Final = 10_000
QUEUED: Final = 64
"""Requests that may be read ahead of the one that is answered: aiohttp parses 32 before it stops reading."""

READ: Final = 512 * 1024
"""What one read of a loop may bring at most, beside what is held."""


def connections(here: World) -> list[Connection]:
    server = here.broker._runner.server
    assert server is not None
    return [each for each in server.connections if isinstance(each, Connection)]


def waiting(here: World) -> tuple[int, int]:
    """How many parsed requests, and how many bytes of others, wait behind an answer."""
    found = connections(here)
    return max(len(each._messages) for each in found), max(len(each._held) + len(each._begun) for each in found)


@pytest.mark.parametrize("known", [False, True], ids=["usual way", "short way"])
@pytest.mark.parametrize("client", ["2025-11-25", MODERN])
async def test_what_is_sent_ahead_of_an_answer_is_bounded_and_runs_in_order(client: str, known: bool) -> None:
    """C052: one call runs, few are read ahead, and others on other connections are served meanwhile."""
    cell = Cell(client, HTTP, client)
    async with (
        before(cell) as here, entered(here, cell) as door, connected(here.port) as streams
    ):  # fmt: skip
        own = headers("tools/call", {"name": "x"}) if door.cell.modern else {"Mcp-Session-Id": door.client.session}
        lines = {"Host": f"127.0.0.1:{here.port}", "Accept": ACCEPT, "Content-Type": "application/json", **own}
        wire = KeptWire("".join(f"{name}: {value}\r\n" for name, value in lines.items()), *streams)
        meta = json.loads("{" + door.meta().rstrip(",") + "}")

        def call(number: int) -> Any:
            params = {"name": "x", "arguments": {"n": number}, **meta}
            return {"id": number, "method": "tools/call", "params": params}

        if known:
            assert (await wire.post(call(1))).status == 200
        gate = asyncio.Event()

        async def tool(asked: Asked) -> None:
            if asked.message["params"]["arguments"].get("n"):
                await gate.wait()
            await asked.result({"resultType": "complete", **DONE})

        here.backend.on("tools/call", tool)
        begun = len(ran(here))
        for number in range(2, REQUESTS + 2):
            wire.write(call(number))
        sending = asyncio.ensure_future(wire.writer.drain())
        await here.backend.next("tools/call") if not known else None
        for _ in range(200):  # as long as anything moves
            size = streams[1].transport.get_write_buffer_size()
            for _ in range(20):
                await turn()
            if size == streams[1].transport.get_write_buffer_size() and len(ran(here)) > begun:
                break
        parsed, held = waiting(here)
        assert parsed <= QUEUED
        assert held <= HELD_BYTES + READ
        assert len(ran(here)) - begun == 1
        assert not (await door.call("x")).refused  # on a connection of its own
        gate.set()
        for number in range(2, 302):
            reply = await wire.answer()
            assert reply.json["id"] == number
        names = [asked.message["params"]["arguments"]["n"] for asked in here.backend.asked if asked.key == "tools/call"
                 and asked.message["params"]["arguments"].get("n", 0) > 1]  # fmt: skip
        assert names == sorted(names)
        sending.cancel()
        await within(asyncio.wait([sending]))
        streams[1].transport.abort()
