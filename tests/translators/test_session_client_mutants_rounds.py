"""Corners of input in rounds before a stateless server that mutants showed untested."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from tests.translators.playbook import Json
from tests.translators.session_playbook import DECLARED, FORM, INPUTS, ROOTS, SessionPlay, done, met, page, told
from translators.context import Context
from translators.loss import Loss, Noted
from translators.machine import Note, SetTimer
from translators.session_client.rounds import MAX_ASKS, PATIENCE_S, STATE_DELAYS_S, Bridge, Fault, read
from translators.session_client.urls import HOLD_DELAYS_S, MAX_HOLDS

CALL: Json = {"name": "t"}
ACCEPT: Json = {"action": "accept"}
PATIENCE = SetTimer("patience:2", PATIENCE_S)


def calling(**more: Any) -> SessionPlay:
    """A session with call 2 open on leg 2."""
    play = met(INPUTS)
    play.asks(2, "tools/call", **CALL, **more)
    return play


def visiting(*pages: Json, **more: Any) -> SessionPlay:
    """Call 2 on leg 3, its user busy on these pages."""
    play = calling(**more)
    play.requires(2, "s", **{f"p{number}": asked for number, asked in enumerate(pages)})
    for number in range(len(pages)):
        play.answers(number + 1, result=ACCEPT)
    return play


def complete(number: int) -> Any:
    return told(2, method="notifications/elicitation/complete", params={"elicitationId": f"elicitation-{number}"})


def test_a_page_that_is_done_is_told_before_a_round_of_state_alone() -> None:
    assert visiting(page()).requires(3, "s2") == [complete(1), SetTimer("state:2", STATE_DELAYS_S[0])]


def test_a_page_that_is_done_is_told_while_another_is_open() -> None:
    play = visiting(page(), page("https://example.com/b"))
    hold = SetTimer("state:2", HOLD_DELAYS_S[0])
    assert play.requires(3, "s2", a=page("https://example.com/b")) == [complete(1), hold]


def overdue() -> SessionPlay:
    """Call 2 asked about a page that its user has had open for too long, as question 2."""
    play = visiting(page())
    for leg in range(3, MAX_HOLDS + 3):
        assert isinstance(play.requires(leg, "s", a=page())[0], SetTimer)
        play.expires("state:2")
    [again] = play.requires(MAX_HOLDS + 3, "s", a=page())
    assert again.frame.params["elicitationId"] == "elicitation-2"
    return play


def test_a_page_that_stays_open_too_long_is_forgotten() -> None:
    play = overdue()
    play.answers(2, result={"action": "decline"})
    [asked] = play.requires(MAX_HOLDS + 4, "s", a=page())
    assert asked.frame.params["elicitationId"] == "elicitation-3", "nobody has agreed to it since"


def test_a_page_that_is_agreed_to_again_is_waited_for_anew() -> None:
    play = overdue()
    play.answers(2, result=ACCEPT)
    assert play.requires(MAX_HOLDS + 4, "s", a=page()) == [SetTimer("state:2", HOLD_DELAYS_S[0])]


def test_every_page_is_waited_for_from_the_shortest_pause_on() -> None:
    play = visiting(page())
    assert play.requires(3, "s", a=page()) == [SetTimer("state:2", HOLD_DELAYS_S[0])]
    play.expires("state:2")
    other = page("https://example.com/b")
    play.requires(4, "s", a=other)
    play.answers(2, result=ACCEPT)
    assert play.requires(5, "s", a=other) == [SetTimer("state:2", HOLD_DELAYS_S[0])]


def test_a_client_with_a_token_hears_of_every_kind_of_wait() -> None:
    token = {"_meta": {"progressToken": 2}}
    play = calling(**token)
    assert play.requires(2, "s") == [SetTimer("state:2", STATE_DELAYS_S[0]), PATIENCE]
    play = calling(**token)
    assert play.requires(2, a=FORM)[-1] == PATIENCE
    play = visiting(page(), **token)
    assert play.expires("patience:2") == [], "the leg is open: nobody waits"
    assert play.requires(3, a=page()) == [SetTimer("state:2", HOLD_DELAYS_S[0]), PATIENCE]


def test_one_timer_of_patience_runs_at_a_time() -> None:
    play = calling(_meta={"progressToken": 2})
    assert play.requires(2, "s")[-1] == PATIENCE
    play.expires("state:2")
    assert PATIENCE not in play.requires(3, "s")
    [progress, again] = play.expires("patience:2")
    assert progress.frame.params == {"progressToken": 2, "progress": 0.001, "message": "waiting for input"}
    assert again == PATIENCE


def test_patience_goes_on_from_the_last_progress() -> None:
    play = calling(_meta={"progressToken": 2})
    play.says(2, "notifications/progress", progressToken=2, progress=5)
    play.requires(2, "s")
    assert play.expires("patience:2")[0].frame.params["progress"] == 5.001


def test_a_client_without_a_token_is_told_of_no_wait() -> None:
    play = calling()
    assert play.requires(2, a=FORM) == [told(2, id="ask-1", **FORM)]
    assert play.expires("patience:2") == []


def test_what_an_answer_loses_is_noted_before_the_call_goes_on() -> None:
    play = calling()
    play.requires(2, a=ROOTS, b=ROOTS)
    lost = [Note("lossy", "roots/list", losses=(Noted("questions in interim results", "_meta", Loss.DEGRADED),))]
    assert play.answers(1, result={"roots": [], "_meta": {"x": 1}}) == lost
    responses: Json = {"a": {"roots": []}, "b": {"roots": []}}
    assert play.answers(2, result={"roots": [], "_meta": {"x": 1}}) == [
        *lost,
        play.leg(3, "tools/call", {**CALL, "inputResponses": responses}),
    ]


def test_an_answer_that_became_a_task_cannot_be_given() -> None:
    play = calling()
    play.requires(2, a=FORM)
    [answer, note] = play.answers(1, result={"task": {"taskId": "1"}})
    assert answer.frame.result["isError"] is True
    assert note == Note("refused", "tools/call", "input-unusable")
    assert play.empty()


def test_a_late_answer_of_a_call_that_is_over_is_dropped() -> None:
    play = calling()
    play.requires(2, a=FORM, b=ROOTS)
    play.notes("notifications/cancelled", requestId=2)
    assert play.answers(1, result=ACCEPT) == [Note("dropped", reason="answer-late")]
    assert play.empty()


def test_as_many_questions_as_may_be_asked_are() -> None:
    assert len(calling().requires(2, **{f"q{number}": ROOTS for number in range(MAX_ASKS)})) == MAX_ASKS
    [_answer, note] = calling().requires(2, **{f"q{number}": ROOTS for number in range(MAX_ASKS + 1)})
    assert note == Note("failed", "tools/call", "too-many-inputs")


@pytest.mark.parametrize("method", ["elicitation/create", "sampling/createMessage", "roots/list"])
def test_a_question_without_parameters_is_judged_by_its_method_alone(method: str) -> None:
    asked = {"inputRequests": {"a": {"method": method}}}
    bridge = Bridge(call=1, method="tools/call", params={}, ctx=Context())
    assert read(bridge, asked, DECLARED) == {"a": (method, None)}
    with pytest.raises(Fault) as fault:
        read(bridge, asked, {})
    assert fault.value.reason == "undeclared-input"


@pytest.mark.parametrize("state", ["s", Raw(b'"s"')])
def test_a_state_is_kept_as_bytes_whether_it_was_opened_or_not(state: Any) -> None:
    bridge = Bridge(call=1, method="tools/call", params={}, ctx=Context())
    assert read(bridge, {"requestState": state}, {}) == {}
    assert bridge.state == Raw(b'"s"')


def test_rounds_and_rounds_of_state_are_counted_apart() -> None:
    play = calling()
    leg = 2
    for number in range(1, 8):
        assert play.requires(leg, "s", a=ROOTS)[0] == told(2, id=f"ask-{number}", **ROOTS)
        play.answers(number, result={"roots": []})
        assert isinstance(play.requires(leg + 1, "s")[0], SetTimer)
        play.expires("state:2")
        leg += 2
    assert play.returns(leg, content=[]) == [done(2, {"content": []})]
