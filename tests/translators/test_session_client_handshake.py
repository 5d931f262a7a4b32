"""`initialize` before a stateless server: answered from `server/discover`, which is kept as long as it says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translators.playbook import SERVER_INFO, Json
from tests.translators.session_playbook import (
    DECLARED,
    INPUTS,
    MODERN,
    SERVER,
    SessionPlay,
    discovery,
    done,
    failed,
    greeting,
    met,
)
from translators.machine import Note
from translators.session_client.facts import MAX_TTL_MS

REVISION = "The server answered with a protocol revision this broker does not speak"
GARBAGE = "The server's answer is not valid MCP"
WELCOME = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}, "logging": {}},
    "serverInfo": SERVER_INFO,
}


def test_the_first_initialize_asks_the_server_what_it_is() -> None:
    play = SessionPlay()
    sent = play.client(1, greeting(INPUTS))
    assert sent == [play.leg(1, "server/discover")]
    assert play.talk.envelope.capabilities == DECLARED
    assert play.server(1, {"id": 1, "result": discovery(instructions="Be brief")}) == [
        done(1, {**WELCOME, "instructions": "Be brief"})
    ]
    assert play.empty()


def test_a_fresh_discovery_greets_the_next_session_without_a_request() -> None:
    first = met()
    second = SessionPlay(first.facts)
    second.now = 59.9
    assert second.client(1, greeting()) == [done(1, WELCOME)]


def test_an_expired_discovery_is_asked_for_again() -> None:
    first = met()
    second = SessionPlay(first.facts)
    second.now = 60.0
    assert second.client(1, greeting()) == [second.leg(1, "server/discover")]


@pytest.mark.parametrize("ttl", [0, -1, 1500.5, True, "60000", None])
def test_a_discovery_without_a_usable_life_time_is_not_kept(ttl: Any) -> None:
    first = SessionPlay()
    first.client(1, greeting())
    assert first.server(1, {"id": 1, "result": discovery(ttlMs=ttl)}) == [done(1, WELCOME)]
    assert SessionPlay(first.facts).client(1, greeting()) == [first.leg(1, "server/discover")]


def test_no_discovery_is_believed_longer_than_an_hour() -> None:
    first = SessionPlay()
    first.client(1, greeting())
    first.server(1, {"id": 1, "result": discovery(ttlMs=10**15)})
    second = SessionPlay(first.facts)
    second.now = MAX_TTL_MS / 1000 - 1
    assert second.client(1, greeting()) == [done(1, WELCOME)]
    second.now += 1
    assert second.client(1, greeting()) == [second.leg(1, "server/discover")]


def test_a_discovery_that_fails_ends_the_initialize_that_waited_for_it() -> None:
    play = SessionPlay()
    play.client(1, greeting())
    assert play.fails(1, "backend-connect") == [
        failed(1, "backend-connect", "The server could not be reached"),
        Note("failed", "server/discover", "backend-connect"),
    ]
    assert play.client(2, greeting()) == [play.leg(2, "server/discover")]


def test_a_discovery_that_is_refused_is_told_as_the_servers_refusal() -> None:
    play = SessionPlay()
    play.client(1, greeting())
    assert play.errs(1, -32601, "Method not found: secret") == [
        failed(1, "backend-status", "The server answered with an HTTP error"),
        Note("failed", "server/discover", "backend-status"),
    ]


def test_a_server_that_refuses_the_version_is_of_another_revision() -> None:
    play = SessionPlay()
    play.client(1, greeting())
    assert play.errs(1, -32022, supported=["2027-01-01"], requested=MODERN) == [
        failed(1, "backend-revision", REVISION),
        Note("failed", "server/discover", "backend-revision"),
    ]


def test_a_server_that_supports_other_versions_only_is_not_greeted() -> None:
    play = SessionPlay()
    play.client(1, greeting())
    assert play.server(1, {"id": 1, "result": discovery(supportedVersions=["2025-11-25"])}) == [
        failed(1, "backend-revision", REVISION),
        Note("failed", "server/discover", "backend-revision"),
    ]
    assert SessionPlay(play.facts).client(1, greeting()) == [play.leg(1, "server/discover")]


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"resultType": "complete"},
        discovery(supportedVersions=MODERN),
        discovery(resultType="input_required"),
        discovery(resultType=None),
    ],
    ids=["empty", "no versions", "versions of another kind", "a question", "no type"],
)
def test_a_discovery_that_is_none_is_the_servers_fault(result: Json) -> None:
    play = SessionPlay()
    play.client(1, greeting())
    assert play.server(1, {"id": 1, "result": result}) == [
        failed(1, "backend-garbage", GARBAGE),
        Note("failed", "server/discover", "backend-garbage"),
    ]


def test_a_discovery_without_a_type_is_complete() -> None:
    play = SessionPlay()
    play.client(1, greeting())
    result = discovery()
    del result["resultType"]
    assert play.server(1, {"id": 1, "result": result}) == [done(1, WELCOME)]


@pytest.mark.parametrize("info", [None, "server", {"name": "server"}, {"name": 1, "version": "2"}])
def test_a_server_that_does_not_name_itself_gets_a_name(info: Any) -> None:
    play = SessionPlay()
    play.client(1, greeting())
    meta = {} if info is None else {SERVER: info}
    [welcome] = play.server(1, {"id": 1, "result": discovery(_meta=meta)})
    assert welcome == done(1, {**WELCOME, "serverInfo": {"name": "unknown-mcp-server", "version": "0"}})


def test_tasks_of_either_spelling_are_not_offered() -> None:
    play = SessionPlay()
    play.client(1, greeting())
    given = {
        "tasks": {"list": {}},
        "extensions": {"io.modelcontextprotocol/tasks": {}, "io.modelcontextprotocol/ui": {"a": 1}},
        "resources": {"subscribe": True},
    }
    left = {"extensions": {"io.modelcontextprotocol/ui": {"a": 1}}, "resources": {"subscribe": True}}
    assert play.server(1, {"id": 1, "result": discovery(capabilities=given)}) == [
        done(1, {**WELCOME, "capabilities": left})
    ]


@pytest.mark.parametrize(
    ("declared", "mapped"),
    [
        ({}, {}),
        ({"elicitation": {}}, {"elicitation": {"form": {}}}),
        ({"elicitation": {"url": {}}}, {"elicitation": {"url": {}}}),
        ({"roots": {"listChanged": True}}, {"roots": {}}),
        ({"tasks": {"list": {}}, "sampling": {"tools": {}}}, {"sampling": {"tools": {}}}),
        ({"experimental": {"x": {}}}, {"experimental": {"x": {}}}),
        (
            {"extensions": {"io.modelcontextprotocol/tasks": {}, "com.example/x": {}}},
            {"extensions": {"com.example/x": {}}},
        ),
    ],
    ids=["none", "empty elicitation means forms", "url alone", "roots", "tasks", "experimental", "extensions"],
)
def test_capabilities_are_mirrored_and_never_widened(declared: Json, mapped: Json) -> None:
    assert met(declared).talk.envelope.capabilities == mapped


def test_a_late_discovery_greets_nobody() -> None:
    play = SessionPlay()
    play.client(1, greeting())
    play.talk.close()
    assert play.server(1, {"id": 1, "result": discovery()}) == []
