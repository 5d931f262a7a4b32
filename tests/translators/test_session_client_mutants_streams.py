"""Corners of subscriptions, lists and pages before a stateless server that mutants showed untested."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translators.playbook import Json
from tests.translators.session_playbook import INPUTS, PREFIX, SAMPLE, SessionPlay, done, failed, met, page, told
from translators.errors import INVALID_PARAMS
from translators.loss import Loss, Noted
from translators.machine import STANDING, Abort, Note, SetTimer
from translators.session_client.handshake import MAX_PAGES
from translators.session_client.listening import FIRST_PAUSE_S, GATHER_S, LONGEST_PAUSE_S, MAX_URIS, Listening
from translators.session_client.lists import PAUSE_S
from translators.session_client.urls import HOLD_DELAYS_S, page_of

RESOURCES: Json = {"resources": {"subscribe": True}}
OFFERS: Json = {kind: {"listChanged": True} for kind in ("tools", "prompts", "resources")}
FLAGS = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
GATHER = SetTimer("gather", GATHER_S)
META = {f"{PREFIX}subscriptionId": 2}


def listen(play: SessionPlay, leg: int, *uris: str) -> Any:
    return play.leg(leg, "subscriptions/listen", {"notifications": {"resourceSubscriptions": list(uris)}})


def following(uri: str = "test://a") -> SessionPlay:
    """A session that follows one resource on leg 2."""
    play = met(offers=RESOURCES)
    play.asks(2, "resources/subscribe", uri=uri)
    play.expires("gather")
    play.acknowledges(2, resourceSubscriptions=[uri])
    return play


def comparing(method: str, **page: Any) -> SessionPlay:
    """A session that listens on leg 2 and was given one page of a list on leg 3."""
    play = met(offers=OFFERS, compare_lists=True)
    play.stands()
    play.acknowledges(2, **FLAGS)
    play.asks(3, method)
    play.returns(3, **page)
    return play


def changed(kind: str) -> Any:
    return told(STANDING, method=f"notifications/{kind}/list_changed")


def test_a_resource_is_not_followed_again_before_its_stream_stands_again() -> None:
    play = following()
    play.fails(2)
    assert play.asks(3, "resources/subscribe", uri="test://a") == [GATHER]
    assert play.expires("gather") == [listen(play, 3, "test://a")]
    assert play.acknowledges(3, resourceSubscriptions=["test://a"])[0] == done(3, {})


def test_a_resource_that_is_followed_is_followed_at_once() -> None:
    assert following().asks(3, "resources/subscribe", uri="test://a") == [done(3, {})]


def test_a_resource_that_is_followed_anew_waits_for_its_own_stream() -> None:
    play = following()
    assert play.asks(3, "resources/unsubscribe", uri="test://a") == [done(3, {}), GATHER]
    assert play.asks(4, "resources/subscribe", uri="test://a") == []
    assert play.expires("gather") == [listen(play, 3, "test://a")]
    assert play.acknowledges(3, resourceSubscriptions=["test://a"]) == [Abort(2), done(4, {})]


def test_who_only_ends_what_was_never_begun_listens_to_nothing() -> None:
    play = met(offers=OFFERS)
    assert play.asks(2, "resources/unsubscribe", uri="test://a") == [done(2, {}), GATHER]
    assert play.expires("gather") == []
    assert play.empty()


def test_a_stream_that_was_closed_is_not_closed_again_by_the_next() -> None:
    play = following()
    play.asks(3, "resources/unsubscribe", uri="test://a")
    assert play.expires("gather") == [Abort(2)]
    play.asks(4, "resources/subscribe", uri="test://b")
    assert play.expires("gather") == [listen(play, 3, "test://b")]
    assert play.acknowledges(3, resourceSubscriptions=["test://b"]) == [done(4, {})]


def test_the_end_of_one_subscription_is_not_the_end_of_another() -> None:
    play = met(offers=RESOURCES)
    play.asks(2, "resources/subscribe", uri="test://a")
    play.asks(3, "resources/subscribe", uri="test://b")
    assert play.asks(4, "resources/unsubscribe", uri="test://a") == [done(2, {}), done(4, {})]
    assert play.expires("gather") == [listen(play, 2, "test://b")]
    assert play.acknowledges(2, resourceSubscriptions=["test://b"]) == [done(3, {})]


def test_a_resource_that_is_asked_for_twice_is_followed_when_the_server_agrees() -> None:
    play = following()
    assert play.asks(3, "resources/subscribe", uri="test://b") == [GATHER]
    assert play.asks(4, "resources/subscribe", uri="test://b") == []
    play.expires("gather")
    both = ["test://a", "test://b"]
    assert play.acknowledges(3, resourceSubscriptions=both) == [Abort(2), done(3, {}), done(4, {})]


@pytest.mark.parametrize("method", ["resources/subscribe", "resources/unsubscribe"])
def test_a_subscription_to_nothing_is_the_clients_fault(method: str) -> None:
    text = "Invalid params: the message is not valid in the negotiated revision"
    assert met(offers=RESOURCES).asks(2, method) == [failed(2, "client-garbage", text, INVALID_PARAMS)]


def test_a_stream_that_is_answered_before_it_is_acknowledged_is_closed() -> None:
    play = met(offers=RESOURCES)
    play.asks(2, "resources/subscribe", uri="test://a")
    play.expires("gather")
    closed = failed(2, "backend-closed", "The server closed the connection before it answered")
    assert play.returns(2) == [closed, SetTimer("listen", FIRST_PAUSE_S)]


def test_one_pause_runs_at_a_time_whatever_is_tried_meanwhile() -> None:
    play = met(offers=RESOURCES)
    play.asks(2, "resources/subscribe", uri="test://a")
    play.expires("gather")
    assert play.fails(2)[1:] == [SetTimer("listen", FIRST_PAUSE_S)]
    play.asks(3, "resources/subscribe", uri="test://b")
    play.expires("gather")
    assert play.fails(3)[1:] == []
    play.expires("listen")
    play.asks(4, "resources/subscribe", uri="test://c")
    play.expires("gather")
    assert play.fails(4)[1:] == [SetTimer("listen", 2 * FIRST_PAUSE_S)]


def test_what_changed_before_the_first_stream_stood_is_told() -> None:
    play = met(offers=OFFERS)
    play.stands()
    play.fails(2)
    play.expires("listen")
    assert play.acknowledges(3, **FLAGS) == [changed(kind) for kind in ("tools", "prompts", "resources")]


def test_nothing_is_missed_while_a_stream_stands() -> None:
    play = following()
    play.asks(3, "resources/subscribe", uri="test://b")
    play.expires("gather")
    play.fails(3)
    play.asks(4, "resources/subscribe", uri="test://c")
    play.expires("gather")
    assert play.acknowledges(4, resourceSubscriptions=["test://a", "test://c"]) == [Abort(2), done(4, {})]


def test_a_gap_is_told_of_what_is_followed_still() -> None:
    play = following()
    play.asks(3, "resources/subscribe", uri="test://b")
    play.expires("gather")
    play.acknowledges(3, resourceSubscriptions=["test://a", "test://b"])
    play.fails(3)
    play.expires("listen")
    updated = told(STANDING, method="notifications/resources/updated", params={"uri": "test://b"})
    assert play.acknowledges(4, resourceSubscriptions=["test://b"]) == [updated]


def test_a_stream_that_opens_is_not_opened_again_for_the_same() -> None:
    play = met(offers=RESOURCES)
    play.asks(2, "resources/subscribe", uri="test://a")
    play.expires("gather")
    assert play.stands() == []
    assert play.acknowledges(2, resourceSubscriptions=["test://a"]) == [done(2, {})]


def test_a_stream_that_is_given_up_while_it_opens_is_closed_once() -> None:
    play = met(offers=RESOURCES)
    play.asks(2, "resources/subscribe", uri="test://a")
    play.expires("gather")
    play.asks(3, "resources/unsubscribe", uri="test://a")
    assert play.expires("gather") == [Abort(2)]
    assert play.empty()
    play.asks(4, "resources/subscribe", uri="test://b")
    assert play.expires("gather") == [listen(play, 3, "test://b")]


def test_a_replacement_closes_the_one_that_was_still_opening() -> None:
    play = met(offers=RESOURCES)
    play.asks(2, "resources/subscribe", uri="test://a")
    play.expires("gather")
    play.asks(3, "resources/subscribe", uri="test://b")
    assert play.expires("gather") == [Abort(2), listen(play, 3, "test://a", "test://b")]
    assert play.acknowledges(3, resourceSubscriptions=["test://a", "test://b"]) == [done(2, {}), done(3, {})]
    assert play.empty() is False, "the stream stands"
    assert play.plain(play.talk.close()) == [Abort(3)]


def test_an_unreadable_acknowledgement_is_dropped() -> None:
    play = met(offers=RESOURCES)
    play.asks(2, "resources/subscribe", uri="test://a")
    play.expires("gather")
    method = "notifications/subscriptions/acknowledged"
    message = b'{"jsonrpc":"2.0","method":"%b","params":{"notifications":1e999}}' % method.encode()
    assert play.server(2, message) == [Note("dropped", method, "backend-garbage")]


def test_what_an_announcement_loses_is_noted() -> None:
    play = met(offers=OFFERS)
    play.stands()
    play.acknowledges(2, **FLAGS)
    lost = Note(
        "lossy",
        "notifications/tools/list_changed",
        losses=(Noted("metadata of every message", "_meta", Loss.COSMETIC),),
    )
    assert play.says(2, "notifications/tools/list_changed", _meta=META) == [changed("tools"), lost]


def test_what_an_update_loses_is_noted() -> None:
    lost = (Noted("metadata of every message", "_meta", Loss.COSMETIC),)
    method = "notifications/resources/updated"
    assert following().says(2, method, uri="test://a", _meta=META)[1:] == [Note("lossy", method, losses=lost)]


LISTS = [
    ("tools", "tools/list", "tools", {"name": "a", "inputSchema": {"type": "object"}}),
    ("prompts", "prompts/list", "prompts", {"name": "a"}),
    ("resources", "resources/list", "resources", {"name": "a", "uri": "test://a"}),
    ("resources", "resources/templates/list", "resourceTemplates", {"name": "a", "uriTemplate": "test://{a}"}),
]


@pytest.mark.parametrize(("kind", "method", "member", "item"), LISTS)
def test_every_list_is_compared_by_its_items(kind: str, method: str, member: str, item: Json) -> None:
    play = comparing(method, **{member: [item]})
    assert play.says(2, f"notifications/{kind}/list_changed") == [play.leg(4, method)]
    assert play.returns(4, **{member: [{**item, "title": "B"}]}) == [changed(kind), SetTimer(f"rested:{kind}", PAUSE_S)]


@pytest.mark.parametrize(("kind", "method", "member", "item"), LISTS)
def test_every_list_that_is_the_same_is_not_told(kind: str, method: str, member: str, item: Json) -> None:
    play = comparing(method, **{member: [item]})
    announcement = f"notifications/{kind}/list_changed"
    play.says(2, announcement)
    assert play.returns(4, **{member: [item]})[0] == Note("dropped", announcement, "list-unchanged")


def test_a_page_of_a_reading_that_was_begun_anew_completes_no_list() -> None:
    play = comparing("prompts/list", prompts=[{"name": "a"}], nextCursor="c")
    play.asks(4, "prompts/list")
    play.returns(4, prompts=[{"name": "b"}])
    play.asks(5, "prompts/list", cursor="c")
    play.returns(5, prompts=[])
    assert play.says(2, "notifications/prompts/list_changed") == [changed("prompts")], "nobody knows what was read"


def test_a_question_without_parameters_opens_no_page() -> None:
    assert page_of("elicitation/create", None) is None
    assert page_of("sampling/createMessage", {"mode": "url"}) is None
    assert page_of("elicitation/create", {"mode": "form"}) is None
    assert page_of("elicitation/create", page()["params"]) == ("https://example.com/a", "Open")


def test_other_questions_beside_a_held_page_are_asked() -> None:
    play = met(INPUTS)
    play.asks(2, "tools/call", name="t")
    play.requires(2, "s", a=page())
    play.answers(1, result={"action": "accept"})
    assert play.requires(3, "s", a=page()) == [SetTimer("state:2", HOLD_DELAYS_S[0])]
    play.expires("state:2")
    assert play.requires(4, "s", a=page(), b=SAMPLE) == [told(2, id="ask-2", **SAMPLE)]


def test_pauses_grow_to_their_bound_and_stay_there() -> None:
    listening = Listening()
    pauses = [listening.pause_s() for _ in range(2000)]
    assert pauses[:3] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert set(pauses[6:]) == {LONGEST_PAUSE_S}


def test_the_last_resource_that_may_be_followed_is() -> None:
    play = met(offers=RESOURCES)
    for number in range(MAX_URIS - 1):
        play.asks(number + 2, "resources/subscribe", uri=f"test://{number}")
    assert play.asks(9999, "resources/subscribe", uri="test://last") == []
    assert play.expires("gather")[0].frame.params["notifications"]["resourceSubscriptions"][-1] == "test://last"


def test_a_gap_is_told_once() -> None:
    play = following()
    play.fails(2)
    play.expires("listen")
    assert len(play.acknowledges(3, resourceSubscriptions=["test://a"])) == 1
    play.asks(3, "resources/subscribe", uri="test://b")
    play.expires("gather")
    both = ["test://a", "test://b"]
    assert play.acknowledges(4, resourceSubscriptions=both) == [Abort(3), done(3, {})]


@pytest.mark.parametrize("pages", [MAX_PAGES, MAX_PAGES + 1])
def test_a_list_is_remembered_up_to_a_bound_of_pages(pages: int) -> None:
    play = comparing("prompts/list", prompts=[], nextCursor="c")
    for number in range(1, pages):
        play.asks(3 + number, "prompts/list", cursor="c")
        play.returns(3 + number, prompts=[], **({"nextCursor": "c"} if number < pages - 1 else {}))
    [effect] = play.says(2, "notifications/prompts/list_changed")
    assert (effect == changed("prompts")) is (pages > MAX_PAGES)
