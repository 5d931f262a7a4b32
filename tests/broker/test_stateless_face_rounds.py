"""Calls of several rounds: what may be asked of a client, and the backend's state, sealed on the way out and back."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from broker.seal import MAX_INNER_BYTES, MAX_ROUNDS, TTL_S
from tests.broker.modern_world import COMPLETE, ask, envelope, modern, refused
from tests.broker.scripted_backend import Asked, Json, Reply, World

FORM: Json = {"method": "elicitation/create", "params": {"message": "Who?", "requestedSchema": {"type": "object"}}}
LINK: Json = {"method": "elicitation/create", "params": {"mode": "url", "message": "Go", "url": "https://a.example"}}
SAMPLE: Json = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}}
TOOLED: Json = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1, "tools": []}}
ROOTS: Json = {"method": "roots/list"}
STATE = 'a "state" \\ / \u00e9 of the server'
INPUTS: Json = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}}
ANSWERS: Json = {"who": {"action": "accept", "content": {"name": "ada"}}}


class Asking:
    """A backend that asks once per round and keeps what it was sent."""

    def __init__(self, *rounds: Json) -> None:
        self.rounds = list(rounds)
        self.sent: list[Json] = []

    async def __call__(self, asked: Asked) -> None:
        self.sent.append(asked.message["params"])
        await asked.result({"resultType": "input_required", **self.rounds.pop(0)} if self.rounds else COMPLETE)


async def begin(here: World, capabilities: Json | None = None, method: str = "tools/call", **params: Any) -> Reply:
    target = {"uri": "file:///a", **params} if method == "resources/read" else {"name": "x", **params}
    return await ask(here.client, method, target, meta=envelope(INPUTS if capabilities is None else capabilities))


async def test_the_servers_state_comes_back_byte_for_byte_and_the_client_sees_none_of_it() -> None:
    async with modern() as here:
        asking = Asking({"inputRequests": {"who": FORM}, "requestState": STATE}, {"requestState": ""})
        here.backend.on("tools/call", asking)
        first = (await begin(here, arguments={"a": 1})).json["result"]
        token = first.pop("requestState")
        assert first == {"resultType": "input_required", "inputRequests": {"who": FORM}}
        assert "state" not in token
        second = (await begin(here, arguments={"a": 1}, inputResponses=ANSWERS, requestState=token)).json["result"]
        assert second["inputRequests"] == {}  # there for clients that take a result without it for the tool's own
        done = await begin(here, arguments={"a": 1.0}, requestState=second["requestState"])
        assert done.json["result"] == COMPLETE
        assert [sent.get("requestState") for sent in asking.sent] == [None, STATE, ""]
        assert [sent.get("inputResponses") for sent in asking.sent] == [None, ANSWERS, None]


async def test_without_a_state_of_the_server_there_is_none() -> None:
    async with modern() as here:
        asking = Asking({"inputRequests": {"who": FORM}})
        here.backend.on("tools/call", asking)
        assert "requestState" not in (await begin(here)).json["result"]
        assert (await begin(here, inputResponses=ANSWERS)).json["result"] == COMPLETE
        assert "requestState" not in asking.sent[1]


@pytest.mark.parametrize("method", ["prompts/get", "resources/read"])
async def test_prompts_and_resources_may_ask_as_well(method: str) -> None:
    async with modern() as here:
        here.backend.on(method, Asking({"inputRequests": {"who": FORM}, "requestState": STATE}))
        token = (await begin(here, method=method)).json["result"]["requestState"]
        done = (await begin(here, method=method, inputResponses=ANSWERS, requestState=token)).json["result"]
        assert done["resultType"] == "complete"
        if method == "resources/read":
            assert (done["ttlMs"], done["cacheScope"]) == (0, "private")


async def test_a_result_of_a_retry_is_never_cacheable() -> None:
    async with modern() as here:

        async def answer(asked: Asked) -> None:
            hints = {"ttlMs": 60_000, "cacheScope": "public"}
            await asked.result({"resultType": "complete", "contents": [], **hints})

        here.backend.on("resources/read", answer)
        first = (await begin(here, method="resources/read")).json["result"]
        assert (first["ttlMs"], first["cacheScope"]) == (60_000, "public")
        second = (await begin(here, method="resources/read", inputResponses=ANSWERS)).json["result"]
        assert (second["ttlMs"], second["cacheScope"]) == (0, "private")


async def test_an_interim_result_carries_no_caching_hints() -> None:
    async with modern() as here:
        here.backend.on("resources/read", Asking({"requestState": STATE, "ttlMs": 5, "cacheScope": "public"}))
        found = (await begin(here, method="resources/read")).json["result"]
        assert set(found) == {"resultType", "inputRequests", "requestState"}


def retries(token: str) -> dict[str, Json]:
    """Everything that is not the retry the state was made for."""
    good: Json = {"name": "x", "arguments": {"path": "a.txt"}, "requestState": token}
    return {
        "other arguments": {**good, "arguments": {"path": "all"}},
        "no arguments": {"name": "x", "requestState": token},
        "another member": {**good, "vendor": 1},
        "another tool": {**good, "name": "y"},
        "changed": {**good, "requestState": token + "-TAMPERED"},
        "shorter": {**good, "requestState": token[:-1]},
        "padded": {**good, "requestState": token + "="},
        "the server's own": {**good, "requestState": STATE},
        "empty": {**good, "requestState": ""},
        "no text": {**good, "requestState": 7},
        "null": {**good, "requestState": None},
        "too long": {**good, "requestState": "A" * 70_000},
    }


async def test_every_state_that_is_not_right_gets_the_same_answer_and_goes_nowhere() -> None:
    async with modern() as here:
        here.backend.on("tools/call", Asking({"requestState": STATE}))
        token = (await begin(here, arguments={"path": "a.txt"})).json["result"]["requestState"]
        bodies = set()
        for name, params in retries(token).items():
            reply = await ask(here.client, params=params, meta=envelope(INPUTS))
            assert refused(reply) == (400, -32602, 1, "invalid_request_state"), name
            bodies.add(reply.body)
        assert len(bodies) == 1
        assert here.backend.count("tools/call") == 1
        other = await ask(
            here.client, "prompts/get", {"name": "x", "arguments": {"path": "a.txt"}, "requestState": token}
        )
        assert refused(other)[3] == "invalid_request_state"
        listed = await ask(here.client, "tools/list", {"requestState": token})
        assert refused(listed)[3] == "invalid_request_state"
        assert here.backend.count("tools/list") == here.backend.count("prompts/get") == 0


async def test_a_state_is_its_callers_alone() -> None:
    keys = {"ann": "dgm_a", "bob": "dgm_b"}
    hashed = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in keys.items()}
    async with modern(keys=hashed) as here:
        here.backend.on("tools/call", Asking({"requestState": STATE}))
        ann, bob = (f"Bearer {key}" for key in keys.values())
        token = (await ask(here.client, Authorization=ann)).json["result"]["requestState"]
        retry = {"name": "x", "arguments": {}, "requestState": token}
        assert refused(await ask(here.client, params=retry, Authorization=bob))[3] == "invalid_request_state"
        assert (await ask(here.client, params=retry, Authorization=ann)).json["result"] == COMPLETE


async def test_a_state_expires() -> None:
    async with modern() as here:
        here.backend.on("tools/call", Asking({"requestState": STATE}))
        token = (await begin(here)).json["result"]["requestState"]
        now = here.context.seal._now
        here.context.seal._now = lambda: now() + TTL_S + 1
        assert refused(await begin(here, requestState=token))[3] == "invalid_request_state"


async def test_a_call_that_asks_for_ever_is_ended() -> None:
    async with modern() as here:
        here.backend.on("tools/call", Asking(*({"requestState": str(number)} for number in range(20))))
        params: Json = {}
        for _ in range(MAX_ROUNDS):
            result = (await begin(here, **params)).json["result"]
            params = {"requestState": result["requestState"]}
        assert refused(await begin(here, **params)) == (200, -32603, 1, "unsealable")


async def test_a_state_too_long_to_be_carried_fails_the_call() -> None:
    async with modern() as here:
        here.backend.on("tools/call", Asking({"requestState": "x" * MAX_INNER_BYTES}))
        assert refused(await begin(here)) == (200, -32603, 1, "unsealable")


@pytest.mark.parametrize(
    ("asked", "declared", "allowed"),
    [
        (FORM, {"elicitation": {}}, True),
        (FORM, {"elicitation": {"form": {}}}, True),
        (FORM, {"elicitation": {"url": {}}}, False),
        (FORM, {"sampling": {}}, False),
        (LINK, {"elicitation": {"url": {}}}, True),
        (LINK, {"elicitation": {}}, False),
        (SAMPLE, {"sampling": {}}, True),
        (SAMPLE, {"elicitation": {}}, False),
        (TOOLED, {"sampling": {}}, False),
        (TOOLED, {"sampling": {"tools": {}}}, True),
        (ROOTS, {"roots": {}}, True),
        (ROOTS, {}, False),
        ({"method": "ping"}, INPUTS, False),
        ({"params": {}}, INPUTS, False),
        ({**FORM, "params": []}, INPUTS, False),
        ("text", INPUTS, False),
    ],
)
async def test_a_server_asks_for_what_the_client_declared_and_nothing_else(
    asked: Any, declared: Json, allowed: bool
) -> None:
    async with modern() as here:
        here.backend.on("tools/call", Asking({"inputRequests": {"ok": ROOTS, "q": asked}}))
        reply = await begin(here, {**declared, "roots": {}} if asked is not ROOTS else declared)
        if allowed:
            assert reply.json["result"]["inputRequests"]["q"] == asked
        else:
            assert refused(reply) == (200, -32603, 1, "backend-garbage")


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"inputRequests": []},
        {"inputRequests": "who"},
        {"requestState": 7},
        {"requestState": {"a": 1}},
    ],
)
async def test_an_interim_result_that_is_none_is_a_violation(result: Json) -> None:
    async with modern() as here:
        here.backend.on("tools/call", Asking(result))
        assert refused(await begin(here)) == (200, -32603, 1, "backend-garbage")


async def test_a_question_with_a_member_twice_is_a_violation() -> None:
    async with modern() as here:

        async def answer(asked: Asked) -> None:
            body = b'{"jsonrpc":"2.0","id":%d,"result":{"resultType":"input_required","inputRequests":{"a":%b,"a":%b}}}'
            root = b'{"method":"roots/list"}'
            await asked.reply(200, body % (asked.id, root, root))

        here.backend.on("tools/call", answer)
        assert refused(await begin(here)) == (200, -32603, 1, "backend-garbage")


@pytest.mark.parametrize("method", ["tools/list", "server/discover", "completion/complete"])
async def test_other_requests_are_not_answered_with_questions(method: str) -> None:
    async with modern() as here:
        here.backend.on(method, Asking({"inputRequests": {"who": FORM}, "requestState": STATE}))
        reply = await ask(here.client, method, meta=envelope(INPUTS))
        assert refused(reply) == (200, -32603, 1, "backend-garbage")
