"""Corners of input in rounds before a stateless server that mutants showed untested."""

from __future__ import annotations

from typing import Any

from tests.translators.playbook import Json
from tests.translators.session_playbook import FORM, INPUTS, ROOTS, SessionPlay, done, met, page, told
from translators.loss import Loss, Noted
from translators.machine import Note, SetTimer
from translators.session_client.rounds import PATIENCE_S, STATE_DELAYS_S
from translators.session_client.urls import HOLD_DELAYS_S

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
