"""Questions that policy has answered before the machine hears of a round: nobody is asked, the server is answered."""

from __future__ import annotations

from typing import Any

from protocol_versions import jsonrpc
from tests.translators.playbook import Json, text
from tests.translators.session_playbook import FORM, INPUTS, ROOTS, SessionPlay, done, failed, met, page, told
from translators.machine import FromServer, Note, SetTimer
from translators.session_client.rounds import MAX_ROUNDS
from translators.session_client.urls import HOLD_DELAYS_S

CALL = {"name": "t", "arguments": {}}
CANCEL: Json = {"action": "cancel"}
LISTED: Json = {"roots": []}
ELICITATION = "elicitation/create"


def calling() -> SessionPlay:
    """A session with call 2 open on leg 2."""
    play = met(INPUTS)
    play.asks(2, "tools/call", **CALL)
    return play


def requires(play: SessionPlay, leg: int, settled: Json, state: str | None = None, **requests: Any) -> list[Any]:
    """The server's wish for input, of which this is settled."""
    result: Json = {"resultType": "input_required", "inputRequests": requests}
    if state is not None:
        result["requestState"] = state
    frame = jsonrpc.decode_backend(text({"id": leg, "result": result}))
    return play.event(FromServer(leg, frame, settled=settled))


def test_what_is_settled_goes_with_the_answers_of_the_client() -> None:
    play = calling()
    assert requires(play, 2, {"b": CANCEL}, "s", a=ROOTS) == [told(2, id="ask-1", **ROOTS)]
    assert play.talk.bridges[2].questions == {"a": "roots/list", "b": ELICITATION}
    retry = {**CALL, "inputResponses": {"b": CANCEL, "a": LISTED}, "requestState": "s"}
    assert play.answers(1, result=LISTED) == [play.leg(3, "tools/call", retry)]
    assert play.returns(3, content=[]) == [done(2, {"content": []})]
    assert play.empty()


def test_a_round_that_is_settled_whole_goes_on_at_once() -> None:
    for state in ("s", None):
        play = calling()
        kept = {} if state is None else {"requestState": state}
        retry = {**CALL, "inputResponses": {"b": CANCEL}, **kept}
        assert requires(play, 2, {"b": CANCEL}, state) == [play.leg(3, "tools/call", retry)]
        bridge = play.talk.bridges[2]
        assert (bridge.questions, bridge.round, bridge.state_rounds) == ({"b": ELICITATION}, 1, 0)
        assert play.returns(3, content=[]) == [done(2, {"content": []})]


def test_what_was_settled_in_one_round_is_not_said_in_the_next() -> None:
    play = calling()
    requires(play, 2, {"b": CANCEL})
    play.requires(3, a=ROOTS)
    assert play.talk.bridges[2].questions == {"a": "roots/list"}
    assert play.answers(1, result=LISTED) == [play.leg(4, "tools/call", {**CALL, "inputResponses": {"a": LISTED}})]


def test_a_page_that_is_open_already_waits_with_what_is_settled() -> None:
    play = calling()
    play.requires(2, u=page())
    play.answers(1, result={"action": "accept"})
    assert requires(play, 3, {"b": CANCEL}, u=page()) == [SetTimer("state:2", HOLD_DELAYS_S[0])]
    responses = {"b": CANCEL, "u": {"action": "accept"}}
    assert play.expires("state:2") == [play.leg(4, "tools/call", {**CALL, "inputResponses": responses})]


def test_a_page_that_is_asked_for_no_more_is_complete_also_where_the_rest_is_settled() -> None:
    play = calling()
    play.requires(2, u=page())
    play.answers(1, result={"action": "accept"})
    complete = told(2, method="notifications/elicitation/complete", params={"elicitationId": "elicitation-1"})
    assert requires(play, 3, {"b": CANCEL}) == [
        complete,
        play.leg(4, "tools/call", {**CALL, "inputResponses": {"b": CANCEL}}),
    ]


def test_rounds_that_are_settled_are_counted_too() -> None:
    play = calling()
    for leg in range(2, 2 + MAX_ROUNDS):
        assert requires(play, leg, {"b": CANCEL}) == [
            play.leg(leg + 1, "tools/call", {**CALL, "inputResponses": {"b": CANCEL}})
        ]
    assert requires(play, 2 + MAX_ROUNDS, {"b": CANCEL}) == [
        failed(2, "too-many-rounds", "The server asked for input too many times"),
        Note("failed", "tools/call", "too-many-rounds"),
    ]
    assert play.empty()


def test_questions_that_are_asked_are_remembered_with_their_methods() -> None:
    play = calling()
    play.requires(2, a=FORM, b=ROOTS)
    assert play.talk.bridges[2].questions == {"a": ELICITATION, "b": "roots/list"}
