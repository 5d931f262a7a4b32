"""-32042: pages to visit before a call, shown in a round, waited for, and the call made again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translators.playbook import Json
from tests.translators.stateless_playbook import (
    ACCEPTED,
    COMPLETE,
    DONE,
    ELICIT,
    FORM,
    INPUTS,
    META,
    PAGE,
    ROOTS,
    StatelessPlay,
    bad,
    done,
    errored,
    failed,
    gather,
    met,
    parked,
    question,
    replied,
    sent,
    shown,
    unusable,
)
from translators.machine import Note, SetTimer
from translators.stateless_client import State
from translators.stateless_client.machine import Rules
from translators.stateless_client.rounds import MAX_ROUNDS
from translators.stateless_client.urls import DECLINED, MAX_ID, MAX_PAGES, MAX_VISITED, VISIT_S

REQUIRED = -32042
URLS: Json = {"elicitation": {"url": {}}}
YES: Json = {"action": "accept"}
TWO = ("e-1", "e-2")


def element(identity: str | None = "e-1", **more: Any) -> Json:
    """One page as a session server names it."""
    return {**PAGE, **({} if identity is None else {"elicitationId": identity}), **more}


def needing(*elements: Any, declares: Json | None = None, method: str = "tools/call", **options: Any) -> StatelessPlay:
    """A session whose call 3 was answered with these pages, to leg 10."""
    play = met(URLS if declares is None else declares, **options)
    play.asks(10, method)
    play.errs(3, REQUIRED, data={"elicitations": list(elements or (element(),))})
    return play


def visit(call: int) -> SetTimer:
    return SetTimer(f"visit:{call}", VISIT_S)


def complete(play: StatelessPlay, identity: Any) -> list[Any]:
    return play.says(0, "elicitation/complete", elicitationId=identity)


def test_a_page_is_asked_for_and_the_call_is_made_again_when_it_was_dealt_with() -> None:
    play = met(URLS)
    play.asks(10)
    assert play.errs(3, REQUIRED, data={"elicitations": [element()]}) == [
        shown(10, {"page-1-1": question(ELICIT, PAGE)}, 1, 3, ("e-1",))
    ]
    assert play.empty()
    assert play.retries(11, 1, {"page-1-1": YES}, pages=("e-1",)) == [visit(4)]
    assert complete(play, "other") == []
    assert complete(play, "e-1") == [sent(4, "tools/call", name="t")]
    assert play.later(VISIT_S, "visit:4") == []
    assert play.returns(4, **DONE) == [done(11, COMPLETE)]
    assert play.empty()


def test_a_page_that_was_dealt_with_before_its_answer_is_not_waited_for() -> None:
    play = needing()
    complete(play, "e-1")
    assert play.retries(11, 1, {"page-1-1": YES}, pages=("e-1",)) == [sent(4, "tools/call", name="t")]


def test_every_page_is_waited_for() -> None:
    play = needing(element(), element("e-2", url="https://example.com/b"))
    complete(play, "e-2")
    assert play.retries(11, 1, {"page-1-2": YES, "page-1-1": YES}, pages=TWO) == [visit(4)]
    assert complete(play, "e-2") == []
    assert complete(play, "e-1") == [sent(4, "tools/call", name="t")]


def test_a_server_that_says_nothing_is_called_again_after_a_while() -> None:
    play = needing()
    play.retries(11, 1, {"page-1-1": YES}, pages=("e-1",))
    assert play.later(VISIT_S, "visit:4") == [sent(4, "tools/call", name="t")]
    assert complete(play, "e-1") == []
    again = {"page-2-1": question(ELICIT, PAGE)}
    assert play.errs(4, REQUIRED, data={"elicitations": [element()]}) == [shown(11, again, 2, 4, ("e-1",))]
    assert play.retries(12, 2, {"page-2-1": YES}, call=4, pages=("e-1",)) == [sent(5, "tools/call", name="t")]


def test_a_call_that_is_left_while_it_waits_for_a_page_is_never_made() -> None:
    play = needing()
    play.retries(11, 1, {"page-1-1": YES}, pages=("e-1",))
    assert play.leaves(11) == []
    assert complete(play, "e-1") == []
    assert play.later(VISIT_S, "visit:4") == []
    assert play.empty()


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_a_user_who_does_not_agree_ends_the_call(action: str) -> None:
    play = needing(element(), element("e-2"))
    text = [{"type": "text", "text": DECLINED}]
    assert play.retries(11, 1, {"page-1-1": YES, "page-1-2": {"action": action}}, pages=TWO) == [
        done(11, {"resultType": "complete", "content": text, "isError": True, "_meta": META}),
        Note("refused", "tools/call", "input-declined"),
    ]
    assert play.empty()
    play = needing(method="prompts/get")
    assert play.retries(11, 1, {"page-1-1": {"action": action}}, method="prompts/get", pages=("e-1",)) == [
        failed(11, "input-declined", DECLINED),
        Note("refused", "prompts/get", "input-declined"),
    ]
    assert play.empty()


@pytest.mark.parametrize("answers", [None, {}, {"page-1-1": YES}, {"page-2-1": {"action": "decline"}}])
def test_a_call_with_pages_left_out_is_made_again_for_the_server_to_say_what_it_needs(answers: Any) -> None:
    play = needing(element(), element("e-2"))
    assert play.retries(11, 1, answers, pages=TWO) == [sent(4, "tools/call", name="t")]


@pytest.mark.parametrize("answer", [{}, {"action": "maybe"}, "accept", None, [], {"action": "accept", "content": 1}])
def test_an_answer_that_is_none_changes_nothing(answer: Any) -> None:
    play = needing()
    unused = [unusable(11), Note("refused", "tools/call", "input-unusable")]
    assert play.retries(11, 1, {"page-1-1": answer}, pages=("e-1",)) == unused
    assert play.empty()
    assert play.retries(12, 1, {"page-1-1": YES}, pages=("e-1",)) == [visit(5)]


@pytest.mark.parametrize("answers", ["accept", 7, [], True])
def test_answers_that_are_no_object_change_nothing(answers: Any) -> None:
    play = needing()
    unused = [unusable(11), Note("refused", "tools/call", "input-unusable")]
    assert play.retries(11, 1, answers, pages=("e-1",)) == unused
    assert play.empty()
    assert play.retries(12, 1, {"page-1-1": YES}, pages=("e-1",)) == [visit(4)]


def test_one_consent_makes_one_call_however_often_it_is_sent() -> None:
    play = needing()
    play.retries(11, 1, {"page-1-1": YES}, pages=("e-1",))
    assert play.retries(12, 1, {"page-1-1": YES}, pages=("e-1",)) == []
    assert complete(play, "e-1") == [sent(4, "tools/call", name="t")]
    assert play.retries(13, 1, {"page-1-1": YES}, pages=("e-1",)) == []
    assert play.retries(14, 1, {"page-1-1": {"action": "decline"}}, pages=("e-1",)) == [
        bad(14),
        Note("refused", "tools/call", "state-conflict"),
    ]
    assert play.returns(4, **DONE) == [done(leg, COMPLETE) for leg in (11, 12, 13)]
    assert play.retries(15, 1, {"page-1-1": YES}, pages=("e-1",)) == [done(15, COMPLETE)]
    assert play.empty()


def test_consents_that_wait_for_the_handshake_make_one_call_too() -> None:
    play = StatelessPlay(URLS)
    play.opens()
    for leg in (10, 11):
        assert play.retries(leg, 1, {"page-1-1": YES}, pages=("e-1",)) == []
    play.returns(1, protocolVersion="2025-11-25", capabilities={}, serverInfo={})
    assert play.greets() == [visit(3)]
    assert complete(play, "e-1") == [sent(3, "tools/call", name="t")]


def test_a_consent_to_pages_of_another_session_is_good_here() -> None:
    play = met(URLS)
    sealed = State("visit", "other", 9, 77, 1, ["e-1"]).text()
    params = {"name": "t", "requestState": sealed, "inputResponses": {"page-1-1": YES}}
    assert play.asks(10, "tools/call", params) == [visit(3)]
    assert play.asks(11, "tools/call", params) == []
    assert complete(play, "e-1") == [sent(3, "tools/call", name="t")]


def test_the_first_consents_are_forgotten() -> None:
    play = needing()
    for number in range(MAX_VISITED + 1):
        play.retries(100 + number, 1, {"page-1-1": YES}, call=1000 + number, pages=("e-1",))
    made = play.talk.minted
    play.retries(300, 1, {"page-1-1": YES}, call=1001, pages=("e-1",))
    assert play.talk.minted == made
    play.retries(301, 1, {"page-1-1": YES}, call=1000, pages=("e-1",))
    assert play.talk.minted == made + 1


def test_a_call_that_was_made_again_may_ask_and_its_rounds_go_on() -> None:
    play = needing(declares=INPUTS)
    complete(play, "e-1")
    play.retries(11, 1, {"page-1-1": YES}, pages=("e-1",))
    assert play.wonders(4, 1, ELICIT, FORM) == [gather(4)]
    second = {"input-33": question(ELICIT, FORM)}
    assert play.later(0.04, "gather:4")[0] == shown(11, second, 2, 4)
    assert play.retries(12, 1, {"page-1-1": YES}, pages=("e-1",)) == [shown(12, second, 2, 4)]
    assert play.retries(13, 2, {"input-33": ACCEPTED}, call=4) == [replied(1, ACCEPTED)]
    assert play.retries(14, 1, {"page-1-1": YES}, pages=("e-1",))[0] == bad(14)
    assert play.errs(4, REQUIRED, data={"elicitations": [element("e-9")]}) == [
        shown(13, {"page-3-1": question(ELICIT, PAGE)}, 3, 4, ("e-9",))
    ]
    assert play.empty()
    assert play.habits.quiet == 0


def test_questions_that_are_open_when_pages_are_asked_for_are_answered_by_nobody() -> None:
    play = met(INPUTS)
    play.asks(10)
    play.wonders(3, 1, ELICIT, FORM)
    page = shown(10, {"page-1-1": question(ELICIT, PAGE)}, 1, 3, ("e-1",))
    assert play.errs(3, REQUIRED, data={"elicitations": [element()]}) == [page, replied(1, {"action": "cancel"})]
    assert play.empty()


def test_pages_asked_for_while_nobody_waits_are_shown_to_the_retry() -> None:
    play = parked()
    play.errs(3, REQUIRED, data={"elicitations": [element()]})
    shown_at_last = shown(11, {"page-2-1": question(ELICIT, PAGE)}, 2, 3, ("e-1",))
    assert play.retries(11, 1, {"input-1": ACCEPTED})[-1] == shown_at_last
    assert play.empty()


def test_rounds_of_pages_count_like_any_others() -> None:
    play = needing()
    for round_ in range(1, MAX_ROUNDS + 1):
        call = round_ + 3
        key = f"page-{round_}-1"
        play.retries(10 + round_, round_, {key: YES}, call=call - 1, pages=("e-1",))
        play.later(VISIT_S, f"visit:{call}")
        [effect] = play.errs(call, REQUIRED, data={"elicitations": [element()]})
        assert effect.frame.kind == ("response" if round_ < MAX_ROUNDS else "error")
    assert effect.frame.error.code == -32603
    assert play.empty()


def test_the_last_round_there_can_be_is_answered() -> None:
    play = needing()
    key = f"page-{MAX_ROUNDS}-1"
    assert play.retries(11, MAX_ROUNDS, {key: YES}, pages=("e-1",)) == [visit(4)]


# ---- who can be asked -----------------------------------------------------------------------------------------------


def test_a_client_that_opens_no_pages_is_told_what_it_needs() -> None:
    play = met({"elicitation": {"form": {}}})
    play.asks(10)
    [effect] = play.errs(3, REQUIRED, data={"elicitations": [element()]})
    assert effect.frame.error.code == -32021
    assert effect.frame.error.data["requiredCapabilities"] == {"elicitation": {"url": {}}}


def test_pages_are_asked_of_requests_that_all_open_them() -> None:
    play = parked()
    play.retries(11, 1, {"input-1": ACCEPTED})
    play.retries(12, 1, {"input-1": ACCEPTED}, declares={"elicitation": {}})
    effects = play.errs(3, REQUIRED, data={"elicitations": [element()]})
    assert [effect.frame.error.code for effect in effects] == [-32021, -32021]


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"elicitations": []},
        {"elicitations": {}},
        {"elicitations": [{"url": "https://example.com/a"}]},
        {"elicitations": [{"message": "Open"}]},
        {"elicitations": [{"url": 1, "message": "Open"}]},
        {"elicitations": ["https://example.com/a"]},
    ],
)
def test_an_error_without_pages_is_an_error_no_newer_server_gives(data: Any) -> None:
    play = met(URLS)
    play.asks(10)
    [effect] = play.errs(3, REQUIRED, "secret", data=data)
    assert effect.frame.error.code == -32603
    assert effect.frame.error.data["legacyCode"] == REQUIRED
    assert play.empty()


def test_the_brokers_own_errors_ask_for_nothing() -> None:
    play = met(URLS)
    play.asks(10)
    [effect] = play.errs(3, REQUIRED, data={"elicitations": [element()]}, origin="broker")
    assert effect == errored(10, REQUIRED, "no", {"elicitations": [element()]})


def test_an_error_of_another_code_is_itself() -> None:
    play = met(URLS)
    play.asks(10)
    data = {"elicitations": [element()]}
    assert play.errs(3, -1, data=data) == [errored(10, -1, "no", data)]


# ---- how it is read -------------------------------------------------------------------------------------------------


def test_only_so_many_pages_are_shown() -> None:
    play = met(URLS)
    play.asks(10)
    [effect] = play.errs(3, REQUIRED, data={"elicitations": [element(str(n)) for n in range(MAX_PAGES + 1)]})
    keys = list(effect.frame.result["inputRequests"])
    assert keys == [f"page-1-{number}" for number in range(1, MAX_PAGES + 1)]


@pytest.mark.parametrize("identity", ["e", "x" * MAX_ID])
def test_a_page_may_have_a_short_id_or_a_long_one(identity: str) -> None:
    play = needing(element(identity))
    play.retries(11, 1, {"page-1-1": YES}, pages=(identity,))
    assert complete(play, identity) == [sent(4, "tools/call", name="t")]


@pytest.mark.parametrize(("identity", "kept"), [(None, ""), (7, ""), ("x" * MAX_ID, "x" * MAX_ID), ("x" * 257, "")])
def test_a_page_without_an_id_that_can_be_waited_for_is_waited_for_in_vain(identity: Any, kept: str) -> None:
    play = met(URLS)
    play.asks(10)
    [effect] = play.errs(3, REQUIRED, data={"elicitations": [element(identity)]})
    assert effect == shown(10, {"page-1-1": question(ELICIT, PAGE)}, 1, 3, (kept,))
    assert play.retries(11, 1, {"page-1-1": YES}, pages=(kept,)) == [visit(4)]
    if not kept:
        assert complete(play, "") == []
    assert play.later(VISIT_S, "visit:4") == [sent(4, "tools/call", name="t")]


@pytest.mark.parametrize("identity", [None, 7, "", "x" * (MAX_ID + 1), ["e-1"]])
def test_a_completion_of_nothing_is_not_remembered(identity: Any) -> None:
    play = needing()
    complete(play, identity)
    assert not play.talk.visits.done


def test_the_latest_completions_are_remembered() -> None:
    play = needing()
    for number in range(MAX_VISITED):
        complete(play, f"e-{number}")
    complete(play, "e-0")
    complete(play, "last")
    assert len(play.talk.visits.done) == MAX_VISITED
    assert {"e-0", "last"} <= play.talk.visits.done.keys()
    assert "e-1" not in play.talk.visits.done


def test_a_call_that_is_sent_already_waits_for_no_page() -> None:
    play = met(URLS, rules=Rules())
    play.asks(10)
    assert play.later(VISIT_S, "visit:3") == []
    assert play.returns(3, **DONE) == [done(10, COMPLETE)]


def test_a_call_whose_waiting_requests_differ_waits_for_the_level_of_the_most_curious() -> None:
    play = needing()
    play.retries(11, 1, {"page-1-1": YES}, pages=("e-1",))
    assert play.retries(12, 1, {"page-1-1": YES}, pages=("e-1",), level=0) == [
        sent(5, "logging/setLevel", level="debug")
    ]
    assert complete(play, "e-1") == []
    assert play.returns(5) == [sent(4, "tools/call", name="t")]


def test_what_is_lost_of_a_retry_is_noted() -> None:
    play = needing()
    spoofed = {"io.modelcontextprotocol/subscriptionId": 1}
    [lossy, timer] = play.retries(11, 1, {"page-1-1": YES}, pages=("e-1",), meta=spoofed)
    assert (lossy.kind, timer) == ("lossy", visit(4))


def test_a_set_up_question_is_asked_before_the_call_is_made_again() -> None:
    play = needing(declares=INPUTS)
    play.retries(11, 1, {"page-1-1": YES}, pages=("e-1",))
    play.now -= 10
    play.wonders(0, 1, ROOTS)
    assert complete(play, "e-1") == [gather(4)]
