"""Lists, header annotations and subscriptions of stateless clients before session servers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.broker.bridge_world import INPUTS, Server, audited, begin, bridging
from tests.broker.modern_world import ask, envelope, refused
from tests.broker.scripted_backend import DONE, Asked, Handler, Json, World

TOOL: Json = {
    "name": "x",
    "inputSchema": {
        "type": "object",
        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    },
}
BAD_TOOL: Json = {
    "name": "y",
    "inputSchema": {"type": "object", "properties": {"r": {"type": "number", "x-mcp-header": "R"}}},
}
LISTS: Json = {"tools": {"listChanged": True}, "resources": {"subscribe": True}}
EUROPE: Json = {"name": "x", "arguments": {"region": "eu"}}


def lists(*tools: Json) -> Handler:
    async def answer(asked: Asked) -> None:
        await asked.result({"tools": list(tools)})

    return answer


async def catalogue(here: World, *tools: Json) -> list[Json]:
    """What a client reads of these tools."""
    here.backend.on("tools/list", lists(*tools))
    found: list[Json] = (await ask(here.client, "tools/list")).json["result"]["tools"]
    return found


async def test_a_header_that_differs_from_the_body_is_refused_once_the_tool_is_known() -> None:
    async with bridging() as here:
        Server(here)
        assert await catalogue(here, TOOL) == [TOOL]
        assert (await ask(here.client, params=EUROPE, Mcp_Param_Region="eu")).status == 200
        before = audited("header-mismatch")
        wrong: list[Json] = [{"Mcp_Param_Region": "us"}, {}, {"Mcp_Param_Region": ""}]
        for more in wrong:
            assert refused(await ask(here.client, params=EUROPE, **more)) == (400, -32020, 1, "header-mismatch")
        assert audited("header-mismatch") == before + 3
        assert here.backend.count("tools/call") == 1
        sent = await here.backend.next("tools/call")
        assert sent.message["params"] == EUROPE
        assert not [
            name for name in sent.headers if name.startswith("mcp-param")
        ]  # a session server knows no such thing


async def test_a_call_is_never_refused_for_want_of_a_schema() -> None:
    async with bridging() as here:
        Server(here)
        assert (await ask(here.client, params=EUROPE, Mcp_Param_Region="us")).status == 200
        await catalogue(here, TOOL)
        other: Json = {"name": "unlisted", "arguments": {"region": "eu"}}
        assert (await ask(here.client, params=other, Mcp_Param_Region="us")).status == 200
        assert (await ask(here.client, params=other)).status == 200


@pytest.mark.parametrize("lost", [False, True])
async def test_a_schema_is_believed_until_the_server_may_have_another(lost: bool) -> None:
    async with bridging() as here:
        server = Server(here)
        here.backend.capabilities = LISTS
        await catalogue(here, TOOL)
        assert (await ask(here.client, params=EUROPE)).status == 400
        if lost:
            here.backend.forget_sessions()
            await ask(here.client, "prompts/list")
        else:
            # Nobody listens: the session hears it all the same, and the client has its answer after it.
            stream = await server.standing()
            await stream.event({"method": "notifications/tools/list_changed"})
            await stream.event({"id": 9, "method": "ping"})
            await server.answer(stream, 9)
        assert (await ask(here.client, params=EUROPE)).status == 200


async def test_an_annotation_no_client_may_follow_is_taken_off_and_the_tool_stays() -> None:
    async with bridging() as here:
        Server(here)
        bare: Json = {"name": "y", "inputSchema": {"type": "object", "properties": {"r": {"type": "number"}}}}
        assert await catalogue(here, TOOL, BAD_TOOL) == [TOOL, bare]
        assert (await ask(here.client, params={"name": "y", "arguments": {"r": 1.5}})).status == 200


async def test_a_list_comes_in_the_same_order_and_a_cursor_is_of_one_session() -> None:
    async with bridging() as here:
        Server(here)
        names = ["a", "b", "c"]
        pages: list[Json] = []

        async def answer(asked: Asked) -> None:
            pages.append(asked.message.get("params", {}))
            shown = names if len(pages) % 2 else names[::-1]
            tools = [{"name": name, "inputSchema": {"type": "object"}} for name in shown]
            await asked.result({"tools": tools, "nextCursor": "theirs"})

        here.backend.on("tools/list", answer)
        first, second = [(await ask(here.client, "tools/list")).json["result"] for _ in range(2)]
        assert [tool["name"] for tool in first["tools"]] == [tool["name"] for tool in second["tools"]] == names
        assert (first["ttlMs"], first["cacheScope"]) == (0, "private")
        cursor = first["nextCursor"]
        await ask(here.client, "tools/list", {"cursor": cursor})
        assert pages[2] == {"cursor": "theirs"}
        before = audited("cursor-expired")
        for bad in ("theirs", cursor + "x" if cursor.endswith(".") else "1.1." + cursor, "", "0.0.theirs"):
            assert refused(await ask(here.client, "tools/list", {"cursor": bad})) == (200, -32602, 1, "cursor-expired")
        here.backend.forget_sessions()
        await ask(here.client, "prompts/list")
        assert refused(await ask(here.client, "tools/list", {"cursor": cursor}))[3] == "cursor-expired"
        assert audited("cursor-expired") == before + 5
        assert len(pages) == 3


async def test_how_long_lists_may_be_kept_is_the_operators_to_say_where_changes_are_announced() -> None:
    async with bridging(backend={"list_ttl_ms": 5_000}) as here:
        Server(here)
        here.backend.capabilities = {"tools": {"listChanged": True}, "prompts": {}}
        assert (await ask(here.client, "tools/list")).json["result"]["ttlMs"] == 5_000
        assert (await ask(here.client, "prompts/list")).json["result"]["ttlMs"] == 0


async def listening(here: World, id: int | str, **wanted: Any) -> Any:  # noqa: A002
    return await ask(here.another(), "subscriptions/listen", {"notifications": wanted}, id=id)


async def test_a_subscription_is_acknowledged_first_and_under_its_own_id_and_type() -> None:
    async with bridging() as here:
        server = Server(here)
        here.backend.capabilities = LISTS
        hold = asyncio.Event()

        async def subscribe(asked: Asked) -> None:
            uri = asked.message["params"]["uri"]
            await (await server.standing()).event({"method": "notifications/resources/updated", "params": {"uri": uri}})
            await hold.wait()
            if uri.endswith("no"):
                await asked.json({"id": asked.id, "error": {"code": -32602, "message": "no"}})
            else:
                await asked.result({})

        here.backend.on("resources/subscribe", subscribe)
        uris = ["file:///a", "file:///no"]
        opening = asyncio.ensure_future(
            listening(here, 7, toolsListChanged=True, promptsListChanged=True, resourceSubscriptions=uris)
        )
        await here.backend.next("resources/subscribe")
        await here.backend.next("resources/subscribe")
        hold.set()
        stream = await opening
        said = [await stream.message() for _ in range(2)]
        mark: Json = {"io.modelcontextprotocol/subscriptionId": 7}
        kept: Json = {"toolsListChanged": True, "resourceSubscriptions": ["file:///a"]}
        assert said[0] == {
            "jsonrpc": "2.0",
            "method": "notifications/subscriptions/acknowledged",
            "params": {"notifications": kept, "_meta": mark},
        }
        assert said[1]["params"] == {"uri": "file:///a", "_meta": mark}


async def test_a_resource_is_followed_once_however_many_listen() -> None:
    async with bridging() as here:
        server = Server(here)
        here.backend.capabilities = LISTS
        one = await listening(here, "1", resourceSubscriptions=["file:///a"])
        two = await listening(here, "2", resourceSubscriptions=["file:///a"], toolsListChanged=True)
        for stream in (one, two):
            await stream.message()
        assert here.backend.count("resources/subscribe") == 1
        standing = await server.standing()
        await standing.event({"method": "notifications/tools/list_changed"})
        await standing.event({"method": "notifications/resources/updated", "params": {"uri": "file:///a/below"}})
        assert (await one.message())["params"]["uri"] == "file:///a/below"
        assert (await two.message())["method"] == "notifications/tools/list_changed"
        assert (await two.message())["params"]["_meta"] == {"io.modelcontextprotocol/subscriptionId": "2"}
        one.cut()
        two.cut()
        assert (await here.backend.next("resources/unsubscribe")).message["params"] == {"uri": "file:///a"}


async def test_what_belongs_to_a_call_is_told_to_no_subscriber_and_the_other_way_round() -> None:
    async with bridging() as here:
        server = Server(here)
        here.backend.capabilities = LISTS

        async def tool(asked: Asked) -> None:
            await asked.stream()
            await asked.event({"method": "notifications/message", "params": {"level": "error", "data": "mine"}})
            await asked.event({"method": "notifications/tools/list_changed"})
            await asked.event({"id": asked.id, "result": DONE})
            await asked.end()

        server.backend.on("tools/call", tool)
        stream = await listening(here, "L", toolsListChanged=True)
        await stream.message()
        meta = envelope({}, **{"io.modelcontextprotocol/logLevel": "info"})
        call = await ask(here.client, meta=meta)
        assert (await call.message())["params"]["data"] == "mine"
        assert (await call.message())["result"]["resultType"] == "complete"
        assert (await stream.message())["method"] == "notifications/tools/list_changed"


async def test_a_level_is_set_once_and_each_request_hears_its_own() -> None:
    async with bridging() as here:
        Server(here)

        async def tool(asked: Asked) -> None:
            await asked.stream()
            for level in ("debug", "warning"):
                await asked.event({"method": "notifications/message", "params": {"level": level, "data": level}})
            await asked.event({"id": asked.id, "result": DONE})
            await asked.end()

        here.backend.capabilities = {"logging": {}}
        here.backend.on("tools/call", tool)
        silent = await begin(here)
        assert silent.json["result"]["resultType"] == "complete"
        assert here.backend.count("logging/setLevel") == 0
        for level, heard in (("warning", ["warning"]), ("debug", ["debug", "warning"]), ("error", [])):
            reply = await begin(here, meta=envelope(INPUTS, **{"io.modelcontextprotocol/logLevel": level}))
            if reply.streams:
                assert [(await reply.message())["params"]["level"] for _ in heard] == heard
                assert (await reply.message())["result"]["resultType"] == "complete"
            else:
                assert not heard
        levels = [a.message["params"]["level"] for a in here.backend.asked if a.key == "logging/setLevel"]
        assert levels == ["warning", "debug"]


async def test_methods_this_revision_does_not_have_never_reach_a_session() -> None:
    async with bridging() as here:
        Server(here)
        for method in ("ping", "initialize", "logging/setLevel", "resources/subscribe", "tasks/list", "vendor/x"):
            reply = await ask(here.client, method, {})
            assert (reply.status, reply.json["error"]["code"]) in {(404, -32601), (400, -32602), (400, -32022)}, method
        assert here.backend.asked == []
