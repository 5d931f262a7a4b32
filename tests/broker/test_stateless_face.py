"""The status rules of the modern face: one URL for every revision, judged request by request, over raw sockets."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.broker.modern_world import COMPLETE, PREFIX, REVISION, ask, envelope, headers, modern, refused
from tests.broker.scripted_backend import Asked, world

LIST = {"id": 1, "method": "tools/list"}
TOOL = {
    "name": "x",
    "inputSchema": {
        "type": "object",
        "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "size": {"type": "integer", "x-mcp-header": "Size"},
        },
    },
}


def answers(result: dict[str, Any]) -> Any:
    async def answer(asked: Asked) -> None:
        await asked.result(result)

    return answer


async def test_a_modern_request_reaches_the_backend_and_its_answer_the_client() -> None:
    async with modern() as here:
        here.backend.on("tools/call", answers({**COMPLETE, "vendor": {"a": [1.50]}}))
        reply = await ask(here.client, id="mine")
        assert reply.status == 200
        assert reply.headers["content-type"] == "application/json"
        assert reply.json == {"jsonrpc": "2.0", "id": "mine", "result": {**COMPLETE, "vendor": {"a": [1.5]}}}
        asked = await here.backend.next("tools/call")
        assert asked.headers["mcp-protocol-version"] == REVISION
        assert (asked.headers["mcp-method"], asked.headers["mcp-name"]) == ("tools/call", "x")
        assert "mcp-session-id" not in asked.headers


async def test_no_session_is_taken_or_given_and_no_event_id_is_believed() -> None:
    async with modern() as here:
        reply = await ask(here.client, Mcp_Session_Id="stale", Last_Event_ID="p1-1")
        assert reply.status == 200
        assert "mcp-session-id" not in reply.headers
        asked = await here.backend.next("tools/call")
        assert not {"mcp-session-id", "last-event-id"} & set(asked.headers)


DISCOVERED = {
    "resultType": "complete",
    "supportedVersions": [REVISION, "2025-06-18"],
    "capabilities": {"tools": {}},
    "ttlMs": 0,
    "cacheScope": "private",
}


async def test_clients_of_both_eras_are_served_at_once_on_one_url() -> None:
    async with world() as here:  # a backend of both eras: each client's era is mirrored
        here.backend.on("server/discover", answers(DISCOVERED))
        old = here.another()
        await old.open("2025-06-18")
        assert (await ask(here.client, id="new")).json["result"]["resultType"] == "complete"
        assert (await old.call(2)).json["id"] == 2
        # A modern request is one, whatever session it names.
        here.client.session = old.session
        assert (await ask(here.client, id=3)).json["result"]["resultType"] == "complete"
        calls = [asked for asked in here.backend.asked if asked.key == "tools/call"]
        assert [asked.headers.get("mcp-session-id") for asked in calls] == [None, "backend-1", None]


async def test_a_backend_that_is_away_does_not_look_like_one_of_the_other_era() -> None:
    async with world() as here:

        async def busy(asked: Asked) -> None:
            await asked.reply(503)

        here.backend.on("server/discover", busy)
        assert refused(await ask(here.client, "server/discover", id=5)) == (200, -32603, 5, "backend-connect")


@pytest.mark.parametrize("verb", ["GET", "DELETE"])
async def test_get_and_delete_mean_nothing_to_a_modern_client(verb: str) -> None:
    async with modern() as here:
        reply = await here.client.send(verb, MCP_Protocol_Version=REVISION)
        assert reply.status == 405
        assert "POST" in reply.headers["allow"]
        # Without a version and a session, a GET opens the HTTP+SSE pair, and a DELETE has forgotten its session.
        assert (await here.client.send(verb)).status == (200 if verb == "GET" else 400)


async def test_where_no_session_revision_is_served_they_never_do() -> None:
    async with modern(client_revisions=(REVISION,)) as here:
        assert (await here.client.send("GET")).status == 405
        assert (await here.client.send("DELETE", Mcp_Session_Id="abc")).status == 405
        opening = await here.client.post({"id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}})
        assert refused(opening) == (400, -32022, 0, "version")
        assert opening.json["error"]["data"]["supported"] == [REVISION]
        assert (await ask(here.client)).status == 200


@pytest.mark.parametrize("message", [{"id": 1, "result": {}}, {"id": 1, "error": {"code": 1, "message": "x"}}])
async def test_a_response_is_refused(message: dict[str, Any]) -> None:
    async with modern() as here:
        reply = await here.client.post(message, MCP_Protocol_Version=REVISION)
        assert refused(reply) == (400, -32600, None, "response")


async def test_a_notification_is_taken_and_carried_nowhere() -> None:
    async with modern() as here:
        notice = {"method": "notifications/cancelled", "params": {"requestId": 1, "_meta": envelope()}}
        reply = await here.client.post(notice, MCP_Protocol_Version=REVISION)
        assert (reply.status, reply.body) == (202, b"")
        assert here.backend.asked == []


async def test_a_batch_is_refused_whole() -> None:
    async with modern() as here:
        single = {"id": 1, "method": "tools/list", "params": {"_meta": envelope()}}
        reply = await here.client.post([single, {**single, "id": 2}], MCP_Protocol_Version=REVISION)
        assert refused(reply) == (400, -32600, None, "batch")
        assert here.backend.asked == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}', -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"a"}', -32600),
        (b'{"jsonrpc":"2.0","id":1.0,"method":"a"}', -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"a"}', -32600),
    ],
)
async def test_what_cannot_be_read_is_400(body: bytes, code: int) -> None:
    async with modern() as here:
        reply = await here.client.post(body, MCP_Protocol_Version=REVISION)
        assert refused(reply)[:2] == (400, code)


async def test_refusals_carry_the_clients_id_and_reach_no_backend() -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any], tuple[int, int, str]]] = [
        ({}, {}, (400, -32602, "envelope")),
        ({"MCP_Protocol_Version": "2025-11-25"}, envelope(), (400, -32020, "header-mismatch")),
        ({"MCP_Protocol_Version": None}, envelope(), (400, -32020, "header-mismatch")),
        ({"Mcp_Method": "tools/list"}, envelope(), (400, -32020, "header-mismatch")),
        ({"Mcp_Name": "y"}, envelope(), (400, -32020, "header-mismatch")),
        ({"Mcp_Name": None}, envelope(), (400, -32020, "header-mismatch")),
    ]
    async with modern() as here:
        for index, (more, meta, expected) in enumerate(cases):
            reply = await ask(here.client, id=f"id-{index}", meta=meta, **more)
            status, code, reason = expected
            assert refused(reply) == (status, code, f"id-{index}", reason)
        unknown = await ask(here.client, "nobody/knows", id=0)
        assert refused(unknown) == (404, -32601, 0, "method-unknown")
        assert here.backend.asked == []


@pytest.mark.parametrize("name", ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Param-Region"])
async def test_a_header_that_is_there_twice_is_a_mismatch_even_if_both_agree(name: str) -> None:
    async with modern() as here:
        lines = {**headers("tools/call", {"name": "x"}), "Mcp-Param-Region": "eu"}
        lines[name] = f"{lines[name]}\r\n{name.lower()}: {lines[name]}"
        body = {"id": 1, "method": "tools/call", "params": {"name": "x", "_meta": envelope()}}
        reply = await here.client.post(body, **lines)
        assert refused(reply)[:2] == (400, -32020)
        assert here.backend.asked == []


async def test_headers_beyond_ascii_are_a_mismatch() -> None:
    async with modern() as here:
        reply = await ask(here.client, params={"name": "café"}, Mcp_Name="café")
        assert refused(reply)[:2] == (400, -32020)
        assert (await ask(here.client, params={"name": "café"}, Mcp_Name="=?base64?Y2Fmw6k=?=")).status == 200
        assert (await here.backend.next("tools/call")).headers["mcp-name"] == "=?base64?Y2Fmw6k=?="


async def test_parameter_headers_of_a_tool_nobody_has_listed_are_passed_on() -> None:
    async with modern() as here:
        reply = await ask(here.client, Mcp_Param_Region="=?base64?ZXU=?=", mcp_param_Other="1")
        assert reply.status == 200
        asked = await here.backend.next("tools/call")
        assert asked.headers["mcp-param-region"] == "=?base64?ZXU=?="
        assert asked.headers["mcp-param-other"] == "1"


async def test_a_parameter_header_with_a_control_character_is_a_mismatch() -> None:
    async with modern() as here:
        assert refused(await ask(here.client, Mcp_Param_Region="a\tb"))[:2] == (400, -32020)


@pytest.mark.parametrize(
    ("arguments", "lines", "good"),
    [
        ({"region": "eu", "size": 42}, {"Mcp_Param_Region": "eu", "Mcp_Param_Size": "42"}, True),
        ({"region": "eu", "size": 42}, {"Mcp_Param_Region": "=?base64?ZXU=?=", "Mcp_Param_Size": "42.0"}, True),
        ({}, {}, True),
        ({"region": None}, {}, True),
        ({"region": "eu"}, {"Mcp_Param_Region": "eu", "Mcp_Param_Unknown": "z"}, True),
        ({"region": "eu"}, {}, False),
        ({"region": "eu"}, {"Mcp_Param_Region": "us"}, False),
        ({"region": "eu"}, {"Mcp_Param_Region": "EU"}, False),
        ({"region": "eu"}, {"Mcp_Param_Region": "=?base64?!?="}, False),
        ({"region": None}, {"Mcp_Param_Region": ""}, False),
        ({}, {"Mcp_Param_Size": "1"}, False),
        ({"size": 42}, {"Mcp_Param_Size": "43"}, False),
    ],
)
async def test_parameter_headers_of_a_listed_tool_must_say_what_the_body_says(
    arguments: dict[str, Any], lines: dict[str, Any], good: bool
) -> None:
    async with modern() as here:
        here.backend.on("tools/list", answers({"resultType": "complete", "tools": [TOOL]}))
        await ask(here.client, "tools/list")
        reply = await ask(here.client, params={"name": "x", "arguments": arguments}, **lines)
        if not good:
            assert refused(reply) == (400, -32020, 1, "header-mismatch")
            assert here.backend.count("tools/call") == 0
            return
        assert reply.status == 200
        asked = await here.backend.next("tools/call")
        if arguments.get("region"):
            assert asked.headers["mcp-param-region"] == "eu"  # made anew from the body
        if arguments.get("size"):
            assert asked.headers["mcp-param-size"] == "42"
        assert asked.headers.get("mcp-param-unknown") == lines.get("Mcp_Param_Unknown")


@pytest.mark.parametrize("other", [{"name": "z"}, {"name": ["z"]}, {"name": {}}, {}])
async def test_a_tool_with_a_broken_header_annotation_is_left_out_and_the_others_are_not(other: Any) -> None:
    async with modern() as here:
        broken = {"name": "bad", "inputSchema": {"type": "object", "properties": {"n": {"x-mcp-header": "a b"}}}}
        here.backend.on("tools/list", answers({"resultType": "complete", "tools": [broken, TOOL, other]}))
        listed = (await ask(here.client, "tools/list")).json["result"]["tools"]
        assert listed == [TOOL, other]


@pytest.mark.parametrize("method", ["server/discover", "tools/call", "tools/list"])
async def test_where_only_session_revisions_are_spoken_a_modern_client_is_told_to_fall_back(method: str) -> None:
    async with world(backend={"revision": "2025-11-25"}, client_revisions=["2025-11-25"]) as here:
        reply = await ask(here.client, method, id="probe")
        assert refused(reply) == (400, -32601, "probe", "legacy-only")
        assert "mcp-session-id" not in reply.headers
        assert here.backend.asked == []
        await here.client.open()


async def test_an_operator_who_serves_sessions_alone_gets_the_same() -> None:
    async with modern(client_revisions=("2025-11-25",)) as here:
        assert refused(await ask(here.client, "server/discover", id=7)) == (400, -32601, 7, "legacy-only")


async def test_the_door_and_the_credential_come_first() -> None:
    key = "dgm_secret"
    async with modern(keys={"ann": hashlib.sha256(key.encode()).hexdigest()}) as here:
        denied = await ask(here.client)
        assert denied.status == 401
        assert denied.headers["www-authenticate"].startswith("Bearer")
        assert (await ask(here.client, Authorization=f"Bearer {key}", Origin="https://evil.example")).status == 403
        assert (await ask(here.client, Authorization=f"Bearer {key}")).status == 200


async def test_accept_must_allow_both_kinds_of_answer() -> None:
    async with modern() as here:
        assert (await ask(here.client, Accept="application/json")).status == 406


async def test_a_key_of_the_envelope_that_only_servers_write_is_not_passed_on() -> None:
    async with modern() as here:
        meta = {**envelope(), f"{PREFIX}subscriptionId": 9, f"{PREFIX}serverInfo": {"name": "x", "version": "1"}}
        await ask(here.client, meta=meta)
        sent = (await here.backend.next("tools/call")).message["params"]["_meta"]
        assert sent == envelope()
