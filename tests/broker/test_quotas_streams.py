"""How many open streams of one caller there are that belong to no call: over all sessions, transports and servers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker.app import SERVERS
from broker.quotas import Quotas
from tests.broker.bridge_world import serving as bridge_serving
from tests.broker.conftest import Journal
from tests.broker.http1_world import turn, within
from tests.broker.modern_world import ask, envelope, modern
from tests.broker.pair_world import PairClient
from tests.broker.pipe_world import pipe
from tests.broker.reload_world import Here, serving
from tests.broker.scripted_backend import DONE, Asked, Client, Json, Reply, World, world

KEYS: Json = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("ann", "bob")}
TWO: Json = {"linger_s": 0.05, "streams_per_principal": 2}
WANTED: Json = {"notifications": {"toolsListChanged": True}}
STREAM: Any = {"Accept": "text/event-stream"}


async def acknowledges(asked: Asked) -> None:
    await asked.stream()
    meta = {"io.modelcontextprotocol/subscriptionId": asked.id}
    told = {"notifications": asked.message["params"]["notifications"], "_meta": meta}
    await asked.event({"method": "notifications/subscriptions/acknowledged", "params": told})


async def until(true: Callable[[], bool]) -> None:
    """A stream's end is known when its connection is found to be closed."""
    while not true():
        await turn()


def over(reply: Reply) -> bool:
    """True for a refusal that says what it was too much for."""
    if reply.status == 200:
        return False
    assert reply.status == 429
    assert reply.headers["retry-after"] == "1"
    assert reply.json["error"]["data"]["reason"] == "too-many-streams"
    return True


async def opened(here: World) -> Client:
    client = here.another()
    await client.open()
    return client


async def test_a_standing_stream_too_many_is_refused_and_its_session_goes_on(journal: Journal) -> None:
    async with world(limits=TWO) as here:
        clients = [await opened(here) for _ in range(3)]
        replies = [await client.send("GET", **STREAM) for client in clients]
        assert [over(reply) for reply in replies] == [False, False, True]
        assert (await clients[2].call()).json["result"] == DONE
        assert [line["reason"] for line in journal() if line["event"] == "refused"] == ["too-many-streams"]
        replies[0].cut()

        async def again() -> bool:
            return over(await clients[2].send("GET", **STREAM))

        while await within(again()):
            await turn()


async def test_a_stream_that_is_taken_up_again_keeps_its_place_and_no_other() -> None:
    async with world(limits={**TWO, "streams_per_principal": 1}) as here:
        client, other = await opened(here), await opened(here)
        first = await client.send("GET", **STREAM)
        event = await first.event()
        assert event is not None
        second = await client.send("GET", **STREAM, Last_Event_ID=event.id)
        assert not over(second)
        assert await first.event() is None  # the one that was taken over ends
        assert over(await other.send("GET", **STREAM))
        second.cut()
        quotas = here.context.quotas._all
        await within(until(lambda: not quotas.running))
        assert not over(await other.send("GET", **STREAM))


async def test_streams_of_both_transports_count_together_and_each_callers_apart() -> None:
    async with world(limits=TWO, keys=KEYS) as here:
        pairs = [PairClient(here, Authorization=f"Bearer {name}") for name in ("ann", "ann", "ann", "bob")]
        assert [over(await pair.connect()) for pair in pairs] == [False, False, True, False]
        client = here.another()
        client.headers = {"Authorization": "Bearer ann"}
        await client.open()
        assert over(await client.send("GET", **STREAM))
        assert (await client.call()).json["result"] == DONE
        pairs[0].leave()
        quotas = here.context.quotas._all
        await within(until(lambda: quotas.running["streams_per_principal", "key:ann"] == 1))
        assert not over(await client.send("GET", **STREAM))


@pytest.mark.parametrize("new", [modern, world])
async def test_a_subscription_too_many_is_refused_with_its_id_and_calls_go_on(new: Any) -> None:
    async with new(limits=TWO) as here:
        here.backend.on("subscriptions/listen", acknowledges)
        if new is world:
            bridge_serving(here)
            here.backend.capabilities = {"tools": {"listChanged": True}}
        clients = [here.another() for _ in range(3)]
        replies = [await ask(client, "subscriptions/listen", WANTED, id=7) for client in clients]
        assert [over(reply) for reply in replies] == [False, False, True]
        error = replies[2].json
        assert (error["id"], error["error"]["data"]["limit"]) == (7, "streams_per_principal")
        quotas = here.context.quotas._all
        assert sum(quotas.running.values()) == 4  # each subscription is a call too; what was refused holds nothing
        for reply in replies[:2]:
            reply.cut()
        await within(until(lambda: not quotas.running))
        assert not over(await ask(clients[2], "subscriptions/listen", WANTED))


async def test_a_subscription_on_a_pipe_counts_too(tmp_path: Path) -> None:
    async with pipe(tmp_path, "modern") as here:
        here.context.quotas = Quotas((), None, at_once=0, streams=1).of("pipe")
        for number in (1, 2):
            params = {**WANTED, "_meta": envelope()}
            here.send({"id": number, "method": "subscriptions/listen", "params": params})
        assert (await here.answer(2))["error"]["data"]["reason"] == "too-many-streams"


async def test_streams_at_several_servers_count_together(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=TWO) as here:
        replies = []
        for name in ("one", "two", "one"):
            client = here.client(name)
            await client.open()
            replies.append(await client.send("GET", **STREAM))
        assert [over(reply) for reply in replies] == [False, False, True]
        assert _counts(here) == {("streams_per_principal", "local"): 2}


def _counts(here: Here) -> Any:
    return here.broker.app[SERVERS]._quotas.running


async def test_any_number_may_be_allowed() -> None:
    async with world(limits={**TWO, "streams_per_principal": 0}) as here:
        clients = [await opened(here) for _ in range(4)]
        assert not any([over(await client.send("GET", **STREAM)) for client in clients])
