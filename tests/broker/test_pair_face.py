"""Clients of the HTTP+SSE pair: where they post, where answers come, and what the end of their stream means."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from tests.broker.http1_world import within
from tests.broker.modern_world import modern
from tests.broker.pair_world import PairClient, text
from tests.broker.scripted_backend import Asked, world

INFO = {"name": "x", "version": "1"}
KEYS = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("alice", "bob")}


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_a_session_of_any_revision_is_a_stream_and_posts(revision: str) -> None:
    async with world() as here:
        client = PairClient(here)
        assert (await client.open(revision))["result"]["protocolVersion"] == revision
        assert text(await client.ask(1, "tools/call", {"name": "x"})) == "done"


async def test_the_address_of_messages_is_relative_and_names_a_session_nobody_can_guess() -> None:
    async with world() as here:
        first, second = PairClient(here), PairClient(here)
        await first.connect()
        await second.connect()
        assert first.endpoint.startswith("/messages?session_id=")
        assert len(first.endpoint) - len("/messages?session_id=") >= 32
        assert first.endpoint != second.endpoint


async def test_a_post_says_that_it_was_taken_and_nothing_else() -> None:
    async with world() as here:
        client = PairClient(here)
        await client.open()
        reply = await client.post({"id": 1, "method": "tools/call", "params": {"name": "x"}})
        assert (reply.status, reply.body) == (202, b"Accepted")
        assert text(await client.answer(1)) == "done"


UNREADABLE = [
    (b"{", -32700, "not-json"),
    (b'{"a": "\xff"}', -32700, "not-utf8"),
    (b"[]", -32600, "empty-batch"),
    (b'{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}', -32600, "bad-id"),
    (b'{"jsonrpc": "2.0", "id": 1, "id": 1, "method": "ping"}', -32600, "duplicate-member"),
    (b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', -32600, "batch"),
]


@pytest.mark.parametrize(("body", "code", "reason"), UNREADABLE, ids=[reason for *_, reason in UNREADABLE])
async def test_a_post_that_no_message_could_answer_is_refused_itself(body: bytes, code: int, reason: str) -> None:
    async with world() as here:
        client = PairClient(here)
        await client.open()
        reply = await client.post(body)
        assert reply.status == 400
        assert reply.json["error"]["code"] == code
        assert reply.json["error"]["data"] == {"origin": "broker", "reason": reason}
        assert "id" not in reply.json
        assert text(await client.ask(1, "tools/call", {"name": "x"})) == "done"


async def test_a_post_that_is_refused_and_names_its_request_is_answered_on_the_stream() -> None:
    async with world() as here:
        client = PairClient(here)
        await client.open()
        assert (await client.post({"id": 7, "method": "tools/call", "params": []})).status == 202
        error = (await client.answer(7))["error"]
        assert (error["code"], error["data"]["reason"]) == (-32602, "bad-params")


async def test_before_a_stateless_server_the_pair_is_a_session_too() -> None:
    async with modern() as here:

        async def discovered(asked: Asked) -> None:
            found = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "ttlMs": 0}
            await asked.result({"resultType": "complete", "cacheScope": "private", **found})

        async def called(asked: Asked) -> None:
            await asked.result({"resultType": "complete", "content": [{"type": "text", "text": "stateless"}]})

        here.backend.on("server/discover", discovered)
        here.backend.on("tools/call", called)
        client = PairClient(here)
        await client.open()
        assert text(await client.ask(1, "tools/call", {"name": "x"})) == "stateless"


async def test_a_newer_client_that_posts_to_the_stream_is_told_to_fall_back() -> None:
    async with world() as here:
        client = here.another()
        client.path = "/sse"
        reply = await client.post({"id": 0, "method": "initialize", "params": {}})
        assert reply.status == 405
        assert "GET" in reply.headers["allow"]


async def test_on_a_shared_address_the_two_transports_are_told_apart() -> None:
    async with world() as here:
        shared = PairClient(here, "/mcp")
        assert (await shared.open())["result"]
        for name, value in (("MCP-Protocol-Version", "2025-06-18"), ("Last-Event-ID", "x"), ("Mcp-Session-Id", "x")):
            reply = await here.another().send("GET", b"", Accept="text/event-stream", **{name: value})
            assert reply.status in (400, 404)


async def test_the_end_of_the_stream_is_the_end_of_the_session() -> None:
    async with world() as here:
        client = PairClient(here)
        await client.open()
        client.leave()
        await here.backend.next("DELETE")
        assert (await client.post({"id": 1, "method": "ping"})).status == 404


async def test_a_client_that_leaves_while_its_session_is_opened_leaves_nothing_behind() -> None:
    async with world() as here:
        left = asyncio.Event()

        async def waits(asked: Asked) -> None:
            await asked.gone()
            left.set()

        here.backend.on("initialize", waits)
        client = PairClient(here)
        await client.connect()
        await client.post(
            {"id": 0, "method": "initialize", "params": {"protocolVersion": "2024-11-05", "capabilities": {}}}
        )
        await here.backend.next("initialize")
        client.leave()
        await within(left.wait())


async def test_what_a_server_asks_and_says_comes_on_the_stream() -> None:
    async with world() as here:

        async def asks(asked: Asked) -> None:
            await asked.stream()
            await asked.event({"id": 0, "method": "roots/list"})
            await here.backend.next("answer")
            await asked.event({"id": asked.id, "result": {"content": []}})
            await asked.end()

        here.backend.on("tools/call", asks)
        client = PairClient(here)
        await client.open("2025-06-18", {"roots": {}})
        await client.post({"id": 1, "method": "tools/call", "params": {"name": "x"}})
        question = await client.stream.message()
        assert question["method"] == "roots/list"
        await client.post({"id": question["id"], "result": {"roots": []}})
        assert (await client.answer(1))["result"] == {"content": []}


async def test_a_session_belongs_to_its_caller() -> None:
    async with world(keys=KEYS) as here:
        alice = PairClient(here, Authorization="Bearer alice")
        await alice.open()
        bobs = await alice.post({"id": 1, "method": "ping"}, Authorization="Bearer bob")
        nobodys = await here.another().send("POST", b"{}", Authorization="Bearer bob")
        assert bobs.status == 404
        assert nobodys.status in (400, 404)
        assert (await PairClient(here).connect()).status == 401


async def test_a_caller_holds_no_more_sessions_than_it_may() -> None:
    async with world(limits={"sessions_per_principal": 2}) as here:
        clients = [PairClient(here) for _ in range(3)]
        statuses = [(await client.connect()).status for client in clients]
        assert statuses == [200, 200, 429]
        clients[0].leave()


async def test_sessions_of_both_transports_and_those_being_opened_are_counted_together() -> None:
    async with world(limits={"sessions_per_principal": 2}) as here:
        opening, entered = asyncio.Event(), asyncio.Event()

        async def waits(asked: Asked) -> None:
            entered.set()
            await within(opening.wait())
            await asked.result({"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": INFO})

        here.backend.on("initialize", waits)
        pair = PairClient(here)
        assert (await pair.connect()).status == 200
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": INFO}
        asked = {"id": 0, "method": "initialize", "params": params}
        first = asyncio.ensure_future(here.client.post(asked))
        await within(entered.wait())
        assert (await here.another().post(asked)).status == 429
        assert (await PairClient(here).connect()).status == 429
        opening.set()
        assert (await within(first)).status == 200


@pytest.mark.parametrize("body", [b"{", b"hello", b"\xff", b"[]"])
async def test_bad_bodies_harm_nobody(body: bytes) -> None:
    async with world() as here:
        client = PairClient(here)
        await client.open()
        assert (await client.post(body)).status == 400
        assert text(await client.ask(1, "tools/call", {"name": "x"})) == "done"


async def test_a_body_that_is_too_large_is_refused_at_the_door() -> None:
    async with world(limits={"body_bytes": 2_000}) as here:
        client = PairClient(here)
        await client.open()
        assert (await client.post(b'{"x":"' + b"y" * 3_000 + b'"}')).status == 413


async def test_the_door_is_the_same_as_everywhere() -> None:
    async with world() as here:
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            assert (await PairClient(here, **headers).connect()).status in (403, 421)


async def test_what_is_hidden_is_hidden_on_the_pair() -> None:
    hidden: dict[str, Any] = {"filter": {"tools": {"deny": ["x"]}}}
    async with world(backend=hidden) as here:
        client = PairClient(here)
        await client.open()
        assert (await client.ask(1, "tools/call", {"name": "x"}))["error"]["message"] == "Unknown tool"


async def test_where_no_session_revision_is_served_there_is_no_pair() -> None:
    async with modern(client_revisions=("2026-07-28",)) as here:
        assert (await PairClient(here).connect()).status == 404


async def test_for_a_reader_that_is_too_far_behind_no_more_is_kept_than_the_longest_message() -> None:
    total, sent = 200, asyncio.Event()
    told = {"method": "notifications/message", "params": {"level": "info", "data": "x" * 100_000}}

    async def floods(asked: Asked) -> None:
        await asked.stream()
        for _ in range(total):
            await asked.event(told)
        sent.set()
        await asked.gone()

    async with world(limits={"result_bytes": 500_000}) as here:
        here.backend.on("tools/call", floods)
        client = PairClient(here)
        await client.open()
        await client.post({"id": 1, "method": "tools/call", "params": {"name": "x"}})
        await within(sent.wait())
        came = 0
        while await client.stream.event() is not None:
            came += 1
        assert 0 < came < total


async def test_the_streams_end_with_the_broker() -> None:
    async with world() as here:
        client = PairClient(here)
        await client.open()
        await here.broker.close()
        assert await client.stream.event() is None
