"""List changes that one session hears of, and subscriptions of the same caller in another."""

from __future__ import annotations

from typing import Any

import pytest

from broker.backends.session_news import WITHIN_S
from tests.broker.bridge_world import FORM, INPUTS, Server, begin, bridging
from tests.broker.modern_world import ask, envelope
from tests.broker.scripted_backend import DONE, Asked, Json, Reply, World
from tests.broker.test_bridge_policies import ANN, BOB, KEYS

TOOLS: Json = {"method": "notifications/tools/list_changed"}
PROMPTS: Json = {"method": "notifications/prompts/list_changed"}
FLAGS: Json = {"toolsListChanged": True, "promptsListChanged": True}
SUSPEND: Json = {"name": "x", "arguments": {"ask": True}}


def changing(here: World) -> Server:
    """A server that asks or, on the call's own stream, says that its tools changed."""
    server = Server(here)
    here.backend.capabilities = {"tools": {"listChanged": True}, "prompts": {"listChanged": True}}

    async def tool(asked: Asked) -> None:
        await asked.stream()
        if asked.message["params"]["arguments"].get("ask"):
            await server.ask(asked, FORM)
        else:
            await asked.event(TOOLS)
        await asked.event({"id": asked.id, "result": DONE})
        await asked.end()

    here.backend.on("tools/call", tool)
    return server


async def listening(here: World, **more: Any) -> Reply:
    more = {"meta": envelope(INPUTS), **more}
    stream = await ask(here.another(), "subscriptions/listen", {"notifications": FLAGS}, id="L", **more)
    assert (await stream.message())["method"] == "notifications/subscriptions/acknowledged"
    return stream


async def heard(stream: Reply) -> str:
    method: str = (await stream.message())["method"]
    return method.split("/")[1]


@pytest.mark.parametrize(("declares", "session"), [(INPUTS, "backend-2"), ({}, "backend-3")])
async def test_a_subscription_hears_what_a_call_in_another_session_changed(declares: Json, session: str) -> None:
    async with bridging() as here:
        changing(here)
        assert (await begin(here, params=SUSPEND)).json["result"]["resultType"] == "input_required"
        stream = await listening(here, meta=envelope(declares))
        assert (await begin(here, client=here.another())).json["result"]["resultType"] == "complete"
        where = [asked.headers["mcp-session-id"] for asked in here.backend.asked if asked.key == "tools/call"]
        assert where == ["backend-1", session]
        assert await heard(stream) == "tools"


async def test_a_server_that_tells_every_session_is_heard_in_time_and_not_each_time() -> None:
    async with bridging() as here:
        server = changing(here)
        await begin(here, params=SUSPEND)
        await begin(here, params=SUSPEND, client=here.another())
        stream = await listening(here)
        own, other = await server.standing("backend-1"), await server.standing("backend-2")
        await other.event(TOOLS)
        assert await heard(stream) == "tools"
        await own.event(TOOLS)
        assert await heard(stream) == "tools"  # of its own session nothing is held back
        for _ in range(3):
            await other.event(TOOLS)
        await other.event(PROMPTS)
        assert await heard(stream) == "prompts"
        clock = here.context.wheel.clock
        here.context.wheel.clock = lambda: clock() + WITHIN_S
        here.context.wheel.run_due()
        assert await heard(stream) == "tools"
        await own.event(PROMPTS)
        assert await heard(stream) == "prompts"


@pytest.mark.parametrize("listens", [ANN, BOB])
async def test_what_one_caller_changed_is_told_to_no_other(listens: str) -> None:
    async with bridging(keys=KEYS) as here:
        server = changing(here)
        stream = await listening(here, Authorization=listens)
        await begin(here, client=here.another(), params=SUSPEND, Authorization=ANN)
        await begin(here, client=here.another(), Authorization=ANN)
        await (await server.standing("backend-1")).event(PROMPTS)  # that of the subscription
        assert await heard(stream) == ("tools" if listens == ANN else "prompts")
