"""Calls that began while a server had nothing to judge by: the first rules and hooks hold for them too (D6, D10)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from broker.app import CONTEXTS
from broker.hooks.memory import Memory
from broker.hooks.policy import Policy
from broker.review import review
from tests.broker.bridge_world import FORM, INPUTS, Server, bridging
from tests.broker.crossing_world import completes, discovery
from tests.broker.http1_world import within
from tests.broker.modern_world import COMPLETE, ask, envelope
from tests.broker.pair_world import PairClient
from tests.broker.pipe_world import pipe, settled
from tests.broker.reload_world import Here, serving
from tests.broker.rules_world import rules, section
from tests.broker.scripted_backend import DONE, Asked, Reply
from tests.broker.test_review import judge_by

NO_X = section("deny kind == 'tool' && name == 'x'")


async def waits(_asked: Asked) -> None:
    """Does not answer."""


async def ended(call: asyncio.Future[Reply]) -> Any:
    reply = await within(call)
    message = await reply.message() if reply.streams else reply.json
    return message["error"]["data"]["reason"]


def stateless(here: Here) -> None:
    here.two.on("server/discover", completes(**discovery({"tools": {}})))


def hooks_of(here: Here) -> Any:
    return here.broker.app[CONTEXTS]["two"].hooks.hooks


@pytest.mark.parametrize("backend", ["session", "stateless"])
@pytest.mark.parametrize("client", ["session", "stateless"])
async def test_a_call_that_is_denied_now_ends_and_one_that_is_not_goes_on(
    backend: str, client: str, tmp_path: Path
) -> None:
    async with serving(tmp_path) as here:
        if backend == "stateless":
            stateless(here)
        here.two.on("tools/call", waits)
        calls, asked = {}, {}
        for name in ("x", "y"):
            one = here.client("two")
            if client == "session":
                await one.open()
            asking = one.call(name=name) if client == "session" else ask(one, params={"name": name})
            calls[name] = asyncio.ensure_future(asking)
            asked[name] = await here.two.next("tools/call")
        assert hooks_of(here) == ()
        here.write(policy=NO_X)
        assert here.reload.now() is not None
        assert await ended(calls["x"]) == "denied"
        if backend == "session":
            stop = await here.two.next("notifications/cancelled")
            assert stop.message["params"]["requestId"] == asked["x"].id
        else:
            await asked["x"].gone()
        await asked["y"].result(DONE if backend == "session" else COMPLETE)
        assert "result" in (await within(calls["y"])).json


async def test_a_call_of_the_pair_is_denied_too(tmp_path: Path) -> None:
    async with serving(tmp_path) as here:
        here.two.on("tools/call", waits)
        pair = PairClient(here, "/servers/two/sse")  # type: ignore[arg-type]
        await pair.open()
        await pair.post({"id": 7, "method": "tools/call", "params": {"name": "x"}})
        await here.two.next("tools/call")
        here.write(policy=NO_X)
        assert here.reload.now() is not None
        assert (await within(pair.answer(7)))["error"]["data"]["reason"] == "denied"


async def test_a_call_that_is_parked_is_denied_too() -> None:
    async with bridging() as here:
        Server(here)

        async def asks(asked: Asked) -> None:
            await asked.stream()
            await asked.event({"id": "q", "method": "elicitation/create", "params": FORM})

        here.backend.on("tools/call", asks)
        first = await ask(here.client, meta=envelope(INPUTS))
        assert first.json["result"]["resultType"] == "input_required"
        asked = await here.backend.next("tools/call")
        judge_by(here, "deny name == 'x'")
        stop = await here.backend.next("notifications/cancelled")
        assert stop.message["params"]["requestId"] == asked.id


async def test_a_call_at_a_command_is_denied_too(tmp_path: Path) -> None:
    async with pipe(tmp_path) as here:
        await here.open()
        here.send({"id": 1, "method": "tools/call", "params": {"name": "slow"}})
        await settled(lambda: bool(here.processes("tools/call")))
        here.context.hooks.replace([Policy(rules("deny name == 'slow'", backend="pipe"), Memory())])
        review(here.context.hooks)
        assert (await here.answer(1))["error"]["data"]["reason"] == "denied"
        await settled(lambda: bool(here.processes("notifications/cancelled")))
