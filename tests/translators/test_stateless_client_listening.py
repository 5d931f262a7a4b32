"""`subscriptions/listen` over a session: what is honoured, what passes, what is subscribed and how often, and gaps."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translators.playbook import Json, frame
from tests.translators.stateless_playbook import OFFERS, StatelessPlay, done, dropped, failed, met, sent, told
from translators.machine import Note, SetTimer
from translators.stateless_client.listening import MAX_QUEUED, MAX_URIS, SUBSCRIBE_S

A, B = "test://a", "test://b"
ALL: Json = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}


def acknowledged(leg: int, **honoured: Any) -> Any:
    return told(leg, method="notifications/subscriptions/acknowledged", params={"notifications": honoured})


def changed(leg: int, kind: str) -> Any:
    return told(leg, method=f"notifications/{kind}/list_changed")


def updated(leg: int, uri: str) -> Any:
    return told(leg, method="notifications/resources/updated", params={"uri": uri})


def subscribe(call: int, uri: str) -> Any:
    return sent(call, "resources/subscribe", uri=uri)


def unsubscribe(call: int, uri: str) -> Any:
    return sent(call, "resources/unsubscribe", uri=uri)


def waits(leg: int) -> SetTimer:
    return SetTimer(f"subscribed:{leg}", SUBSCRIBE_S)


def following(*uris: str) -> StatelessPlay:
    """A session in which leg 10 follows these."""
    play = met()
    play.listens(10, resourceSubscriptions=list(uris))
    for number in range(len(uris)):
        play.returns(3 + number)
    return play


# ---- what is honoured -----------------------------------------------------------------------------------------------


def test_the_acknowledgement_comes_first_and_says_what_was_asked_for() -> None:
    play = met()
    assert play.listens(10, **ALL) == [acknowledged(10, **ALL)]
    assert play.listens(11, promptsListChanged=True) == [acknowledged(11, promptsListChanged=True)]
    assert play.listens(12) == [acknowledged(12)]


@pytest.mark.parametrize("value", [False, None, 1, "true"])
def test_what_is_not_asked_for_plainly_is_not_asked_for(value: Any) -> None:
    assert met().listens(10, toolsListChanged=value) == [acknowledged(10)]


@pytest.mark.parametrize(
    ("offers", "flag"),
    [
        ({"tools": {"listChanged": True}}, "toolsListChanged"),
        ({"prompts": {"listChanged": True}}, "promptsListChanged"),
        ({"resources": {"listChanged": True}}, "resourcesListChanged"),
    ],
)
def test_only_what_the_server_announces_is_honoured(offers: Json, flag: str) -> None:
    wanted = {**ALL, "resourceSubscriptions": [A]}
    assert met(offers=offers).listens(10, **wanted) == [acknowledged(10, **{flag: True})]
    assert met(offers=offers, stands=False).listens(10, **wanted) == [acknowledged(10)]


@pytest.mark.parametrize("offers", [{}, {"resources": {}}, {"resources": {"subscribe": False}}, {"resources": True}])
def test_resources_are_followed_only_where_they_can_be(offers: Json) -> None:
    assert met(offers=offers).listens(10, resourceSubscriptions=[A]) == [acknowledged(10)]


@pytest.mark.parametrize("wanted", [b"null", b"7", b"[]", b'"x"'])
def test_a_listen_for_nothing_that_can_be_read_is_refused(wanted: bytes) -> None:
    play = met()
    assert play.asks(10, "subscriptions/listen", b'{"notifications":%b}' % wanted) == [
        failed(10, "client-garbage", "Invalid params: the message is not valid in the negotiated revision", -32602),
        Note("refused", "subscriptions/listen", "client-garbage"),
    ]
    assert play.empty()


def test_a_listen_waits_for_the_handshake() -> None:
    play = StatelessPlay()
    play.opens()
    assert play.listens(10, toolsListChanged=True) == []
    play.returns(1, protocolVersion="2025-11-25", capabilities=OFFERS, serverInfo={})
    assert play.greets() == [acknowledged(10, toolsListChanged=True)]


# ---- what passes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [0, 99])
def test_an_announcement_goes_to_everybody_who_asked_for_it_whatever_it_came_on(stream: int) -> None:
    play = met()
    play.listens(10, **ALL)
    play.listens(11, toolsListChanged=True)
    assert play.says(stream, "tools/list_changed") == [changed(10, "tools"), changed(11, "tools")]
    assert play.says(stream, "prompts/list_changed") == [changed(10, "prompts")]
    assert play.says(stream, "resources/list_changed") == [changed(10, "resources")]
    assert play.says(stream, "resources/updated", uri=A) == []


def test_an_announcement_keeps_what_the_server_says_beside_it() -> None:
    play = met()
    play.listens(10, toolsListChanged=True)
    meta = {"x/y": 1, "io.modelcontextprotocol/subscriptionId": "spoofed"}
    [heard, _lossy] = play.says(0, "tools/list_changed", _meta=meta)
    assert heard == told(10, method="notifications/tools/list_changed", params={"_meta": {"x/y": 1}})


def test_a_resource_whose_name_ends_like_another_is_not_below_it() -> None:
    play = following("test://dirx")
    assert play.says(0, "resources/updated", uri="test://dir/a") == []


def test_nothing_is_told_to_whom_has_gone() -> None:
    play = met()
    play.listens(10, **ALL)
    assert play.leaves(10) == []
    assert play.says(0, "tools/list_changed") == []
    assert play.empty()


def test_a_resource_below_one_that_is_followed_counts_as_it() -> None:
    play = following(A, "file:///dir/")
    assert play.says(0, "resources/updated", uri=A) == [updated(10, A)]
    assert play.says(0, "resources/updated", uri=f"{A}/x") == [updated(10, f"{A}/x")]
    assert play.says(0, "resources/updated", uri="file:///dir/x") == [updated(10, "file:///dir/x")]
    assert play.says(0, "resources/updated", uri="file:///dir/") == [updated(10, "file:///dir/")]
    for other in (B, f"{A}x", "test:", "file:///di", "file:///directory"):
        assert play.says(0, "resources/updated", uri=other) == []


@pytest.mark.parametrize("uri", [None, 7, [A]])
def test_an_update_of_nothing_is_told_to_nobody(uri: Any) -> None:
    play = following(A)
    assert play.says(0, "resources/updated", uri=uri)[-1] == dropped("resources/updated", "backend-garbage")


# ---- what is subscribed ---------------------------------------------------------------------------------------------


def test_the_acknowledgement_waits_for_the_servers_word_on_every_resource() -> None:
    play = met()
    assert play.listens(10, resourceSubscriptions=[A, B, A], toolsListChanged=True) == [
        subscribe(3, A),
        subscribe(4, B),
        waits(10),
    ]
    assert play.returns(4) == []
    assert play.errs(3, -32602) == [acknowledged(10, toolsListChanged=True, resourceSubscriptions=[B])]
    assert play.later(SUBSCRIBE_S, "subscribed:10") == []
    assert play.leaves(10) == [unsubscribe(5, B)]
    play.returns(5)
    assert play.empty()


def test_resources_the_server_refuses_are_not_in_the_acknowledgement_at_all() -> None:
    play = met()
    play.listens(10, resourceSubscriptions=[A])
    assert play.errs(3, -32602) == [acknowledged(10)]
    assert play.leaves(10) == []
    assert play.empty()


def test_what_is_announced_before_the_acknowledgement_is_told_after_it() -> None:
    play = met()
    play.listens(10, resourceSubscriptions=[A, B], toolsListChanged=True)
    for stream_says in ("tools/list_changed", "prompts/list_changed"):
        assert play.says(0, stream_says) == []
    assert play.says(0, "resources/updated", uri=A) == []
    assert play.says(0, "resources/updated", uri=B) == []
    play.returns(3)
    assert play.errs(4, -1) == [
        acknowledged(10, toolsListChanged=True, resourceSubscriptions=[A]),
        changed(10, "tools"),
        updated(10, A),
    ]
    assert play.says(0, "tools/list_changed") == [changed(10, "tools")]


def test_only_so_much_is_kept_for_that() -> None:
    play = met()
    play.listens(10, resourceSubscriptions=[A], toolsListChanged=True)
    play.says(0, "tools/list_changed")
    for number in range(MAX_QUEUED):
        play.says(0, "resources/updated", uri=f"{A}/{number}")
    [_first, *heard] = play.returns(3)
    assert heard == [updated(10, f"{A}/{number}") for number in range(MAX_QUEUED)]


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_that() -> None:
    play = met()
    play.listens(10, resourceSubscriptions=[A, B])
    play.returns(3)
    assert play.later(SUBSCRIBE_S, "subscribed:10") == [acknowledged(10, resourceSubscriptions=[A])]
    assert play.returns(4) == [unsubscribe(5, B)]
    assert play.says(0, "resources/updated", uri=B) == []
    assert play.returns(5) == []
    play.leaves(10)
    play.returns(6)
    assert play.empty()


def test_a_resource_is_subscribed_once_however_many_follow_it() -> None:
    play = following(A)
    assert play.listens(11, resourceSubscriptions=[A]) == [acknowledged(11, resourceSubscriptions=[A])]
    assert play.says(0, "resources/updated", uri=A) == [updated(10, A), updated(11, A)]
    assert play.leaves(10) == []
    assert play.says(0, "resources/updated", uri=A) == [updated(11, A)]
    assert play.leaves(11) == [unsubscribe(4, A)]
    assert play.returns(4) == []
    assert play.empty()


def test_two_that_ask_for_one_resource_at_once_wait_for_the_same_word() -> None:
    play = met()
    assert play.listens(10, resourceSubscriptions=[A]) == [subscribe(3, A), waits(10)]
    assert play.listens(11, resourceSubscriptions=[A, B]) == [subscribe(4, B), waits(11)]
    assert play.returns(3) == [acknowledged(10, resourceSubscriptions=[A])]
    assert play.returns(4) == [acknowledged(11, resourceSubscriptions=[A, B])]


def test_what_was_refused_is_asked_for_again_for_the_next_one() -> None:
    play = met()
    play.listens(10, resourceSubscriptions=[A, B])
    play.errs(3, -1)
    assert play.listens(11, resourceSubscriptions=[A]) == [subscribe(5, A), waits(11)]
    assert play.returns(5) == [acknowledged(11, resourceSubscriptions=[A])]
    assert play.returns(4) == [acknowledged(10, resourceSubscriptions=[A, B])]


def test_one_who_leaves_before_the_servers_word_leaves_nothing_behind() -> None:
    play = met()
    play.listens(10, resourceSubscriptions=[A])
    assert play.leaves(10) == []
    assert play.returns(3) == [unsubscribe(4, A)]
    assert play.errs(4, -1) == []
    assert play.empty()
    play.listens(11, resourceSubscriptions=[A])
    assert play.leaves(11) == []
    assert play.errs(5, -1) == []
    assert play.empty()


def test_a_resource_is_followed_again_only_when_its_end_was_answered() -> None:
    play = following(A)
    assert play.leaves(10) == [unsubscribe(4, A)]
    assert play.listens(11, resourceSubscriptions=[A]) == [waits(11)]
    assert play.returns(4) == [subscribe(5, A)]
    assert play.returns(5) == [acknowledged(11, resourceSubscriptions=[A])]
    assert play.leaves(11) == [unsubscribe(6, A)]
    play.listens(12, resourceSubscriptions=[A])
    assert play.leaves(12) == []
    assert play.returns(6) == []
    assert play.empty()


def test_a_resource_that_is_left_and_followed_before_the_servers_word_is_asked_for_once() -> None:
    play = met()
    play.listens(10, resourceSubscriptions=[A])
    play.leaves(10)
    assert play.listens(11, resourceSubscriptions=[A]) == [waits(11)]
    assert play.returns(3) == [acknowledged(11, resourceSubscriptions=[A])]


def test_a_session_follows_only_so_many_resources() -> None:
    play = met()
    uris = [f"test://{number}" for number in range(MAX_URIS)]
    play.listens(10, resourceSubscriptions=uris)
    assert play.listens(11, resourceSubscriptions=[A, uris[0]]) == [
        failed(11, "overloaded", "Too many open requests"),
        Note("refused", "subscriptions/listen", "overloaded"),
    ]
    assert play.listens(12, resourceSubscriptions=uris[:2])[-1] == waits(12)
    play.leaves(12)
    play.leaves(10)
    assert len(play.listens(13, resourceSubscriptions=[A])) == 2


@pytest.mark.parametrize("uris", [A, {}, 7, None])
def test_resources_that_are_no_list_are_none(uris: Any) -> None:
    assert met().listens(10, resourceSubscriptions=uris) == [acknowledged(10)]


def test_what_is_no_resource_is_left_out() -> None:
    assert met().listens(10, resourceSubscriptions=[7, None, A])[0] == subscribe(3, A)


# ---- gaps and the end -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [False, True])
def test_after_a_gap_everybody_looks_again_at_what_they_follow(again: bool) -> None:
    play = following(A, B)
    play.listens(11, **ALL)
    play.listens(12, resourceSubscriptions=["test://new"])
    assert play.plain(play.talk.resync(play.now, again=again)) == [
        changed(11, "tools"),
        changed(11, "prompts"),
        changed(11, "resources"),
        updated(10, A),
        updated(10, B),
    ]


def test_whoever_is_not_acknowledged_yet_looks_again_after_it() -> None:
    play = met()
    play.listens(10, resourceSubscriptions=[A], toolsListChanged=True)
    assert play.plain(play.talk.resync(play.now, again=True)) == []
    assert play.returns(3)[1:] == [changed(10, "tools")]


def test_the_end_of_the_session_ends_every_listen_in_good_order() -> None:
    play = following(A)
    play.listens(11, **ALL)
    ended = {"resultType": "complete"}
    assert play.plain(play.talk.close("shutdown")) == [done(10, ended), done(11, ended)]
    assert play.empty()
    assert play.says(0, "tools/list_changed") == []


def test_a_listen_that_ends_before_the_servers_word_is_acknowledged_first() -> None:
    play = following(A)
    play.listens(11, resourceSubscriptions=[A, B], toolsListChanged=True)
    assert play.plain(play.talk.close("shutdown"))[1:] == [
        acknowledged(11, toolsListChanged=True, resourceSubscriptions=[A]),
        done(11, {"resultType": "complete"}),
    ]


def test_frames_of_two_listens_are_two() -> None:
    play = met()
    play.listens(10, toolsListChanged=True)
    play.listens(11, toolsListChanged=True)
    first, second = (effect.frame for effect in play.says(0, "tools/list_changed", _meta={"x": 1}))
    assert first == second == frame(method="notifications/tools/list_changed", params={"_meta": {"x": 1}})
    assert first is not second
