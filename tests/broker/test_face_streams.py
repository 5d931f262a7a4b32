"""Streams of the face: questions and changes on the way to a client, resumption, deletion, slow readers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.broker.http1_world import turn, within
from tests.broker.scripted_backend import DONE, Asked, Reply, World, world

ROOTS: dict[str, Any] = {"roots": {"listChanged": True}}
CHANGED = {"method": "notifications/tools/list_changed"}
OFFERS = {"tools": {"listChanged": True}, "logging": {}}


class Standing:
    """The backend's GET stream, written by the test."""

    def __init__(self, here: World) -> None:
        self.opened = asyncio.Event()
        self.asked: list[Asked] = []
        here.backend.capabilities = OFFERS
        here.backend.on("GET", self._open)

    async def _open(self, asked: Asked) -> None:
        await asked.stream()
        self.asked.append(asked)
        self.opened.set()
        await asked.reader.read()

    async def send(self, message: dict[str, Any]) -> None:
        await within(self.opened.wait())
        await self.asked[-1].event(message)


async def told(here: World) -> None:
    """Until the broker has read what the backend wrote so far: it answers this question itself or by its client."""
    await here.backend.next("answer")


async def test_a_servers_question_on_a_calls_stream_is_answered_by_its_client() -> None:
    async def asking(asked: Asked) -> None:
        await asked.stream()
        await asked.event({"id": "q1", "method": "roots/list"})
        answer = await here.backend.next("answer")
        text = json.dumps(answer.message["result"])
        await asked.event({"id": asked.id, "result": {"content": [{"type": "text", "text": text}]}})
        await asked.end()
        assert answer.message["id"] == "q1"

    async with world() as here:
        await here.client.open(capabilities=ROOTS)
        here.backend.on("tools/call", asking)
        reply = await here.client.call()
        question = await reply.message()
        assert question == {"jsonrpc": "2.0", "id": 1, "method": "roots/list"}
        assert (await here.client.post({"id": 1, "result": {"roots": []}})).status == 202
        content = (await reply.message())["result"]["content"]
        assert json.loads(content[0]["text"]) == {"roots": []}
        late = await here.client.post({"id": 1, "result": {"roots": []}})
        assert late.status == 202
        assert here.backend.count("answer") == 1


async def test_a_question_the_client_never_declared_is_refused_by_the_broker() -> None:
    async def asking(asked: Asked) -> None:
        await asked.stream()
        await asked.event({"id": "q1", "method": "sampling/createMessage", "params": {}})
        refusal = await here.backend.next("answer")
        assert refusal.message["error"]["code"] == -32601
        await asked.event({"id": asked.id, "result": DONE})
        await asked.end()

    async with world() as here:
        await here.client.open(capabilities=ROOTS)
        here.backend.on("tools/call", asking)
        assert (await here.client.call()).json["result"] == DONE


async def test_a_question_before_any_stream_of_the_client_is_held_and_then_delivered() -> None:
    async with world() as here:
        standing = Standing(here)
        await here.client.open(capabilities=ROOTS)
        await standing.send({"id": "q", "method": "roots/list"})
        await standing.send({"id": "p", "method": "ping"})
        await told(here)  # the ping's answer: the question before it has been read
        stream = await here.client.send("GET")
        assert (stream.status, stream.streams) == (200, True)
        assert (await stream.message())["method"] == "roots/list"
        assert (await here.client.post({"id": 1, "result": {"roots": []}})).status == 202
        assert (await here.backend.next("answer")).message == {"jsonrpc": "2.0", "id": "q", "result": {"roots": []}}


async def test_a_question_beyond_the_held_ones_is_refused_to_the_backend() -> None:
    async with world(limits={"held_questions": 2}) as here:
        standing = Standing(here)
        await here.client.open(capabilities=ROOTS)
        for number in range(3):
            await standing.send({"id": f"q{number}", "method": "roots/list"})
        refusal = (await here.backend.next("answer")).message
        assert (refusal["id"], refusal["error"]["data"]["reason"]) == ("q2", "no-stream")


async def test_a_change_is_told_on_exactly_one_of_several_standing_streams() -> None:
    async with world() as here:
        standing = Standing(here)
        await here.client.open("2025-06-18")
        streams = [await here.client.send("GET") for _ in range(3)]
        await standing.send(CHANGED)
        await standing.send({**CHANGED, "method": "notifications/message", "params": {"level": "info", "data": 1}})
        assert (await streams[2].message())["method"] == CHANGED["method"]
        assert (await streams[2].message())["method"] == "notifications/message"
        await here.client.send("DELETE")
        for stream in streams:
            assert await stream.event() is None


async def test_more_standing_streams_than_allowed_are_refused() -> None:
    async with world(limits={"streams_per_session": 2}) as here:
        await here.client.open()
        for expected in (200, 200, 409):
            assert (await here.client.send("GET")).status == expected


async def until_detached(here: World) -> None:
    """Until the broker has noticed that the client's connections are gone."""

    async def gone() -> None:
        sessions = list(here.context.sessions._by_id.values())
        while any(stream.attached for session in sessions for stream in session.outbox._streams()):
            await turn()

    await within(gone())


async def test_a_cut_standing_stream_resumes_with_exactly_what_was_missed() -> None:
    async with world() as here:
        standing = Standing(here)
        await here.client.open("2025-06-18")
        stream = await here.client.send("GET")
        for number in range(3):
            await standing.send({"method": "notifications/message", "params": {"level": "info", "data": number}})
        first = await stream.event()
        assert first is not None
        stream.cut()
        await until_detached(here)
        await standing.send({"method": "notifications/message", "params": {"level": "info", "data": 3}})
        resumed = await here.client.send("GET", Last_Event_ID=first.id)
        seen = [(await resumed.message())["params"]["data"] for _ in range(3)]
        assert seen == [1, 2, 3]
        await standing.send({"method": "notifications/message", "params": {"level": "info", "data": 4}})
        assert (await resumed.message())["params"]["data"] == 4


async def test_an_answer_missed_by_a_cut_connection_is_had_by_resuming() -> None:
    release = asyncio.Event()

    async def slow(asked: Asked) -> None:
        await asked.stream()
        await asked.event({"method": "notifications/message", "params": {"level": "info", "data": 0}})
        await within(release.wait())
        await asked.event({"id": asked.id, "result": DONE})
        await asked.end()

    async with world() as here:
        await here.client.open("2025-06-18")
        here.backend.on("tools/call", slow)
        reply = await here.client.call("slow")
        event = await reply.event()
        assert event is not None
        reply.cut()
        await until_detached(here)
        release.set()
        resumed = await here.client.send("GET", Last_Event_ID=event.id)
        assert await resumed.message() == {"jsonrpc": "2.0", "id": "slow", "result": DONE}
        assert await resumed.event() is None
        assert here.backend.count("notifications/cancelled") == 0


async def test_of_two_readers_of_one_stream_the_later_one_gets_the_rest() -> None:
    async with world() as here:
        standing = Standing(here)
        await here.client.open("2025-06-18")
        first = await here.client.send("GET")
        await standing.send(CHANGED)
        event = await first.event()
        assert event is not None
        second = await here.client.send("GET", Last_Event_ID=event.id)
        assert await first.event() is None
        await standing.send(CHANGED)
        assert (await second.message())["method"] == CHANGED["method"]


@pytest.mark.parametrize("last", ["g1-9999", "p1-0", "x", "g1-"])
async def test_an_event_id_of_nobody_or_of_somebody_else_replays_nothing(last: str) -> None:
    async with world() as here:
        standing = Standing(here)
        other = here.another()
        await other.open("2025-06-18")
        stream = await other.send("GET")
        await standing.send(CHANGED)
        theirs = await stream.event()
        assert theirs is not None
        await here.client.open("2025-06-18")
        for event_id in (last, theirs.id):
            assert (await here.client.send("GET", Last_Event_ID=event_id)).status == 400


async def test_a_call_that_takes_long_becomes_a_stream_that_is_kept_alive() -> None:
    release = asyncio.Event()

    async def slow(asked: Asked) -> None:
        await within(release.wait())
        await asked.result()

    async with world(limits={"commit_to_sse_s": 0.01, "comment_interval_s": 0.01}) as here:
        await here.client.open()
        here.backend.on("tools/call", slow)
        reply = await here.client.call()
        assert reply.streams
        primed = await reply.event()
        assert primed is not None
        assert (primed.data, primed.retry_ms) == (b"", 1000)
        release.set()
        assert (await reply.message())["result"] == DONE


async def test_a_slow_reader_stops_the_backend_instead_of_filling_the_broker() -> None:
    progress = {"sent": 0}
    total, size = 200, 100_000
    payload = {"method": "notifications/message", "params": {"level": "info", "data": "x" * size}}

    async def flood(asked: Asked) -> None:
        await asked.stream()
        for _ in range(total):
            await asked.event(payload)
            progress["sent"] += 1
        await asked.event({"id": asked.id, "result": DONE})
        await asked.end()

    async def read_all(reply: Reply) -> int:
        count = 0
        while "result" not in await reply.message():
            count += 1
        return count

    async with world(limits={"event_store_bytes": 0}) as here:
        await here.client.open("2025-06-18")
        here.backend.on("tools/call", flood)
        reply = await here.client.call()
        session = next(iter(here.context.sessions._by_id.values()))
        (exchange,) = session.outbox.exchanges.values()

        async def pressed() -> None:
            while exchange.stream is None or not exchange.stream.pressure:
                await turn()

        await within(pressed())
        assert exchange.stream is not None
        assert exchange.stream.queued < 1_000_000
        assert progress["sent"] < total
        assert await within(read_all(reply)) == total


@pytest.mark.parametrize("reader", ["a call's stream", "an older standing stream"])
async def test_a_slow_reader_stops_the_backends_standing_stream_wherever_it_is_delivered(reader: str) -> None:
    total, size = 200, 100_000
    payload = {"method": "notifications/message", "params": {"level": "info", "data": "x" * size}}

    async def stays_open(asked: Asked) -> None:
        await asked.stream()
        await asked.event(payload)
        await asked.reader.read()

    async with world(limits={"event_store_bytes": 0}) as here:
        standing = Standing(here)
        await here.client.open("2025-06-18")
        if reader == "a call's stream":
            here.backend.on("tools/call", stays_open)
            reply = await here.client.call()
            await reply.message()
        else:
            reply = await here.client.send("GET")
            newer = await here.client.send("GET")
            newer.cut()
        (session,) = here.context.sessions
        if reader != "a call's stream":
            await within(alone(session.outbox.standing))
        sent = asyncio.ensure_future(flood(standing, total, payload))
        stream = session.outbox.carrier()
        assert stream is not None

        async def pressed() -> None:
            while not stream.pressure:
                await turn()

        await within(pressed())
        assert stream.queued < 1_000_000
        assert not sent.done()
        for _ in range(total):
            await reply.message()
        await within(sent)


async def alone(streams: list[Any]) -> None:
    """Until one stream has a reader, and no other."""
    while sum(stream.attached for stream in streams) != 1:
        await turn()


async def flood(standing: Standing, total: int, payload: dict[str, Any]) -> None:
    for _ in range(total):
        await standing.send(payload)
