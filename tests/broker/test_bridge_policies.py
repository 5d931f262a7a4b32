"""Whose requests share a session: by caller, by what was declared, by what the operator chose."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from broker.hooks.base import PASS, Body, CallInfo, Deny, Hook, Pattern, Replace, Verdict
from broker.hooks.runner import Runner
from protocol_versions.base import Slot
from tests.broker.bridge_world import (
    ADA,
    FORM,
    INPUTS,
    Server,
    again,
    answers_to,
    asked_for,
    begin,
    bridging,
    said,
    serving,
    text,
)
from tests.broker.modern_world import ask, envelope, refused
from tests.broker.scripted_backend import DONE, Asked, Json, World

CALLERS = {"ann": "dgm_a", "bob": "dgm_b"}
KEYS = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in CALLERS.items()}
ANN, BOB = (f"Bearer {key}" for key in CALLERS.values())
ANYBODY: Json = {"anonymous": "allow", "allowed_hosts": ("broker.example",)}
"""A broker that others than this machine may reach: whoever has no key may be several people."""


def sessions(here: World, key: str = "tools/call") -> list[str | None]:
    """The session of every request of that kind, in order."""
    return [asked.headers.get("mcp-session-id") for asked in here.backend.asked if asked.key == key]


def declared(here: World) -> list[Json]:
    """What every session was opened with."""
    return [asked.message["params"]["capabilities"] for asked in here.backend.asked if asked.key == "initialize"]


async def test_a_caller_has_one_session_and_no_other_caller_uses_it() -> None:
    async with bridging(keys=KEYS) as here:
        Server(here)
        for key in (ANN, BOB, ANN, BOB):
            await ask(here.client, Authorization=key)
            await ask(here.client, "tools/list", Authorization=key)
        assert sessions(here) == sessions(here, "tools/list") == ["backend-1", "backend-2"] * 2


async def test_other_capabilities_are_another_session_and_what_no_session_knows_is_left_out() -> None:
    async with bridging() as here:
        Server(here)
        new: Json = {"extensions": {"io.modelcontextprotocol/tasks": {}, "vendor": {}}}
        every: list[Json] = [{}, {"roots": {}}, {}, {"elicitation": {}}, {"elicitation": {"form": {}}}, new]
        for capabilities in every:
            await begin(here, capabilities)
        assert declared(here) == [
            {},
            {"roots": {}},
            {"elicitation": {}},
            {"elicitation": {"form": {}}},
            {"extensions": {"vendor": {}}},
        ]
        assert sessions(here) == [f"backend-{number}" for number in (1, 2, 1, 3, 4, 5)]


@pytest.mark.parametrize(("session_key", "headers"), [("header:X-Chat", True), ("meta:example.com/chat", False)])
async def test_sessions_may_be_kept_apart_by_what_a_request_says(session_key: str, headers: bool) -> None:
    async with bridging(keys=KEYS, backend={"session_key": session_key}) as here:
        Server(here)

        async def say(chat: Any, key: str) -> None:
            meta = envelope() if headers else envelope(**{"example.com/chat": chat})
            more: Json = {"X_Chat": chat} if headers else {}
            assert (await ask(here.client, meta=meta, Authorization=key, **more)).status == 200

        for chat, key in (("a", ANN), ("b", ANN), ("a", ANN), ("a", BOB)):
            await say(chat, key)
        # A key is no credential: the same word of another caller leads to a session of his own.
        assert sessions(here) == [f"backend-{number}" for number in (1, 2, 1, 3)]
        if not headers:
            for odd in (7, None, {"a": 1}, "c" * 1_000, "c" * 2_000):
                await say(odd, ANN)
            assert sessions(here)[4:] == ["backend-4", "backend-4", "backend-4", "backend-5", "backend-5"]


async def test_the_key_is_not_sent_to_the_backend_as_a_header() -> None:
    async with bridging(backend={"session_key": "header:X-Chat"}) as here:
        Server(here)
        await ask(here.client, X_Chat="a")
        assert all("x-chat" not in asked.headers for asked in here.backend.asked)


async def test_wrapped_calls_have_a_session_each_that_ends_with_them() -> None:
    async with bridging(backend={"session": "wrap"}) as here:
        serving(here)
        first, second = await begin(here), await begin(here)
        assert sessions(here) == ["backend-1", "backend-2"]
        assert said(await again(here, second, answers_to(second))) == [ADA]
        assert (await here.backend.next("DELETE")).headers["mcp-session-id"] == "backend-2"
        assert said(await again(here, first, answers_to(first))) == [ADA]
        assert (await here.backend.next("DELETE")).headers["mcp-session-id"] == "backend-1"
        await ask(here.client, "tools/list")
        await ask(here.client, "prompts/list")
        assert sessions(here, "tools/list") == sessions(here, "prompts/list") == ["backend-3"]
        assert here.backend.count("DELETE") == 2


async def test_a_shared_session_declares_nothing_asks_nobody_and_serves_all() -> None:
    async with bridging(keys=KEYS, backend={"session": "shared"}) as here:
        server, told = Server(here), []

        async def tool(asked: Asked) -> None:
            await asked.stream()
            told.append(await server.ask(asked, FORM))
            await asked.event({"id": asked.id, "result": DONE})
            await asked.end()

        here.backend.on("tools/call", tool)
        for key in (ANN, BOB):
            reply = await begin(here, Authorization=key)
            assert reply.json["result"]["resultType"] == "complete"
        assert declared(here) == [{}]
        assert sessions(here) == ["backend-1"] * 2
        assert [answer["error"]["code"] for answer in told] == [-32601] * 2


async def test_callers_without_a_name_have_a_session_per_request_and_are_asked_nothing() -> None:
    async with bridging(**ANYBODY) as here:
        server, told = Server(here), []

        async def tool(asked: Asked) -> None:
            await asked.stream()
            told.append(await server.ask(asked, FORM))
            await asked.event({"id": asked.id, "result": DONE})
            await asked.end()

        here.backend.on("tools/call", tool)
        for _ in range(2):
            assert (await begin(here)).json["result"]["resultType"] == "complete"
            assert (await ask(here.client, "tools/list", meta=envelope(INPUTS))).status == 200
        assert declared(here) == [{}] * 4
        assert sessions(here) == ["backend-1", "backend-3"]
        assert sessions(here, "tools/list") == ["backend-2", "backend-4"]
        gone = [(await here.backend.next("DELETE")).headers["mcp-session-id"] for _ in range(4)]
        assert gone == ["backend-1", "backend-2", "backend-3", "backend-4"]
        assert [answer["error"]["code"] for answer in told] == [-32601] * 2
        assert not here.pool.rooms.sessions


async def test_many_of_them_are_served_at_once() -> None:
    async with bridging(**ANYBODY) as here:
        Server(here)
        replies = await asyncio.gather(*(ask(here.another()) for _ in range(60)))
        assert all(reply.json["result"]["resultType"] == "complete" for reply in replies)
        assert len(set(sessions(here))) == 60


FILTER: Json = {"filter": {"tools": {"deny": ("secret_*",)}, "resources": {"deny": ("file:///secret/*",)}}}


async def test_what_is_hidden_from_others_is_hidden_from_stateless_clients_of_session_servers() -> None:
    async with bridging(backend=FILTER) as here:
        server = Server(here)
        here.backend.capabilities = {"resources": {"subscribe": True, "listChanged": True}}

        async def lists(asked: Asked) -> None:
            await asked.result({"tools": [{"name": "a", "inputSchema": {"type": "object"}}, {"name": "secret_b"}]})

        here.backend.on("tools/list", lists)
        listed = (await ask(here.client, "tools/list")).json["result"]
        assert [tool["name"] for tool in listed["tools"]] == ["a"]
        assert listed["cacheScope"] == "private"
        hidden = await ask(here.client, params={"name": "secret_b", "arguments": {}}, id="h")
        assert refused(hidden) == (200, -32602, "h", "denied")
        read = await ask(here.client, "resources/read", {"uri": "file:///secret/a"})
        assert refused(read) == (200, -32602, 1, "denied")
        assert here.backend.count("tools/call") == here.backend.count("resources/read") == 0
        wanted: Json = {"resourceSubscriptions": ["file:///secret/a", "file:///b"]}
        stream = await ask(here.client, "subscriptions/listen", {"notifications": wanted})
        assert (await stream.message())["params"]["notifications"] == {"resourceSubscriptions": ["file:///b"]}
        standing = await server.standing()
        for uri in ("file:///secret/a", "file:///b"):
            await standing.event({"method": "notifications/resources/updated", "params": {"uri": uri}})
        assert (await stream.message())["params"]["uri"] == "file:///b"


class Judge(Hook):
    """Refuses questions that want a password, and adds to those of others; may wait before it does."""

    slots = (Pattern("params", "elicitation/create", "client", None),)

    def __init__(self, *, waits: bool) -> None:
        self.waits = waits
        self.seen: list[CallInfo] = []

    def judge(self, slot: Slot, body: Body, info: CallInfo) -> Any:
        self.seen.append(info)
        verdict: Verdict = PASS
        if "password" in body["message"]:
            verdict = Deny(-32602, "No passwords", "password")
        elif body["message"] == "Who?":
            verdict = Replace({**body, "message": "Who are you?"})
        return _later(verdict) if self.waits else verdict


async def _later(verdict: Verdict) -> Verdict:
    await asyncio.get_running_loop().run_in_executor(None, int)
    return verdict


@pytest.mark.parametrize("waits", [False, True])
async def test_questions_are_judged_where_the_server_asks_them(waits: bool) -> None:
    async with bridging() as here:
        server, judge = Server(here), Judge(waits=waits)
        here.context.hooks = Runner([judge], here.context.wire)

        async def tool(asked: Asked) -> None:
            await asked.stream()
            denied = await server.ask(asked, {**FORM, "message": "Your password?"})
            allowed = await server.ask(asked, FORM)
            await asked.event({"id": asked.id, "result": text([denied["error"]["code"], allowed["result"]])})
            await asked.end()

        here.backend.on("tools/call", tool)
        first = await begin(here)
        assert [question["params"]["message"] for question in asked_for(first).values()] == ["Who are you?"]
        assert said(await again(here, first, answers_to(first))) == [-32602, ADA]
        assert {info.principal for info in judge.seen} == {"local"}
