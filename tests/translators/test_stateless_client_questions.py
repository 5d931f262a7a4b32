"""Questions of a session server: whose they are, who may be asked them, and what becomes of the others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translators.playbook import Json, frame
from tests.translators.stateless_playbook import (
    ACCEPTED,
    COMPLETE,
    CREATE,
    DONE,
    ELICIT,
    FORM,
    INPUTS,
    LISTED,
    PAGE,
    ROOTS,
    SAMPLE,
    calling,
    denied,
    done,
    errored,
    gather,
    met,
    question,
    replied,
    shown,
)
from translators.loss import Loss, Noted
from translators.machine import Note, SetTimer, ToServer

NOT_DECLARED = "The client did not declare this capability"
NOT_ALLOWED = "The server asked for input where none can be asked"
MISSING = "Missing required client capability"
FORMS: Json = {"elicitation": {"form": {}}}


def refused(ask: int, method: str, code: int, reason: str = "not-declared", text: str = NOT_DECLARED) -> list[Any]:
    return [denied(ask, reason, text, code), Note("refused", method, reason)]


# ---- whose ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read"])
@pytest.mark.parametrize("stream", [3, 0])
def test_a_question_is_the_calls_whose_stream_it_comes_on_or_the_only_ones(method: str, stream: int) -> None:
    play = calling(method)
    assert play.wonders(stream, 1, ROOTS) == [gather()]
    assert play.later(0.04, "gather:3")[0] == shown(10, {"input-1": question(ROOTS)})
    assert (play.habits.asks_on_stream, play.habits.asks_in_call) == (stream == 0, stream == 3)


def test_a_question_on_the_standing_stream_is_the_newest_calls_and_noted_as_a_guess() -> None:
    play = calling()
    play.asks(11)
    play.asks(12, "tools/list", {})
    assert play.wonders(0, 1, ROOTS) == [Note("guessed", ROOTS, "several-calls"), gather(4)]
    assert play.wonders(3, 2, ROOTS) == [gather(3)]
    assert play.later(0.04, "gather:4")[0] == shown(11, {"input-1": question(ROOTS)}, 1, 4)


def test_a_suspended_call_may_be_meant_as_well() -> None:
    play = met(INPUTS)
    play.suspended()
    assert play.wonders(0, 2, ROOTS) == []
    assert play.retries(11, 1, {"input-1": ACCEPTED}) == [replied(1, ACCEPTED), gather()]
    assert play.later(0.04, "gather:3")[0] == shown(11, {"input-2": question(ROOTS)}, 2)


def test_calls_the_server_does_not_run_are_not_meant() -> None:
    play = met(INPUTS)
    play.suspended()
    play.asks(11, level=0)  # waits for its level
    play.later(600, "parked:1")  # the suspended one is given up
    assert play.wonders(0, 2, CREATE, SAMPLE)[1:] == [Note("refused", CREATE, "unsolicited")]
    assert not play.habits.asks_on_stream


def test_a_call_that_has_ended_while_nobody_waited_is_not_meant() -> None:
    play = met(INPUTS)
    play.suspended()
    play.returns(3, **DONE)
    assert play.wonders(0, 2, CREATE, SAMPLE)[1:] == [Note("refused", CREATE, "unsolicited")]
    play.asks(11)
    assert play.wonders(0, 3, ROOTS) == [gather(4)]


def test_a_question_on_the_stream_of_something_else_is_nobodys() -> None:
    play = met(INPUTS)
    play.listens(10, resourceSubscriptions=["test://a"])
    assert play.wonders(3, 1, CREATE, SAMPLE)[1:] == [Note("refused", CREATE, "unsolicited")]
    assert not play.habits.asks_in_call
    play.habits.asks_in_call = True
    play.wonders(3, 2, CREATE, SAMPLE)
    assert play.habits.asks_in_call


@pytest.mark.parametrize("method", ["tools/list", "prompts/list", "resources/list", "completion/complete"])
def test_no_other_request_can_be_ended_with_questions(method: str) -> None:
    play = calling(method)
    assert play.wonders(3, 1, ROOTS) == refused(1, ROOTS, -32602, "input-not-allowed", NOT_ALLOWED)
    assert play.wonders(3, 2, ELICIT, FORM) == refused(2, ELICIT, -32602, "input-not-allowed", NOT_ALLOWED)
    assert play.leaves(10)


def test_roots_that_are_known_are_told_where_they_cannot_be_asked() -> None:
    play = calling()
    play.wonders(3, 1, ROOTS)
    play.later(0.04, "gather:3")
    play.retries(11, 1, {"input-1": LISTED})
    play.asks(12, "tools/list", {})
    assert play.wonders(4, 2, ROOTS) == [replied(2, LISTED)]
    assert play.wonders(4, 3, CREATE, SAMPLE) == refused(3, CREATE, -32602, "input-not-allowed", NOT_ALLOWED)
    play.now += 61
    assert play.wonders(4, 4, ROOTS) == refused(4, ROOTS, -32602, "input-not-allowed", NOT_ALLOWED)


def test_a_call_that_runs_is_asked_for_roots_again() -> None:
    play = calling()
    play.wonders(3, 1, ROOTS)
    play.later(0.04, "gather:3")
    play.retries(11, 1, {"input-1": LISTED})
    assert play.wonders(3, 2, ROOTS) == [gather()]


# ---- who may be asked -----------------------------------------------------------------------------------------------

BOTH: Json = {"sampling": {"context": {}, "tools": {}}}
GATED = [
    ({}, ELICIT, FORM, -32601, {"elicitation": {"form": {}}}),
    ({}, CREATE, SAMPLE, -32601, {"sampling": {}}),
    ({}, ROOTS, {}, -32601, {"roots": {}}),
    ({"elicitation": {"form": {}}}, ELICIT, PAGE, -32602, {"elicitation": {"url": {}}}),
    ({"elicitation": {}}, ELICIT, PAGE, -32602, {"elicitation": {"url": {}}}),
    ({"elicitation": {"url": {}}}, ELICIT, FORM, -32602, {"elicitation": {"form": {}}}),
    ({"elicitation": True}, ELICIT, FORM, -32602, {"elicitation": {"form": {}}}),
    ({"sampling": {}}, CREATE, {**SAMPLE, "tools": []}, -32602, {"sampling": {"tools": {}}}),
    ({"sampling": {}}, CREATE, {**SAMPLE, "toolChoice": {}}, -32602, {"sampling": {"tools": {}}}),
    ({"sampling": {}}, CREATE, {**SAMPLE, "includeContext": "allServers", "tools": []}, -32602, BOTH),
]


@pytest.mark.parametrize(("declares", "method", "params", "code", "needed"), GATED)
@pytest.mark.parametrize("stream", [3, 0])
def test_what_was_not_declared_is_not_asked(
    declares: Json, method: str, params: Json, code: int, needed: Json, stream: int
) -> None:
    play = calling(declares=declares)
    assert play.wonders(stream, 1, method, params) == refused(1, method, code)
    assert play.returns(3, **DONE, isError=True) == [errored(10, -32021, MISSING, {"requiredCapabilities": needed})]
    assert play.empty()


@pytest.mark.parametrize(("declares", "method", "params", "code", "_needed"), GATED)
def test_what_the_session_did_not_declare_is_not_held_for_later(
    declares: Json, method: str, params: Json, code: int, _needed: Json
) -> None:
    play = met(declares)
    play.now -= 10
    assert play.wonders(0, 1, method, params) == refused(1, method, code)
    assert play.empty()


@pytest.mark.parametrize(
    ("declares", "method", "params"),
    [
        ({"elicitation": {}}, ELICIT, FORM),
        ({"elicitation": {"form": {}}}, ELICIT, FORM),
        ({"elicitation": {"url": {}}}, ELICIT, PAGE),
        ({"sampling": {}}, CREATE, SAMPLE),
        ({"sampling": {"tools": {}}}, CREATE, {**SAMPLE, "tools": []}),
        ({"sampling": {"context": {}}}, CREATE, {**SAMPLE, "includeContext": "thisServer"}),
        ({"sampling": {}}, CREATE, {**SAMPLE, "includeContext": "none"}),
        ({"roots": {}}, ROOTS, {}),
    ],
)
def test_what_was_declared_is_asked(declares: Json, method: str, params: Json) -> None:
    play = calling(declares=declares)
    assert play.wonders(3, 1, method, params) == [gather()]
    assert play.later(0.04, "gather:3")[0] == shown(10, {"input-1": question(method, params)})


@pytest.mark.parametrize("stream", [3, 0])
@pytest.mark.parametrize("more", [{}, {"tools": []}])
def test_context_that_a_client_did_not_declare_is_left_out_of_a_question_that_it_can_answer(
    more: Json, stream: int
) -> None:
    play = calling(declares={"sampling": {"tools": {}}})
    loss = Noted("includeContext needs sampling.context", "includeContext", Loss.DEGRADED)
    asked = play.wonders(stream, 1, CREATE, {**SAMPLE, **more, "includeContext": "allServers"})
    assert asked == [Note("lossy", CREATE, losses=(loss,)), gather()]
    assert play.later(0.04, "gather:3")[0] == shown(10, {"input-1": question(CREATE, {**SAMPLE, **more})})


def test_a_call_that_goes_on_without_what_it_lacks_is_answered_as_it_is() -> None:
    play = calling(declares={})
    play.wonders(3, 1, ROOTS)
    assert play.returns(3, **DONE) == [done(10, COMPLETE)]


def test_everything_a_call_lacked_is_named_when_it_fails() -> None:
    play = calling(declares={})
    play.wonders(3, 1, ROOTS)
    play.wonders(3, 2, ELICIT, FORM)
    play.wonders(3, 3, ELICIT, PAGE)
    needed: Json = {"roots": {}, "elicitation": {"form": {}, "url": {}}}
    assert play.errs(3, -32603, "secret") == [errored(10, -32021, MISSING, {"requiredCapabilities": needed})]


def test_a_lost_connection_is_not_blamed_on_a_capability() -> None:
    play = calling("prompts/get", {})
    play.wonders(3, 1, ROOTS)
    [effect] = play.breaks(3, "backend-closed")
    assert effect.frame.error.code == -32603


def test_a_result_that_cannot_be_read_fails_for_itself() -> None:
    play = calling(declares={})
    play.wonders(3, 1, ROOTS)
    [effect] = play.server(3, b'{"jsonrpc":"2.0","id":3,"result":{"content":[],"isError":1e999}}')
    assert effect.frame.error.code == -32603


def test_only_what_every_waiting_request_declared_is_asked() -> None:
    for first, second in (({}, INPUTS), (INPUTS, {})):
        play = met(INPUTS)
        play.suspended()
        play.retries(11, 1, {"input-1": ACCEPTED}, declares=first)
        play.retries(12, 1, {"input-1": ACCEPTED}, declares=second)
        assert play.wonders(3, 2, ROOTS) == refused(2, ROOTS, -32601)
        assert play.leaves(11 if not first else 12) == []
        assert play.wonders(3, 3, ROOTS) == [gather()]


# ---- how it is read -------------------------------------------------------------------------------------------------


def test_a_question_may_have_any_id() -> None:
    play = calling()
    play.wonders(3, 0, ROOTS)
    play.later(0.04, "gather:3")
    assert play.retries(11, 1, {"input-1": LISTED}) == [replied(0, LISTED)]
    assert play.returns(3, **DONE) == [done(11, COMPLETE)]
    assert play.empty()


def test_a_question_is_shown_as_the_newer_revision_writes_it() -> None:
    play = calling()
    page = {**PAGE, "elicitationId": "e", "task": {"ttl": 1}, "_meta": {"progressToken": 1, "x/y": 1}}
    first = play.wonders(3, 1, ELICIT, page)
    assert first[0].losses[0].loss in (Loss.STASHED, Loss.DEGRADED)
    play.wonders(3, 2, CREATE, {**SAMPLE, "task": {"ttl": 1}, "_meta": {"x/y": 1}})
    play.wonders(3, 3, ROOTS, {"_meta": {"progressToken": 3}})
    play.wonders(3, 4, ROOTS, {"_meta": {"progressToken": 3, "x/y": 1}})
    play.wonders(3, 5, ROOTS, {"cursor": "x"})
    [effect, _timer] = play.later(0.04, "gather:3")
    assert effect == shown(
        10,
        {
            "input-1": question(ELICIT, PAGE),
            "input-2": question(CREATE, SAMPLE),
            "input-3": question(ROOTS, {}),
            "input-4": question(ROOTS, {"_meta": {"x/y": 1}}),
            "input-5": question(ROOTS, {"cursor": "x"}),
        },
    )


def test_a_server_that_gave_a_token_is_told_that_its_question_waits() -> None:
    play = calling()
    asked: Json = {**FORM, "_meta": {"progressToken": 1}}
    effects = play.wonders(3, 1, ELICIT, asked)
    assert [effect for effect in effects if not isinstance(effect, Note)] == [SetTimer("beat:3:1", 20.0), gather()]

    def beat(number: int) -> list[Any]:
        params = {"progressToken": 1, "progress": number, "message": "waiting for input"}
        return [ToServer(0, frame(method="notifications/progress", params=params)), SetTimer("beat:3:1", 20.0)]

    assert play.later(20, "beat:3:1") == beat(1)
    play.later(0, "gather:3")
    assert play.later(20, "beat:3:1") == beat(2)
    play.retries(11, 1, {"input-1": ACCEPTED})
    assert play.later(20, "beat:3:1") == []
    play.returns(3)
    assert play.later(20, "beat:3:1") == []


def test_each_question_is_told_of_under_its_own_token() -> None:
    play = calling()
    for ask in (1, 2):
        play.wonders(3, ask, ELICIT, {**FORM, "_meta": {"progressToken": f"token-{ask}"}})
    assert play.later(20, "beat:3:2")[0].frame.params["progressToken"] == "token-2"
    assert play.later(0, "beat:3:1")[0].frame.params == {
        "progressToken": "token-1",
        "progress": 1,
        "message": "waiting for input",
    }


@pytest.mark.parametrize("token", [None, 1.5, True, {}, []])
def test_what_is_no_token_is_not_used_as_one(token: Any) -> None:
    play = calling()
    effects = play.wonders(3, 1, ELICIT, {**FORM, "_meta": {"progressToken": token}})
    assert [effect for effect in effects if isinstance(effect, SetTimer)] == [gather()]


def test_a_text_may_be_a_token() -> None:
    play = calling()
    effects = play.wonders(3, 1, ELICIT, {**FORM, "_meta": {"progressToken": ""}})
    assert [effect for effect in effects if isinstance(effect, SetTimer)] == [SetTimer("beat:3:1", 20.0), gather()]
    assert play.later(20, "beat:3:1")[0].frame.params["progressToken"] == ""
