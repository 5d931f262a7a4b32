"""Requests that stand alone on the short way: whatever is sent, the answer is that of the usual way."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from multidict import CIMultiDict

from broker.faces.classify import Modern
from broker.faces.stateless_short import knowable
from protocol_versions import by_id
from tests.broker.bridge_world import FORM, INPUTS, Server, answers_to, bridging, streamed
from tests.broker.http1_world import within
from tests.broker.kept_wire import KeptWire, connected
from tests.broker.modern_world import COMPLETE, PREFIX, envelope, headers, modern
from tests.broker.scripted_backend import ACCEPT, DONE, Asked, Json, Reply, World

CALL: Json = {"name": "x", "arguments": {}}
Worlds = Callable[..., AbstractAsyncContextManager[World]]


class Kept(KeptWire):
    """One connection of a client that sends calls of one tool, and nothing else, under one head."""

    async def call(self, number: int | str = 1, meta: Json | None = None, **more: Any) -> Reply:
        return await self.post(called(number, meta, **more))


def called(number: int | str = 1, meta: Json | None = None, **more: Any) -> Json:
    params = {**CALL, "_meta": envelope() if meta is None else meta, **more}
    return {"id": number, "method": "tools/call", "params": params}


@contextlib.asynccontextmanager
async def kept(here: World) -> AsyncIterator[Kept]:
    """A connection on which its head is known."""
    lines = {"Host": f"127.0.0.1:{here.port}", "Accept": ACCEPT, "Content-Type": "application/json"}
    said = {**lines, **headers("tools/call", CALL)}
    async with connected(here.port) as streams:
        wire = Kept("".join(f"{name}: {value}\r\n" for name, value in said.items()), *streams)
        for number in (1, 2):
            assert "result" in (await wire.call(number)).json
        yield wire


def complete(here: World) -> None:
    """A backend that answers calls as its revision does."""
    if here.backend.revision == "2026-07-28":
        here.backend.on("tools/call", lambda asked: asked.result(COMPLETE))


def without(name: str) -> Json:
    return {key: value for key, value in envelope().items() if key != f"{PREFIX}{name}"}


def saying(name: str, value: Any) -> Json:
    return {**envelope(), f"{PREFIX}{name}": value}


BODIES: list[bytes | Json] = [
    called("five"),
    called(2**70),
    called(meta=envelope(INPUTS)),
    called(meta=envelope(vendor={"a": 1}, progressToken="p")),
    called(meta=saying("logLevel", "debug")),
    called(meta=saying("logLevel", "loud")),
    called(meta=saying("protocolVersion", "2025-11-25")),
    called(meta=saying("protocolVersion", 5)),
    called(meta=saying("clientCapabilities", [])),
    called(meta=saying("clientInfo", "me")),
    called(meta=without("protocolVersion")),
    called(meta=without("clientCapabilities")),
    called(meta=without("clientInfo")),
    called(name="other"),
    called(name=5),
    called(requestState="made-up"),
    called(inputResponses={"a": {"action": "accept"}}),
    {**called(), "method": "tools/list"},
    {**called(), "method": "vendor/unknown"},
    {**called(), "method": "subscriptions/listen"},
    {"id": 5, "method": "tools/call", "params": CALL},
    {"id": 5, "method": "tools/call"},
    {"id": 5, "method": "tools/call", "params": [1]},
    {"id": None, "method": "tools/call", "params": {**CALL, "_meta": envelope()}},
    {"method": "tools/call", "params": {**CALL, "_meta": envelope()}},
    {"id": 5, "result": {}},
    b'{"jsonrpc":"2.0","id":5,"id":6,"method":"tools/call"}',
    b"[%b]" % json.dumps(called()).encode(),
    b" {}",
    b"{",
    b"\xff",
    json.dumps({"jsonrpc": "2.0", **called(padding="x" * 5000)}).encode(),
]


@pytest.mark.parametrize("worlds", [modern, bridging])
async def test_every_body_is_answered_as_on_the_usual_way(worlds: Worlds) -> None:
    # With pages of other origins nothing goes the short way.
    limits = {"body_bytes": 4000}
    async with worlds(limits=limits) as short, worlds(limits=limits, allowed_origins=["https://a.example"]) as usual:
        for here in (short, usual):
            complete(here)
        for body in BODIES:  # a connection is off the short way once it brought what no handler vouches for
            async with kept(short) as first, kept(usual) as second:
                got, expected = await first.post(body), await second.post(body)
                assert (got.status, got.body) == (expected.status, expected.body), body
                if body is not BODIES[-1]:  # which is too long: the connection ends
                    assert (await first.call()).json == (await second.call()).json
        asked = [[(one.key, one.message.get("params")) for one in here.backend.asked] for here in (short, usual)]
        assert asked[0] == asked[1]


@pytest.mark.parametrize("worlds", [modern, bridging])
async def test_a_known_head_says_nothing_of_the_capabilities_in_the_body(worlds: Worlds) -> None:
    async with worlds() as here:
        complete(here)
        if worlds is bridging:
            Server(here, tool=streamed(DONE))  # one that can ask
        declared: list[Json] = [{}, {"roots": {}}, {}, {"sampling": {}}]
        async with kept(here) as wire:
            for capabilities in declared:
                await wire.call(meta=envelope(capabilities))
        name = "initialize" if worlds is bridging else "tools/call"
        asked = [one.message["params"] for one in here.backend.asked if one.key == name]
        told = [
            one["capabilities"] if worlds is bridging else one["_meta"][f"{PREFIX}clientCapabilities"]
            for one in asked
        ]  # fmt: skip
        assert [one for one in told if one] == [{"roots": {}}, {"sampling": {}}]


async def test_a_client_that_goes_has_cancelled_its_call() -> None:
    async with bridging() as here:
        began = asyncio.Event()

        async def hang(asked: Asked) -> None:
            began.set()
            await asked.gone()

        async with kept(here) as wire:
            here.backend.on("tools/call", hang)
            wire.write(called(3))
            await within(began.wait())
            wire.writer.transport.abort()
            cancelled = await here.backend.next("notifications/cancelled")
        assert cancelled.message["params"]["requestId"] == here.backend.asked[-2].message["id"]
        assert not here.pool.legs


async def test_a_call_with_progress_streams_and_the_next_one_does_not() -> None:
    async def progress(asked: Asked) -> None:
        await asked.stream()
        token = asked.message["params"]["_meta"]["progressToken"]
        await asked.event({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}})
        await asked.event({"id": asked.id, "result": DONE})
        await asked.end()

    async with bridging() as here, kept(here) as wire:
        here.backend.on("tools/call", progress)
        reply = await wire.call(7, envelope(progressToken="mine"))
        assert (await reply.message())["params"] == {"progressToken": "mine", "progress": 1}
        assert (await reply.message())["id"] == 7
        assert await reply.event() is None
        here.backend.on("tools/call", streamed(DONE))
        for _ in range(2):
            assert (await wire.call()).json["result"]["content"] == DONE["content"]


async def test_questions_and_their_answers_go_by_one_head() -> None:
    async with bridging() as here:
        server = Server(here)

        async def tool(asked: Asked) -> None:
            await asked.stream()
            if asked.message["params"]["arguments"]:
                await server.ask(asked, FORM)
            await asked.event({"id": asked.id, "result": DONE})
            await asked.end()

        here.backend.on("tools/call", tool)
        async with kept(here) as wire:
            meta = envelope(INPUTS)
            for number in range(2):
                asking = {"meta": meta, "arguments": {"ask": number}}
                first = await wire.call(3, **asking)
                state = first.json["result"]["requestState"]
                retry = await wire.call(4, **asking, inputResponses=answers_to(first), requestState=state)
                assert retry.json["result"]["content"] == DONE["content"]


@pytest.mark.parametrize(
    ("method", "more", "known"),
    [
        ("tools/call", {}, True),
        ("tools/list", {}, True),
        ("server/discover", {}, False),
        ("subscriptions/listen", {}, False),
        ("tools/call", {"Mcp-Param-City": "Rome"}, False),
        ("tools/call", {"mcp-session-id": "s"}, False),
    ],
)
def test_heads_are_remembered_of_ordinary_requests_whose_arguments_they_do_not_repeat(
    method: str, more: dict[str, str], known: bool
) -> None:
    request = Modern(by_id("2026-07-28"), method, {}, {}, None)
    assert knowable(request, CIMultiDict({"Mcp-Method": method, **more})) is known
