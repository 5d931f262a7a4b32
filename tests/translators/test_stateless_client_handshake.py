"""Opening a session for stateless clients, `server/discover` answered from it, and its end."""

from __future__ import annotations

from typing import Any

import pytest

from protocol_versions.jsonrpc import Frame
from tests.translators.playbook import CLIENT_INFO, Json
from tests.translators.stateless_playbook import (
    COMPLETE,
    FORM,
    INPUTS,
    META,
    OFFERS,
    ROOTS,
    StatelessPlay,
    done,
    failed,
    met,
    sent,
    shown,
    state,
    welcome,
)
from translators.machine import FromClient, Note, ToServer
from translators.stateless_client import Asked, Unopened
from translators.stateless_client.requests import NO_LEVEL

HELLO: Json = {"protocolVersion": "2025-11-25", "capabilities": INPUTS, "clientInfo": CLIENT_INFO}
SILENT: Json = {"tools": {}, "prompts": {}, "resources": {}, "logging": {}}


def discovery(capabilities: Json = OFFERS, **more: Any) -> Json:
    return {
        "resultType": "complete",
        "supportedVersions": ["2026-07-28"],
        "capabilities": capabilities,
        "ttlMs": 60_000,
        "cacheScope": "private",
        "_meta": META,
        **more,
    }


def test_a_session_is_opened_by_the_newest_client_with_sessions() -> None:
    play = StatelessPlay(INPUTS)
    assert play.opens() == [ToServer(1, Frame(id=1, method="initialize", params=HELLO), 1)]
    assert play.returns(1, **welcome()) == [ToServer(0, Frame(method="notifications/initialized"), 2)]
    assert play.greets() == []


@pytest.mark.parametrize("client_info", [None, "curl", ["x"]])
def test_a_client_that_does_not_introduce_itself_gets_a_name(client_info: Any) -> None:
    play = StatelessPlay(client_info=client_info)
    [opened] = play.opens()
    assert opened.frame.params["clientInfo"] == {"name": "unknown-mcp-client", "version": "0"}


def test_what_was_declared_is_each_sessions_own() -> None:
    declares: Json = {"elicitation": {"url": {}}}
    play = StatelessPlay(declares)
    [opened] = play.talk.open()
    assert isinstance(opened, ToServer)
    assert opened.frame.params is not None
    assert all(type(value) is not dict for value in opened.frame.params.values())  # type: ignore[union-attr]


def test_requests_wait_for_the_handshake_in_order() -> None:
    play = StatelessPlay()
    play.opens()
    assert play.asks(10) == []
    assert play.asks(11, "server/discover", {}) == []
    play.returns(1, **welcome())
    assert play.asks(12, "tools/list", {}) == []
    assert play.greets() == [sent(3, "tools/call", name="t"), done(11, discovery()), sent(4, "tools/list")]
    assert not play.talk.waiting


def test_nothing_is_sent_for_a_request_whose_client_has_gone_meanwhile() -> None:
    play = StatelessPlay()
    play.opens()
    play.asks(10)
    assert play.leaves(10) == []
    play.returns(1, **welcome())
    assert play.greets() == []
    assert play.empty()


def test_a_session_is_greeted_once_and_only_after_its_handshake() -> None:
    play = StatelessPlay()
    play.opens()
    play.asks(10, "server/discover", {})
    assert play.greets() == []
    play.returns(1, **welcome())
    play.greets(stands=False)
    assert play.greets(stands=True) == []
    assert play.asks(11, "server/discover", {}) == [done(11, discovery(SILENT))]


def test_a_discovery_says_what_the_session_was_told() -> None:
    play = met(offers={**OFFERS, "tasks": {}, "extensions": {"io.modelcontextprotocol/tasks": {}, "x/y": {}}})
    assert play.asks(10, "server/discover", {}) == [done(10, discovery({**OFFERS, "extensions": {"x/y": {}}}))]


def test_instructions_are_told() -> None:
    play = StatelessPlay()
    play.opens()
    play.returns(1, **welcome(instructions="Be kind"))
    play.greets()
    assert play.asks(10, "server/discover", {}) == [done(10, discovery(instructions="Be kind"))]


def test_nothing_is_announced_that_no_stream_could_bring() -> None:
    more = {"prompts": True, "completions": {"listChanged": True}}
    play = met(stands=False, offers={**OFFERS, "tools": {"listChanged": True, "x": 1}, **more})
    expected = {**SILENT, "tools": {"x": 1}, **more}
    assert play.asks(10, "server/discover", {}) == [done(10, discovery(expected))]


def test_a_discovery_that_is_changed_by_its_reader_changes_no_other() -> None:
    play = met()
    [first] = play.asks(10, "server/discover", {})
    request = Frame(id=11, method="server/discover", params={})
    [raw] = play.talk.handle(Asked(11, request, {}, NO_LEVEL), play.now)
    raw.frame.result["capabilities"]["tools"]["evil"] = True  # type: ignore[attr-defined]
    [again] = play.asks(10, "server/discover", {})
    assert again == first


def test_a_server_without_a_name_is_given_none() -> None:
    play = StatelessPlay()
    play.opens()
    play.returns(1, **welcome(serverInfo={"name": "x"}))
    play.greets()
    found = discovery()
    del found["_meta"]
    assert play.asks(10, "server/discover", {}) == [done(10, found)]
    play.asks(11)
    assert play.returns(3, content=[]) == [done(11, {"content": [], "resultType": "complete"})]


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("backend-connect", "The server could not be reached"),
        ("backend-revision", "The server answered with a protocol revision this broker does not speak"),
        ("backend-unauthorized", "The server refused the broker's credentials"),
    ],
)
def test_whoever_waits_is_told_why_the_session_cannot_be_opened(reason: str, message: str) -> None:
    play = StatelessPlay()
    play.opens()
    play.asks(10)
    play.asks(11, "server/discover", {})
    assert play.breaks(1, reason) == [
        failed(10, reason, message),
        failed(11, reason, message),
        Note("failed", "initialize", reason),
        Unopened(reason),
    ]
    assert play.empty()


@pytest.mark.parametrize("data", [None, {"origin": "broker", "reason": "<script>"}, {"reason": 7}])
def test_what_a_server_says_when_it_refuses_the_handshake_is_not_quoted(data: Any) -> None:
    play = StatelessPlay()
    play.opens()
    play.asks(10)
    assert play.errs(1, -32602, "secret", data=data) == [
        failed(10, "backend-status", "The server answered with an HTTP error"),
        Note("failed", "initialize", "backend-status"),
        Unopened("backend-status"),
    ]


@pytest.mark.parametrize("data", [None, "text", {}])
def test_a_handshake_fails_without_a_reason_too(data: Any) -> None:
    play = StatelessPlay()
    play.opens()
    assert play.errs(1, -32603, data=data, origin="broker")[-1] == Unopened("backend-status")


def test_a_handshake_that_cannot_be_read_fails() -> None:
    play = StatelessPlay()
    play.opens()
    play.asks(10)
    answer = b'{"jsonrpc":"2.0","id":1,"result":{"capabilities":{"tools":1e999}}}'
    assert play.server(1, answer) == [
        failed(10, "backend-garbage", "The server's answer is not valid MCP"),
        Note("failed", "initialize", "backend-garbage"),
        Unopened("backend-garbage"),
    ]


def test_a_closed_session_answers_everything_that_is_open() -> None:
    play = met(INPUTS)
    play.suspended(10)
    play.asks(11)
    play.listens(12, toolsListChanged=True)
    play.asks(15, "prompts/get", {"name": "a"})
    play.asks(16, level=0)
    ended = "The session has ended"
    text = "The session with the server was ended while the call was in progress; it may have taken effect."
    assert play.plain(play.talk.close("session-ended")) == [
        done(11, {**COMPLETE, "content": [{"type": "text", "text": text}], "isError": True}),
        failed(15, "session-ended", text),
        failed(16, "session-ended", ended),  # its level was not set yet: it never reached the server
        done(12, {"resultType": "complete"}),
    ]
    assert play.empty()
    assert play.asks(13) == [failed(13, "session-ended", ended)]
    assert play.retries(14, 1, {}) == [failed(14, "session-ended", ended)]
    assert play.wonders(0, 2, ROOTS) == []
    assert play.later(1, "parked:1") == []


def test_a_session_that_is_closed_before_it_was_open_answers_what_waits() -> None:
    play = StatelessPlay()
    play.opens()
    play.asks(10)
    assert play.plain(play.talk.close("shutdown")) == [failed(10, "shutdown", "The broker is shutting down")]
    assert play.returns(1, **welcome()) == []
    assert play.empty()


def test_a_session_that_could_not_be_opened_serves_nobody() -> None:
    play = StatelessPlay()
    play.opens()
    play.breaks(1, "backend-connect")
    assert play.asks(10) == [failed(10, "session-ended", "The session has ended")]


def test_a_session_knows_whether_anything_of_it_is_open() -> None:
    play = met(INPUTS)
    assert (play.talk.idle, play.talk.may_ask) == (True, False)
    play.asks(10, "tools/list", {})
    assert (play.talk.idle, play.talk.may_ask) == (False, False)
    play.returns(3, tools=[])
    assert play.talk.idle
    play.suspended(11, call=4)
    assert (play.talk.idle, play.talk.may_ask) == (False, True)
    play.leaves(11)
    assert (play.talk.idle, play.talk.may_ask) == (False, True)
    play.later(600, "parked:1")
    play.returns(4)
    assert (play.talk.idle, play.talk.may_ask) == (True, False)
    play.listens(12, toolsListChanged=True)
    assert (play.talk.idle, play.talk.may_ask) == (False, False)


def test_what_waits_for_the_handshake_is_open() -> None:
    play = StatelessPlay(INPUTS)
    play.opens()
    play.asks(10, "tools/list", {})
    assert (play.talk.idle, play.talk.may_ask) == (False, False)
    play.asks(11)
    assert (play.talk.idle, play.talk.may_ask) == (False, True)


def test_a_session_knows_which_timers_still_matter() -> None:
    play = met(INPUTS)
    play.now -= 10
    play.wonders(0, 7, ROOTS)
    assert [play.talk.awaits(key) for key in ("held:7", "held:8", "parked:0", "parked:1")] == [
        True,
        False,
        False,
        False,
    ]
    play.asks(10)
    assert [play.talk.awaits(key) for key in ("gather:3", "gather:4", "held:7")] == [True, False, False]
    play.later(0.04, "gather:3")
    assert [play.talk.awaits(key) for key in ("parked:1", "parked:2", "beat:3:7", "beat:4:7")] == [True, False] * 2
    play.later(600, "parked:1")
    assert not play.talk.awaits("parked:1")
    play.listens(11, resourceSubscriptions=["test://a"])
    assert [play.talk.awaits(key) for key in ("subscribed:11", "subscribed:12")] == [True, False]


def test_events_of_others_do_nothing() -> None:
    play = met()
    assert play.event(FromClient(1, Frame(id=1, method="ping"))) == []
    assert play.returns(77) == []
    assert play.errs(78, -1) == []


def test_a_state_names_its_session_and_its_round() -> None:
    play = met(INPUTS)
    play.asks(10)
    play.wonders(3, 1, "elicitation/create", FORM)
    asked = {"input-1": {"method": "elicitation/create", "params": FORM}}
    assert play.later(0.04, "gather:3")[0] == shown(10, asked)
    assert state(1, 3) == '["call","owner",1,3,1,[]]'
