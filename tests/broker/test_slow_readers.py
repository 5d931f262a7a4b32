"""A client over HTTP that does not read what a process sends it: it alone is left behind, whoever shares it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from broker.pressure import SLOW_FACTOR
from tests.broker.http1_world import turn, within
from tests.broker.modern_world import ask, envelope
from tests.broker.pipe_world import SERVER
from tests.broker.policy_world import read
from tests.broker.scripted_backend import Client, Json, Reply, World, world

QUEUE = 65_536
SIZE, COUNT = 60_000, 500
"""30 MB: many times what the kernel keeps for a reader that does not read, and all that may wait for it here."""

FLOOD: Json = {"name": "flood", "arguments": {"size": SIZE, "count": COUNT}}
ADD: Json = {"name": "add", "arguments": {"a": 1, "b": 2}}
TOKEN = "token"


def served(*habits: str, **more: Any) -> Any:
    limits = {"stream_queue_bytes": QUEUE, "call_idle_s": 60.0, **more.pop("limits", {})}
    return world(command=(sys.executable, SERVER, *habits), limits=limits, **more)


async def call(client: Client, params: Json, number: int = 1) -> Reply:
    """A call of a client of either kind; the answer's head, at least."""
    token: Json = {"progressToken": TOKEN}
    if client.session:
        return await client.post({"id": number, "method": "tools/call", "params": {**params, "_meta": token}})
    return await ask(client, "tools/call", params, id=number, meta=envelope(**token))


def waiting(here: World) -> int:
    """Bytes that wait for all clients together."""
    relays = [session.relay for session in here.context.sessions]
    outboxes = [relay.outbox for relay in relays] + [here.pool.relay.outbox]
    streams = [each.stream for outbox in outboxes for each in outbox.exchanges.values()]
    return sum(stream.queued for stream in streams if stream is not None)


async def watched(here: World, done: asyncio.Task[Reply]) -> int:
    """The most that waited until somebody else's call was answered."""
    most = 0
    while not done.done():
        most = max(most, waiting(here))
        await turn()
    return most


@pytest.mark.parametrize("habits", [("modern",), ()], ids=["stateless server", "server with sessions"])
async def test_a_stateless_client_that_does_not_read_keeps_nobody_from_the_process(habits: tuple[str, ...]) -> None:
    async with served(*habits) as here:
        slow = await call(here.client, FLOOD)
        others = asyncio.ensure_future(call(here.another(), ADD, 2))
        most = await within(watched(here, others))
        assert (await read(await others))["result"]["content"] == [{"type": "text", "text": "3"}]
        assert QUEUE < most <= SLOW_FACTOR * QUEUE + 2 * SIZE
        # What it was not told of is progress alone: its answer comes.
        assert (await within(read(slow)))["result"]["content"] == [{"type": "text", "text": "flood"}]


@pytest.mark.parametrize("events", [0, 1_000], ids=["nothing is kept", "events are kept"])
async def test_a_session_client_that_does_not_read_keeps_nobody_from_a_process_of_stateless_requests(
    events: int,
) -> None:
    async with served("modern", limits={"event_store_events": events}) as here:
        await here.client.open("2025-11-25")
        other = here.another()
        await other.open("2025-06-18")
        slow = await call(here.client, FLOOD)
        others = asyncio.ensure_future(call(other, ADD, 2))
        most = await within(watched(here, others))
        assert (await read(await others))["result"]["content"] == [{"type": "text", "text": "3"}]
        assert QUEUE < most <= SLOW_FACTOR * QUEUE + 2 * SIZE
        assert (await within(read(slow)))["result"]["content"] == [{"type": "text", "text": "flood"}]
        await within(call(here.client, ADD, 3))


async def test_a_session_with_a_process_of_its_own_is_held_back_and_loses_nothing(tmp_path: Path) -> None:
    async with served(
        limits={"event_store_bytes": 0}, backend={"env": {"PIPE_SERVER_LOG": str(tmp_path / "log")}}
    ) as here:
        await here.client.open("2025-06-18")
        slow = await call(here.client, FLOOD)
        (session,) = here.context.sessions
        (exchange,) = session.outbox.exchanges.values()

        async def pressed() -> None:
            while exchange.stream is None or not exchange.stream.pressure:
                await turn()

        await within(pressed())
        count = 0
        while "result" not in await within(slow.message()):
            count += 1
        assert count == COUNT
