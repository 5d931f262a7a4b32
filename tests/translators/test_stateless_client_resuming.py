"""Retries: the answers of a round, whole, in part, wrong, late, or those of somebody else's round."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translators.playbook import Json
from tests.translators.stateless_playbook import (
    ACCEPTED,
    COMPLETE,
    CREATE,
    DONE,
    ELICIT,
    FORM,
    LISTED,
    ROOTS,
    SAMPLE,
    SAMPLED,
    bad,
    denied,
    done,
    errored,
    gather,
    parked,
    question,
    replied,
    sent,
    shown,
    told,
    unusable,
)
from translators.asks import LEVELS
from translators.machine import Note
from translators.stateless_client import State, bad_state, read_state
from translators.stateless_client import state as slugs
from translators.stateless_client.notices import MAX_MESSAGE_BYTES, MAX_MESSAGES

ANSWER: Json = {"input-1": ACCEPTED}
INFO = LEVELS.index("info")
TOKEN: Json = {"progressToken": 1}
UNUSABLE = Note("refused", "tools/call", "input-unusable")


# ---- in part --------------------------------------------------------------------------------------------------------


def test_what_is_answered_is_delivered_and_the_rest_is_asked_again_at_once() -> None:
    play = parked((ELICIT, FORM), (CREATE, SAMPLE), (ROOTS, {}))
    assert play.retries(11, 1, {"input-2": SAMPLED})[:2] == [
        replied(2, SAMPLED),
        shown(11, {"input-4": question(ELICIT, FORM), "input-5": question(ROOTS, {})}, 2),
    ]
    assert play.retries(12, 2, {"input-4": ACCEPTED, "input-5": LISTED}) == [replied(1, ACCEPTED), replied(3, LISTED)]
    assert play.returns(3, **DONE) == [done(12, COMPLETE)]
    assert play.empty()


@pytest.mark.parametrize("answers", [None, {}, {"other": ACCEPTED}])
def test_a_retry_without_answers_is_asked_again(answers: Any) -> None:
    play = parked()
    assert play.retries(11, 1, answers)[0] == shown(11, {"input-2": question(ELICIT, FORM)}, 2)


def test_what_came_meanwhile_is_asked_with_the_rest() -> None:
    play = parked((ELICIT, FORM), (ROOTS, {}))
    play.wonders(3, 3, CREATE, SAMPLE)
    again = {"input-3": question(ROOTS, {}), "input-4": question(CREATE, SAMPLE)}
    assert play.retries(11, 1, ANSWER)[:2] == [replied(1, ACCEPTED), shown(11, again, 2)]


def test_answers_nobody_asked_for_are_dropped() -> None:
    play = parked()
    assert play.retries(11, 1, {**ANSWER, "input-2": ACCEPTED, "": 7}) == [replied(1, ACCEPTED)]


# ---- wrong ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "params", "answer"),
    [
        (ELICIT, FORM, {}),
        (ELICIT, FORM, {"action": "maybe"}),
        (ELICIT, FORM, {"action": "accept", "content": []}),
        (ELICIT, FORM, {"action": "accept", "content": {"n": None}}),
        (ELICIT, FORM, "accept"),
        (ELICIT, FORM, None),
        (CREATE, SAMPLE, {"role": "assistant", "model": "m"}),
        (CREATE, SAMPLE, {**SAMPLED, "role": "system"}),
        (ROOTS, {}, {}),
        (ROOTS, {}, {"roots": [{"name": "x"}]}),
        (ROOTS, {}, []),
    ],
)
def test_an_answer_that_is_none_leaves_the_round_open(method: str, params: Json, answer: Any) -> None:
    right = {ELICIT: ACCEPTED, CREATE: SAMPLED, ROOTS: LISTED}[method]
    play = parked((method, params), (ELICIT, FORM))
    assert play.retries(11, 1, {"input-1": answer, "input-2": ACCEPTED}) == [unusable(11), UNUSABLE]
    assert play.retries(12, 1, {"input-1": right, "input-2": ACCEPTED}) == [replied(1, right), replied(2, ACCEPTED)]


@pytest.mark.parametrize("answers", [[], "x", 7, True])
def test_answers_that_are_no_object_leave_the_round_open(answers: Any) -> None:
    play = parked()
    assert play.retries(11, 1, answers) == [unusable(11), UNUSABLE]
    assert play.retries(12, 1, ANSWER) == [replied(1, ACCEPTED)]


@pytest.mark.parametrize(
    "answer",
    [
        {"action": "decline"},
        {"action": "cancel"},
        {"action": "accept"},
        {"action": "accept", "content": {"a": "x", "b": 1.5, "c": True, "d": ["e"]}},
    ],
)
def test_every_answer_to_a_form_is_delivered(answer: Json) -> None:
    assert parked().retries(11, 1, {"input-1": answer}) == [replied(1, answer)]


# ---- meanwhile ------------------------------------------------------------------------------------------------------


def test_a_result_that_came_while_nobody_waited_is_there_for_the_retry() -> None:
    play = parked()
    assert play.returns(3, **DONE) == [replied(1, {"action": "cancel"})]
    late = Note("dropped", ELICIT, "answer-late")
    assert play.retries(11, 1, ANSWER) == [late, done(11, COMPLETE)]
    assert play.retries(12, 1, ANSWER) == [done(12, COMPLETE)]
    assert play.empty()


def test_a_connection_lost_while_nobody_waited_is_told_to_the_retry() -> None:
    play = parked()
    assert play.breaks(3, "backend-closed") == [replied(1, {"action": "cancel"})]
    [_late, effect] = play.retries(11, 1, ANSWER)
    assert effect.frame.result["isError"] is True
    assert play.empty()


def test_even_answers_that_cannot_be_read_do_not_hide_a_result() -> None:
    play = parked()
    play.returns(3, **DONE)
    assert play.retries(11, 1, {"input-1": 7})[-1] == done(11, COMPLETE)


def test_progress_and_messages_of_meanwhile_are_told_to_the_request_that_waits_next() -> None:
    play = parked()
    for number in range(3):
        assert play.says(3, "message", level="info", data=number) == []
        assert play.says(3, "progress", progressToken=3, progress=number) == []
    assert play.retries(11, 1, ANSWER, level=INFO, meta=TOKEN)[1:] == [
        replied(1, ACCEPTED),
        *(told(11, method="notifications/message", params={"level": "info", "data": number}) for number in range(3)),
        told(11, method="notifications/progress", params={"progressToken": 11, "progress": 2}),
    ]
    assert play.says(3, "progress", progressToken=3, progress=2)[0].kind == "dropped"
    assert play.says(3, "message", level="info", data="x")
    play.retries(12, 1, ANSWER, level=INFO, meta=TOKEN)
    assert [effect.exchange for effect in play.says(3, "progress", progressToken=3, progress=3)] == [11, 12]


def test_a_request_that_wants_neither_is_told_nothing_of_meanwhile() -> None:
    play = parked()
    play.says(3, "message", level="info", data=1)
    play.says(3, "progress", progressToken=3, progress=1)
    assert play.retries(11, 1, ANSWER) == [replied(1, ACCEPTED)]
    play.retries(12, 1, ANSWER, level=INFO, meta=TOKEN)
    assert play.says(3, "message", level="debug", data=2) == []


def test_the_latest_messages_are_kept() -> None:
    play = parked()
    for number in range(MAX_MESSAGES + 2):
        play.says(3, "message", level="info", data=number)
    [_level, _answer, *heard] = play.retries(11, 1, ANSWER, level=INFO)
    assert [effect.frame.params["data"] for effect in heard] == list(range(2, MAX_MESSAGES + 2))


def test_messages_may_be_as_long_as_that() -> None:
    play = parked()
    empty = len(b'{"level":"info","data":""}')
    assert play.says(3, "message", level="info", data="x" * (MAX_MESSAGE_BYTES - empty)) == []
    [_level, _answer, heard] = play.retries(11, 1, ANSWER, level=INFO)
    assert len(heard.frame.params["data"]) == MAX_MESSAGE_BYTES - empty


def test_long_messages_are_kept_up_to_a_length() -> None:
    play = parked()
    half = "x" * (MAX_MESSAGE_BYTES // 2 - 40)
    for number in range(3):
        assert play.says(3, "message", level="info", data=f"{number}{half}") == []
    too_long = play.says(3, "message", level="info", data="y" * MAX_MESSAGE_BYTES)
    assert too_long == [Note("dropped", "notifications/message", "too-large")]
    [_level, _answer, *heard] = play.retries(11, 1, ANSWER, level=INFO)
    assert [effect.frame.params["data"][0] for effect in heard] == ["1", "2"]


def test_the_level_of_a_retry_is_set_before_its_answers_are_brought() -> None:
    play = parked()
    assert play.retries(11, 1, ANSWER, level=INFO) == [
        sent(4, "logging/setLevel", level="info"),
        replied(1, ACCEPTED),
    ]
    assert play.retries(12, 1, ANSWER, level=0) == [sent(5, "logging/setLevel", level="debug")]


# ---- a retry that declares less -------------------------------------------------------------------------------------


def test_what_the_retry_cannot_be_asked_is_refused_and_the_call_goes_on() -> None:
    play = parked((ELICIT, FORM), (ROOTS, {}))
    play.wonders(3, 3, ROOTS)
    text = "The client did not declare this capability"
    refusal = [[denied(ask, "not-declared", text, -32601), Note("refused", ROOTS, "not-declared")] for ask in (2, 3)]
    assert play.retries(11, 1, ANSWER, declares={}) == [replied(1, ACCEPTED), *refusal[0], *refusal[1]]
    assert play.returns(3, **DONE, isError=True) == [
        errored(11, -32021, "Missing required client capability", {"requiredCapabilities": {"roots": {}}})
    ]
    assert play.empty()


def test_what_it_can_be_asked_is() -> None:
    play = parked((ELICIT, FORM), (ROOTS, {}), (CREATE, SAMPLE))
    effects = play.retries(11, 1, ANSWER, declares={"sampling": {}})
    assert shown(11, {"input-4": question(CREATE, SAMPLE)}, 2) in effects


def test_answers_that_were_given_stand() -> None:
    assert parked().retries(11, 1, ANSWER, declares={}) == [replied(1, ACCEPTED)]


def test_while_nobody_waits_the_last_request_says_what_may_be_asked() -> None:
    play = parked()
    play.retries(11, 1, ANSWER, declares={"elicitation": {}})
    play.wonders(3, 2, ELICIT, FORM)
    play.later(0.04, "gather:3")
    assert play.wonders(3, 3, ROOTS)[1] == Note("refused", ROOTS, "not-declared")
    assert play.wonders(3, 4, ELICIT, FORM) == []


# ---- what is lost ---------------------------------------------------------------------------------------------------


def test_what_is_lost_of_an_answer_is_noted_once() -> None:
    play = parked((CREATE, SAMPLE), (ELICIT, FORM))
    spoofed = {**SAMPLED, "_meta": {"io.modelcontextprotocol/subscriptionId": 1, "x/y": 1}}
    assert play.retries(11, 1, {"input-1": spoofed, "input-2": 7}) == [unusable(11), UNUSABLE]
    [first, lossy, second] = play.retries(12, 1, {"input-1": spoofed, "input-2": ACCEPTED})
    assert (first, second) == (replied(1, {**SAMPLED, "_meta": {"x/y": 1}}), replied(2, ACCEPTED))
    assert (lossy.kind, len(lossy.losses)) == ("lossy", 1)


# ---- whose state ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "method", "note"),
    [
        (State("call", "owner", 1, 4, 1), "tools/call", "state-unknown"),
        (State("call", "other", 1, 3, 1), "tools/call", "state-unknown"),
        (State("call", "owner", 2, 3, 1), "tools/call", "state-unknown"),
        (State("call", "owner", 1, 3, 1), "prompts/get", "state-unknown"),
        (State("call", "owner", 1, 3, 2), "tools/call", "state-conflict"),
        (State("call", "owner", 1, 3, 0), "tools/call", "state-conflict"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(made: State, method: str, note: str) -> None:
    play = parked()
    params = {"name": "t", "requestState": made.text(), "inputResponses": ANSWER}
    assert play.asks(11, method, params) == [bad(11), Note("refused", method, note)]
    assert play.retries(12, 1, ANSWER) == [replied(1, ACCEPTED)]


def test_a_state_is_read_as_it_was_written_and_nothing_else_is_one() -> None:
    for made in (State("call", "o", 1, 2, 3), State("visit", "o", 1, 2, 3, ["a", ""])):
        assert read_state(made.text()) == made
    for text in (None, 1, "", "{}", "[]", '["call","o",1,2]', '["call","o",1,2,3,[],4]', '["x","o",1,2,3]', b"[]"):
        assert read_state(text) is None


def test_the_slug_of_a_call_that_was_lost_with_its_broker_is_kept() -> None:
    assert slugs.LOST == "suspended-call-lost"


def test_the_answer_to_a_bad_state_names_its_request_alone() -> None:
    assert bad_state(7).id == 7


def test_a_retry_that_is_left_cancels_the_call() -> None:
    play = parked()
    play.retries(11, 1, ANSWER)
    play.retries(12, 1, ANSWER)
    assert play.leaves(11) == []
    [cancelled] = play.leaves(12)
    assert cancelled.frame.method == "notifications/cancelled"
    assert play.empty()


def test_a_new_question_may_come_in_answer_to_an_answer() -> None:
    play = parked()
    play.retries(11, 1, ANSWER)
    assert play.wonders(3, 2, ROOTS) == [gather()]
