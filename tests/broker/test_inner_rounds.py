"""Refusals inside rounds: what goes on without the client, what is carried for it, and what ends a call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker.hooks.base import PASS, Body, Deny, Hook, Pattern, Verdict
from broker.seal import MAX_ROUNDS
from protocol_versions.base import answer
from tests.broker.crossing_world import FORM, INPUTS, Rounds, crossing, greeted
from tests.broker.inner_world import ANSWERS, CANCEL, Judge, Played, answered, governed
from tests.broker.modern_world import ask, envelope, modern, refused
from tests.broker.scripted_backend import DONE, Asked, Json, World, world

NO = Deny(-32001, "Not today", "test")
OPEN: Json = {"method": "elicitation/create", "params": FORM}
SECRET: Json = {"method": "elicitation/create", "params": {**FORM, "message": "Password?"}}
ROOTS: Json = {"method": "roots/list"}


class NoSecrets(Hook):
    """Lets nobody be asked for a password; judges no answers."""

    slots = (Pattern("params", "elicitation/create", "client", ("message",)),)

    def judge(self, slot: Any, body: Body, info: Any) -> Verdict:
        return NO if body["message"] == "Password?" else PASS


async def begin(here: World, **params: Any) -> Json:
    reply = await ask(here.client, params={"name": "x", **params}, meta=envelope(INPUTS))
    message: Json = reply.json
    return message


@pytest.mark.parametrize("state", ["state", None])
async def test_of_several_questions_the_others_are_asked_and_all_are_answered_together(state: str | None) -> None:
    expected = {"a": ANSWERS["roots/list"], "b": CANCEL, "c": ANSWERS["elicitation/create"]}
    asks = {"a": ROOTS, "b": SECRET, "c": OPEN}
    async with crossing() as here:
        governed(here, NoSecrets())
        await greeted(here, capabilities=INPUTS)
        here.backend.on("tools/call", rounds := Rounds(asks, state=state))
        await answered(here, played := Played(), ANSWERS)
        assert played.shown == [{}, FORM]
        assert rounds.sent[1]["inputResponses"] == expected
        assert rounds.sent[1].get("requestState") == state
    async with modern() as here:
        governed(here, NoSecrets())
        here.backend.on("tools/call", rounds := Rounds(asks, state=state))
        result = (await begin(here))["result"]
        assert result["inputRequests"] == {"a": ROOTS, "c": OPEN}
        given = {key: value for key, value in expected.items() if key != "b"}
        done = await begin(here, inputResponses=given, requestState=result["requestState"])
        assert done["result"]["content"] == DONE["content"]
        assert rounds.sent[1]["inputResponses"] == expected
        assert rounds.sent[1].get("requestState") == state


async def test_a_client_cannot_answer_what_policy_has_answered() -> None:
    async with modern() as here:
        governed(here, NoSecrets())
        here.backend.on("tools/call", rounds := Rounds({"a": ROOTS, "b": SECRET}))
        state = (await begin(here))["result"]["requestState"]
        given = {"a": ANSWERS["roots/list"], "b": ANSWERS["elicitation/create"]}
        await begin(here, inputResponses=given, requestState=state)
        assert rounds.sent[1]["inputResponses"] == {"a": ANSWERS["roots/list"], "b": CANCEL}


async def test_an_answer_to_nothing_that_was_asked_is_left_out_where_answers_are_judged() -> None:
    async with modern() as here:
        governed(here, judge := Judge())
        here.backend.on("tools/call", rounds := Rounds({"a": ROOTS}, {"b": OPEN}))
        state = (await begin(here))["result"]["requestState"]
        both = {"a": ANSWERS["roots/list"], "z": ANSWERS["elicitation/create"]}
        state = (await begin(here, inputResponses=both, requestState=state))["result"]["requestState"]
        stale = {"a": ANSWERS["roots/list"]}
        await begin(here, inputResponses=stale, requestState=state)
        assert rounds.sent[1]["inputResponses"] == stale
        assert "inputResponses" not in rounds.sent[2]
        assert [slot for slot, _ in judge.seen if slot.part == "result"] == [answer("roots/list")]


async def test_answers_without_their_state_go_nowhere_and_are_asked_for_again() -> None:
    async with modern() as here:
        governed(here, judge := Judge(result=NO))
        here.backend.on("tools/call", rounds := Rounds({"a": ROOTS}, {"a": ROOTS}, state=None))
        assert "requestState" in (await begin(here))["result"]
        again = (await begin(here, inputResponses={"a": ANSWERS["roots/list"]}))["result"]
        assert again["inputRequests"] == {"a": ROOTS}
        assert "inputResponses" not in rounds.sent[1]
        assert not [slot for slot, _ in judge.seen if slot.part == "result"]


async def test_a_backend_that_asks_for_ever_what_is_refused_is_cut_off() -> None:
    endless = [{"b": SECRET}] * 20
    async with modern() as here:
        governed(here, NoSecrets())
        here.backend.on("tools/call", rounds := Rounds(*endless))
        assert (await begin(here))["error"]["data"]["reason"] == "too-many-rounds"
        assert len(rounds.sent) == MAX_ROUNDS
        ids = [asked.id for asked in here.backend.asked]
        assert len(set(ids)) == len(ids)
    async with crossing() as here:
        governed(here, NoSecrets())
        await greeted(here, capabilities=INPUTS)
        here.backend.on("tools/call", rounds := Rounds(*endless))
        assert (await here.client.call()).json["error"]["data"]["reason"] == "too-many-rounds"
        assert len(rounds.sent) == MAX_ROUNDS + 1


ODD = [
    b'{"a":{"method":"roots/list"},"a":{"method":"roots/list"}}',
    b'{"a":{"method":"vendor/ask"}}',
    b'{"a":{"method":"roots/list","params":[]}}',
    b'{"a":7}',
    b"[]",
]


@pytest.mark.parametrize("asked", ODD)
async def test_questions_that_cannot_be_judged_are_refused_whole(asked: bytes) -> None:
    async def odd(request: Asked) -> None:
        head = b'{"jsonrpc":"2.0","id":%d,"result":{"resultType":"input_required","inputRequests":' % request.id
        await request.reply(200, head + asked + b"}}")

    async with modern() as here:
        governed(here, judge := Judge())
        here.backend.on("tools/call", odd)
        assert refused(await ask(here.client, meta=envelope(INPUTS))) == (200, -32603, 1, "denied")
    async with crossing() as here:
        governed(here, judge)
        await greeted(here, capabilities=INPUTS)
        here.backend.on("tools/call", odd)
        assert (await here.client.call()).json["error"]["data"]["reason"] == "denied"
    assert judge.seen == []


@pytest.mark.parametrize("given", [[], "text", {"a": []}, {"a": None}])
async def test_answers_that_cannot_be_judged_are_refused_whole(given: Any) -> None:
    async with modern() as here:
        governed(here, Judge())
        here.backend.on("tools/call", rounds := Rounds({"a": ROOTS}))
        state = (await begin(here))["result"]["requestState"]
        assert (await begin(here, inputResponses=given, requestState=state))["error"]["data"]["reason"] == "denied"
        assert len(rounds.sent) == 1


async def test_a_question_in_a_result_that_asks_nothing_is_no_question() -> None:
    async def odd(asked: Asked) -> None:
        await asked.result({"resultType": "complete", **DONE, "inputRequests": {"a": SECRET}})

    async with modern() as here:
        governed(here, judge := Judge(params=NO))
        here.backend.on("tools/call", odd)
        assert (await begin(here))["result"]["content"] == DONE["content"]
        assert judge.seen == []


@pytest.mark.parametrize("method", ["tools/list", "completion/complete"])
async def test_where_nothing_may_be_asked_a_refused_question_leads_to_no_second_request(method: str) -> None:
    async with modern() as here:
        governed(here, NoSecrets())
        here.backend.on(method, rounds := Rounds({"a": SECRET}))
        reply = await ask(here.client, method, meta=envelope(INPUTS))
        assert refused(reply) == (200, -32603, 1, "backend-garbage")
        assert len(rounds.sent) == 1


async def test_a_state_that_is_no_text_is_not_sent_back() -> None:
    async def odd(asked: Asked) -> None:
        await asked.result({"resultType": "input_required", "inputRequests": {"a": SECRET}, "requestState": 7})

    async with modern() as here:
        governed(here, NoSecrets())
        here.backend.on("tools/call", odd)
        assert refused(await ask(here.client, meta=envelope(INPUTS))) == (200, -32603, 1, "backend-garbage")
        assert here.backend.count("tools/call") == 1


async def test_an_id_that_is_used_again_belongs_to_the_question_that_used_it_last() -> None:
    async def asking(asked: Asked) -> None:
        await asked.stream()
        await asked.event({"id": 1, "method": "roots/list"})
        await asked.event({"method": "notifications/cancelled", "params": {"requestId": 1}})
        await asked.event({"id": 1, "method": "elicitation/create", "params": FORM})
        told = (await here.backend.next("answer")).message
        await asked.event({"id": asked.id, "result": {"content": [{"type": "text", "text": json.dumps(told)}]}})
        await asked.end()

    async with world() as here:
        governed(here, judge := Judge())
        await here.client.open(capabilities=INPUTS)
        here.backend.on("tools/call", asking)
        reply = await here.client.call()
        messages = [await reply.message() for _ in range(3)]
        assert [message["method"] for message in messages] == [
            "roots/list", "notifications/cancelled", "elicitation/create",
        ]  # fmt: skip
        assert messages[1]["params"]["requestId"] == messages[0]["id"]
        given = {"id": messages[2]["id"], "result": ANSWERS["elicitation/create"]}
        assert (await here.client.post(given)).status == 202
        told = json.loads((await reply.message())["result"]["content"][0]["text"])
        assert (told["id"], told["result"]) == (1, ANSWERS["elicitation/create"])
        assert judge.seen[-1] == (answer("elicitation/create"), ANSWERS["elicitation/create"])
