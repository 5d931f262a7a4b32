"""Elicitation by URL before a stateless server: ids and completion, which only the client's revision knows."""

from __future__ import annotations

from typing import Any

from tests.translators.playbook import Json
from tests.translators.session_playbook import FORM, INPUTS, SessionPlay, done, met, page, told
from translators.machine import SetTimer
from translators.session_client.rounds import MAX_ROUNDS
from translators.session_client.urls import HOLD_DELAYS_S, MAX_HOLDS

CALL = {"name": "t"}
ACCEPT: Json = {"action": "accept"}


def calling() -> SessionPlay:
    play = met(INPUTS)
    play.asks(2, "tools/call", **CALL)
    return play


def asked(number: int, uri: str = "https://example.com/a", message: str = "Open", identified: int | None = None) -> Any:
    params = {**page(uri, message)["params"], "elicitationId": f"elicitation-{identified or number}"}
    return told(2, id=f"ask-{number}", method="elicitation/create", params=params)


def complete(number: int) -> Any:
    params = {"elicitationId": f"elicitation-{number}"}
    return told(2, method="notifications/elicitation/complete", params=params)


def retry(play: SessionPlay, leg: int, answers: Json, **more: Any) -> Any:
    return play.leg(leg, "tools/call", {**CALL, "inputResponses": answers, **more})


def visiting() -> SessionPlay:
    """Call 2 on leg 3, its user busy on the page of elicitation 1."""
    play = calling()
    play.requires(2, "s", a=page())
    assert play.answers(1, result=ACCEPT) == [retry(play, 3, {"a": ACCEPT}, requestState="s")]
    return play


def test_a_page_gets_an_id_and_its_completion_is_told_when_the_call_is_done() -> None:
    play = calling()
    assert play.requires(2, "s", a=page()) == [asked(1)]
    play.answers(1, result=ACCEPT)
    assert play.returns(3, content=[]) == [complete(1), done(2, {"content": []})]
    assert play.empty()


def test_a_form_has_no_id_and_completes_nothing() -> None:
    play = calling()
    [question] = play.requires(2, a=FORM)
    assert "elicitationId" not in question.frame.params
    play.answers(1, result=ACCEPT)
    assert play.returns(3, content=[]) == [done(2, {"content": []})]


def test_a_page_the_user_did_not_agree_to_is_never_complete() -> None:
    for action in ("decline", "cancel"):
        play = calling()
        play.requires(2, a=page())
        play.answers(1, result={"action": action})
        assert play.returns(3, content=[]) == [done(2, {"content": []})]


def test_a_page_the_user_has_open_is_not_asked_for_again() -> None:
    play = visiting()
    for number, delay_s in enumerate((*HOLD_DELAYS_S, HOLD_DELAYS_S[-1])):
        assert play.requires(3 + number, f"s{number}", b=page()) == [SetTimer("state:2", delay_s)]
        assert play.expires("state:2") == [retry(play, 4 + number, {"b": ACCEPT}, requestState=f"s{number}")]
    assert play.returns(8, content=[]) == [complete(1), done(2, {"content": []})]


def test_waiting_for_a_page_does_not_use_up_the_rounds() -> None:
    play = visiting()
    for number in range(MAX_ROUNDS + 5):
        play.requires(3 + number, b=page())
        play.expires("state:2")
    assert play.returns(3 + MAX_ROUNDS + 5, content=[])[-1] == done(2, {"content": []})


def test_a_user_who_takes_too_long_is_asked_again() -> None:
    play = visiting()
    for number in range(MAX_HOLDS):
        play.requires(3 + number, b=page())
        play.expires("state:2")
    assert play.requires(3 + MAX_HOLDS, b=page()) == [asked(2)]
    play.answers(2, result=ACCEPT)
    assert play.returns(4 + MAX_HOLDS, content=[]) == [complete(2), done(2, {"content": []})]


def test_another_page_and_another_message_are_other_questions() -> None:
    play = visiting()
    assert play.requires(3, b=page("https://example.com/b")) == [complete(1), asked(2, "https://example.com/b")]
    play.answers(2, result=ACCEPT)
    assert play.requires(4, c=page("https://example.com/b", "Again")) == [
        complete(2),
        asked(3, "https://example.com/b", "Again"),
    ]


def test_beside_a_page_the_user_has_open_only_the_rest_is_asked() -> None:
    play = visiting()
    assert play.requires(3, b=page(), c=FORM) == [told(2, id="ask-2", **FORM)]
    assert play.answers(2, result={"action": "decline"}) == [retry(play, 4, {"b": ACCEPT, "c": {"action": "decline"}})]
    assert play.returns(4, content=[]) == [complete(1), done(2, {"content": []})]


def test_a_call_that_fails_tells_of_no_completion() -> None:
    play = visiting()
    [answer] = play.errs(3, -32603, "no")
    assert answer.final
    assert play.empty()


def test_a_client_that_waits_for_its_user_hears_of_it() -> None:
    play = met(INPUTS)
    play.asks(2, "tools/call", **CALL, _meta={"progressToken": 2})
    play.requires(2, a=page())
    play.answers(1, result=ACCEPT)
    play.requires(3, a=page())
    assert play.expires("patience:2")[0].frame.method == "notifications/progress"
