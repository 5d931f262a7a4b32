"""Subscribing before a stateless server: one `subscriptions/listen`, replaced whenever its filter changes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translators.playbook import Json, to_client
from tests.translators.session_playbook import PREFIX, SessionPlay, done, failed, met, told
from translators.errors import INVALID_PARAMS, METHOD_NOT_FOUND
from translators.machine import STANDING, Abort, Note, SetTimer
from translators.session_client.listening import FIRST_PAUSE_S, GATHER_S, LONGEST_PAUSE_S, MAX_URIS

RESOURCES: Json = {"resources": {"subscribe": True}}
ALL: Json = {"tools": {"listChanged": True}, "resources": {"subscribe": True, "listChanged": True}, "prompts": {}}
FLAGS = {"toolsListChanged": True, "resourcesListChanged": True}
GATHER = SetTimer("gather", GATHER_S)


def listen(play: SessionPlay, leg: int, *uris: str, **flags: bool) -> Any:
    wanted = {**flags, **({"resourceSubscriptions": list(uris)} if uris else {})}
    return play.leg(leg, "subscriptions/listen", {"notifications": wanted})


def rest(seconds: float) -> SetTimer:
    return SetTimer("listen", seconds)


def updated(uri: str) -> Any:
    return told(STANDING, method="notifications/resources/updated", params={"uri": uri})


def changed(kind: str) -> Any:
    return told(STANDING, method=f"notifications/{kind}/list_changed")


def following(*uris: str, offers: Json | None = None) -> SessionPlay:
    """A session that follows these resources: calls 2 and on, leg 2."""
    play = met(offers=offers or RESOURCES)
    for number, uri in enumerate(uris):
        play.asks(2 + number, "resources/subscribe", uri=uri)
    play.expires("gather")
    flags = FLAGS if offers is ALL else {}
    play.acknowledges(2, resourceSubscriptions=list(uris), **flags)
    return play


def test_what_the_server_announces_is_listened_for_once_the_client_listens() -> None:
    play = met(offers=ALL)
    assert play.stands() == [listen(play, 2, **FLAGS)]
    assert play.stands() == [], "it is opened already"
    assert play.acknowledges(2, **FLAGS) == []
    assert play.stands() == []
    meta = {f"{PREFIX}subscriptionId": 2}
    assert play.says(2, "notifications/tools/list_changed", _meta=meta)[0] == changed("tools")


def test_a_server_that_announces_nothing_is_not_listened_to() -> None:
    assert met(offers={"tools": {}, "prompts": {"listChanged": False}}).stands() == []


def test_subscriptions_that_come_together_share_one_stream() -> None:
    play = met(offers=RESOURCES)
    assert play.asks(2, "resources/subscribe", uri="test://a") == [GATHER]
    assert play.asks(3, "resources/subscribe", uri="test://b") == []
    assert play.expires("gather") == [listen(play, 2, "test://a", "test://b")]
    assert play.acknowledges(2, resourceSubscriptions=["test://a", "test://b"]) == [done(2, {}), done(3, {})]


def test_a_subscription_counts_when_the_server_has_agreed_to_it() -> None:
    play = met(offers=RESOURCES)
    play.asks(2, "resources/subscribe", uri="test://a")
    play.asks(3, "resources/subscribe", uri="test://b")
    play.expires("gather")
    assert play.acknowledges(2, resourceSubscriptions=["test://b"]) == [
        failed(2, "not-followed", "The server does not report changes of this resource", INVALID_PARAMS),
        done(3, {}),
    ]
    assert list(play.talk.listening.uris) == ["test://b"]


def test_the_old_stream_goes_on_until_the_new_one_is_acknowledged() -> None:
    play = following("test://a")
    assert play.asks(3, "resources/subscribe", uri="test://b") == [GATHER]
    assert play.expires("gather") == [listen(play, 3, "test://a", "test://b")]
    assert play.says(2, "notifications/resources/updated", uri="test://a") == [updated("test://a")]
    assert play.acknowledges(3, resourceSubscriptions=["test://a", "test://b"]) == [Abort(2), done(3, {})]
    assert play.says(2, "notifications/resources/updated", uri="test://a") == [
        Note("dropped", "notifications/resources/updated", "not-of-a-call")
    ]
    assert play.says(3, "notifications/resources/updated", uri="test://b") == [updated("test://b")]


def test_a_subscription_that_comes_while_a_stream_is_opened_replaces_it() -> None:
    play = met(offers=RESOURCES)
    play.asks(2, "resources/subscribe", uri="test://a")
    play.expires("gather")
    play.asks(3, "resources/subscribe", uri="test://b")
    assert play.expires("gather") == [Abort(2), listen(play, 3, "test://a", "test://b")]
    assert play.acknowledges(3, resourceSubscriptions=["test://a", "test://b"]) == [done(2, {}), done(3, {})]


def test_an_acknowledgement_decides_only_what_its_stream_asked_for() -> None:
    play = met(offers=RESOURCES)
    play.asks(2, "resources/subscribe", uri="test://a")
    play.expires("gather")
    play.asks(3, "resources/subscribe", uri="test://b")
    assert play.acknowledges(2, resourceSubscriptions=["test://a"]) == [done(2, {})]
    assert play.expires("gather") == [listen(play, 3, "test://a", "test://b")]
    assert play.acknowledges(3, resourceSubscriptions=["test://a", "test://b"]) == [Abort(2), done(3, {})]


def test_a_resource_that_is_followed_is_not_asked_for_again() -> None:
    play = following("test://a")
    assert play.asks(3, "resources/subscribe", uri="test://a") == [done(3, {})]


def test_unsubscribing_is_answered_at_once_and_replaces_the_stream() -> None:
    play = following("test://a", "test://b")
    assert play.asks(4, "resources/unsubscribe", uri="test://a") == [done(4, {}), GATHER]
    assert play.expires("gather") == [listen(play, 3, "test://b")]
    assert play.acknowledges(3, resourceSubscriptions=["test://b"]) == [Abort(2)]
    assert play.asks(5, "resources/unsubscribe", uri="test://b") == [done(5, {}), GATHER]
    assert play.expires("gather") == [Abort(3)]
    assert play.empty()


def test_unsubscribing_from_what_was_not_followed_leaves_the_stream() -> None:
    play = following("test://a")
    assert play.asks(3, "resources/unsubscribe", uri="test://x") == [done(3, {}), GATHER]
    assert play.expires("gather") == []


def test_a_subscription_that_is_given_up_before_it_counts_is_answered_too() -> None:
    play = met(offers=RESOURCES)
    play.asks(2, "resources/subscribe", uri="test://a")
    assert play.asks(3, "resources/unsubscribe", uri="test://a") == [done(2, {}), done(3, {})]
    assert play.expires("gather") == []
    assert play.empty()


def test_a_cancelled_subscription_is_forgotten() -> None:
    play = met(offers=RESOURCES)
    play.asks(2, "resources/subscribe", uri="test://a")
    play.asks(3, "resources/subscribe", uri="test://b")
    assert play.notes("notifications/cancelled", requestId=2) == []
    assert play.expires("gather") == [listen(play, 2, "test://b")]


def test_a_server_without_subscriptions_is_not_asked() -> None:
    odd: list[Json] = [{}, {"resources": {}}, {"resources": {"subscribe": "yes"}}]
    for offers in odd:
        assert met(offers=offers).asks(2, "resources/subscribe", uri="test://a") == [
            failed(2, "method-unknown", "Method not found", METHOD_NOT_FOUND)
        ]


@pytest.mark.parametrize("uri", [None, 1, ["test://a"]])
@pytest.mark.parametrize("method", ["resources/subscribe", "resources/unsubscribe"])
def test_a_uri_that_is_none_is_the_clients_fault(method: str, uri: Any) -> None:
    [refusal] = met(offers=RESOURCES).asks(2, method, uri=uri)
    assert refusal.frame.error.code == INVALID_PARAMS


def test_a_session_follows_so_many_resources_and_no_more() -> None:
    play = met(offers=RESOURCES)
    for number in range(MAX_URIS):
        play.asks(number + 2, "resources/subscribe", uri=f"test://{number}")
    assert play.asks(9999, "resources/subscribe", uri="test://more") == [
        failed(9999, "overloaded", "Too many open requests")
    ]


def test_a_refused_stream_fails_its_subscriptions_and_is_not_tried_again() -> None:
    play = met(offers=ALL)
    play.asks(2, "resources/subscribe", uri="test://a")
    play.expires("gather")
    error = {"code": -32601, "message": "Method not found"}
    assert play.errs(2, -32601, "Method not found") == [
        Note("degraded", "subscriptions/listen", "refused"),
        to_client(2, final=True, id=2, error=error),
    ]
    assert play.stands() == []
    assert play.empty()
    assert play.asks(3, "resources/subscribe", uri="test://a") == [GATHER], "who asks again is tried again"


@pytest.mark.parametrize("code", [-32020, -32021, -32022])
def test_a_stream_refused_by_a_code_only_the_server_knows_is_told_without_it(code: int) -> None:
    play = met(offers=RESOURCES)
    play.asks(2, "resources/subscribe", uri="test://a")
    play.expires("gather")
    text = "The server does not report changes of this resource"
    assert play.errs(2, code, "no")[1:] == [failed(2, "not-followed", text)]


def test_a_refused_replacement_leaves_the_stream_that_stands() -> None:
    play = following("test://a")
    play.asks(3, "resources/subscribe", uri="test://b")
    play.expires("gather")
    refusal = to_client(3, final=True, id=3, error={"code": -32603, "message": "too many"})
    assert play.errs(3, -32603, "too many") == [Note("degraded", "subscriptions/listen", "refused"), refusal]
    assert play.says(2, "notifications/resources/updated", uri="test://a") == [updated("test://a")]
    assert play.stands() == []


def test_a_stream_that_ends_is_opened_again_and_the_client_told_what_it_may_have_missed() -> None:
    play = following("test://a", offers=ALL)
    assert play.returns(2) == [rest(FIRST_PAUSE_S)]
    assert play.expires("listen") == [listen(play, 3, "test://a", **FLAGS)]
    assert play.acknowledges(3, resourceSubscriptions=["test://a"], toolsListChanged=True) == [
        changed("tools"),
        updated("test://a"),
    ]
    assert play.fails(3) == [rest(FIRST_PAUSE_S)], "a stream that stood starts the pauses anew"


def test_pauses_grow_while_the_server_is_away() -> None:
    play = met(offers=ALL)
    play.stands()
    pauses = []
    for leg in range(2, 12):
        [pause] = play.fails(leg, "backend-connect")
        pauses.append(pause.after_s)
        play.expires("listen")
    assert pauses == [min(FIRST_PAUSE_S * 2**power, LONGEST_PAUSE_S) for power in range(10)]


def test_a_subscription_does_not_wait_for_a_server_that_is_away() -> None:
    play = met(offers=RESOURCES)
    play.asks(2, "resources/subscribe", uri="test://a")
    play.expires("gather")
    assert play.fails(2, "backend-connect") == [
        failed(2, "backend-connect", "The server could not be reached"),
        rest(FIRST_PAUSE_S),
    ]
    assert play.expires("listen") == []
    assert play.empty()


def test_a_replacement_that_is_lost_leaves_the_stream_that_stands() -> None:
    play = following("test://a")
    play.asks(3, "resources/subscribe", uri="test://b")
    play.expires("gather")
    assert play.fails(3, "backend-closed")[0].final
    assert play.expires("listen") == []
    assert play.says(2, "notifications/resources/updated", uri="test://a") == [updated("test://a")]


def test_an_old_stream_that_is_lost_while_it_is_replaced_is_a_gap() -> None:
    play = following("test://a")
    play.asks(3, "resources/subscribe", uri="test://b")
    play.expires("gather")
    assert play.fails(2) == []
    assert play.acknowledges(3, resourceSubscriptions=["test://a", "test://b"]) == [
        done(3, {}),
        updated("test://a"),
        updated("test://b"),
    ]


def test_nothing_is_delivered_before_the_acknowledgement() -> None:
    play = met(offers=ALL)
    play.stands()
    assert play.says(2, "notifications/tools/list_changed") == [
        Note("violation", "notifications/tools/list_changed", "before-acknowledgement")
    ]
    play.acknowledges(2, **FLAGS)
    assert play.acknowledges(2) == [], "a second acknowledgement says nothing new"


@pytest.mark.parametrize(
    "method", ["notifications/message", "notifications/progress", "notifications/cancelled", "vendor/x"]
)
def test_what_belongs_to_calls_does_not_come_by_subscription(method: str) -> None:
    play = following("test://a")
    assert play.says(2, method, level="info", data=1) == [Note("violation", method, "not-of-a-subscription")]


def test_a_request_on_a_stream_is_not_carried() -> None:
    play = following("test://a")
    message = {"id": 1, "method": "notifications/resources/updated", "params": {"uri": "test://a"}}
    assert play.server(2, message) == [Note("violation", str(message["method"]), "request-from-stateless-server")]


def test_an_update_keeps_what_others_wrote_and_loses_the_brokers_ids() -> None:
    play = following("test://a")
    meta = {f"{PREFIX}subscriptionId": 2, "com.example/x": 1}
    sent, *_notes = play.says(2, "notifications/resources/updated", uri="test://a/sub", _meta=meta)
    params = {"uri": "test://a/sub", "_meta": {"com.example/x": 1}}
    assert sent == told(STANDING, method="notifications/resources/updated", params=params)


@pytest.mark.parametrize("honoured", [None, [], "all", {"resourceSubscriptions": "test://a"}])
def test_an_acknowledgement_that_is_garbage_agrees_to_nothing(honoured: Any) -> None:
    play = met(offers=RESOURCES)
    play.asks(2, "resources/subscribe", uri="test://a")
    play.expires("gather")
    [refusal] = play.says(2, "notifications/subscriptions/acknowledged", notifications=honoured)
    assert refusal.frame.error.code == INVALID_PARAMS
