"""A session that moves to another era, because a call cannot be run where it is."""

from __future__ import annotations

import pytest

from tests.translators.playbook import CLIENT_INFO, SERVER_INFO, Play, frame, opened, to_client, to_server
from translators.link import MOVED
from translators.machine import (
    REOPENING,
    STANDING,
    Failed,
    Migrate,
    Note,
    OpenStream,
    Repipe,
    Resend,
    ToServer,
)

INITIALIZE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": CLIENT_INFO}
INITIALIZED = to_server(0, REOPENING, method="notifications/initialized")


def play(*, movable: bool = True) -> Play:
    """A session with call 2 open."""
    one = opened("2025-06-18", offers={"tools": {"listChanged": True}, "logging": {}})
    one.link.may_migrate = movable
    called(one)
    return one


def called(one: Play, client_id: int = 1) -> ToServer:
    effect = one.call(10 + client_id, client_id)[0]
    assert isinstance(effect, ToServer)
    return effect


def opens(one: Play, call: int) -> list[object]:
    result = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": SERVER_INFO}
    return one.linked(one.link.answered(frame(id=call, result=result)))


@pytest.mark.parametrize("stateless", [True, False, None])
def test_the_call_is_sent_again_once_the_session_is_open_in_the_other_era(stateless: bool | None) -> None:
    one = play()
    assert one.link.moved(2, stateless=stateless) == [Note("session-lost"), Migrate(stateless)]
    assert one.link.phase == "reopening"
    later = called(one, 2)
    assert one.link.send(later) == []
    assert one.linked(one.link.migrated(changed=True)) == [
        Note("backend-era-changed"),
        to_server(4, initialize=True, id=4, method="initialize", params=INITIALIZE),
    ]
    assert opens(one, 4) == [
        Note("backend-revision-changed", reason="2025-11-25"),
        Repipe("2025-11-25"),
        INITIALIZED,
    ]
    assert one.linked(one.link.greeted()) == [
        OpenStream(),
        to_client(STANDING, method="notifications/tools/list_changed"),
        Resend(2),
        later,
    ]


def test_where_there_is_no_other_era_the_call_ends_for_that_reason() -> None:
    one = play()
    one.link.moved(2)
    waits = called(one, 2)
    one.link.send(waits)
    assert one.link.migrated(changed=False) == [
        Note("session-not-reopened"),
        Failed(2, MOVED, "no"),
        Failed(3, MOVED, "no"),
    ]
    assert one.link.phase == "down"


def test_where_nobody_can_look_for_another_era_the_call_ends_and_the_session_stays() -> None:
    one = play(movable=False)
    assert one.link.moved(2) == [Failed(2, MOVED, "no")]
    assert one.link.phase == "up"


def test_a_call_is_moved_once() -> None:
    one = play()
    one.link.moved(2)
    one.link.migrated(changed=True)
    opens(one, 3)
    one.link.greeted()
    assert one.link.moved(2) == [Failed(2, MOVED, "no")]
    assert one.link.phase == "up"


def test_calls_that_are_moved_meanwhile_go_along() -> None:
    one = play()
    called(one, 2)
    one.link.moved(2)
    assert one.link.moved(3) == []
    one.link.migrated(changed=True)
    opens(one, 4)
    assert one.link.greeted()[-2:] == [Resend(2), Resend(3)]


def test_questions_of_the_era_that_is_left_are_withdrawn() -> None:
    one = opened("2025-06-18", declares={"roots": {}})
    one.link.may_migrate = True
    called(one)
    one.server({"id": 7, "method": "roots/list"}, 2)
    effects = one.linked(one.link.moved(2))
    assert effects[1] == to_client(11, method="notifications/cancelled", params={"requestId": 1})
    assert effects[-1] == Migrate()


def test_what_was_sent_and_waits_for_nothing_is_left_behind() -> None:
    one = play()
    called(one, 2)
    one.link.moved(2)
    one.link.send(called(one, 3))
    assert one.link.left_behind() == [3]


def test_a_session_that_cannot_be_opened_in_the_other_era_looks_no_further() -> None:
    one = play()
    one.link.moved(2, stateless=True)
    one.link.migrated(changed=True)
    assert one.link.failed(3) == [Note("session-not-reopened"), Failed(2, MOVED, "no")]
