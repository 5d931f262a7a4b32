"""A lost backend session: opened again, told again what it forgot, and the call that found the loss sent once more."""

from __future__ import annotations

import pytest

from tests.translators.playbook import CLIENT_INFO, SERVER_INFO, Json, Play, frame, opened, to_client, to_server
from translators.link import LOST, MAX_WAITING
from translators.machine import (
    REOPENING,
    Accept,
    Expired,
    Failed,
    Note,
    OpenStream,
    Repipe,
    Resend,
    ToServer,
)

INITIALIZE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": CLIENT_INFO}
INITIALIZED = to_server(0, REOPENING, method="notifications/initialized")


def play(**options: Json) -> Play:
    return opened("2025-06-18", **options)  # type: ignore[arg-type]


def answer(one: Play, call: int, revision: object = "2025-06-18") -> list[object]:
    """The new session's answer to our `initialize`."""
    result = {"protocolVersion": revision, "capabilities": {"logging": {}}, "serverInfo": SERVER_INFO}
    return one.linked(one.link.answered(frame(id=call, result=result)))


def called(one: Play, client_id: int = 1) -> ToServer:
    """A call of the client, as it was handed to the link."""
    effect = one.call(10 + client_id, client_id)[0]
    assert isinstance(effect, ToServer)
    return effect


def test_while_the_session_is_up_messages_pass() -> None:
    one = play()
    sent = called(one)
    assert one.link.send(sent) == [sent]


def test_a_lost_session_is_opened_again_as_the_first_time() -> None:
    one = play()
    called(one)
    assert one.linked(one.link.lost(2)) == [
        Note("session-lost"),
        to_server(3, initialize=True, id=3, method="initialize", params=INITIALIZE),
    ]
    assert one.link.phase == "reopening"


def test_the_new_session_is_greeted_before_anything_else_and_then_the_call_is_sent_again() -> None:
    one = play()
    called(one)
    one.link.lost(2)
    assert answer(one, 3) == [Repipe("2025-06-18"), INITIALIZED]
    assert one.link.phase == "replaying"
    assert one.link.greeted() == [OpenStream(), Resend(2)]
    assert one.link.phase == "up"


def test_level_and_subscriptions_are_replayed_and_answered_before_calls_are_sent() -> None:
    one = play()
    one.call(3, "a", "logging/setLevel", level="warning")
    one.server({"id": 2, "result": {}}, 2)
    for number, uri in ((3, "test://a"), (4, "test://b"), (5, "test://c")):
        one.call(3, uri, "resources/subscribe", uri=uri)
        one.server({"id": number, "result": {}}, number)
    one.call(3, "z", "resources/unsubscribe", uri="test://b")
    one.server({"id": 6, "result": {}}, 6)
    called(one)
    waits = called(one, 2)
    one.link.lost(7)
    assert one.link.send(waits) == []
    answer(one, 9)
    assert one.linked(one.link.greeted()) == [
        to_server(10, id=10, method="logging/setLevel", params={"level": "warning"}),
        to_server(11, id=11, method="resources/subscribe", params={"uri": "test://a"}),
        to_server(12, id=12, method="resources/subscribe", params={"uri": "test://c"}),
    ]
    assert one.link.answered(frame(id=11, result={})) == []
    lost = frame(id=10, error={"code": -32601, "message": "no"})
    assert one.link.answered(lost) == [Note("failed", "logging/setLevel", "not-replayed")]
    assert one.link.phase == "replaying"
    missing = Note("failed", "resources/subscribe", "not-replayed")
    assert one.link.failed(12) == [missing, OpenStream(), Resend(7), waits]


def test_what_the_backend_refused_is_not_replayed() -> None:
    one = play()
    one.call(3, "a", "logging/setLevel", level="warning")
    one.server({"id": 2, "error": {"code": -32602, "message": "no"}}, 2)
    one.call(3, "b", "resources/subscribe", uri="test://a")
    one.server({"id": 3, "error": {"code": -32602, "message": "no"}}, 3)
    one.link.lost(0)
    answer(one, 4)
    assert one.link.greeted() == [OpenStream()]


def test_a_level_the_broker_keeps_itself_is_not_told_to_the_backend() -> None:
    one = play(offers={})
    one.call(3, "a", "logging/setLevel", level="warning")
    one.link.lost(0)
    answer(one, 3)
    assert one.link.greeted() == [OpenStream()]


def test_messages_wait_in_order_while_the_session_is_opened() -> None:
    one = play()
    called(one)
    one.link.lost(2)
    waiting = [called(one, 2), to_server(0, 20, method="notifications/roots/list_changed"), called(one, 3)]
    assert [one.link.send(effect) for effect in waiting] == [[], [], []]
    answer(one, 3)
    assert one.link.greeted() == [OpenStream(), Resend(2), *waiting]


def test_our_own_messages_do_not_wait_for_themselves() -> None:
    one = play()
    one.talk.subscriptions["test://a"] = None
    initialize = one.link.lost(0)[-1]
    assert isinstance(initialize, ToServer)
    assert one.link.send(initialize) == [initialize]
    assert one.link.send(INITIALIZED) == [INITIALIZED]
    answer(one, 2)
    subscribe = one.link.greeted()[0]
    assert isinstance(subscribe, ToServer)
    assert one.link.send(subscribe) == [subscribe]


def test_several_calls_that_find_the_loss_open_one_session() -> None:
    one = play()
    called(one)
    called(one, 2)
    one.link.lost(2)
    assert one.link.lost(3, stale=True) == []
    answer(one, 4)
    assert one.link.greeted() == [OpenStream(), Resend(2), Resend(3)]


def test_a_call_that_hears_late_of_the_old_sessions_end_is_sent_to_the_new_one() -> None:
    one = play()
    called(one)
    called(one, 2)
    one.link.lost(2)
    answer(one, 4)
    one.link.greeted()
    assert one.link.lost(3, stale=True) == [Resend(3)]
    assert one.link.lost(0, stale=True) == []
    assert one.link.phase == "up"


def test_a_call_is_sent_again_once() -> None:
    one = play()
    called(one)
    one.link.lost(2)
    answer(one, 3)
    one.link.greeted()
    assert one.link.lost(2) == [Failed(2, LOST, "no")]
    # The session it found is lost as well, and the next call is not sent without one.
    assert one.link.phase == "down"
    after = called(one, 2)
    assert one.linked(one.link.send(after))[0] == Note("session-lost")
    assert one.link.waiting == [after]


def test_a_call_that_was_sent_again_may_name_an_earlier_session_than_the_one_that_is_up() -> None:
    one = play()
    called(one)
    one.link.lost(2)
    answer(one, 3)
    one.link.greeted()
    assert one.link.lost(2, stale=True) == [Failed(2, LOST, "no")]
    assert one.link.phase == "up"


def test_a_call_that_ended_may_lose_another_session_under_a_new_id() -> None:
    one = play()
    called(one)
    one.link.lost(2)
    answer(one, 3)
    one.link.greeted()
    one.link.ended(2)
    assert not one.link.resent


@pytest.mark.parametrize("how", ["error", "failed", "unknown", "garbage", "lost"])
def test_a_session_that_cannot_be_opened_fails_what_waited_and_leaves_nothing_behind(how: str) -> None:
    one = play()
    called(one)
    one.link.lost(2)
    one.link.send(called(one, 2))
    one.link.send(to_server(0, 20, method="notifications/roots/list_changed"))
    if how == "error":
        effects = one.link.answered(frame(id=3, error={"code": -32603, "message": "no"}))
    elif how == "failed":
        effects = one.link.failed(3)
    elif how == "lost":
        effects = one.link.lost(3)
    else:
        effects = list(answer(one, 3, "2026-07-28" if how == "unknown" else {"a": []}))  # type: ignore[arg-type]
    assert effects == [
        Note("session-not-reopened"),
        Failed(2, LOST, "no"),
        Failed(4, LOST, "no"),
        Accept(20),
    ]
    assert (one.link.phase, one.link.internal, one.link.waiting, one.link.resend) == ("down", {}, [], [])


def test_a_new_session_that_is_lost_while_it_is_greeted_goes_down() -> None:
    one = play()
    called(one)
    one.link.lost(2)
    answer(one, 3)
    assert one.link.lost(0) == [Note("session-not-reopened"), Failed(2, LOST, "no")]
    assert one.link.greeted() == []
    assert one.link.phase == "down"


def test_the_next_call_tries_again_and_is_sent_when_it_succeeds() -> None:
    one = play()
    one.link.lost(0)
    one.link.failed(2)
    after = to_server(0, 20, method="notifications/roots/list_changed")
    assert one.link.send(after) == [Accept(20)]
    sent = called(one)
    effects = one.linked(one.link.send(sent))
    assert effects[0] == Note("session-lost")
    assert effects[1].frame == frame(id=4, method="initialize", params=INITIALIZE)
    answer(one, 4)
    assert one.link.greeted() == [OpenStream(), sent]


def test_too_many_waiting_messages_are_refused_at_once() -> None:
    one = play()
    one.link.lost(0)
    for number in range(MAX_WAITING):
        assert one.link.send(called(one, number)) == []
    late = called(one, MAX_WAITING)
    assert one.link.send(late) == [Failed(late.call, LOST, "no")]
    assert one.link.send(to_server(0, 20, method="notifications/cancelled")) == [Accept(20)]


def test_a_call_that_ended_while_it_waited_is_not_sent() -> None:
    one = play()
    called(one)
    one.link.lost(2)
    one.link.send(called(one, 2))
    for client_id in (1, 2):
        one.client(30, {"method": "notifications/cancelled", "params": {"requestId": client_id}})
    one.event(Expired("cancelled:2"))
    one.event(Expired("cancelled:4"))
    answer(one, 3)
    assert one.link.greeted() == [OpenStream()]


def test_questions_of_the_lost_session_are_withdrawn_because_its_ids_mean_nothing_now() -> None:
    one = play(declares={"roots": {}})
    called(one)
    one.server({"id": 7, "method": "roots/list"}, 2)
    effects = one.linked(one.link.lost(0))
    assert effects[1] == to_client(11, method="notifications/cancelled", params={"requestId": 1})
    assert one.talk.book.asks == {}
    assert one.client(12, {"id": 1, "result": {"roots": []}}) == [Accept(12), Note("dropped", reason="answer-late")]


def test_a_backend_that_comes_back_in_another_revision_is_translated_for() -> None:
    one = play()
    called(one)
    one.link.lost(2)
    effects = answer(one, 3, "2024-11-05")
    assert effects == [
        Note("backend-revision-changed", reason="2024-11-05"),
        Repipe("2024-11-05"),
        INITIALIZED,
    ]
    one.link.greeted()
    assert one.talk.peers.server == "2024-11-05"


def test_an_answer_of_the_newer_backend_is_projected_though_its_call_was_opened_for_the_older_one() -> None:
    one = opened("2025-03-26", "2025-03-26")
    one.call(3, 1, "resources/list")
    one.link.lost(2)
    answer(one, 3, "2025-11-25")
    one.link.greeted()
    icon = {"src": "https://example.com/icon.png"}
    listed = {"uri": "test://a", "name": "a", "title": "A", "icons": [icon]}
    reply = one.server({"id": 2, "result": {"resources": [listed]}}, 2)[0]
    assert reply == to_client(3, final=True, id=1, result={"resources": [{"uri": "test://a", "name": "a"}]})


def test_answers_that_are_not_ours_are_left_alone() -> None:
    one = play()
    called(one)
    assert one.link.answered(frame(id=2, result={})) is None
    assert one.link.answered(frame(id="2", result={})) is None
    assert one.link.failed(2) is None
