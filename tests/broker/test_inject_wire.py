"""Injected context on the wire, before backends of both eras: in every round and on every connection."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.broker.bridge_world import bridging
from tests.broker.crossing_world import FORM, INPUTS, Rounds, completes, crossing, greeted
from tests.broker.modern_world import ask, envelope, modern
from tests.broker.scripted_backend import DONE, Json, Reply, World, world
from tests.broker.test_pair_backend import PairServer

INJECT: Json = {
    "inject": [
        {"argument": "tenant_id", "value": "acme"},
        {"meta": "com.example/caller", "caller": "principal"},
        {"header": "X-Tenant", "value": "acme"},
        {"header": "X-Target", "request": "target", "missing": "omit"},
    ]
}
TOOLS: list[Json] = [
    {
        "name": "x",
        "inputSchema": {
            "type": "object",
            "properties": {"a": {"type": "string"}, "tenant_id": {"type": "string", "x-mcp-header": "Tenant"}},
            "required": ["a", "tenant_id"],
        },
    }
]
SHOWN: Json = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
EDGES: dict[str, tuple[Callable[..., AbstractAsyncContextManager[World]], bool, bool]] = {
    # by name: the world, whether the client is stateless, whether the backend is
    "session": (world, False, False),
    "crossing": (crossing, False, True),
    "modern": (modern, True, True),
    "bridging": (bridging, True, False),
}
edges = pytest.mark.parametrize("edge", EDGES)


async def opened(here: World, edge: str) -> None:
    _, stateless_client, stateless_backend = EDGES[edge]
    listed = {"tools": TOOLS}
    if stateless_backend:
        here.backend.on("tools/list", completes(**listed))
    else:
        here.backend.on("tools/list", lambda asked: asked.result(listed))
    here.backend.capabilities = {"tools": {}}
    if not stateless_client and stateless_backend:
        await greeted(here, {"tools": {}}, capabilities=INPUTS)
    elif not stateless_client:
        await here.client.open(capabilities=INPUTS)


async def asked(here: World, edge: str, method: str, params: Json, **headers: str) -> Reply:
    if EDGES[edge][1]:
        return await ask(here.client, method, params, meta=envelope(INPUTS), **headers)
    return await here.client.post({"id": 1, "method": method, "params": params})


@edges
async def test_a_call_is_given_all_and_its_client_sees_nothing_of_it(edge: str) -> None:
    begin, _, stateless_backend = EDGES[edge]
    async with begin(backend=INJECT) as here:
        await opened(here, edge)
        (tool,) = (await asked(here, edge, "tools/list", {})).json["result"]["tools"]
        assert tool["inputSchema"] == SHOWN
        reply = await asked(here, edge, "tools/call", {"name": "x", "arguments": {"a": "b"}})
        assert reply.json["result"]["content"] == DONE["content"]
        call = await here.backend.next("tools/call")
        assert call.message["params"]["arguments"] == {"a": "b", "tenant_id": "acme"}
        assert call.message["params"]["_meta"]["com.example/caller"] == "local"
        assert (call.headers["x-tenant"], call.headers["x-target"]) == ("acme", "x")
        if stateless_backend:
            assert call.headers["mcp-param-tenant"] == "acme"
        requests = [each for each in here.backend.asked if "method" in each.message and "id" in each.message]
        assert all(each.headers.get("x-tenant") == "acme" for each in requests)


@edges
async def test_c154_a_client_that_sends_the_argument_reaches_nobody(edge: str) -> None:
    async with EDGES[edge][0](backend=INJECT) as here:
        await opened(here, edge)
        reply = await asked(here, edge, "tools/call", {"name": "x", "arguments": {"a": "b", "tenant_id": "evil"}})
        assert reply.json["error"]["code"] == -32602
        assert "tenant" not in reply.json["error"]["message"]
        assert here.backend.count("tools/call") == 0


@pytest.mark.parametrize("edge", ["crossing", "modern"])
async def test_every_round_of_a_call_is_given_it_once(edge: str) -> None:
    rounds = Rounds({"k": {"method": "elicitation/create", "params": FORM}})
    async with EDGES[edge][0](backend=INJECT) as here:
        await opened(here, edge)
        here.backend.on("tools/call", rounds)
        reply = await asked(here, edge, "tools/call", {"name": "x", "arguments": {"a": "b"}})
        answer: Json = {"action": "accept", "content": {}}
        if edge == "modern":
            told = reply.json["result"]
            retry = {
                "name": "x",
                "arguments": {"a": "b"},
                "inputResponses": {"k": answer},
                "requestState": told["requestState"],
            }
            end: Any = (await asked(here, edge, "tools/call", retry)).json
        else:
            question = await reply.message()
            await here.client.post({"id": question["id"], "result": answer})
            end = await reply.message()
        assert end["result"]["content"] == DONE["content"]
        assert [sent["arguments"] for sent in rounds.sent] == [{"a": "b", "tenant_id": "acme"}] * 2
        calls = [each for each in here.backend.asked if each.key == "tools/call"]
        assert [each.headers["x-tenant"] for each in calls] == ["acme"] * 2
        # A tool that no list has shown yet has no headers of its arguments before a stateless client.
        assert len({each.headers.get("mcp-param-tenant") for each in calls}) == 1


async def test_a_call_that_a_lost_session_did_not_run_is_sent_again_with_the_same() -> None:
    async with world(backend=INJECT) as here:
        await opened(here, "session")
        here.backend.forget_sessions()
        reply = await asked(here, "session", "tools/call", {"name": "x", "arguments": {"a": "b"}})
        assert reply.json["result"] == DONE
        calls = [each for each in here.backend.asked if each.key == "tools/call"]
        assert len(calls) == 2
        assert [each.message["params"]["arguments"] for each in calls] == [{"a": "b", "tenant_id": "acme"}] * 2
        assert [each.headers["x-target"] for each in calls] == ["x"] * 2


async def test_what_belongs_to_no_call_carries_what_the_handshake_did() -> None:
    async with world(backend=INJECT) as here:
        here.backend.capabilities = {"tools": {"listChanged": True}}
        await here.client.open(capabilities=INPUTS)
        assert (await here.backend.next("notifications/initialized")).headers["x-tenant"] == "acme"
        assert (await here.backend.next("GET")).headers["x-tenant"] == "acme"
        await here.client.send("DELETE")
        assert (await here.backend.next("DELETE")).headers["x-tenant"] == "acme"


async def test_a_client_cannot_send_the_header_of_an_injected_argument() -> None:
    async with modern(backend=INJECT) as here:
        await opened(here, "modern")
        params: Json = {"name": "x", "arguments": {"a": "b"}}
        reply = await asked(here, "modern", "tools/call", params, **{"Mcp-Param-Tenant": "evil", "X-Tenant": "evil"})
        assert reply.json["result"]["content"] == DONE["content"]
        call = await here.backend.next("tools/call")
        assert call.headers["x-tenant"] == "acme"
        first = call.headers.get("mcp-param-tenant")
        await asked(here, "modern", "tools/list", {})
        reply = await asked(here, "modern", "tools/call", params, **{"Mcp-Param-Tenant": "evil"})
        assert first == "evil"  # no list has shown the tool: the server compares, and refuses
        assert reply.json["error"]["code"] == -32020


async def test_messages_to_a_server_of_the_sse_pair_carry_it_too() -> None:
    async with world(backend={**INJECT, "transport": "sse"}) as here:
        PairServer(here)
        await here.client.open()
        reply = await here.client.call(arguments={"a": "b"})
        assert reply.json["result"] == DONE
        posted = {asked.key: asked for asked in here.backend.asked if asked.verb == "POST"}
        for key in ("initialize", "notifications/initialized", "tools/call"):
            assert posted[key].headers["x-tenant"] == "acme", key
        assert posted["tools/call"].headers["x-target"] == "x"
        assert posted["tools/call"].message["params"]["arguments"] == {"a": "b", "tenant_id": "acme"}
