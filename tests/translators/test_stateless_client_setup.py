"""Questions of a server's set-up: held for the first request that may ask them, answered from memory, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translators.playbook import Json
from tests.translators.stateless_playbook import (
    COMPLETE,
    CREATE,
    DONE,
    ELICIT,
    FORM,
    INPUTS,
    LISTED,
    ROOTS,
    SAMPLE,
    StatelessPlay,
    denied,
    done,
    gather,
    met,
    question,
    replied,
    sent,
    shown,
    silent,
    welcome,
)
from translators.loss import Loss, Noted
from translators.machine import Note, SetTimer
from translators.stateless_client import Habits, Memory
from translators.stateless_client.calls import Quota
from translators.stateless_client.machine import Rules
from translators.stateless_client.requests import SETTLE_S
from translators.stateless_client.setup import HOLD_S, MAX_HELD, ROOTS_S, SETUP_S

UNSOLICITED = "No request of the client is in progress that this could be asked for"


def fresh(declares: Json | None = None, **options: Any) -> StatelessPlay:
    """A session that has just been opened."""
    play = StatelessPlay(INPUTS if declares is None else declares, **options)
    play.opens()
    play.returns(1, **welcome())
    play.greets()
    return play


def refused(ask: int, method: str, code: int = -32602) -> list[Any]:
    return [denied(ask, "unsolicited", UNSOLICITED, code), Note("refused", method, "unsolicited")]


def held(ask: int) -> SetTimer:
    return SetTimer(f"held:{ask}", HOLD_S)


def test_the_first_call_is_suspended_before_it_is_sent_and_sent_after_the_answer() -> None:
    play = fresh()
    assert play.wonders(0, 0, ROOTS) == [held(0)]
    assert play.asks(10, "server/discover", {})[0].final
    assert play.asks(11, "tools/list", {}) == [sent(3, "tools/list")]
    assert play.asks(12) == [gather(4)]
    assert play.later(0.04, "gather:4")[0] == shown(12, {"input-1": question(ROOTS)}, 1, 4)
    assert play.retries(13, 1, {"input-1": LISTED}, call=4) == [replied(0, LISTED), sent(4, "tools/call", name="t")]
    assert play.returns(4, **DONE) == [done(13, COMPLETE)]
    assert play.later(HOLD_S, "held:0") == []


def test_a_question_may_come_before_the_session_is_open() -> None:
    play = StatelessPlay(INPUTS)
    play.opens()
    play.returns(1, **welcome())
    assert play.wonders(0, 1, ROOTS) == [held(1)]
    play.asks(10)
    assert play.greets() == [gather()]


def test_every_kind_of_question_of_the_set_up_is_asked() -> None:
    play = fresh()
    for ask, (method, params) in enumerate(((ROOTS, {}), (ELICIT, FORM), (CREATE, SAMPLE)), 1):
        play.wonders(0, ask, method, params)
    play.asks(10)
    [effect, _timer] = play.later(0.04, "gather:3")
    asked = [each["method"] for each in effect.frame.result["inputRequests"].values()]
    assert asked == [ROOTS, ELICIT, CREATE]


def test_what_is_lost_of_a_question_of_the_set_up_is_noted() -> None:
    play = fresh()
    [lossy, timer] = play.wonders(0, 1, ELICIT, {**FORM, "_meta": {"x/y": 1}})
    assert (lossy.kind, lossy.method, timer) == ("lossy", ELICIT, held(1))


def test_a_set_up_asks_only_so_much() -> None:
    play = fresh()
    for ask in range(MAX_HELD):
        assert play.wonders(0, ask, ROOTS) == [held(ask)]
    assert play.wonders(0, 90, ROOTS) == refused(90, ROOTS)


def test_a_question_outside_the_set_up_and_outside_a_call_is_refused() -> None:
    play = fresh()
    play.now += SETUP_S
    assert play.wonders(0, 1, ROOTS) == [held(1)]
    play.now += 0.1
    assert play.wonders(0, 2, ROOTS) == refused(2, ROOTS)
    assert play.wonders(0, 3, ELICIT, FORM) == refused(3, ELICIT)


def test_a_form_of_a_call_that_was_cancelled_is_no_question_of_the_set_up() -> None:
    play = fresh()
    play.asks(10, "tools/list", {})
    assert play.wonders(0, 1, ELICIT, FORM) == [held(1)]  # a list asks nothing
    play.says(0, "cancelled", requestId=1)
    play.asks(11)
    play.talk.abandon(11)
    # It was on its way when the call was cancelled: the next call must not be asked it.
    assert play.wonders(0, 2, ELICIT, FORM) == refused(2, ELICIT)
    assert play.wonders(4, 3, ELICIT, FORM) == refused(3, ELICIT)
    play.asks(12, "tools/list", {})
    assert play.wonders(0, 5, ELICIT, FORM) == refused(5, ELICIT)
    assert play.wonders(0, 4, ROOTS) == [held(4)]  # roots are the client's, whichever call asks


def test_an_operator_may_have_forms_outside_a_call_cancelled() -> None:
    play = fresh(rules=Rules(unsolicited="cancel"))
    play.now += SETUP_S + 0.1
    assert play.wonders(0, 1, ELICIT, FORM) == [
        replied(1, {"action": "cancel"}),
        Note("refused", ELICIT, "unsolicited"),
    ]
    assert play.wonders(0, 2, ROOTS) == refused(2, ROOTS)


def test_a_question_that_nobody_could_be_asked_is_given_up() -> None:
    play = fresh()
    play.wonders(0, 1, ROOTS)
    assert play.later(HOLD_S, "held:1") == refused(1, ROOTS, -32603)
    assert play.later(HOLD_S, "held:1") == []
    assert play.empty()
    assert play.asks(10) == [sent(3, "tools/call", name="t")]


def test_a_question_of_the_set_up_may_be_taken_back() -> None:
    play = fresh()
    play.wonders(0, 1, ROOTS)
    assert play.says(0, "cancelled", requestId=1) == [Note("void", ROOTS, "question-cancelled")]
    assert play.later(HOLD_S, "held:1") == []
    assert play.asks(10) == [sent(3, "tools/call", name="t")]


def test_a_call_whose_set_up_question_is_taken_back_is_sent() -> None:
    play = fresh()
    play.wonders(0, 1, ROOTS)
    play.asks(10)
    play.says(0, "cancelled", requestId=1)
    assert play.later(0.04, "gather:3") == [sent(3, "tools/call", name="t")]


def test_a_call_that_lost_its_client_before_it_was_sent_never_is() -> None:
    play = fresh()
    play.wonders(0, 1, ROOTS)
    play.asks(10)
    assert play.leaves(10) == [silent(1)]
    assert play.later(0.04, "gather:3") == []
    assert play.empty()


def test_a_request_that_declared_less_than_its_session_is_not_asked() -> None:
    play = fresh()
    play.wonders(0, 1, ROOTS)
    play.wonders(0, 2, ELICIT, FORM)
    text = "The client did not declare this capability"
    assert play.asks(10, declares={"elicitation": {}}) == [
        denied(1, "not-declared", text, -32601),
        Note("refused", ROOTS, "not-declared"),
        gather(),
    ]
    play = fresh()
    play.wonders(0, 1, ROOTS)
    assert play.asks(10, declares={})[-1] == sent(3, "tools/call", name="t")


@pytest.mark.parametrize("more", [{}, {"tools": []}])
def test_context_that_was_not_declared_is_left_out_of_what_the_set_up_asked_if_that_helps(more: Json) -> None:
    play = fresh({**INPUTS, "sampling": {"tools": {}, "context": {}}})
    play.wonders(0, 1, CREATE, {**SAMPLE, **more, "includeContext": "allServers"})
    effects = play.asks(10, declares={"sampling": {}})
    if more:  # tools were not declared either
        text = "The client did not declare this capability"
        refusal = [denied(1, "not-declared", text, -32602), Note("refused", CREATE, "not-declared")]
        assert effects == [*refusal, sent(3, "tools/call", name="t")]
    else:
        loss = Noted("includeContext needs sampling.context", "includeContext", Loss.DEGRADED)
        assert effects == [Note("lossy", CREATE, losses=(loss,)), gather()]


def test_questions_of_the_set_up_count_like_any_others() -> None:
    quota = Quota(1)
    play = fresh(quotas=(quota,))
    play.wonders(0, 1, ROOTS)
    play.asks(10)
    assert quota.parked == 1
    other = fresh(quotas=(quota,))
    other.wonders(0, 1, ROOTS)
    other.wonders(0, 2, ELICIT, FORM)
    assert other.asks(10) == [
        silent(1),
        Note("refused", ROOTS, "parked"),
        replied(2, {"action": "cancel"}),
        Note("refused", ELICIT, "parked"),
        sent(3, "tools/call", name="t"),
    ]


def test_a_call_whose_level_is_raised_first_takes_the_questions_that_came_meanwhile() -> None:
    play = fresh()
    play.asks(10, level=0)
    play.wonders(0, 1, ROOTS)
    assert play.returns(4) == [gather()]
    play.later(0.04, "gather:3")
    assert play.retries(11, 1, {"input-1": LISTED}) == [replied(1, LISTED), sent(3, "tools/call", name="t")]


def test_the_level_of_a_call_that_was_held_is_raised_before_it_is_sent() -> None:
    play = fresh()
    play.wonders(0, 1, ROOTS)
    play.asks(10)
    play.later(0.04, "gather:3")
    assert play.retries(11, 1, {"input-1": LISTED}, level=0) == [
        sent(4, "logging/setLevel", level="debug"),
        replied(1, LISTED),
    ]
    assert play.returns(4) == [sent(3, "tools/call", name="t")]


# ---- servers that are known to ask ----------------------------------------------------------------------------------


def known(**options: Any) -> StatelessPlay:
    return fresh(habits=Habits(asks_in_setup=True), **options)


def test_a_server_that_asks_in_its_set_up_is_waited_for_a_moment() -> None:
    play = known()
    assert play.asks(10, "tools/list", {}) == [sent(3, "tools/list")]
    play.returns(3, tools=[])
    assert play.asks(11) == [SetTimer("settle:4", SETTLE_S)]
    assert play.wonders(0, 1, ROOTS) == [gather(4)]
    assert play.later(SETTLE_S, "settle:4") == []
    assert play.later(0, "gather:4")[0] == shown(11, {"input-1": question(ROOTS)}, 1, 4)


def test_what_is_lost_of_a_call_that_is_held_back_is_noted() -> None:
    meta = {"io.modelcontextprotocol/logLevel": "info"}
    [lossy, timer] = known().asks(10, "tools/call", {"name": "t", "_meta": meta})
    assert (lossy.kind, timer) == ("lossy", SetTimer("settle:3", SETTLE_S))


def test_it_is_called_when_it_asks_nothing() -> None:
    play = known()
    play.asks(10)
    assert play.later(SETTLE_S, "settle:3") == [sent(3, "tools/call", name="t")]
    assert play.later(SETTLE_S, "settle:3") == []


def test_a_call_that_lost_its_client_meanwhile_is_not_sent() -> None:
    play = known()
    play.asks(10)
    assert play.leaves(10) == []
    assert play.later(SETTLE_S, "settle:3") == []


def test_it_is_not_waited_for_once_it_has_asked_or_a_call_runs_or_time_has_passed() -> None:
    play = known()
    play.wonders(0, 1, ROOTS)
    assert play.asks(10) == [gather()]
    play = known()
    play.asks(10)
    play.later(SETTLE_S, "settle:3")
    assert play.asks(11) == [sent(4, "tools/call", name="t")]
    play = known()
    play.now += SETUP_S
    assert play.asks(10) == [SetTimer("settle:3", SETTLE_S)]
    play = known()
    play.now += SETUP_S + 0.1
    assert play.asks(10) == [sent(3, "tools/call", name="t")]


def test_it_is_not_waited_for_where_it_could_not_ask() -> None:
    assert known(declares={"elicitation": {}}).asks(10) == [sent(3, "tools/call", name="t")]


def test_only_a_server_that_asks_for_roots_is_waited_for() -> None:
    play = fresh()
    play.wonders(0, 1, ELICIT, FORM)
    assert not play.habits.asks_in_setup
    play.wonders(0, 2, ROOTS)
    assert play.habits.asks_in_setup


# ---- what is remembered ---------------------------------------------------------------------------------------------


def test_roots_are_asked_once_for_all_sessions_of_a_caller() -> None:
    memory, habits = Memory(), Habits()
    play = fresh(memory=memory, habits=habits)
    play.wonders(0, 1, ROOTS)
    play.asks(10)
    play.later(0.04, "gather:3")
    play.retries(11, 1, {"input-1": LISTED})
    other = fresh(memory=memory, habits=habits, number=2)
    other.now = play.now
    assert other.asks(10) == [sent(3, "tools/call", name="t")]
    assert other.wonders(0, 1, ROOTS, {}) == [replied(1, LISTED)]
    assert other.wonders(0, 2, ELICIT, FORM) == [gather()]
    assert other.wonders(3, 3, ROOTS) == []
    other.now += SETUP_S + 0.1
    assert other.wonders(0, 4, ROOTS) == []
    assert fresh(memory=Memory(), habits=habits).wonders(0, 1, ROOTS) == [held(1)]


def test_a_server_that_asks_in_its_calls_asks_the_client_though_its_roots_are_known() -> None:
    """On a pipe nothing says what a question belongs to; one call is open, and the set-up has asked nothing so far."""
    memory, habits = Memory(), Habits()
    play = fresh(memory=memory, habits=habits)
    play.asks(10)
    play.wonders(0, 1, ROOTS)
    play.later(0.04, "gather:3")
    play.retries(11, 1, {"input-1": LISTED})
    assert (memory.roots is not None, habits.asks_in_setup) == (True, False)
    other = fresh(memory=memory, habits=habits, number=2)
    other.now = play.now
    assert other.wonders(0, 1, ROOTS) == [replied(1, LISTED)]
    other.asks(10)
    assert other.wonders(0, 2, ROOTS) == [gather()]


def test_roots_are_believed_for_a_minute() -> None:
    play = fresh()
    play.wonders(0, 1, ROOTS)
    play.asks(10)
    play.later(0.25, "gather:3")
    play.retries(11, 1, {"input-1": LISTED})
    play.returns(3)
    play.now += ROOTS_S
    assert play.wonders(0, 2, ROOTS) == [replied(2, LISTED)]
    play.now += 0.25
    assert play.wonders(0, 3, ROOTS) == refused(3, ROOTS)


def test_what_a_session_makes_of_the_roots_does_not_change_them() -> None:
    memory = Memory()
    play = fresh(memory=memory)
    play.wonders(0, 1, ROOTS)
    play.asks(10)
    play.later(0.04, "gather:3")
    play.retries(11, 1, {"input-1": LISTED})
    assert memory.roots is not None
    assert all(type(value) not in (dict, list) for value in memory.roots.values())


def test_a_session_that_was_opened_again_is_in_its_set_up_again() -> None:
    play = met(INPUTS)
    assert play.wonders(0, 1, ROOTS) == refused(1, ROOTS)
    play.talk.resync(play.now, again=False)
    assert play.wonders(0, 2, ROOTS) == refused(2, ROOTS)
    play.talk.resync(play.now, again=True)
    assert play.wonders(0, 3, ROOTS) == [held(3)]


@pytest.mark.parametrize("method", ["tools/list", "completion/complete"])
def test_a_request_that_cannot_ask_waits_for_nothing(method: str) -> None:
    play = known()
    play.wonders(0, 1, ROOTS)
    assert play.asks(10, method, {}) == [sent(3, method)]
    assert list(play.talk.held) == [1]
