"""A call's stream from the backend: polls within bounds, violations passed over, and what follows the answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker import telemetry
from broker.backends.farewell import Farewells
from broker.backends.legs import MAX_RESUMES
from broker.backends.streamable_http import BackendSession, Deadlines
from broker.limit_values import DEFAULTS
from protocol_versions.jsonrpc import WireLimits
from tests.broker.http1_world import Clock, backend, pool_for, within
from tests.broker.scripted_backend import DONE, Asked, Handler, Reply, World, world
from tests.broker.test_sse_reach import Owner

BATCH_TOO_LONG = ("violation", "default", "", "batch-too-long")


async def polling(asked: Asked) -> None:
    await asked.stream()
    await asked.chunk(b"id: e\nretry: 1\ndata: \n\n")
    await asked.end()


async def opened(here: World) -> None:
    """A session without a standing stream: every GET is a poll."""
    here.backend.capabilities = {}
    await here.client.open("2025-06-18")


async def test_polls_that_bring_nothing_end_after_so_many() -> None:
    async with world() as here:
        await opened(here)
        here.backend.on("tools/call", polling)
        here.backend.on("GET", polling)
        reply = await here.client.call()
        assert reply.json["error"]["data"]["reason"] == "backend-closed"
        assert here.backend.count("GET") == MAX_RESUMES
        assert here.backend.count("tools/call") == 1


async def silent(asked: Asked) -> None:
    await asked.stream()
    await asked.gone()


async def talking(asked: Asked) -> None:
    """Brings something each time, and never the answer."""
    await asked.stream()
    await asked.event({"method": "notifications/message", "params": {"level": "info", "data": "x"}}, "e")
    await asked.end()


@pytest.mark.parametrize("poll", [silent, talking])
async def test_a_call_that_is_polled_for_ends_at_its_total_time(poll: Handler) -> None:
    async with world(limits={"call_head_s": 1, "call_idle_s": 1, "call_total_s": 1}) as here:
        await opened(here)
        here.backend.on("tools/call", polling)
        here.backend.on("GET", poll)
        reply = await within(here.client.call())
        answer = reply.json if not reply.streams else await within(last(reply))
        assert answer["error"]["data"]["reason"] == "backend-timeout"


@pytest.mark.parametrize("answered", [True, False])
async def test_an_event_that_is_too_long_fails_a_call_that_was_not_answered(answered: bool) -> None:
    owner = Owner()
    async with backend() as server, pool_for(server.port, Clock()) as pool:
        limits = WireLimits(backend_body=100)
        session = BackendSession(pool, owner, Deadlines.of(DEFAULTS), limits, Farewells())
        session.request(1, b"{}")
        peer = await server.accept()
        await peer.request()
        done = b'data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n' if answered else b""
        await peer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + done + b"data: " + b"x" * 1_000
        )
        assert await peer.gone()
    told = ["backend_message", "backend_violation"] if answered else ["backend_failed"]
    assert [what for what, *_ in owner.told] == told


async def last(reply: Reply) -> Any:
    """The answer at the end of a stream."""
    while "error" not in (message := await reply.message()) and "result" not in message:
        pass
    return message


async def test_a_poll_that_brings_something_starts_the_count_again() -> None:
    async def reporting(asked: Asked) -> None:
        call = next(other for other in here.backend.asked if other.key == "tools/call")
        number = here.backend.count("GET")
        await asked.stream()
        await asked.chunk(b"retry: 1\n\n")
        if number <= MAX_RESUMES + 2:
            params = {"progressToken": call.id, "progress": number}
            await asked.event({"method": "notifications/progress", "params": params}, f"e{number}")
        else:
            await asked.event({"id": call.id, "result": DONE}, "last")
        await asked.end()

    async with world() as here:
        await opened(here)
        here.backend.on("tools/call", polling)
        here.backend.on("GET", reporting)
        reply = await here.client.call(1, _meta={"progressToken": "t"})
        told = [(await reply.message())["params"]["progress"] for _ in range(MAX_RESUMES + 2)]
        assert told == list(range(1, MAX_RESUMES + 3))
        assert (await reply.message())["result"] == DONE
        polls = [asked.headers["last-event-id"] for asked in here.backend.asked if asked.verb == "GET"]
        assert polls == ["e", *(f"e{number}" for number in range(1, MAX_RESUMES + 3))]


@pytest.mark.parametrize(("event_id", "ends"), [("e1", "result"), ("", "error")])
async def test_a_stream_cut_after_an_event_id_is_resumed_and_one_without_is_not(event_id: str, ends: str) -> None:
    async def cut(asked: Asked) -> None:
        await asked.stream()
        await asked.chunk(b"retry: 1\n\n")
        await asked.event({"method": "notifications/message", "params": {"level": "info", "data": 1}}, event_id)
        asked.writer.close()

    async def rest(asked: Asked) -> None:
        call = await here.backend.next("tools/call")
        await asked.stream()
        await asked.event({"id": call.id, "result": DONE})
        await asked.end()

    async with world() as here:
        await opened(here)
        here.backend.on("tools/call", cut)
        here.backend.on("GET", rest)
        reply = await here.client.call()
        assert (await reply.message())["method"] == "notifications/message"
        assert ends in await reply.message()
        assert here.backend.count("tools/call") == 1


async def test_a_second_answer_and_what_follows_the_answer_reach_nobody() -> None:
    async def chatty(asked: Asked) -> None:
        await asked.stream()
        await asked.event({"id": asked.id, "result": DONE})
        await asked.event({"id": asked.id, "result": {"content": [], "second": True}})
        token = asked.message["params"]["_meta"]["progressToken"]
        await asked.event({"method": "notifications/progress", "params": {"progressToken": token, "progress": 9}})
        await asked.end()

    async with world() as here:
        await opened(here)
        here.backend.on("tools/call", chatty)
        reply = await here.client.call(1, _meta={"progressToken": "t"})
        assert reply.json["result"] == DONE
        here.backend.on("tools/call", lambda asked: asked.result())
        again = await here.client.call(2)
        assert (again.streams, again.json["result"]) == (False, DONE)


async def test_events_of_another_name_unreadable_ones_and_strange_ids_are_passed_over() -> None:
    async def strange(asked: Asked) -> None:
        await asked.stream()
        await asked.chunk(b"event: endpoint\ndata: http://evil.example/\n\n")
        await asked.chunk(b"id: a\x00b\ndata: {not json\n\n")
        await asked.chunk(b'event: message\r\nid: x: "\xc3\xa9\r\ndata: [1]\r\n\r\n')
        await asked.event({"id": asked.id + 1, "result": {"content": [], "not": "yours"}})
        await asked.event({"id": asked.id, "result": DONE}, "backend-chose-this")
        await asked.end()

    async with world() as here:
        await opened(here)
        here.backend.on("tools/call", strange)
        reply = await here.client.call()
        assert reply.json == {"jsonrpc": "2.0", "id": 1, "result": DONE}


async def test_an_answer_that_is_too_large_fails_its_call_only() -> None:
    async def large(asked: Asked) -> None:
        await asked.stream()
        await asked.chunk(b"data: " + b"x" * 10_000)
        await asked.reader.read()

    async with world(limits={"result_bytes": 5_000}) as here:
        await opened(here)
        here.backend.on("tools/call", large)
        assert (await here.client.call()).json["error"]["data"]["reason"] == "too-large"
        here.backend.on("tools/call", lambda asked: asked.result({"content": [], "x": "y" * 10_000}))
        assert (await here.client.call(2)).json["error"]["data"]["reason"] == "too-large"
        assert (await here.client.call(3, "ping")).json["result"] == {}


@pytest.mark.parametrize("streams", [True, False])
async def test_a_batch_of_a_2025_03_26_backend_is_split(streams: bool) -> None:
    async def batched(asked: Asked) -> None:
        note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "first"}}
        done = {"jsonrpc": "2.0", "id": asked.id, "result": DONE}
        body = json.dumps([note, done]).encode()
        if not streams:
            await asked.reply(200, b" \r\n" + body)
            return
        await asked.stream()
        await asked.chunk(b"data: " + body + b"\n\n")
        await asked.end()

    async with world() as here:
        here.backend.revision = "2025-03-26"
        await opened(here)
        here.backend.on("tools/call", batched)
        reply = await here.client.call()
        assert (await reply.message())["params"]["data"] == "first"
        assert (await reply.message())["result"] == DONE


async def test_a_batch_that_is_too_long_is_cut_and_reported() -> None:
    async def batched(asked: Asked) -> None:
        done = {"jsonrpc": "2.0", "id": asked.id, "result": DONE}
        note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}
        await asked.reply(200, json.dumps([done, *[note] * DEFAULTS.batch]).encode())

    async with world() as here:
        here.backend.revision = "2025-03-26"
        await opened(here)
        here.backend.on("tools/call", batched)
        before = telemetry.counts[BATCH_TOO_LONG]
        assert (await here.client.call()).json["result"] == DONE
        assert telemetry.counts[BATCH_TOO_LONG] == before + 1


async def test_a_batch_of_a_backend_whose_revision_has_none_is_a_violation() -> None:
    async def batched(asked: Asked) -> None:
        await asked.reply(200, json.dumps([{"jsonrpc": "2.0", "id": asked.id, "result": DONE}]).encode())

    async with world() as here:
        await opened(here)
        here.backend.on("tools/call", batched)
        assert (await here.client.call()).json["error"]["data"]["reason"] == "backend-garbage"
