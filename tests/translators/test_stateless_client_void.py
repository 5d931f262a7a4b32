"""Questions that need no answer any more: taken back by their server, or left by a call that ends."""

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
    INPUTS,
    ROOTS,
    SAMPLE,
    calling,
    done,
    gather,
    met,
    question,
    replied,
    sent,
    shown,
    silent,
)
from translators.machine import Note
from translators.stateless_client.answers import QUIET_CALLS

FORMS: Json = {"elicitation": {"form": {}}}


def test_a_question_that_is_taken_back_in_time_is_never_shown() -> None:
    play = calling()
    play.wonders(3, 1, ROOTS)
    play.wonders(3, 2, ELICIT, FORM)
    assert play.says(3, "cancelled", requestId=1) == [Note("void", "tools/call", "question-cancelled")]
    assert play.later(0.04, "gather:3")[0] == shown(10, {"input-1": question(ELICIT, FORM)})


def test_a_call_whose_questions_are_all_taken_back_goes_on() -> None:
    play = calling()
    play.wonders(3, 1, ROOTS)
    play.says(0, "cancelled", requestId=1)
    assert play.later(0.04, "gather:3") == []
    assert play.wonders(3, 2, ROOTS) == [gather()]
    assert play.returns(3, **DONE)[0] == done(10, COMPLETE)
    assert play.empty()


@pytest.mark.parametrize("number", [0, 2, "1", 1.0, None, [1], {}])
def test_taking_back_what_was_not_asked_does_nothing(number: Any) -> None:
    play = calling()
    play.wonders(3, 1, ROOTS)
    assert [effect for effect in play.says(0, "cancelled", requestId=number) if effect.kind != "lossy"] == []
    assert list(play.talk.asks) == [1]


def test_a_question_that_is_taken_back_twice_is_noted_once() -> None:
    play = calling()
    play.wonders(3, 1, ROOTS)
    play.says(0, "cancelled", requestId=1)
    assert play.says(0, "cancelled", requestId=1) == []


def test_the_answer_to_a_question_that_was_taken_back_is_dropped() -> None:
    play = met(INPUTS)
    play.suspended()
    play.says(0, "cancelled", requestId=1)
    dropped = Note("dropped", ELICIT, "answer-late")
    assert play.retries(11, 1, {"input-1": ACCEPTED}) == [dropped]
    assert play.returns(3, **DONE) == [done(11, COMPLETE)]


def test_a_question_that_was_taken_back_is_not_asked_again() -> None:
    play = calling()
    play.wonders(3, 1, ROOTS)
    play.wonders(3, 2, ELICIT, FORM)
    play.later(0.04, "gather:3")
    play.says(0, "cancelled", requestId=1)
    assert play.retries(11, 1, {})[0] == shown(11, {"input-3": question(ELICIT, FORM)}, 2)


# ---- the end of the call --------------------------------------------------------------------------------------------


def test_questions_of_a_call_that_ends_are_answered_by_nobody() -> None:
    play = calling()
    play.wonders(3, 1, ELICIT, FORM)
    play.wonders(3, 2, ROOTS)
    play.wonders(3, 3, CREATE, SAMPLE)
    assert play.returns(3, **DONE) == [done(10, COMPLETE), replied(1, {"action": "cancel"}), silent(2), silent(3)]
    assert play.later(0.04, "gather:3") == []
    assert play.empty()


def test_a_question_of_a_call_that_was_given_up_is_answered_by_nobody() -> None:
    play = met(INPUTS)
    play.suspended()
    play.later(600, "parked:1")
    assert play.wonders(3, 2, ROOTS) == [silent(2)]


def test_calls_that_end_without_a_question_are_counted_where_one_could_be_asked() -> None:
    play = met({"extensions": {}})
    play.asks(10)
    play.returns(3)
    assert play.habits.quiet == 0
    play = met(FORMS)
    play.asks(10)
    play.returns(3)
    play.asks(11, "tools/list", {})
    play.returns(4)
    assert play.habits.quiet == 1
    play.suspended(12, call=5)
    play.retries(13, 1, {"input-1": ACCEPTED}, call=5)
    play.returns(5)
    assert play.habits.quiet == 1
    for number in range(6, 40):
        play.asks(number)
        play.errs(number, -1)
    assert play.habits.quiet == QUIET_CALLS + 1


def test_an_unasked_call_is_sent_as_ever() -> None:
    play = calling(declares={})
    assert play.asks(11) == [sent(4, "tools/call", name="t")]
