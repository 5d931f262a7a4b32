"""With deny lists or rules: what is hidden and what does not exist are answered alike, whatever the backend says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from broker.hooks.base import Body, CallInfo, Deny, Hook, Pattern, Replace, Verdict
from protocol_versions.base import Slot
from tests.broker.crossing_world import crossing, greeted
from tests.broker.inner_world import governed
from tests.broker.modern_world import ask, modern
from tests.broker.rules_world import section
from tests.broker.scripted_backend import DONE, Asked, Json, Reply, World, world

FILTER: Json = {
    "filter": {
        "tools": {"deny": ["secret*"]},
        "prompts": {"deny": ["secret*"]},
        "resources": {"deny": ["test://secret*"]},
    }
}
RULES: Json = {
    "policy": section(
        "deny (kind == 'tool' || kind == 'prompt') && name.startsWith('secret')",
        "deny kind == 'resource' && name.startsWith('test://secret')",
    )
}
BY = {"filter": FILTER, "policy": RULES}
Handler = Callable[[Asked], Awaitable[None]]


def error(code: int, message: str, **data: Any) -> Handler:
    async def answer(asked: Asked) -> None:
        body = {"code": code, "message": message, **({"data": data} if data else {})}
        await asked.json({"id": asked.message["id"], "error": body})

    return answer


def failed(text: str, *, is_error: bool | None = True) -> Handler:
    async def answer(asked: Asked) -> None:
        flag = {} if is_error is None else {"isError": is_error}
        await asked.result({"content": [{"type": "text", "text": text}], **flag})

    return answer


CALLS = [
    ("tools/call", "name", "secret", "absent", failed("Unknown tool: absent")),
    ("tools/call", "name", "secret", "absent", failed("MCP error -32602: Tool absent not found")),
    ("tools/call", "name", "secret", "absent", failed('{"error": "Unknown tool: absent"}', is_error=None)),
    ("tools/call", "name", "secret", "absent", error(-32602, "Tool absent not found")),
    ("tools/call", "name", "secret", "absent", error(-32601, "Tool not found: absent. Did you mean secret?")),
    ("prompts/get", "name", "secret", "absent", error(-32602, "Prompt absent not found")),
    ("prompts/get", "name", "secret", "absent", error(0, "Unknown prompt: absent")),
    ("resources/read", "uri", "test://secret", "test://absent", error(-32002, "gone", uri="test://absent")),
    ("resources/read", "uri", "test://secret", "test://absent", error(-32602, "Resource test://absent not found")),
    ("resources/read", "uri", "test://secret", "test://absent", error(0, "Unknown resource: test://absent")),
    ("resources/subscribe", "uri", "test://secret", "test://absent", error(-32002, "Resource not found")),
]


async def of_session(here: World, method: str, params: Json) -> Reply:
    return await here.client.post({"id": 1, "method": method, "params": params})


async def in_sessions(method: str, params: list[Json], handler: Handler, by: str = "filter") -> list[Reply]:
    async with world(backend=BY[by]) as here:
        here.backend.capabilities = {"resources": {"subscribe": True}, "tools": {}, "prompts": {}}
        await here.client.open()
        here.backend.on(method, handler)
        return [await of_session(here, method, each) for each in params]


async def in_crossing(method: str, params: list[Json], handler: Handler, by: str = "filter") -> list[Reply]:
    async with crossing(backend=BY[by]) as here:
        await greeted(here, {"resources": {}, "tools": {}, "prompts": {}})
        here.backend.on(method, handler)
        return [await of_session(here, method, each) for each in params]


async def in_modern(method: str, params: list[Json], handler: Handler, by: str = "filter") -> list[Reply]:
    async with modern(backend=BY[by]) as here:
        here.backend.on(method, handler)
        return [await ask(here.client, method, each) for each in params]


EDGES = {"session": in_sessions, "crossing": in_crossing, "modern": in_modern}


# A stateless server is not asked to subscribe: what it does not follow is not in its acknowledgement.
DOORS = [(edge, *call) for edge in EDGES for call in CALLS if edge == "session" or call[0] != "resources/subscribe"]


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize(("edge", "method", "member", "hidden", "absent", "handler"), DOORS)
async def test_a_hidden_name_and_an_absent_one_get_the_same_answer(
    edge: str, method: str, member: str, hidden: str, absent: str, handler: Handler, by: str
) -> None:
    """C163."""
    replies = await EDGES[edge](method, [{member: hidden}, {member: absent}], handler, by)
    assert replies[0].body == replies[1].body
    assert replies[0].status == replies[1].status
    assert {name: value for name, value in replies[0].headers.items() if name != "date"} == {
        name: value for name, value in replies[1].headers.items() if name != "date"
    }
    assert "error" in replies[0].json
    assert b"absent" not in replies[0].body.lower()


REF = {"argument": {"name": "a", "value": ""}}


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize(
    ("kind", "member", "names", "message"),
    [
        ("ref/prompt", "name", ("secret", "absent"), "Prompt absent not found"),
        ("ref/resource", "uri", ("test://secret", "test://absent"), "Resource test://absent not found"),
        ("ref/resource", "uri", ("test://secret", "test://absent"), "Unknown resource"),
    ],
)
async def test_completions_tell_nothing_either(
    edge: str, kind: str, member: str, names: tuple[str, str], message: str, by: str
) -> None:
    params = [{"ref": {"type": kind, member: name}, **REF} for name in names]
    replies = await EDGES[edge]("completion/complete", params, error(-32602, message), by)
    assert replies[0].json["error"]["message"] == "Unknown reference"
    assert replies[0].body == replies[1].body


@pytest.mark.parametrize("edge", EDGES)
async def test_the_failure_of_what_exists_is_given_on(edge: str) -> None:
    for handler in (failed("out of paper"), error(-32602, "Invalid arguments for tool open: city")):
        (reply,) = await EDGES[edge]("tools/call", [{"name": "open"}], handler)
        assert "city" in reply.body.decode() or "paper" in reply.body.decode()


async def test_without_a_filter_on_a_kind_its_answers_are_the_backends_own() -> None:
    async with world(backend={"filter": {"prompts": {"deny": ["secret*"]}}}) as here:
        await here.client.open()
        here.backend.on("tools/call", failed("Unknown tool: absent"))
        reply = await here.client.call(name="absent")
        assert reply.json["result"]["content"][0]["text"] == "Unknown tool: absent"
        here.backend.on("resources/read", error(-32002, "Resource not found", uri="test://a"))
        reply = await here.client.call(2, "resources/read", uri="test://a")
        assert reply.json["error"]["data"] == {"uri": "test://a"}


# ---- errors of a backend are judged like anything else it says -------------------------------------------------------


class Errors(Hook):
    """Judges the errors that answer calls of tools."""

    slots = (Pattern("error", "tools/call", "client"),)

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.seen: list[tuple[Body, CallInfo]] = []

    def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict:
        self.seen.append((dict(body), info))
        return self.verdict


async def test_a_hook_sees_what_a_backend_says_of_a_call_that_failed() -> None:
    async with world() as here:
        replaced = Errors(Replace({"code": -5, "message": "Cleaned"}))
        governed(here, replaced)
        await here.client.open()
        here.backend.on("tools/call", error(-32602, "in app.py, line 3", trace="x"))
        assert (await here.client.call(1)).json["error"] == {"code": -5, "message": "Cleaned"}
        body, info = replaced.seen[0]
        assert body == {"code": -32602, "message": "in app.py, line 3", "data": {"trace": "x"}}
        assert (info.method, info.target) == ("tools/call", "x")


async def test_a_refused_error_is_another_and_those_of_the_broker_are_not_judged() -> None:
    async with world() as here:
        hook = Errors(Deny(-7, "No", "test"))
        governed(here, hook)
        await here.client.open()
        here.backend.on("tools/call", error(-32602, "in app.py, line 3"))
        found = (await here.client.call(1)).json["error"]
        assert (found["code"], found["message"], found["data"]["reason"]) == (-7, "No", "denied")
        here.backend.on("tools/call", lambda asked: asked.reply(500))
        assert (await here.client.call(2)).json["error"]["data"]["reason"] == "backend-status"
        assert len(hook.seen) == 1
        here.backend.on("tools/call", lambda asked: asked.result(DONE))
        assert (await here.client.call(3)).json["result"] == DONE
