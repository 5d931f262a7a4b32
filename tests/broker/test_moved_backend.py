"""A stateless backend that refuses the version it took before, under a live session of an older client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.broker.crossing_world import completes, crossing, discovery, greeted
from tests.broker.http1_world import within
from tests.broker.modern_world import REVISION
from tests.broker.scripted_backend import DONE, Asked, Handler, Json, Reply, World, world

SUPPORTED: Json = {"supported": [REVISION], "requested": REVISION}
OTHERS: Json = {"supported": ["2025-11-25"], "requested": REVISION}


def refuses(data: Any, *, times: int = 100) -> Handler:
    """Refuse the version so many times, then answer."""
    left = [times]

    async def answer(asked: Asked) -> None:
        left[0] -= 1
        if left[0] < 0:
            await asked.result({"resultType": "complete", **DONE})
            return
        error = {"code": -32022, "message": "Unsupported protocol version", **({} if data is None else {"data": data})}
        await asked.json({"id": asked.message["id"], "error": error}, 400)

    return answer


def reason(reply: Reply) -> tuple[int, int, str]:
    error = reply.json["error"]
    assert error["data"]["origin"] == "broker"
    return reply.status, error["code"], error["data"]["reason"]


async def end(reply: Reply) -> Json:
    """The answer of a call, whose stream may tell of changed lists before."""
    message = await reply.message() if reply.streams else reply.json
    while "method" in message:
        assert message["method"] == "notifications/tools/list_changed"
        message = await reply.message()
    found: Json = message
    return found


BROKEN = (200, -32603, "backend-revision")


async def test_a_call_that_was_refused_once_is_sent_once_more() -> None:
    async with crossing() as here:
        await greeted(here)
        here.backend.on("tools/call", refuses(SUPPORTED, times=1))
        assert (await here.client.call()).json["result"] == DONE
        assert here.backend.count("tools/call") == 2
        assert here.backend.count("server/discover") == 2


async def test_a_call_that_is_refused_again_ends_and_the_session_goes_on() -> None:
    async with crossing() as here:
        await greeted(here)
        here.backend.on("tools/call", refuses(SUPPORTED, times=2))
        assert reason(await here.client.call(1)) == BROKEN
        assert (here.backend.count("tools/call"), here.backend.count("server/discover")) == (2, 2)
        assert (await here.client.call(2)).json["result"] == DONE


async def test_a_pinned_backend_of_other_versions_ends_the_call_and_the_session_goes_on() -> None:
    async with crossing() as here:
        await greeted(here)
        here.backend.on("tools/call", refuses(OTHERS, times=1))
        here.backend.on("server/discover", refuses(OTHERS, times=1))
        assert reason(await here.client.call(1)) == BROKEN
        assert (here.backend.count("tools/call"), here.backend.count("server/discover")) == (1, 2)
        assert (await here.client.call(2)).json["result"] == DONE


@pytest.mark.parametrize("data", [None, 7, {}, {"supported": "everything", "requested": 3}, {"supported": []}])
async def test_a_refusal_that_is_nonsense_ends_its_call_and_nothing_else(data: Any) -> None:
    async with crossing() as here:
        await greeted(here)
        here.backend.on("tools/call", refuses(data, times=1))
        assert reason(await here.client.call(1)) == BROKEN
        assert here.backend.count("server/discover") == 1
        assert (await here.client.call(2)).json["result"] == DONE


# ---- a backend whose era is found out -------------------------------------------------------------------------------


class TwoLives:
    """A backend that speaks 2026-07-28 alone, until it is an older server with sessions."""

    def __init__(self, here: World) -> None:
        self.old = False
        self.held: list[Asked] = []
        self._discover = completes(**discovery({"tools": {"listChanged": True}}))
        here.backend.on("server/discover", self.discover)
        here.backend.on("tools/call", self.call)

    async def discover(self, asked: Asked) -> None:
        await (refuses(OTHERS) if self.old else self._discover)(asked)

    async def call(self, asked: Asked) -> None:
        params = asked.message["params"]
        if params["name"] == "slow":
            self.held.append(asked)
        elif self.old and "mcp-session-id" not in asked.headers:
            await refuses(OTHERS)(asked)
        else:
            await asked.result({**({} if self.old else {"resultType": "complete"}), **DONE})


async def test_a_backend_that_went_back_to_sessions_takes_the_session_and_the_call_along() -> None:
    async with world() as here:
        lives = TwoLives(here)
        await here.client.open()
        assert (await here.client.call(1)).json["result"] == DONE
        assert here.backend.count("initialize") == 0
        lives.old = True
        assert (await end(await here.client.call(2)))["result"] == DONE
        assert (await here.client.call(3)).json["result"] == DONE
        assert here.backend.count("initialize") == 1
        last = [asked.headers.get("mcp-session-id") for asked in here.backend.asked if asked.key == "tools/call"]
        assert last == [None, None, "backend-1", "backend-1"]


async def test_calls_that_are_refused_at_once_are_all_sent_to_the_new_session() -> None:
    async with world() as here:
        lives = TwoLives(here)
        await here.client.open()
        await here.client.call(1)
        lives.old = True
        replies = await within(asyncio.gather(*(here.client.call(number) for number in (2, 3, 4))))
        assert [(await end(reply))["result"] for reply in replies] == [DONE] * 3
        assert here.backend.count("initialize") == 1


async def test_a_call_that_is_open_where_the_session_was_ends_and_is_not_sent_again() -> None:
    async with world() as here:
        lives = TwoLives(here)
        await here.client.open()
        await here.client.call(1)
        slow = asyncio.ensure_future(here.client.call(2, name="slow"))
        await here.backend.next("tools/call")
        await here.backend.next("tools/call")
        lives.old = True
        assert (await end(await here.client.call(3)))["result"] == DONE
        error = (await end(await within(slow)))["error"]
        assert (error["code"], error["data"]["reason"]) == (-32603, "backend-session-lost")
        assert len(lives.held) == 1
        await lives.held[0].gone()


async def test_where_the_backend_turns_out_to_be_what_it_was_the_call_ends() -> None:
    async with world() as here:
        lives = TwoLives(here)
        await here.client.open()
        await here.client.call(1)
        answers = [completes(**discovery({}, "2027-01-01")), lives._discover]

        async def discover(asked: Asked) -> None:
            await (answers.pop(0) if len(answers) > 1 else answers[0])(asked)

        here.backend.on("server/discover", discover)
        here.backend.on("tools/call", refuses({"supported": ["2027-01-01"]}, times=1))
        assert reason(await here.client.call(2)) == BROKEN
        assert (await here.client.call(3)).json["result"] == DONE
