"""Sessions of a server that several callers use: each is judged as itself, whoever they belong to (C114, C149)."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import pytest

from tests.adversarial.doors import HTTP, KEYS, MODERN, Cell, before
from tests.broker.bridge_world import ADA, FORM, INPUTS, Server, asking
from tests.broker.http1_world import within
from tests.broker.modern_world import ask, envelope
from tests.broker.scripted_backend import DONE, Asked, Json, Reply, World

HIDDEN: Final = "delete_all"
URIS: Final = ("file:///open", "file:///secret")
RULES: Final[Json] = {
    "policy": {
        "rules": [
            {"name": "tool", "deny": f"principal == 'key:bob' && kind == 'tool' && name == '{HIDDEN}'"},
            {"name": "uri", "deny": "principal == 'key:bob' && kind == 'resource' && name == 'file:///secret'"},
            {"name": "args", "deny": "principal == 'key:bob' && kind == 'tool' && arguments.path == '/etc'"},
            {"name": "prompts", "deny": "principal == 'key:bob' && method == 'prompts/list'"},
        ]
    }
}
TOOLS: Final = [{"name": name, "inputSchema": {"type": "object"}} for name in ("read", HIDDEN)]
POLICIES: Final = ("pooled", "wrap", "shared")


def serve(here: World) -> asyncio.Queue[Asked]:
    stands: asyncio.Queue[Asked] = asyncio.Queue()
    here.backend.capabilities = {
        "tools": {"listChanged": True}, "prompts": {"listChanged": True},
        "resources": {"subscribe": True, "listChanged": True},
    }  # fmt: skip

    async def stand(asked: Asked) -> None:
        await asked.stream()
        stands.put_nowait(asked)
        await asked.reader.read()

    here.backend.on("GET", stand)
    here.backend.on("tools/list", lambda asked: asked.result({"tools": TOOLS}))
    here.backend.on("prompts/list", lambda asked: asked.result({"prompts": [{"name": "p"}]}))
    here.backend.on("tools/call", lambda asked: asked.result(DONE))
    here.backend.on("resources/subscribe", lambda asked: asked.result({}))
    return stands


async def as_caller(here: World, name: str, method: str, params: Json) -> Reply:
    return await ask(here.another(), method, params, Authorization=f"Bearer {KEYS[name]}")


@pytest.mark.parametrize("session", POLICIES)
async def test_callers_of_one_session_are_each_judged_as_themselves(session: str) -> None:
    """C114, C149: lists, calls and arguments, one after the other and at once."""
    async with before(Cell(MODERN, HTTP, "2025-11-25"), keys=True, backend={"session": session}, **RULES) as here:
        serve(here)
        for _ in range(2):
            for name, names in (("ann", ["read", HIDDEN]), ("bob", ["read"])):
                listed = (await as_caller(here, name, "tools/list", {})).json["result"]["tools"]
                assert [tool["name"] for tool in listed] == names
        calls = [(name, tool, path) for name in KEYS for tool in ("read", HIDDEN) for path in ("/srv", "/etc")] * 5
        replies = await asyncio.gather(
            *(
                as_caller(here, name, "tools/call", {"name": tool, "arguments": {"path": path}})
                for name, tool, path in calls
            )
        )
        for (name, tool, path), reply in zip(calls, replies, strict=True):
            allowed = name == "ann" or (tool == "read" and path == "/srv")
            assert ("result" in reply.json) == allowed, (name, tool, path)
        assert "error" in (await as_caller(here, "bob", "prompts/list", {})).json
        assert "result" in (await as_caller(here, "ann", "prompts/list", {})).json


@pytest.mark.parametrize("session", ["pooled", "shared"])
async def test_what_a_session_announces_reaches_those_who_may_hear_it(session: str) -> None:
    """C142, C148: whoever else listens in the same session."""
    async with before(Cell(MODERN, HTTP, "2025-11-25"), keys=True, backend={"session": session}, **RULES) as here:
        stands = serve(here)
        wanted = {"resourceSubscriptions": list(URIS), "promptsListChanged": True, "toolsListChanged": True}
        heard: dict[str, Reply] = {}
        for name in KEYS:
            heard[name] = await as_caller(here, name, "subscriptions/listen", {"notifications": wanted})
            acknowledged = await heard[name].message()
            honoured = acknowledged["params"]["notifications"].get("resourceSubscriptions", [])
            assert honoured == (list(URIS) if name == "ann" else [URIS[0]])
        streams = [await within(stands.get()) for _ in range(1 if session == "shared" else 2)]
        for stream in streams:
            for uri in reversed(URIS):
                await stream.event({"method": "notifications/resources/updated", "params": {"uri": uri}})
            await stream.event({"method": "notifications/prompts/list_changed"})
            await stream.event({"method": "notifications/tools/list_changed"})
        told: dict[str, list[Any]] = {name: [] for name in KEYS}
        for name, reply in heard.items():
            while (message := await reply.message())["method"] != "notifications/tools/list_changed":
                told[name].append(message["params"].get("uri", message["method"]))
        assert told["ann"] == [URIS[1], URIS[0], "notifications/prompts/list_changed"]
        assert told["bob"] == [URIS[0]]


async def test_two_programs_of_one_caller_that_share_a_session_are_judged_apart() -> None:
    """C142: what one of them subscribed to is not the other's to hear."""
    deny = "client.name == 'other' && kind == 'resource' && name == 'file:///secret'"
    rules: Json = {"policy": {"rules": [{"name": "other", "deny": deny}]}}
    async with before(Cell(MODERN, HTTP, "2025-11-25"), keys=True, **rules) as here:
        stands = serve(here)
        wanted = {"resourceSubscriptions": list(URIS), "toolsListChanged": True}
        heard: dict[str, Reply] = {}
        for name in ("raw", "other"):
            meta = {**envelope(), "io.modelcontextprotocol/clientInfo": {"name": name, "version": "1"}}
            heard[name] = await ask(here.another(), "subscriptions/listen", {"notifications": wanted}, meta=meta,
                                    Authorization=f"Bearer {KEYS['ann']}")  # fmt: skip
            agreed = (await heard[name].message())["params"]["notifications"]["resourceSubscriptions"]
            assert agreed == (list(URIS) if name == "raw" else [URIS[0]])
        stream = await within(stands.get())
        for uri in reversed(URIS):
            await stream.event({"method": "notifications/resources/updated", "params": {"uri": uri}})
        assert (await heard["raw"].message())["params"]["uri"] == URIS[1]
        assert (await heard["other"].message())["params"]["uri"] == URIS[0]
        assert here.backend.count("initialize") == 1


@pytest.mark.parametrize("backend", ["2025-11-25", MODERN])
async def test_a_round_of_a_call_goes_on_only_for_who_might_have_begun_it(backend: str) -> None:
    """C118, C127: the state is its caller's, and what shows it now may be a lesser credential."""
    deny = "client.name == 'other' && kind == 'tool' && name == 'x'"
    rules: Json = {"policy": {"rules": [{"name": "other", "deny": deny}]}}
    async with before(Cell(MODERN, HTTP, backend), keys=True, **rules) as here:
        key = {"Authorization": f"Bearer {KEYS['ann']}"}
        server = Server(here)
        if backend == MODERN:
            questions = {"q": {"method": "elicitation/create", "params": FORM}}

            async def tool(asked: Asked) -> None:
                first = "inputResponses" not in asked.message["params"]
                interim = {"resultType": "input_required", "inputRequests": questions, "requestState": "s"}
                await asked.result(interim if first else {"resultType": "complete", **DONE})

            here.backend.on("tools/call", tool)
        else:
            here.backend.on("tools/call", asking(lambda: server))

        async def said(name: str, **more: Any) -> Reply:
            meta = {**envelope(INPUTS), "io.modelcontextprotocol/clientInfo": {"name": name, "version": "1"}}
            params = {"name": "x", "arguments": {}, **more}
            return await ask(here.another(), "tools/call", params, meta=meta, **key)

        first = (await said("raw")).json["result"]
        answers = {"inputResponses": dict.fromkeys(first["inputRequests"], ADA), "requestState": first["requestState"]}
        refused = (await said("other", **answers)).json
        assert "error" in refused
        assert "result" in (await said("raw", **answers)).json
        assert here.backend.count("tools/call") == (2 if backend == MODERN else 1)
