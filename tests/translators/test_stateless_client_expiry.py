"""How long a round waits for its answers, and what becomes of a call that nobody comes back to."""

from __future__ import annotations

from tests.translators.playbook import Json
from tests.translators.stateless_playbook import (
    ACCEPTED,
    COMPLETE,
    DONE,
    ELICIT,
    FIRST,
    FORM,
    INPUTS,
    ROOTS,
    bad,
    calling,
    done,
    gather,
    met,
    parked,
    replied,
    sent,
    silent,
    timer,
)
from translators.machine import Note, SetTimer, ToServer
from translators.reply import notify
from translators.stateless_client.calls import Quota
from translators.stateless_client.machine import Rules
from translators.stateless_client.resuming import GRACE_S

CANCEL: Json = {"action": "cancel"}
CANCELLED = ToServer(0, notify("notifications/cancelled", {"requestId": FIRST}))


def test_a_round_that_nobody_answers_is_given_up_and_then_the_call() -> None:
    quota = Quota(9)
    play = calling(quotas=(quota,))
    play.wonders(3, 1, ELICIT, FORM)
    play.wonders(3, 2, ROOTS)
    play.later(0.04, "gather:3")
    assert play.later(600, "parked:1") == [
        replied(1, CANCEL),
        silent(2),
        Note("park-expired", "tools/call"),
        SetTimer("grace:3", GRACE_S),
    ]
    assert play.retries(11, 1, {"input-1": ACCEPTED}) == [bad(11), Note("refused", "tools/call", "state-conflict")]
    assert quota.parked == 1
    assert play.later(GRACE_S, "grace:3") == [CANCELLED]
    assert quota.parked == 0
    assert play.empty()


def test_a_call_that_ends_in_its_last_chance_is_over() -> None:
    play = met(INPUTS)
    play.suspended()
    play.later(600, "parked:1")
    assert play.returns(3, **DONE) == []
    assert play.empty()
    assert play.later(GRACE_S, "grace:3") == []
    assert play.retries(11, 1, {"input-1": ACCEPTED}) == [bad(11), Note("refused", "tools/call", "state-unknown")]


def test_an_answer_in_time_ends_the_waiting() -> None:
    play = met(INPUTS)
    play.suspended()
    play.now += 599
    play.retries(11, 1, {"input-1": ACCEPTED})
    assert play.later(1, "parked:1") == []
    assert play.returns(3, **DONE) == [done(11, COMPLETE)]


def test_each_round_waits_for_itself_with_one_timer_for_all_calls() -> None:
    play = met(INPUTS)
    play.suspended(10, 1, 3)
    play.now += 100
    play.asks(11)
    play.wonders(4, 2, ELICIT, FORM)
    assert len(play.later(0.04, "gather:4")) == 1
    play.now += 300
    play.retries(12, 1, {"input-1": ACCEPTED})
    play.wonders(3, 3, ELICIT, FORM)
    assert len(play.later(0.04, "gather:3")) == 1
    assert play.later(199.92, "parked:1") == [timer("parked:2", 100.04, 0.1)]
    assert play.later(100.04, "parked:2")[1:] == [
        Note("park-expired", "tools/call"),
        SetTimer("grace:4", GRACE_S),
        timer("parked:3", 300.04, 0.1),
    ]
    assert play.later(1, "parked:1") == []
    assert [effect.kind for effect in play.later(300, "parked:3") if isinstance(effect, Note)] == ["park-expired"]


def test_the_rounds_of_a_call_wait_no_longer_than_so_long_together() -> None:
    play = met(INPUTS, rules=Rules(park_s=600, park_most_s=1000))
    play.suspended()
    play.now += 590
    play.retries(11, 1, {"input-1": ACCEPTED})
    play.wonders(3, 2, ELICIT, FORM)
    play.later(0.04, "gather:3")
    assert play.later(10, "parked:1") == [timer("parked:2", 400, 0.1)]
    play.now += 399
    play.retries(12, 2, {"input-2": ACCEPTED})
    play.now += 2
    assert play.wonders(3, 3, ELICIT, FORM) == [replied(3, CANCEL), Note("refused", ELICIT, "parked-too-long")]


def test_a_call_whose_time_is_just_up_asks_no_more() -> None:
    play = parked(rules=Rules(park_most_s=1000))
    play.now += 1000 - 0.25
    play.retries(11, 1, {"input-1": ACCEPTED})
    assert play.wonders(3, 2, ELICIT, FORM) == [gather()]
    play.now += 0.25
    assert play.wonders(3, 3, ELICIT, FORM) == [replied(3, CANCEL), Note("refused", ELICIT, "parked-too-long")]


def test_a_call_with_less_time_left_brings_the_timer_forward() -> None:
    play = met(INPUTS, rules=Rules(park_s=600, park_most_s=700))
    play.suspended(10, 1, 3)
    play.now += 500
    play.retries(12, 1, {"input-1": ACCEPTED})
    play.now += 101
    assert play.later(0, "parked:1") == []
    play.suspended(11, 2, 4)
    play.wonders(3, 3, ELICIT, FORM)
    forward = play.later(0.04, "gather:3")[1]
    assert forward == timer("parked:3", 99, 0.1)
    expired = play.later(forward.after_s, "parked:3")
    assert expired[1:] == [
        Note("park-expired", "tools/call"),
        SetTimer("grace:3", GRACE_S),
        timer("parked:4", 501, 0.1),
    ]
    assert play.later(501, "parked:2") == []
    assert play.later(0.2, "parked:4")[1] == Note("park-expired", "tools/call")


def test_a_result_that_nobody_fetched_is_given_up_with_its_round() -> None:
    play = met(INPUTS)
    play.suspended()
    assert play.returns(3, **DONE) == [replied(1, CANCEL)]
    assert play.later(600, "parked:1") == [Note("park-expired", "tools/call")]
    assert play.empty()


def test_a_call_that_was_never_sent_is_given_up_without_a_word() -> None:
    play = met(INPUTS)
    play.now -= 10
    play.wonders(0, 1, ROOTS)
    play.asks(10)
    play.later(0.04, "gather:3")
    assert play.later(600, "parked:1") == [silent(1), Note("park-expired", "tools/call")]
    assert play.empty()
    assert play.asks(11) == [sent(4, "tools/call", name="t")]
