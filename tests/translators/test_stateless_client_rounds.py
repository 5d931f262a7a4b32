"""Rounds of questions: what is shown together, under which keys, how many there may be, and how long they wait."""

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
    LISTED,
    PAGE,
    ROOTS,
    SAMPLE,
    SAMPLED,
    StatelessPlay,
    calling,
    done,
    gather,
    met,
    question,
    replied,
    shown,
    silent,
    welcome,
)
from translators.machine import Note, SetTimer
from translators.stateless_client.calls import Quota
from translators.stateless_client.machine import Rules
from translators.stateless_client.questions import INPUT_KEY, MAX_KEY
from translators.stateless_client.rounds import MANY_ROUNDS, MAX_QUESTIONS, MAX_ROUNDS

CANCEL: Json = {"action": "cancel"}


def keyed(key: Any, params: Json = FORM) -> Json:
    return {**params, "_meta": {INPUT_KEY: key}}


def keys(effects: list[Any]) -> list[str]:
    """The keys of the round that is shown."""
    return list(effects[0].frame.result["inputRequests"])


# ---- the window -----------------------------------------------------------------------------------------------------


def test_questions_that_are_asked_together_are_shown_together_and_answered_together() -> None:
    play = calling()
    assert play.wonders(3, 1, ELICIT, FORM) == [gather()]
    play.now += 0.03
    assert play.wonders(3, 2, CREATE, SAMPLE) == []
    assert play.wonders(0, 3, ROOTS) == []
    assert play.later(0.01, "gather:3") == [gather(after_s=0.03)]
    round_ = {"input-1": question(ELICIT, FORM), "input-2": question(CREATE, SAMPLE), "input-3": question(ROOTS)}
    assert play.later(0.03, "gather:3") == [shown(10, round_), SetTimer("parked:1", 600.0)]
    answers = {"input-3": LISTED, "input-1": ACCEPTED, "input-2": SAMPLED}
    assert play.retries(11, 1, answers) == [replied(1, ACCEPTED), replied(2, SAMPLED), replied(3, LISTED)]
    assert play.returns(3, **DONE) == [done(11, COMPLETE)]
    assert play.empty()


def test_a_server_that_keeps_asking_does_not_keep_its_client_waiting_for_ever() -> None:
    play = calling()
    for ask in range(1, 9):
        play.wonders(3, ask, ELICIT, FORM)
        play.now += 0.03
    assert play.later(0, "gather:3") == [gather(after_s=0.01)]
    assert len(keys(play.later(0.01, "gather:3"))) == 8


def test_a_timer_that_runs_out_a_little_early_is_in_time() -> None:
    play = calling()
    play.wonders(3, 1, ELICIT, FORM)
    assert keys(play.later(0.0395, "gather:3")) == ["input-1"]


def test_the_window_is_the_operators() -> None:
    play = calling(rules=Rules(batch_s=0.1, batch_most_s=0.15))
    assert play.wonders(3, 1, ELICIT, FORM) == [gather(after_s=0.1)]
    play.now += 0.09
    play.wonders(3, 2, ELICIT, FORM)
    assert play.later(0.01, "gather:3") == [gather(after_s=0.05)]


def test_a_timer_of_a_round_that_is_over_does_nothing() -> None:
    play = met(INPUTS)
    play.suspended()
    assert play.later(0, "gather:3") == []
    assert play.retries(11, 1, {"input-1": ACCEPTED}) == [replied(1, ACCEPTED)]
    assert play.later(0, "gather:3") == []
    assert play.later(0, "gather:99") == []
    assert play.returns(3, **DONE) == [done(11, COMPLETE)]


def test_what_is_asked_while_a_client_has_the_questions_comes_in_the_next_round() -> None:
    play = met(INPUTS)
    play.suspended()
    assert play.wonders(3, 2, ELICIT, PAGE) == []
    assert play.retries(11, 1, {"input-1": ACCEPTED}) == [replied(1, ACCEPTED), gather()]
    assert play.wonders(3, 3, ROOTS) == []
    second = {"input-2": question(ELICIT, PAGE), "input-3": question(ROOTS)}
    assert play.later(0.04, "gather:3")[0] == shown(11, second, 2)
    assert play.retries(12, 2, {"input-2": {"action": "accept"}, "input-3": LISTED}) == [
        replied(2, {"action": "accept"}),
        replied(3, LISTED),
    ]
    assert play.returns(3, **DONE) == [done(12, COMPLETE)]
    assert play.empty()


def test_a_round_says_who_asks_unless_the_server_has_no_name() -> None:
    play = StatelessPlay(INPUTS)
    play.opens()
    play.returns(1, **welcome(serverInfo={}))
    play.greets()
    play.asks(10)
    play.wonders(3, 1, ROOTS)
    [effect, _timer] = play.later(0.04, "gather:3")
    assert effect.frame.result.keys() == {"resultType", "inputRequests", "requestState"}


# ---- keys -----------------------------------------------------------------------------------------------------------


def test_a_server_may_choose_a_key_and_its_choice_is_not_shown() -> None:
    play = calling()
    play.wonders(3, 1, ELICIT, keyed("name"))
    play.wonders(3, 2, ROOTS, keyed("where", {}))
    play.wonders(3, 3, CREATE, {**SAMPLE, "_meta": {INPUT_KEY: "what"}})
    [effect, _timer] = play.later(0.04, "gather:3")
    wanted = {"name": question(ELICIT, FORM), "where": question(ROOTS, {}), "what": question(CREATE, SAMPLE)}
    assert effect == shown(10, wanted)
    assert play.retries(11, 1, {"where": LISTED, "name": ACCEPTED, "what": SAMPLED}) == [
        replied(1, ACCEPTED),
        replied(2, LISTED),
        replied(3, SAMPLED),
    ]


@pytest.mark.parametrize("key", ["", "x" * (MAX_KEY + 1), "a\nb", "\x00", 7, None, ["k"], {}])
def test_what_can_be_no_key_is_not_used_as_one(key: Any) -> None:
    play = calling()
    play.wonders(3, 1, ELICIT, keyed(key))
    assert keys(play.later(0.04, "gather:3")) == ["input-1"]


@pytest.mark.parametrize("key", ["x", "x" * MAX_KEY, "schlüssel 1", "input-1"])
def test_any_short_text_can_be_a_key(key: str) -> None:
    play = calling()
    play.wonders(3, 1, ELICIT, keyed(key))
    assert keys(play.later(0.04, "gather:3")) == [key]


def test_no_two_questions_have_one_key() -> None:
    play = calling()
    play.wonders(3, 1, ELICIT, FORM)
    play.wonders(3, 2, ELICIT, keyed("input-1"))
    play.wonders(3, 3, ELICIT, keyed("k"))
    play.wonders(3, 4, ELICIT, keyed("k"))
    round_ = play.later(0.04, "gather:3")
    assert sorted(keys(round_)) == ["input-1", "input-2", "input-3", "k"]
    answers = {key: {"action": "accept", "content": {"key": key}} for key in keys(round_)}
    given = {effect.frame.id: effect.frame.result["content"]["key"] for effect in play.retries(11, 1, answers)}
    assert given[2] == "input-1"
    assert given[3] == "k"
    assert sorted(given) == [1, 2, 3, 4]


def test_a_key_is_not_used_again_for_another_question_of_the_call() -> None:
    play = calling()
    play.wonders(3, 1, ELICIT, keyed("input-2"))
    play.later(0.04, "gather:3")
    play.retries(11, 1, {"input-2": ACCEPTED})
    play.wonders(3, 2, ELICIT, FORM)
    play.wonders(3, 3, ELICIT, FORM)
    assert keys(play.later(0.04, "gather:3")) == ["input-1", "input-3"]


# ---- how many -------------------------------------------------------------------------------------------------------


def test_a_call_may_have_so_many_questions_open() -> None:
    play = calling()
    for ask in range(1, MAX_QUESTIONS + 1):
        play.wonders(3, ask, ELICIT, FORM)
    refused = Note("refused", ELICIT, "too-many-inputs")
    assert play.wonders(3, 90, ELICIT, FORM) == [replied(90, CANCEL), refused]
    assert len(keys(play.later(1, "gather:3"))) == MAX_QUESTIONS
    assert play.wonders(3, 91, ELICIT, FORM) == [replied(91, CANCEL), refused]
    play.retries(11, 1, {"input-1": ACCEPTED, "input-2": ACCEPTED})
    assert play.wonders(3, 92, ELICIT, FORM) == []


def test_a_call_may_ask_in_so_many_rounds() -> None:
    play = calling()
    for round_ in range(1, MAX_ROUNDS + 1):
        assert play.wonders(3, round_, ELICIT, FORM) == [gather()]
        [*notes, ended] = [effect for effect in play.later(0.04, "gather:3") if not isinstance(effect, SetTimer)]
        assert ended.frame.result["requestState"] == f'["call","owner",1,3,{round_},[]]'
        assert notes == [Note("degraded", "tools/call", "many-rounds")] * (round_ >= MANY_ROUNDS)
        if round_ == MAX_ROUNDS:
            refused = Note("refused", ROOTS, "too-many-rounds")
            assert play.wonders(3, 50, ROOTS) == [silent(50), refused]
        assert play.retries(10 + round_, round_, {f"input-{round_}": ACCEPTED}) == [replied(round_, ACCEPTED)]
    refused = Note("refused", ELICIT, "too-many-rounds")
    assert play.wonders(3, 51, ELICIT, FORM) == [replied(51, CANCEL), refused]
    assert play.returns(3, **DONE) == [done(20, COMPLETE)]
    assert play.empty()


def test_questions_left_out_in_the_last_round_are_answered_by_nobody() -> None:
    play = calling()
    play.wonders(3, 1, ELICIT, FORM)
    play.wonders(3, 2, ROOTS)
    play.later(0.04, "gather:3")
    for round_ in range(1, MAX_ROUNDS):
        [ended] = [effect for effect in play.retries(10 + round_, round_) if not isinstance(effect, Note)]
        assert ended.frame.result["resultType"] == "input_required"
    assert play.retries(30, MAX_ROUNDS) == [
        replied(1, CANCEL),
        silent(2),
        Note("refused", "tools/call", "too-many-rounds"),
    ]
    assert play.returns(3, **DONE) == [done(30, COMPLETE)]
    assert play.empty()


def test_a_session_may_have_so_many_suspended_calls() -> None:
    play = met(INPUTS, rules=Rules(park_per_session=2))
    for call, leg in ((3, 10), (4, 11)):
        play.suspended(leg, call, call)
    play.asks(12)
    refused = Note("refused", ELICIT, "parked")
    assert play.wonders(5, 5, ELICIT, FORM) == [replied(5, CANCEL), refused]
    assert play.wonders(3, 6, ELICIT, FORM) == []
    play.retries(13, 1, {"input-1": ACCEPTED}, call=4)
    assert play.wonders(5, 7, ELICIT, FORM) == [replied(7, CANCEL), refused]
    assert play.wonders(4, 8, ELICIT, FORM) == [gather(4)]
    play.returns(4, **DONE)
    assert play.wonders(5, 9, ELICIT, FORM) == [gather(5)]


def test_sessions_share_the_limits_of_their_caller() -> None:
    mine, everybody = Quota(2), Quota(3)
    first, second = (met(INPUTS, quotas=(mine, everybody), number=number) for number in (1, 2))
    other = met(INPUTS, quotas=(Quota(9), everybody), number=3)
    for play in (first, second, other):
        play.asks(10)
    assert first.wonders(3, 1, ELICIT, FORM) == [gather()]
    assert first.wonders(3, 2, ELICIT, FORM) == []
    assert (mine.parked, everybody.parked) == (1, 1)
    assert second.wonders(3, 1, ELICIT, FORM) == [gather()]
    first.asks(11)
    refused = Note("refused", ELICIT, "parked")
    assert first.wonders(4, 3, ELICIT, FORM) == [replied(3, CANCEL), refused]
    assert other.wonders(3, 1, ELICIT, FORM) == [gather()]
    other.asks(11)
    assert other.wonders(4, 3, ELICIT, FORM) == [replied(3, CANCEL), refused]
    assert (mine.parked, everybody.parked) == (2, 3)
    second.plain(second.talk.close("session-ended"))
    assert (mine.parked, everybody.parked) == (1, 2)
    first.leaves(10)
    other.returns(3)
    assert (mine.parked, everybody.parked) == (0, 0)
