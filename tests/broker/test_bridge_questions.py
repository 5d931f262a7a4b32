"""Questions of session servers, asked of stateless clients: on whatever stream they come, with whatever ids."""

from __future__ import annotations

import asyncio

import pytest

from broker.backends.session_rooms import SURE
from tests.broker.bridge_world import (
    ADA,
    BOB,
    FORM,
    INPUTS,
    ROOTS,
    SAMPLE,
    Server,
    again,
    answers_to,
    asked_for,
    audited,
    begin,
    bridging,
    said,
    serving,
    text,
)
from tests.broker.http1_world import within
from tests.broker.modern_world import ask, envelope
from tests.broker.scripted_backend import DONE, Asked, Json

SAMPLED: Json = {"role": "assistant", "content": {"type": "text", "text": "Ho"}, "model": "m"}
ASKING_METHODS = [
    ("tools/call", {"name": "x"}),
    ("prompts/get", {"name": "x"}),
    ("resources/read", {"uri": "file:///a"}),
]


@pytest.mark.parametrize("where", ["post", "get"])
async def test_a_question_ends_the_request_and_its_answer_resumes_the_call(where: str) -> None:
    async with bridging() as here:
        serving(here, where=where)
        first = await begin(here, id="one")
        result = first.json["result"]
        assert first.headers["content-type"] == "application/json"
        assert first.json["id"] == "one"
        assert set(result) == {"resultType", "inputRequests", "requestState", "_meta"}
        assert result["inputRequests"] == {"input-1": {"method": "elicitation/create", "params": FORM}}
        second = await again(here, first, {"input-1": ADA}, id="two")
        assert second.json["id"] == "two"
        assert said(second) == [ADA]
        assert second.json["result"]["resultType"] == "complete"
        assert here.backend.count("tools/call") == 1
        assert not here.pool.legs
        assert not here.pool._open


@pytest.mark.parametrize("where", ["post", "get"])
async def test_each_round_is_asked_in_turn_under_keys_never_used_before(where: str) -> None:
    async with bridging() as here:
        serving(here, where=where, rounds=3)
        reply = await begin(here)
        keys: list[str] = []
        for answer in (ADA, BOB, ADA):
            keys += asked_for(reply)
            reply = await again(here, reply, answers_to(reply, answer))
        assert keys == ["input-1", "input-2", "input-3"]
        assert said(reply) == [ADA, BOB, ADA]


@pytest.mark.parametrize("number", [0, 1, "0", "a", -1])
async def test_a_servers_ids_may_be_anything_and_equal_to_those_of_the_broker(number: int | str) -> None:
    async with bridging() as here:
        server = Server(here)

        async def tool(asked: Asked) -> None:
            await asked.stream()
            same = asked.id if number == 1 else number
            answer = await server.ask(asked, FORM, id=same)
            assert type(answer["id"]) is type(same)
            await asked.event({"id": asked.id, "result": text(answer["result"])})
            await asked.end()

        here.backend.on("tools/call", tool)
        first = await begin(here)
        assert said(await again(here, first, answers_to(first))) == ADA


async def test_two_questions_at_once_are_one_round() -> None:
    async with bridging() as here:
        server = Server(here)

        async def tool(asked: Asked) -> None:
            await asked.stream()
            told = await asyncio.gather(
                server.ask(asked, FORM, id=0),
                server.ask(asked, SAMPLE, id="0", method="sampling/createMessage", where="get"),
                server.ask(asked, None, id=1, method="roots/list"),
            )
            await asked.event({"id": asked.id, "result": text([answer["result"] for answer in told])})
            await asked.end()

        here.backend.on("tools/call", tool)
        first = await begin(here)
        found = asked_for(first)
        methods = {question["method"]: key for key, question in found.items()}
        assert set(methods) == {"elicitation/create", "sampling/createMessage", "roots/list"}
        answers = {"elicitation/create": ADA, "sampling/createMessage": SAMPLED, "roots/list": ROOTS}
        second = await again(here, first, {methods[method]: answer for method, answer in answers.items()})
        assert said(second) == [ADA, SAMPLED, ROOTS]


async def test_what_was_not_answered_is_asked_again() -> None:
    async with bridging() as here:
        server = Server(here)

        async def tool(asked: Asked) -> None:
            await asked.stream()
            told = await asyncio.gather(server.ask(asked, FORM), server.ask(asked, FORM))
            await asked.event({"id": asked.id, "result": text([answer["result"] for answer in told])})
            await asked.end()

        here.backend.on("tools/call", tool)
        first = await begin(here)
        one, two = asked_for(first)
        rest = await again(here, first, {two: BOB})
        assert len(asked_for(rest)) == 1
        assert said(await again(here, rest, answers_to(rest))) == [ADA, BOB]
        assert one != two


async def test_answers_nobody_asked_for_are_dropped() -> None:
    async with bridging() as here:
        serving(here)
        first = await begin(here)
        second = await again(here, first, {**answers_to(first), "input-7": BOB, "": BOB, "x": {"roots": "no"}})
        assert said(second) == [ADA]
        assert here.backend.count("answer") == 1


@pytest.mark.parametrize(
    "answer",
    [{}, {"action": "maybe"}, "accept", None, [], {"action": "accept", "content": "ada"}, ROOTS, SAMPLED],
)
async def test_an_answer_of_the_wrong_shape_is_refused_and_the_round_stays_open(answer: Json) -> None:
    async with bridging() as here:
        serving(here)
        first = await begin(here)
        before = audited("client-garbage")
        bad = await again(here, first, answers_to(first, answer))
        assert bad.json["error"]["code"] == -32602
        assert audited("client-garbage") == before + 1
        assert here.backend.count("answer") == 0
        assert said(await again(here, first, answers_to(first))) == [ADA]


@pytest.mark.parametrize(("method", "params"), ASKING_METHODS)
@pytest.mark.parametrize("where", ["post", "get"])
async def test_every_request_that_may_ask_does(method: str, params: Json, where: str) -> None:
    async with bridging() as here:
        server = Server(here)

        async def answer(asked: Asked) -> None:
            await asked.stream()
            await server.ask(asked, FORM, where=where)
            await asked.event({"id": asked.id, "result": {"messages": [], "contents": [], "content": []}})
            await asked.end()

        here.backend.on(method, answer)
        first = await ask(here.client, method, params, meta=envelope(INPUTS))
        retry = {**params, "inputResponses": answers_to(first), "requestState": first.json["result"]["requestState"]}
        second = await ask(here.client, method, retry, meta=envelope(INPUTS))
        assert second.json["result"]["resultType"] == "complete"
        assert second.json["result"].get("cacheScope", "private") == "private"


@pytest.mark.parametrize("method", ["tools/list", "completion/complete"])
async def test_other_requests_cannot_ask_and_the_server_is_told(method: str) -> None:
    async with bridging() as here:
        server, told = Server(here), []

        async def answer(asked: Asked) -> None:
            await asked.stream()
            told.append(await server.ask(asked, FORM))
            result: Json = {"tools": [], "completion": {"values": []}}
            await asked.event({"id": asked.id, "result": result})
            await asked.end()

        here.backend.on(method, answer)
        params: Json = {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a", "value": ""}}
        reply = await ask(here.client, method, params if "/complete" in method else {}, meta=envelope(INPUTS))
        assert reply.json["result"]["resultType"] == "complete"
        assert told[0]["error"]["code"] == -32602


async def test_parallel_calls_of_a_server_that_asks_on_its_standing_stream_have_a_session_each() -> None:
    async with bridging() as here:
        server = Server(here)

        async def tool(asked: Asked) -> None:
            name = asked.message["params"]["arguments"]["n"]
            await asked.stream()
            answer = await server.ask(asked, {**FORM, "message": name}, where="get")
            await asked.event({"id": asked.id, "result": text([name, answer["result"]["content"]["name"]])})
            await asked.end()

        here.backend.on("tools/call", tool)

        async def one(number: int) -> None:
            params: Json = {"name": "x", "arguments": {"n": str(number)}}
            first = await begin(here, params=params, id=1)
            found = asked_for(first)
            assert [each["params"]["message"] for each in found.values()] == [str(number)]
            answer = {"action": "accept", "content": {"name": f"to {number}"}}
            second = await again(here, first, dict.fromkeys(found, answer), params=params, id=1)
            assert said(second) == [str(number), f"to {number}"]

        await within(asyncio.gather(*(one(number) for number in range(8))))
        assert here.backend.count("initialize") == 8


async def test_once_a_server_was_seen_to_ask_in_its_calls_alone_they_share_a_session() -> None:
    async with bridging() as here:
        serving(here)

        async def at_once(count: int) -> None:
            replies = await asyncio.gather(*(begin(here) for _ in range(count)))
            for reply in await asyncio.gather(*(again(here, reply, answers_to(reply)) for reply in replies)):
                assert said(reply) == [ADA]

        for _ in range(SURE // 4):
            await at_once(4)
        assert here.backend.count("initialize") == 4
        await at_once(8)
        assert here.backend.count("initialize") == 4  # those from before anything was known


async def test_a_question_outside_any_call_is_refused_unless_the_operator_says_otherwise() -> None:
    for policy, expected in (("error", {"error": -32602}), ("cancel", {"result": {"action": "cancel"}})):
        async with bridging(backend={"unsolicited": policy}) as here:
            server = Server(here)
            await begin(here)
            asked = await server.standing()
            clock = here.context.wheel.clock
            here.context.wheel.clock = lambda clock=clock: clock() + 10  # type: ignore[misc]
            answer = await server.ask(asked, FORM)
            if policy == "error":
                assert answer["error"]["code"] == expected["error"]
            else:
                assert answer["result"] == expected["result"]
            assert (await server.ask(asked, None, id=2, method="ping"))["result"] == {}


async def test_what_a_server_asks_in_its_set_up_is_asked_before_the_call_is_sent() -> None:
    async with bridging() as here:
        server = Server(here)
        told: list[Json] = []

        async def stand(asked: Asked) -> None:
            await server._stand(asked)
            await asked.event({"id": 0, "method": "roots/list"})
            told.append(await server.answer(asked, 0))

        here.backend.on("GET", stand)
        listed = await ask(here.client, "tools/list", meta=envelope(INPUTS))
        assert listed.status == 200  # a list cannot ask: the question waits
        first = await begin(here)
        assert [each["method"] for each in asked_for(first).values()] == ["roots/list"]
        assert here.backend.count("tools/call") == 0
        second = await again(here, first, answers_to(first, ROOTS))
        assert second.json["result"]["content"] == DONE["content"]
        assert here.backend.count("tools/call") == 1
        await server.until(lambda: bool(told))
        assert told[0]["result"] == ROOTS


async def test_a_question_the_server_takes_back_is_answered_by_nobody() -> None:
    async with bridging() as here:
        server, shown = Server(here), asyncio.Event()

        async def tool(asked: Asked) -> None:
            await asked.stream()
            await asked.event({"id": 0, "method": "elicitation/create", "params": FORM})
            await within(shown.wait())
            await asked.event({"method": "notifications/cancelled", "params": {"requestId": 0}})
            await asked.event({"id": asked.id, "result": DONE})
            await asked.end()

        here.backend.on("tools/call", tool)
        first = await begin(here)
        shown.set()
        second = await again(here, first, answers_to(first))
        assert second.json["result"]["content"] == DONE["content"]
        assert not server.answers


async def test_a_client_that_cannot_be_asked_that_way_is_not() -> None:
    async with bridging() as here:
        server, told = Server(here), []

        async def tool(asked: Asked) -> None:
            await asked.stream()
            told.append(await server.ask(asked, SAMPLE, method="sampling/createMessage"))
            told.append(await server.ask(asked, {**FORM, "mode": "url", "url": "https://a", "elicitationId": "e"}))
            await asked.event({"id": asked.id, "result": DONE})
            await asked.end()

        here.backend.on("tools/call", tool)
        reply = await begin(here, {"elicitation": {"form": {}}})
        assert reply.json["result"]["resultType"] == "complete"
        assert [answer["error"]["code"] for answer in told] == [-32601, -32602]


async def test_messages_of_a_call_go_to_whoever_waits_for_it_now() -> None:
    async with bridging() as here:
        server = Server(here)

        async def tool(asked: Asked) -> None:
            token = asked.message["params"]["_meta"]["progressToken"]
            await asked.stream()
            await server.ask(asked, FORM)
            await asked.event({"method": "notifications/progress", "params": {"progressToken": token, "progress": 2}})
            await asked.event({"method": "notifications/message", "params": {"level": "info", "data": "loud"}})
            await asked.event({"method": "notifications/message", "params": {"level": "debug", "data": "quiet"}})
            await asked.event({"id": asked.id, "result": DONE})
            await asked.end()

        here.backend.on("tools/call", tool)
        first = await begin(here, meta=envelope(INPUTS, progressToken="p1"))
        meta = envelope(INPUTS, progressToken=7, **{"io.modelcontextprotocol/logLevel": "info"})
        second = await again(here, first, answers_to(first), meta=meta)
        messages = [await second.message() for _ in range(3)]
        assert [message.get("method") for message in messages[:2]] == [
            "notifications/progress",
            "notifications/message",
        ]
        assert messages[0]["params"] == {"progressToken": 7, "progress": 2}
        assert messages[1]["params"]["data"] == "loud"
        assert messages[2]["result"]["content"] == DONE["content"]
        assert await second.event() is None
