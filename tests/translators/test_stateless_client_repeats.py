"""Retries that come twice: what was answered is answered again, and nothing is run again."""

from __future__ import annotations

from typing import Any

import pytest

from protocol_versions import jsonrpc
from tests.translators.playbook import Json
from tests.translators.stateless_playbook import (
    ACCEPTED,
    COMPLETE,
    DONE,
    ELICIT,
    FORM,
    INPUTS,
    LISTED,
    META,
    ROOTS,
    bad,
    done,
    errored,
    met,
    parked,
    question,
    replied,
    shown,
)
from translators.machine import FromServer, Note
from translators.stateless_client.answers import MAX_TOMB_BYTES, MAX_TOMBS

ANSWER: Json = {"input-1": ACCEPTED}
CONFLICT = Note("refused", "tools/call", "state-conflict")
UNKNOWN = Note("refused", "tools/call", "state-unknown")


def test_the_same_retry_twice_waits_for_the_same_answer() -> None:
    play = parked()
    assert play.retries(11, 1, ANSWER) == [replied(1, ACCEPTED)]
    assert play.retries(12, 1, ANSWER) == []
    assert play.returns(3, **DONE) == [done(11, COMPLETE), done(12, COMPLETE)]
    assert play.retries(13, 1, ANSWER) == [done(13, COMPLETE)]
    assert play.empty()


@pytest.mark.parametrize("kind", ["result", "error"])
def test_what_two_requests_are_given_neither_can_change_for_the_other(kind: str) -> None:
    play = parked()
    play.retries(11, 1, ANSWER)
    play.retries(12, 1, ANSWER)
    body = b'{"jsonrpc":"2.0","id":3,"result":{"content":[{"type":"text","text":"done"}],"_meta":{"x/y":1}}}'
    if kind == "error":
        body = b'{"jsonrpc":"2.0","id":3,"error":{"code":-1,"message":"no"}}'
    for effect in play.talk.handle(FromServer(3, jsonrpc.decode_backend(body)), play.now):
        frame: Any = effect.frame  # type: ignore[attr-defined]
        if kind == "error":
            frame.error.message = "changed"
        else:
            assert all(type(value) not in (dict, list) for value in frame.result.values())
            frame.result.clear()
    expected = done(13, {**COMPLETE, "_meta": {**META, "x/y": 1}}) if kind == "result" else errored(13, -1, "no")
    assert play.retries(13, 1, ANSWER) == [expected]


def test_a_retry_that_differs_only_in_its_spelling_is_the_same() -> None:
    play = parked((ELICIT, FORM), (ELICIT, FORM))
    play.retries(11, 1, {"input-1": {"action": "accept", "content": {"a": 1, "b": 2}}, "input-2": ACCEPTED})
    assert (
        play.retries(12, 1, {"input-2": ACCEPTED, "input-1": {"content": {"b": 2, "a": 1}, "action": "accept"}}) == []
    )


def test_another_answer_to_a_round_that_was_answered_is_refused() -> None:
    play = parked()
    play.retries(11, 1, ANSWER)
    assert play.retries(12, 1, {"input-1": {"action": "decline"}}) == [bad(12), CONFLICT]
    play.returns(3, **DONE)
    assert play.retries(13, 1, {"input-1": {"action": "decline"}}) == [bad(13), UNKNOWN]


def test_the_same_retry_while_questions_are_gathered_or_shown_gets_the_next_round() -> None:
    play = parked()
    play.retries(11, 1, ANSWER)
    play.wonders(3, 2, ROOTS)
    assert play.retries(12, 1, ANSWER) == []
    second = {"input-2": question(ROOTS)}
    assert play.later(0.04, "gather:3")[:2] == [shown(11, second, 2), shown(12, second, 2)]
    assert play.retries(13, 1, ANSWER) == [shown(13, second, 2)]
    assert play.retries(14, 2, {"input-2": LISTED}) == [replied(2, LISTED)]
    assert play.retries(15, 1, ANSWER) == [bad(15), CONFLICT]


def test_the_same_retry_of_a_call_that_was_given_up_waits_for_nothing() -> None:
    play = parked()
    play.retries(11, 1, ANSWER)
    play.wonders(3, 2, ROOTS)
    play.later(0.25, "gather:3")
    play.later(600, "parked:1")
    assert play.retries(12, 1, ANSWER) == [bad(12), CONFLICT]
    play.returns(3, **DONE)
    assert play.retries(13, 1, ANSWER) == [done(13, COMPLETE)]


def test_the_next_round_is_not_shown_to_a_request_that_declared_less() -> None:
    play = parked()
    play.retries(11, 1, ANSWER)
    play.wonders(3, 2, ROOTS)
    play.wonders(3, 3, ELICIT, FORM)
    play.later(0.04, "gather:3")
    needed: Json = {"requiredCapabilities": {"roots": {}}}
    assert play.retries(12, 1, ANSWER, declares={"elicitation": {}}) == [
        errored(12, -32021, "Missing required client capability", needed),
        Note("refused", "tools/call", "not-declared"),
    ]
    assert play.retries(13, 2, {"input-2": LISTED, "input-3": ACCEPTED}) == [replied(2, LISTED), replied(3, ACCEPTED)]


def test_the_latest_ends_are_kept() -> None:
    play = met(INPUTS)
    for call in range(3, 4 + MAX_TOMBS):
        play.suspended(1000 + call, call, call)
        play.retries(2000 + call, 1, ANSWER, call=call)
        play.returns(call, **DONE)
    assert play.retries(10, 1, ANSWER, call=3) == [bad(10), UNKNOWN]
    assert play.retries(11, 1, ANSWER, call=4) == [done(11, COMPLETE)]
    assert play.retries(12, 1, ANSWER, call=3 + MAX_TOMBS) == [done(12, COMPLETE)]


def test_an_end_may_be_as_long_as_that() -> None:
    for more in (0, 1):
        play = parked()
        play.retries(11, 1, ANSWER)
        [told] = play.talk.handle(FromServer(3, jsonrpc.decode_backend(_long(0))), play.now)
        told.frame.id = 3  # type: ignore[attr-defined]
        room = MAX_TOMB_BYTES - len(jsonrpc.encode(told.frame))  # type: ignore[attr-defined]
        play = parked()
        play.retries(11, 1, ANSWER)
        play.talk.handle(FromServer(3, jsonrpc.decode_backend(_long(room + more))), play.now)
        assert (play.retries(12, 1, ANSWER)[0] == bad(12)) is bool(more)


def _long(length: int) -> bytes:
    return b'{"jsonrpc":"2.0","id":3,"result":{"content":[],"x":"%b"}}' % (b"x" * length)


@pytest.mark.parametrize("kind", ["result", "error"])
def test_a_long_end_is_not_kept(kind: str) -> None:
    play = parked()
    play.retries(11, 1, ANSWER)
    text = "x" * MAX_TOMB_BYTES
    assert play.returns(3, content=[], x=text) if kind == "result" else play.errs(3, -1, text)
    assert play.retries(12, 1, ANSWER) == [bad(12), UNKNOWN]
