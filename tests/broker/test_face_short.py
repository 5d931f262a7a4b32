"""Sessions whose requests go the short way: whatever is sent, the answer is that of the usual way."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from broker.faces.whole import LARGE
from tests.broker.http1_world import within
from tests.broker.kept_wire import KeptWire, connected
from tests.broker.scripted_backend import ACCEPT, DONE, Asked, Reply, World, world

Json = dict[str, Any]
META = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}


LIST = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'


class Kept(KeptWire):
    """One connection of a session's client."""

    async def call(self, number: int | str = 1) -> Reply:
        return await self.post({"id": number, "method": "tools/call", "params": {"name": "x"}})


@contextlib.asynccontextmanager
async def kept(here: World, revision: str = "2025-11-25") -> AsyncIterator[Kept]:
    """A session, and a connection on which its head is known."""
    await here.client.open(revision)
    head = (
        f"Host: 127.0.0.1:{here.port}\r\nAccept: {ACCEPT}\r\n"
        f"Content-Type: application/json\r\nMcp-Session-Id: {here.client.session}\r\n"
    )
    async with connected(here.port) as streams:
        wire = Kept(head, *streams)
        for number in (1, 2):
            assert (await wire.call(number)).json["result"] == DONE
        yield wire


BODIES: list[bytes | Json] = [
    {"id": 5, "method": "ping"},
    {"id": "five", "method": "tools/list", "params": {"cursor": "a"}},
    {"id": 5, "method": "vendor/unknown"},
    {"id": 5, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}},
    {"id": 5, "method": "tools/list", "params": META},
    {"method": "notifications/cancelled", "params": {"requestId": 99}},
    {"id": 5, "result": {}},
    {"id": 5, "method": "logging/setLevel", "params": {"level": "loud"}},
    {"id": 2**70, "method": "ping"},
    {"id": None, "method": "ping"},
    {"id": 5, "method": "tools/list", "params": [1]},
    b'{"jsonrpc":"2.0","id":5,"id":6,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"a","name":"b"}}',
    b'[{"jsonrpc":"2.0","id":5,"method":"ping"}]',
    b" {}",
    b"{",
    b"\xff",
    b"[" * 100,
    b'{"jsonrpc":"2.0","id":5,"method":"ping","params":{"a":"%b"}}' % (b"x" * 5000),
]


@pytest.mark.parametrize("revision", ["2025-03-26", "2025-11-25"])
async def test_every_body_is_answered_as_on_the_usual_way(revision: str) -> None:
    # With pages of other origins nothing goes the short way.
    limits = {"body_bytes": 4000}
    async with world(limits=limits) as short, world(limits=limits, allowed_origins=["https://a.example"]) as usual:
        async with kept(short, revision) as first, kept(usual, revision) as second:
            for body in BODIES:
                got, expected = await first.post(body), await second.post(body)
                assert (got.status, got.body) == (expected.status, expected.body), body
                if body is not BODIES[-1]:  # which is too long: the connection ends
                    assert (await first.call()).json == (await second.call()).json
        asked = [[one.key for one in here.backend.asked if one.key != "GET"] for here in (short, usual)]
        assert asked[0] == asked[1]


async def test_a_session_that_ended_is_unknown_on_its_known_head() -> None:
    async with world() as here, kept(here) as wire:
        assert (await here.client.send("DELETE")).status == 200
        assert (await wire.call()).status == 404
        assert here.backend.count("tools/call") == 2


async def test_a_call_with_progress_streams_and_the_next_one_does_not() -> None:
    async def progress(asked: Asked) -> None:
        await asked.stream()
        token = asked.message["params"]["_meta"]["progressToken"]
        await asked.event({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}})
        await asked.event({"id": asked.id, "result": DONE})
        await asked.end()

    async with world() as here, kept(here) as wire:
        here.backend.on("prompts/get", progress)
        for number in (7, 8):
            params = {"name": "x", "_meta": {"progressToken": "t"}}
            reply = await wire.post({"id": number, "method": "prompts/get", "params": params})
            assert reply.streams
            progressed = await reply.message()
            assert progressed["params"] == {"progressToken": "t", "progress": 1}
            assert (await reply.message())["id"] == number
            assert await reply.event() is None
            assert (await wire.call(9)).json == {"jsonrpc": "2.0", "id": 9, "result": DONE}


async def test_a_large_answer_arrives_whole() -> None:
    result = {"content": [{"type": "text", "text": "x" * (4 * LARGE)}]}

    async with world() as here, kept(here) as wire:
        here.backend.on("tools/call", lambda asked: asked.result(result))
        for number in (3, 4):
            assert (await wire.call(number)).json == {"jsonrpc": "2.0", "id": number, "result": result}


async def test_a_call_becomes_a_stream_when_it_takes_long() -> None:
    release = asyncio.Event()

    async def slow(asked: Asked) -> None:
        await within(release.wait())
        await asked.result()

    async with world(limits={"commit_to_sse_s": 0}) as here, kept(here) as wire:
        here.backend.on("tools/call", slow)
        reply = await wire.call(3)
        assert reply.streams
        release.set()
        assert (await reply.message())["id"] == 3


async def test_a_client_that_leaves_cancels_nothing() -> None:
    release, answered = asyncio.Event(), asyncio.Event()

    async def slow(asked: Asked) -> None:
        await within(release.wait())
        await asked.result()
        answered.set()

    async with world() as here, kept(here) as wire:
        here.backend.on("tools/call", slow)
        wire.write({"id": 3, "method": "tools/call", "params": {"name": "x"}})
        for _ in range(3):
            await here.backend.next("tools/call")
        wire.writer.transport.abort()
        release.set()
        await within(answered.wait())
        assert here.backend.count("notifications/cancelled") == 0


async def test_calls_of_a_session_that_ends_are_answered() -> None:
    async def never(_asked: Asked) -> None:
        return

    async with world() as here, kept(here) as wire:
        here.backend.on("tools/call", never)
        wire.write({"id": 3, "method": "tools/call", "params": {"name": "x"}})
        for _ in range(3):
            await here.backend.next("tools/call")
        await here.client.send("DELETE")
        reply = await wire.answer()
        assert (reply.status, reply.json["error"]["data"]["reason"]) == (200, "session-ended")


async def test_a_credential_is_part_of_the_head() -> None:
    keys = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in (("ann", "a" * 20), ("bob", "b" * 20))}
    async with world(keys=keys) as here:
        ann, bob = ({"Authorization": f"Bearer {letter * 20}"} for letter in "ab")
        others: list[tuple[dict[str, str | None], int]] = [
            ({**bob}, 404),
            ({}, 401),
            ({"Authorization": "Bearer x"}, 401),
        ]
        await here.client.open("2025-11-25", None, **ann)
        for _ in range(3):
            assert (await here.client.send("POST", LIST, **ann)).status == 200
        for other, status in others:
            assert (await here.client.send("POST", LIST, **other)).status == status
