"""Open calls of a caller who is denied now: they end at once, here and at the backend, whatever the eras (D6, D10)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from broker.hooks.memory import Memory
from broker.hooks.policy import Policy
from broker.review import review
from tests.broker.bridge_world import FORM, INPUTS, Server, answers_to, bridging
from tests.broker.crossing_world import crossing, greeted
from tests.broker.http1_world import within
from tests.broker.modern_world import ask, envelope, modern
from tests.broker.pair_world import PairClient
from tests.broker.pipe_world import pipe, settled
from tests.broker.reload_world import serving
from tests.broker.rules_world import rules, section
from tests.broker.scripted_backend import Asked, Json, Reply, World, world

NO_X = "deny kind == 'tool' && name == 'x'"


class Held:
    """A tool that does not answer."""

    def __init__(self, here: World) -> None:
        self.asked: list[Asked] = []
        here.backend.on("tools/call", self)

    async def __call__(self, asked: Asked) -> None:
        self.asked.append(asked)


def judge_by(here: World, *lines: str) -> None:
    here.context.hooks.replace([Policy(rules(*lines, backend="default"), Memory())])
    review(here.context.hooks)


async def ended(call: asyncio.Future[Reply]) -> Any:
    reply = await within(call)
    message = await reply.message() if reply.streams else reply.json
    return message["error"]


async def test_a_session_call_ends_and_its_server_is_told_to_stop() -> None:
    async with world() as here:
        judge_by(here, "deny name == 'other'")
        held = Held(here)
        await here.client.open()
        denied = asyncio.ensure_future(here.client.call(1, name="x"))
        allowed = asyncio.ensure_future(here.client.call(2, name="y"))
        first = await here.backend.next("tools/call")
        await here.backend.next("tools/call")
        judge_by(here, NO_X)
        error = await ended(denied)
        assert (error["code"], error["data"]["reason"]) == (-32603, "denied")
        stop = await here.backend.next("notifications/cancelled")
        gone, stays = held.asked if held.asked[0].id == first.id else held.asked[::-1]
        assert stop.message["params"]["requestId"] == gone.id
        await stays.result()
        assert "result" in (await within(allowed)).json


async def test_a_session_call_before_a_stateless_server_ends_and_its_connection_with_it() -> None:
    async with crossing() as here:
        judge_by(here, "deny name == 'other'")
        Held(here)
        await greeted(here)
        call = asyncio.ensure_future(here.client.call(name="x"))
        asked = await here.backend.next("tools/call")
        judge_by(here, NO_X)
        assert (await ended(call))["data"]["reason"] == "denied"
        await asked.gone()


async def test_a_request_that_stands_alone_ends_and_its_connection_with_it() -> None:
    async with modern() as here:
        judge_by(here, "deny name == 'other'")
        Held(here)
        call = asyncio.ensure_future(ask(here.client))
        asked = await here.backend.next("tools/call")
        judge_by(here, NO_X)
        assert (await ended(call))["data"]["reason"] == "denied"
        await asked.gone()


async def test_a_call_that_is_parked_ends_and_its_retry_is_told() -> None:
    async with bridging() as here:
        judge_by(here, "deny name == 'other'")
        server = Server(here)

        async def asks(asked: Asked) -> None:
            await asked.stream()
            await asked.event({"id": "q", "method": "elicitation/create", "params": FORM})

        here.backend.on("tools/call", asks)
        first = await ask(here.client, meta=envelope(INPUTS))
        assert first.json["result"]["resultType"] == "input_required"
        asked = await here.backend.next("tools/call")
        judge_by(here, NO_X)
        stop = await here.backend.next("notifications/cancelled")
        assert stop.message["params"]["requestId"] == asked.id
        params: Json = {
            "name": "x",
            "arguments": {},
            "inputResponses": answers_to(first),
            "requestState": first.json["result"]["requestState"],
        }
        retry = (await ask(here.client, params=params, meta=envelope(INPUTS))).json
        assert "error" in retry
        assert [answer["result"] for answer in server.answers.values()] == [{"action": "cancel"}]


LOGGED: Json = {"method": "notifications/message", "params": {"level": "error", "data": "text"}}
CHANGED: Json = {"method": "notifications/tools/list_changed"}


@pytest.mark.parametrize(
    ("line", "denied", "told"),
    [
        ("deny method == 'tools/list'", CHANGED, LOGGED),
        ("deny method.startsWith('notifications/message')", LOGGED, CHANGED),
        ("deny principal == 'local' && method != 'tools/list'", LOGGED, CHANGED),
    ],
)
async def test_a_stream_that_stands_tells_what_the_new_rules_let_it(line: str, denied: Json, told: Json) -> None:
    """C148."""
    async with world() as here:
        here.backend.capabilities = {"tools": {"listChanged": True}, "logging": {}}
        streams: list[Asked] = []

        async def stand(asked: Asked) -> None:
            await asked.stream()
            streams.append(asked)

        here.backend.on("GET", stand)
        await here.client.open()
        stream = await here.client.send("GET", Accept="text/event-stream")
        await here.backend.next("GET")
        judge_by(here, line)
        await streams[0].event(denied)
        await streams[0].event(told)
        assert (await stream.message())["method"] == told["method"]


async def test_the_old_pair_of_transports_is_reviewed_too() -> None:
    async with world() as here:
        judge_by(here, "deny name == 'other'")
        Held(here)
        pair = PairClient(here)
        await pair.open()
        await pair.post({"id": 7, "method": "tools/call", "params": {"name": "x"}})
        asked = await here.backend.next("tools/call")
        judge_by(here, NO_X)
        assert (await within(pair.answer(7)))["error"]["data"]["reason"] == "denied"
        assert (await here.backend.next("notifications/cancelled")).message["params"]["requestId"] == asked.id


async def test_a_pipe_is_reviewed_too(tmp_path: Path) -> None:
    first = Policy(rules("deny name == 'other'", backend="pipe"), Memory())
    async with pipe(tmp_path, hooks=(first,)) as here:
        await here.open()
        here.send({"id": 1, "method": "tools/call", "params": {"name": "slow"}})
        await settled(lambda: bool(here.processes("tools/call")))
        here.context.hooks.replace([Policy(rules("deny name == 'slow'", backend="pipe"), Memory())])
        review(here.context.hooks)
        assert (await here.answer(1))["error"]["data"]["reason"] == "denied"
        await settled(lambda: bool(here.processes("notifications/cancelled")))


@pytest.mark.parametrize("lines", [(NO_X,), ("deny principal == 'local'",), ("deny claims.none == 'x'",)])
async def test_a_reload_reviews_by_itself(tmp_path: Path, lines: tuple[str, ...]) -> None:
    async with serving(tmp_path, policy=section("deny name == 'other'")) as here:

        async def hold(asked: Asked) -> None:
            """Does not answer."""

        here.two.on("tools/call", hold)
        client = here.client("two")
        await client.open()
        call = asyncio.ensure_future(client.call(name="x"))
        asked = await here.two.next("tools/call")
        here.write(policy=section(*lines))
        assert here.reload.now() is not None
        assert (await ended(call))["data"]["reason"] == "denied"
        assert (await here.two.next("notifications/cancelled")).message["params"]["requestId"] == asked.id
