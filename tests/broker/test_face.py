"""The status rules of the Streamable HTTP face: who is refused, how, and what a live session's errors look like."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.broker.scripted_backend import DONE, Asked, Client, Reply, world

INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "0"}}
LIST = {"id": 1, "method": "tools/list"}


def reason(reply: Reply) -> Any:
    """Why the broker refused."""
    assert reply.json["error"]["data"]["origin"] == "broker"
    return reply.json["error"]["data"]["reason"]


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_a_client_of_any_session_revision_is_answered_in_its_own(revision: str) -> None:
    async with world() as here:
        here.backend.revision = "2025-06-18"
        reply = await here.client.open(revision)
        assert reply.json["result"]["protocolVersion"] == revision
        assert len(here.client.session) >= 22
        assert (await here.client.call()).json == {"jsonrpc": "2.0", "id": 1, "result": DONE}
        version = "2025-06-18"
        called = await here.backend.next("tools/call")
        assert called.headers["mcp-protocol-version"] == version
        assert called.headers["mcp-session-id"] == "backend-1"


@pytest.mark.parametrize("asked", ["2026-07-28", "1.0.0", 7, None])
async def test_a_revision_nobody_knows_is_answered_with_the_newest(asked: Any) -> None:
    async with world() as here:
        params = {**INITIALIZE, "protocolVersion": asked}
        reply = await here.client.post({"id": 0, "method": "initialize", "params": params})
        assert reply.json["result"]["protocolVersion"] == "2025-11-25"


async def test_a_session_is_needed_and_must_be_known() -> None:
    async with world() as here:
        missing = await here.client.post(LIST)
        assert (missing.status, reason(missing)) == (400, "session-missing")
        here.client.session = "nobody"
        for reply in (await here.client.post(LIST), await here.client.send("GET"), await here.client.send("DELETE")):
            assert (reply.status, reason(reply)) == (404, "session-unknown")


async def test_a_deleted_session_is_unknown_and_the_backends_is_deleted_too() -> None:
    async with world() as here:
        await here.client.open()
        assert (await here.client.send("DELETE")).status == 200
        assert (await here.backend.next("DELETE")).headers["mcp-session-id"] == "backend-1"
        assert (await here.client.post(LIST)).status == 404
        assert (await here.client.send("DELETE")).status == 404


async def test_a_session_id_of_the_client_is_ignored_by_initialize() -> None:
    async with world() as here:
        here.client.session = "fixed-by-me"
        await here.client.open()
        assert here.client.session != "fixed-by-me"


@pytest.mark.parametrize(
    ("headers", "status", "why"),
    [
        ({"Accept": "application/json"}, 406, "accept"),
        ({"Accept": "text/event-stream"}, 406, "accept"),
        ({"Content_Type": "text/plain"}, 415, "content-type"),
        ({"Content_Type": None}, 415, "content-type"),
        ({"Content_Encoding": "gzip"}, 415, "content-encoding"),
        ({"Origin": "https://evil.example"}, 403, "origin"),
        ({"Host": "evil.example"}, 421, "host"),
        ({"Mcp_Protocol_Version": "1999-01-01"}, 400, "version-header"),
    ],
)
async def test_what_the_door_refuses_is_never_executed(headers: dict[str, Any], status: int, why: str) -> None:
    async with world() as here:
        await here.client.open()
        reply = await here.client.post(LIST, **headers)
        assert (reply.status, reason(reply)) == (status, why)
        assert here.backend.count("tools/list") == 0


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream;q=1, application/json;q=0.5", None])
async def test_every_way_to_accept_both_kinds_of_answer_is_understood(accept: str | None) -> None:
    async with world() as here:
        await here.client.open()
        assert (await here.client.post(LIST, Accept=accept)).status == 200


async def test_a_get_must_accept_events_and_no_other_verb_is_known() -> None:
    async with world() as here:
        await here.client.open()
        reply = await here.client.send("GET", Accept="application/json")
        assert (reply.status, reason(reply)) == (406, "accept")
        for verb in ("PUT", "PATCH"):
            assert (await here.client.send(verb)).status == 405


async def test_a_body_beyond_the_limit_is_refused() -> None:
    async with world(limits={"body_bytes": 2000}) as here:
        await here.client.open()
        reply = await here.client.call(1, pad="x" * 3000)
        assert (reply.status, reason(reply)) == (413, "too-large")
        assert (await here.client.call()).status == 200


@pytest.mark.parametrize("strict", [False, True])
async def test_another_known_version_is_refused_only_where_the_operator_is_strict(strict: bool) -> None:
    async with world(strict_version_header=strict) as here:
        await here.client.open("2025-06-18")
        reply = await here.client.post(LIST, Mcp_Protocol_Version="2025-03-26")
        assert reply.status == (400 if strict else 200)
        assert (await here.client.post(LIST, Mcp_Protocol_Version="2025-06-18")).status == 200
        assert (await here.client.post(LIST)).status == 200


@pytest.mark.parametrize(
    "body", [b"{", b"null", b'"x"', b"{} {}", b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', b"[]"]
)
async def test_what_is_no_message_is_refused_with_400(body: bytes) -> None:
    async with world() as here:
        await here.client.open()
        reply = await here.client.post(body)
        assert reply.status == 400
        assert "id" not in reply.json


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b'{"jsonrpc":"2.0","id":7,"method":"tools/list","params":[1]}', -32602),
        (b'{"jsonrpc":"1.0","id":7,"method":"tools/list"}', -32600),
        (b'{"jsonrpc":"2.0","id":7,"method":"vendor/x"}', -32601),
        (b'{"jsonrpc":"2.0","id":7,"method":"initialize","params":3}', -32602),
    ],
)
async def test_errors_of_a_live_sessions_requests_travel_in_http_200(message: bytes, code: int) -> None:
    async with world() as here:
        await here.client.open()
        reply = await here.client.post(message)
        assert (reply.status, reply.json["id"]) == (200, 7)
        assert reply.json["error"]["code"] in (code, -32600)
        assert (await here.client.call()).json["result"] == DONE


async def test_an_answer_nobody_asked_for_is_refused_with_400() -> None:
    async with world() as here:
        await here.client.open()
        reply = await here.client.post({"id": 99, "result": {}})
        assert (reply.status, reason(reply)) == (400, "answer-unasked")


async def test_initialize_refused_by_the_backend_makes_no_session() -> None:
    async with world() as here:
        here.backend.on(
            "initialize", lambda asked: asked.json({"id": asked.id, "error": {"code": -1, "message": "no"}})
        )
        reply = await here.client.post({"id": "i", "method": "initialize", "params": INITIALIZE})
        assert (reply.status, reply.json["error"]["code"], reply.json["id"]) == (200, -1, "i")
        assert "mcp-session-id" not in reply.headers
        assert len(here.context.sessions) == 0


async def test_more_sessions_than_allowed_are_refused() -> None:
    async with world(limits={"sessions_per_principal": 1}) as here:
        await here.client.open()
        reply = await here.another().post({"id": 5, "method": "initialize", "params": INITIALIZE})
        assert (reply.status, reply.json["id"], reason(reply)) == (429, 5, "sessions")
        await here.client.send("DELETE")
        await here.another().open()


# ---- principals ---------------------------------------------------------------------------------------------------

KEYS = {name: hashlib.sha256(f"key-of-{name}".encode()).hexdigest() for name in ("ada", "bob")}
ADA, BOB = "Bearer key-of-ada", "Bearer key-of-bob"


async def test_without_a_key_nobody_is_served_where_keys_are_configured() -> None:
    async with world(keys=KEYS) as here:
        for credential in (None, "Bearer wrong", "Basic xyz", "Bearer "):
            reply = await here.client.post({"id": 0, "method": "initialize"}, Authorization=credential)
            assert reply.status == 401
            assert reply.headers["www-authenticate"].startswith("Bearer")


async def test_somebody_elses_session_looks_exactly_like_an_unknown_one() -> None:
    async with world(keys=KEYS) as here:
        await here.client.open(Authorization=ADA)
        thief: Client = here.another()
        for verb in ("POST", "GET", "DELETE"):
            bodies = []
            for session in (here.client.session, "no-such-session"):
                thief.session = session
                body = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}' if verb == "POST" else b""
                reply = await thief.send(verb, body, Authorization=BOB)
                bodies.append((reply.status, reply.body))
            assert bodies[0] == bodies[1]
            assert bodies[0][0] == 404
        assert (await here.client.post(LIST, Authorization=ADA)).status == 200
        assert here.backend.count("tools/list") == 1


# ---- batches ------------------------------------------------------------------------------------------------------


async def test_a_batch_of_a_2025_03_26_session_gets_one_answer_for_each_request() -> None:
    async with world() as here:
        await here.client.open("2025-03-26")
        note = {"method": "notifications/roots/list_changed"}
        reply = await here.client.post([{"id": 1, "method": "tools/call"}, note, {"id": "b", "method": "nonsense"}])
        assert reply.status == 200
        answers = {answer["id"]: answer for answer in reply.json}
        assert (answers[1]["result"], answers["b"]["error"]["code"]) == (DONE, -32601)
        await here.backend.next("notifications/roots/list_changed")


async def test_a_batch_without_requests_is_taken_with_202() -> None:
    async with world() as here:
        await here.client.open("2025-03-26")
        note = {"method": "notifications/roots/list_changed"}
        reply = await here.client.post([note, note])
        assert (reply.status, reply.body) == (202, b"")


async def test_a_broken_element_of_a_batch_is_answered_among_the_others() -> None:
    async with world() as here:
        await here.client.open("2025-03-26")
        reply = await here.client.post(b'[1,{"jsonrpc":"2.0","id":1,"method":"tools/call"}]')
        assert reply.status == 200
        assert sorted("id" in answer for answer in reply.json) == [False, True]


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-06-18", "2025-11-25"])
async def test_no_other_revision_has_batches(revision: str) -> None:
    async with world() as here:
        await here.client.open(revision)
        reply = await here.client.post([LIST, {**LIST, "id": 2}])
        assert (reply.status, reason(reply)) == (400, "batch")
        assert here.backend.count("tools/list") == 0


@pytest.mark.parametrize(
    ("batch", "why"),
    [
        ([{"id": 0, "method": "initialize", "params": INITIALIZE}], "batch-initialize"),
        ([LIST, {"id": 3, "result": {}}], "batch-mixed"),
        ([{"id": number, "method": "tools/list"} for number in range(51)], "long-batch"),
        ([], "empty-batch"),
    ],
)
async def test_a_batch_that_breaks_a_rule_is_refused_whole(batch: list[Any], why: str) -> None:
    async with world() as here:
        await here.client.open("2025-03-26")
        reply = await here.client.post(batch)
        assert (reply.status, reason(reply)) == (400, why)
        assert here.backend.count("tools/list") == 0


@pytest.mark.parametrize("origins", [[], ["https://page.example"]])
async def test_no_answer_of_any_kind_names_the_software_that_gives_it(origins: list[str]) -> None:
    async def streaming(asked: Asked) -> None:
        await asked.stream()
        await asked.event({"method": "notifications/message", "params": {"level": "info", "data": 1}})
        await asked.event({"id": asked.id, "result": DONE})
        await asked.end()

    async with world(allowed_origins=origins) as here:
        replies = [await here.client.open(), await here.client.call(1)]
        here.backend.on("tools/call", streaming)
        replies += [await here.client.call(2), await here.client.send("GET", Accept="text/event-stream")]
        assert [reply.streams for reply in replies] == [False, False, True, True]
        replies += [await here.client.post(b"{"), await here.client.send("PUT"), await here.client.send("DELETE")]
        assert [reply.status for reply in replies] == [200, 200, 200, 200, 400, 405, 200]
        assert not [reply.headers["server"] for reply in replies if "server" in reply.headers]
