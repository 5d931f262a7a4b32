"""Streams that are taken up again after the rules have changed: what came since is judged by the new ones (C096)."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import pytest

from broker.hooks.memory import Memory
from broker.hooks.policy import Policy
from broker.review import review
from tests.adversarial.doors import HTTP, MODERN, SESSIONS, Cell, before, client
from tests.broker.http1_world import within
from tests.broker.rules_world import rules
from tests.broker.scripted_backend import DONE, Asked, Client, Json, Reply, World

RESUMABLE: Final = [each for each in SESSIONS if each != "2024-11-05"]
TOOLS: Final = [{"name": name, "inputSchema": {"type": "object"}} for name in ("read", "delete_all")]


async def broken_off(here: World, one: Client, method: str, **params: Any) -> tuple[Asked, str]:
    """A request whose stream broke off after its first message: the server's side, and the last event's id."""
    held: asyncio.Queue[Asked] = asyncio.Queue()

    async def begins(asked: Asked) -> None:
        await asked.stream()
        await asked.event({"method": "notifications/message", "params": {"level": "error", "data": "begun"}})
        held.put_nowait(asked)
        await asked.reader.read()

    here.backend.on(method, begins)
    reply = await one.post({"id": 7, "method": method, "params": params})
    last = ""
    while (event := await reply.event()) is not None:
        last = event.id or last
        if event.data:
            break
    reply.cut()
    return await within(held.get()), last


async def rest(one: Client, last: str) -> list[Json]:
    """What is left of the stream."""
    stream: Reply = await one.send("GET", Last_Event_ID=last)
    assert stream.status == 200
    found = []
    while (event := await stream.event()) is not None:
        if event.data:
            found.append(json.loads(event.data))
    return found


def judge(here: World, *lines: str) -> None:
    """Other rules, under what is open."""
    here.context.hooks.replace([Policy(rules(*lines, backend="default"), Memory())])
    review(here.context.hooks)


@pytest.mark.parametrize("backend", [*RESUMABLE, MODERN])
@pytest.mark.parametrize("revision", RESUMABLE)
async def test_a_call_that_is_refused_now_gives_its_client_an_error_when_it_comes_back(
    revision: str, backend: str
) -> None:
    """C096: and its server nothing to answer to."""
    async with before(Cell(revision, HTTP, backend), keys=True) as here:
        here.backend.capabilities = {"tools": {}, "logging": {}}
        bob = client(here, "bob")
        await bob.open(revision)
        if backend == MODERN:
            await bob.post({"id": 1, "method": "logging/setLevel", "params": {"level": "debug"}})
        asked, last = await broken_off(here, bob, "tools/call", name="delete_all", arguments={})
        judge(here, "deny name == 'delete_all'")
        complete = {"resultType": "complete"} if backend == MODERN else {}
        await asked.event({"id": asked.id, "result": {**complete, "content": [{"type": "text", "text": "CANARY"}]}})
        (answer,) = await rest(bob, last)
        assert answer["id"] == 7
        assert answer["error"]["data"]["reason"] == "denied"


@pytest.mark.parametrize("backend", [*RESUMABLE, MODERN])
async def test_a_list_that_comes_after_the_rules_changed_is_what_they_show(backend: str) -> None:
    """C096, C146."""
    revision = RESUMABLE[-1]
    async with before(Cell(revision, HTTP, backend), keys=True) as here:
        here.backend.capabilities = {"tools": {}, "logging": {}}
        bob = client(here, "bob")
        await bob.open(revision)
        if backend == MODERN:
            await bob.post({"id": 1, "method": "logging/setLevel", "params": {"level": "debug"}})
        judge(here, "deny name == 'something_else'")
        asked, last = await broken_off(here, bob, "tools/list")
        judge(here, "deny name == 'delete_all'")
        complete = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if backend == MODERN else {}
        await asked.event({"id": asked.id, "result": {**complete, "tools": TOOLS}})
        answer = (await rest(bob, last))[-1]
        assert [tool["name"] for tool in answer["result"]["tools"]] == ["read"]


async def test_nobody_else_resumes_it_whoever_knows_the_session_and_the_event() -> None:
    """C076, C093."""
    revision = RESUMABLE[-1]
    async with before(Cell(revision, HTTP, revision), keys=True) as here:
        here.backend.capabilities = {"tools": {}, "logging": {}}
        bob, ann = client(here, "bob"), client(here, "ann")
        await bob.open(revision)
        asked, last = await broken_off(here, bob, "tools/call", name="read", arguments={})
        await asked.event({"id": asked.id, "result": DONE})
        ann.session = bob.session
        for who in (ann.headers, {"Authorization": "Bearer dgm_nobody"}, {"Authorization": None}):
            lines: dict[str, Any] = {**who, "Last_Event_ID": last}
            reply = await ann.send("GET", **lines)
            assert reply.status in (401, 404), who
        assert (await rest(bob, last))[-1]["result"] == DONE
