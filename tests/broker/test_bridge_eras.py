"""A backend that changes its era while stateless clients use it: what never ran is asked anew, the rest is said."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from broker.faces.classify import Modern, classify
from broker.faces.stateless_params import binding
from protocol_versions import jsonrpc
from tests.broker.bridge_world import ADA, INPUTS, Server, again, answers_to, begin, bridging, said, serving
from tests.broker.crossing_world import completes, discovery
from tests.broker.modern_world import COMPLETE, REVISION, ask, envelope, headers, refused
from tests.broker.scripted_backend import DONE, Asked, Json, World

UPGRADED: Json = {"code": -32022, "message": "Unsupported protocol version", "data": {"supported": [REVISION]}}


async def upgraded(asked: Asked) -> None:
    """How a stateless server answers whatever a session client says."""
    await asked.json({"id": asked.message.get("id"), "error": UPGRADED}, 400)


async def complete(asked: Asked) -> None:
    await asked.result(COMPLETE)


def upgrade(here: World) -> None:
    """The backend is stateless from now on, and knows nothing of sessions."""
    usual = here.backend._answer
    here.backend.on("server/discover", completes(**discovery()))
    here.backend.on("tools/call", complete)

    async def answer(asked: Asked) -> None:
        modern = asked.headers.get("mcp-protocol-version") == REVISION
        if asked.verb == "POST" and not modern:
            await upgraded(asked)
        elif asked.verb in ("GET", "DELETE"):
            await asked.reply(405)
        else:
            await usual(asked)

    here.backend._answer = answer  # type: ignore[method-assign]


async def test_a_server_that_leaves_sessions_behind_is_asked_again_and_nobody_notices() -> None:
    async with bridging() as here:
        Server(here)
        assert (await begin(here)).json["result"]["content"] == DONE["content"]
        upgrade(here)
        replies = await asyncio.gather(*(begin(here, id=number, client=here.another()) for number in range(4)))
        assert [reply.json["id"] for reply in replies] == [0, 1, 2, 3]
        assert all(reply.json["result"] == COMPLETE for reply in replies)
        ran = [a for a in here.backend.asked if a.key == "tools/call" and "mcp-session-id" not in a.headers]
        assert len(ran) == 4
        assert (await ask(here.client)).json["result"] == COMPLETE
        assert not here.pool.rooms.sessions
        assert not here.pool.legs


async def test_a_server_that_was_mistaken_for_one_with_sessions_is_too() -> None:
    async with bridging() as here:
        Server(here)

        async def away(asked: Asked) -> None:
            await asked.reply(405)  # as a session server answers the probe

        here.backend.on("server/discover", away)
        here.backend.on("initialize", upgraded)
        here.backend.on("tools/call", complete)
        probed = here.backend.count("server/discover")

        async def refuse(asked: Asked) -> None:
            here.backend.on("server/discover", completes(**discovery()))
            await upgraded(asked)

        here.backend.on("initialize", refuse)
        replies = await asyncio.gather(*(ask(here.another(), "tools/call", id=number) for number in range(3)))
        assert all(reply.json["result"] == COMPLETE for reply in replies)
        assert here.backend.count("initialize") == 1
        assert here.backend.count("server/discover") == probed + 2


async def test_one_that_only_refuses_sessions_is_asked_nothing_twice() -> None:
    async with bridging() as here:
        Server(here)

        async def full(asked: Asked) -> None:
            await asked.json({"id": asked.id, "error": {"code": -32000, "message": "too many sessions"}}, 503)

        here.backend.on("initialize", full)
        assert refused(await ask(here.client)) == (200, -32603, 1, "backend-status")
        assert here.backend.count("tools/call") == 0
        assert not here.pool.legs
        assert not here.pool._not_run


async def test_an_operators_pin_is_kept() -> None:
    async with bridging(backend={"revision": "2025-11-25"}) as here:
        Server(here)
        upgrade(here)
        assert refused(await ask(here.client)) == (200, -32603, 1, "backend-status")
        assert here.backend.count("server/discover") == 0
        assert not here.backend.probes


async def test_a_call_that_is_suspended_goes_on_in_its_session_while_new_ones_are_stateless() -> None:
    async with bridging() as here:
        serving(here)
        first = await begin(here)
        here.backend.on("server/discover", completes(**discovery()))
        sessions = here.backend._on["tools/call"]

        async def tool(asked: Asked) -> None:
            if "mcp-session-id" in asked.headers:
                await sessions(asked)
            else:
                await asked.result(COMPLETE)

        here.backend.on("tools/call", tool)
        here.context.era.contradicted("legacy", gone=True)
        assert (await begin(here)).json["result"] == COMPLETE
        assert said(await again(here, first, answers_to(first))) == [ADA]


async def test_a_retry_of_what_was_suspended_in_a_session_that_is_gone_is_no_request_of_the_stateless_server() -> None:
    async with bridging() as here:
        serving(here)
        first = await begin(here)
        upgrade(here)
        here.backend.abort()
        here.context.era.contradicted("legacy", gone=True)
        await ask(here.client)
        for session in list(here.pool.rooms.sessions.values()):
            here.pool.end(session, "gone")
        lost = await again(here, first, answers_to(first))
        assert refused(lost) == (400, -32602, 1, "invalid_request_state")
        sent = [a.message["params"] for a in here.backend.asked if a.key == "tools/call"]
        assert not any("requestState" in params for params in sent)


def state_for(here: World, inner: str, *, bridged: bool) -> str:
    """A state as this broker seals it for the usual call."""
    params: Json = {"name": "x", "arguments": {}, "_meta": envelope(INPUTS)}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    frame = jsonrpc.decode_strict(json.dumps(body).encode())
    assert isinstance(frame, jsonrpc.Frame)
    lines: Any = headers("tools/call", params)
    modern = classify(frame, lines, here.context.revisions)
    assert isinstance(modern, Modern)
    belongs = binding(modern, here.context.nobody, here.context.name, here.context.reach.identity, bridged=bridged)  # type: ignore[arg-type]
    return here.context.seal.seal(inner.encode(), belongs)


@pytest.mark.parametrize("bridged", [True, False])
async def test_a_state_leads_to_the_era_it_was_made_in(bridged: bool) -> None:
    async with bridging() as here:
        Server(here)
        await begin(here)
        token = state_for(here, '"of a stateless server"', bridged=bridged)
        params: Json = {"name": "x", "arguments": {}, "inputResponses": {}, "requestState": token}
        here.backend.on("tools/call", complete)
        reply = await begin(here, params=params)
        sent = [a for a in here.backend.asked if a.key == "tools/call" and "requestState" in a.message["params"]]
        if bridged:  # no machine wrote this
            assert refused(reply) == (400, -32602, 1, "invalid_request_state")
            assert not sent
        else:
            assert reply.json["result"] == COMPLETE
            assert sent[0].message["params"]["requestState"] == "of a stateless server"
            assert "mcp-session-id" not in sent[0].headers
