"""Many clients that come back at once (C212): each resumes what is its own, or begins anew where the broker is gone."""

from __future__ import annotations

import asyncio
from typing import Final

from tests.adversarial.doors import HTTP, Cell, before, client
from tests.broker.http1_world import within
from tests.broker.scripted_backend import Asked, Client, Reply

CLIENTS: Final = 150
CELL: Final = Cell("2025-11-25", HTTP, "2025-11-25")


async def test_a_storm_of_resumptions_gives_each_client_its_own_answer_once() -> None:
    """C212, C076: no call is lost that was answered, and none is run again."""
    async with before(CELL, keys=True, limits={"streams_per_principal": 1_000}) as here:
        gate = asyncio.Event()

        async def tool(asked: Asked) -> None:
            number = asked.message["params"]["arguments"]["n"]
            await asked.stream()
            await asked.event({"method": "notifications/message", "params": {"level": "error", "data": number}})
            await gate.wait()
            await asked.event({"id": asked.id, "result": {"content": [{"type": "text", "text": str(number)}]}})
            await asked.end()

        here.backend.capabilities = {"tools": {}, "logging": {}}
        here.backend.on("tools/call", tool)
        callers: list[tuple[Client, str]] = []
        for number in range(CLIENTS):
            one = client(here, ("ann", "bob")[number % 2])
            await one.open(CELL.client)
            reply = await one.call(7, arguments={"n": number})
            last = ""
            while True:
                event = await reply.event()
                assert event is not None
                last = event.id or last
                if event.data:
                    break
            callers.append((one, last))
            reply.cut()
        gate.set()

        async def again(one: Client, last: str) -> list[str]:
            stream: Reply = await one.send("GET", Last_Event_ID=last)
            assert stream.status == 200
            texts = []
            while (event := await stream.event()) is not None:
                if event.data:
                    texts.append(event.data.decode())
            return texts

        found = await within(asyncio.gather(*(again(*each) for each in callers)))
        for number, texts in enumerate(found):
            (answer,) = texts
            assert f'"text":"{number}"' in answer.replace(" ", "")
        assert here.backend.count("tools/call") == CLIENTS


async def test_sessions_of_a_broker_that_is_gone_are_unknown_and_their_clients_begin_anew() -> None:
    """C212: what was in memory is gone, which is said at once; nobody waits."""
    async with before(CELL, keys=True) as here:
        clients = [client(here, ("ann", "bob")[number % 2]) for number in range(CLIENTS)]
        for number, each in enumerate(clients):
            each.session = f"{number:032x}"

        async def anew(each: Client) -> int:
            assert (await each.send("GET", Last_Event_ID="g1-1")).status == 404
            assert (await each.call(1)).status == 404
            each.session = ""
            await each.open(CELL.client)
            return (await each.call(2)).status

        assert set(await within(asyncio.gather(*map(anew, clients)))) == {200}
        assert here.backend.count("tools/call") == CLIENTS
