"""A server's question and a client's answer are judged in the same slots, whatever carries them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from broker.hooks.base import Body, CallInfo, Deny, Drop, Hook, Pattern, Replace, Verdict
from broker.hooks.runner import Runner
from protocol_versions.base import Slot, answer, ask
from protocol_versions.jsonrpc import DEFAULT_LIMITS
from tests.broker.http1_world import turn
from tests.broker.inner_world import ANSWERS, CANCEL, EDGES, QUESTIONS, Judge, Played
from tests.broker.scripted_backend import DONE

NO = Deny(-32001, "Not today", "test")
ELICITATION = "elicitation/create"
OTHERS = [method for method in QUESTIONS if method != ELICITATION]

edges = pytest.mark.parametrize("edge", EDGES)
inner = pytest.mark.parametrize("edge", ["crossing", "modern"])
methods = pytest.mark.parametrize("method", QUESTIONS)


async def play(edge: str, method: str, *hooks: Hook) -> Played:
    return await EDGES[edge](method, *hooks)


def done(played: Played) -> bool:
    return bool(played.end["result"]["content"] == DONE["content"])


def refused(played: Played) -> bool:
    error = played.end["error"]
    return (error["code"], error["message"], error["data"]["reason"]) == (-32001, "Not today", "denied")


@edges
@methods
async def test_a_hook_sees_a_question_and_its_answer_as_messages_of_their_own(edge: str, method: str) -> None:
    judge = Judge()
    played = await play(edge, method, judge)
    assert judge.seen == [(ask(method), QUESTIONS[method]), (answer(method), ANSWERS[method])]
    assert [(info.method, info.target, info.principal, info.backend) for info in judge.infos] == [
        ("tools/call", "x", "local", "default")
    ] * 2
    assert played.shown == [QUESTIONS[method]]
    assert played.told == [ANSWERS[method]]
    assert done(played)


@edges
@methods
async def test_what_a_hook_writes_is_what_is_asked_and_what_is_answered(edge: str, method: str) -> None:
    judge = Judge(
        params=lambda body: Replace({**body, "x-asked": True}),
        result=lambda body: Replace({**body, "x-answered": True}),
    )
    played = await play(edge, method, judge)
    assert played.shown == [{**QUESTIONS[method], "x-asked": True}]
    assert played.told == [{**ANSWERS[method], "x-answered": True}]
    assert done(played)


@edges
@pytest.mark.parametrize("verdict", [NO, Drop("test")])
async def test_an_elicitation_that_is_refused_is_never_shown_and_the_call_goes_on(edge: str, verdict: Verdict) -> None:
    played = await play(edge, ELICITATION, Judge(params=verdict))
    assert played.shown == []
    assert len(played.told) == 1
    if edge == "session":
        assert played.told[0]["code"] == (-32001 if verdict is NO else -32603)
    else:
        assert played.told == [CANCEL]
        assert [sent.get("requestState") for sent in played.requests] == [None, "state"]
    assert done(played)


@edges
@pytest.mark.parametrize("method", OTHERS)
async def test_another_question_that_is_refused_is_an_error_to_whoever_can_be_told(edge: str, method: str) -> None:
    played = await play(edge, method, Judge(params=NO))
    assert played.shown == []
    if edge == "session":
        assert played.told[0]["code"] == -32001
        assert done(played)
    else:
        assert refused(played)
        assert len(played.requests) == 1


@edges
async def test_an_answer_to_an_elicitation_that_is_refused_becomes_a_cancel(edge: str) -> None:
    played = await play(edge, ELICITATION, Judge(result=NO))
    assert played.shown == [QUESTIONS[ELICITATION]]
    assert played.told == [CANCEL]
    assert done(played)


@edges
@pytest.mark.parametrize("method", OTHERS)
async def test_another_answer_that_is_refused_reaches_no_backend(edge: str, method: str) -> None:
    played = await play(edge, method, Judge(result=NO))
    assert played.shown == [QUESTIONS[method]]
    if edge == "session":
        assert (played.told[0]["code"], played.told[0]["message"]) == (-32001, "Not today")
        assert done(played)
    else:
        assert refused(played)
        assert len(played.requests) == 1


@edges
async def test_a_hook_may_take_its_time(edge: str) -> None:
    async def later(verdict: Verdict) -> Verdict:
        await turn()
        await asyncio.sleep(0)
        return verdict

    judge = Judge(
        params=lambda body: later(Replace({**body, "x-asked": True})),
        result=lambda body: later(Replace({**body, "x-answered": True})),
    )
    played = await play(edge, ELICITATION, judge)
    assert (played.shown[0]["x-asked"], played.told[0]["x-answered"]) == (True, True)
    assert done(played)


@edges
@pytest.mark.parametrize("part", ["params", "result"])
@methods
async def test_a_hook_that_fails_refuses(edge: str, part: str, method: str) -> None:
    def fails(body: Any) -> Verdict:
        raise ValueError("canary")

    played = await play(edge, method, Judge(**{part: fails}))
    assert len(played.shown) == (part == "result")
    assert ANSWERS[method] not in played.told
    assert "canary" not in repr((played.told, played.end))
    if edge != "session" and method != ELICITATION:
        assert played.end["error"]["message"] == "The request was refused by policy"
    else:
        assert done(played)


@edges
async def test_the_rounds_of_a_call_are_counted(edge: str) -> None:
    judge = Judge()
    await play(edge, ELICITATION, judge)
    assert [info.round for info in judge.infos] == ([1, 1] if edge == "session" else [1, 2])


class Injects(Hook):
    """Adds to every call's arguments, and remembers whose calls those were."""

    slots = (Pattern("params", "tools/call", "server"),)

    def __init__(self) -> None:
        self.infos: list[CallInfo] = []

    def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict:
        self.infos.append(info)
        return Replace({**body, "arguments": {"injected": True}})


@inner
async def test_what_a_hook_injects_is_in_every_request_of_a_call(edge: str) -> None:
    hook = Injects()
    played = await play(edge, ELICITATION, hook)
    assert [sent["arguments"] for sent in played.requests] == [{"injected": True}] * 2
    assert [info.round for info in hook.infos] == [1, 2]
    assert done(played)


def test_hooks_that_judge_no_questions_leave_them_unopened() -> None:
    idle = Runner([Injects()], DEFAULT_LIMITS)
    assert (idle.questions, idle.answers) == (False, False)
    both = Runner([Judge()], DEFAULT_LIMITS)
    assert (both.questions, both.answers) == (True, True)
