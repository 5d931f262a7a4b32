"""A version that is refused in the middle of a session: asked once what the server speaks, and sent once more."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translators.playbook import Json
from tests.translators.session_playbook import INPUTS, MODERN, ROOTS, SessionPlay, discovery, done, failed, met
from translators.machine import Abort, Note, Stranded
from translators.session_client.rounds import Bridge

CALL = {"name": "t", "arguments": {}}
REVISION = "The server answered with a protocol revision this broker does not speak"
STALE = Note("stale-facts", "tools/call", "version-refused")
OTHERS = ["2025-11-25", "2027-01-01"]


def ended(call: int = 2) -> list[Any]:
    return [failed(call, "backend-revision", REVISION), Note("failed", "tools/call", "backend-revision")]


def calling(declares: Json | None = None) -> SessionPlay:
    """A session with call 2 open on leg 2."""
    play = met(declares)
    play.asks(2, "tools/call", **CALL)
    return play


def refused(play: SessionPlay, leg: int, supported: Any = (MODERN,)) -> list[Any]:
    return play.errs(leg, -32022, supported=supported, requested=MODERN)


def test_a_server_that_speaks_the_revision_still_is_sent_the_call_once_more() -> None:
    play = calling()
    assert refused(play, 2) == [STALE, play.leg(3, "server/discover")]
    assert play.server(3, {"id": 3, "result": discovery()}) == [play.leg(4, "tools/call", CALL)]
    assert play.facts.discover(play.now) is not None
    assert play.returns(4, content=[]) == [done(2, {"content": []})]
    assert play.empty()


def test_a_call_that_is_refused_twice_ends() -> None:
    play = calling()
    refused(play, 2)
    play.server(3, {"id": 3, "result": discovery()})
    assert refused(play, 4) == ended()
    assert play.facts.discover(play.now) is None
    assert play.empty()


def test_the_answers_of_a_round_are_sent_again_with_it() -> None:
    play = calling(INPUTS)
    play.requires(2, "s", a=ROOTS)
    retry = {**CALL, "inputResponses": {"a": {"roots": []}}, "requestState": "s"}
    assert play.answers(1, result={"roots": []}) == [play.leg(3, "tools/call", retry)]
    refused(play, 3)
    assert play.server(4, {"id": 4, "result": discovery()}) == [play.leg(5, "tools/call", retry)]


def test_one_discovery_serves_all_calls_that_were_refused() -> None:
    play = calling()
    play.asks(3, "prompts/get", name="p")
    assert refused(play, 2) == [STALE, play.leg(4, "server/discover")]
    assert refused(play, 3) == [Note("stale-facts", "prompts/get", "version-refused")]
    play.asks(4, "prompts/list")
    assert play.server(4, {"id": 4, "result": discovery()}) == [
        play.leg(6, "tools/call", CALL),
        play.leg(7, "prompts/get", {"name": "p"}),
    ]
    assert refused(play, 5) == [
        Note("stale-facts", "prompts/list", "version-refused"),
        play.leg(8, "server/discover"),
    ]


def test_a_later_discovery_is_not_for_a_call_that_was_sent_again_already() -> None:
    play = calling()
    refused(play, 2)
    play.server(3, {"id": 3, "result": discovery()})
    play.asks(3, "prompts/get", name="p")
    refused(play, 5)
    assert play.server(6, {"id": 6, "result": discovery()}) == [play.leg(7, "prompts/get", {"name": "p"})]


@pytest.mark.parametrize(
    "answer",
    [
        {"result": discovery(supportedVersions=OTHERS)},
        {"result": discovery(supportedVersions=[])},
        {"error": {"code": -32022, "message": "no", "data": {"supported": OTHERS}}},
        {"error": {"code": -32601, "message": "no"}},
    ],
)
def test_a_call_is_stranded_where_its_revision_is_not_spoken_any_more(answer: Json) -> None:
    play = calling()
    refused(play, 2, OTHERS)
    assert play.server(3, {"id": 3, **answer}) == [Stranded(2)]
    assert play.facts.discover(play.now) is None
    assert play.empty()


def test_a_discovery_that_is_not_answered_ends_the_calls_that_wait_for_it() -> None:
    play = calling()
    refused(play, 2)
    assert play.fails(3, "backend-connect") == [
        failed(2, "backend-connect", "The server could not be reached"),
        Note("failed", "tools/call", "backend-connect"),
    ]
    assert play.empty()


@pytest.mark.parametrize(
    "result",
    [
        {"supportedVersions": "everything"},
        {},
        discovery(supportedVersions={MODERN: 1}),
    ],
)
def test_a_discovery_that_is_none_ends_the_calls_that_wait_for_it(result: Json) -> None:
    play = calling()
    refused(play, 2)
    assert play.server(3, {"id": 3, "result": result}) == [
        failed(2, "backend-garbage", "The server's answer is not valid MCP"),
        Note("failed", "tools/call", "backend-garbage"),
    ]
    assert play.empty()


def test_a_discovery_that_cannot_be_read_ends_the_calls_that_wait_for_it() -> None:
    play = calling()
    refused(play, 2)
    text = b'{"jsonrpc":"2.0","id":3,"result":{"supportedVersions":["x",1e999]}}'
    assert play.server(3, text)[0] == failed(2, "backend-garbage", "The server's answer is not valid MCP")
    assert play.empty()


def test_a_discovery_in_rounds_is_no_discovery() -> None:
    play = calling()
    refused(play, 2)
    assert play.server(3, {"id": 3, "result": discovery(resultType="input_required")}) == [Stranded(2)]


@pytest.mark.parametrize(
    "data",
    [None, 7, [], {}, {"supported": "everything"}, {"supported": []}, {"supported": [7, None]}, {"requested": MODERN}],
)
def test_a_refusal_that_names_no_version_ends_its_call_alone(data: Any) -> None:
    play = calling()
    error = {"code": -32022, "message": "no", **({} if data is None else {"data": data})}
    assert play.server(2, {"id": 2, "error": error}) == ended()
    assert play.empty()
    assert play.asks(3, "tools/call", **CALL) == [play.leg(3, "tools/call", CALL)]


def test_a_refusal_that_cannot_be_read_ends_its_call_alone() -> None:
    play = calling()
    text = b'{"jsonrpc":"2.0","id":2,"error":{"code":-32022,"message":"no","data":{"supported":["x"],"n":1e999}}}'
    assert play.server(2, text) == ended()


def test_a_call_that_was_cancelled_meanwhile_is_not_sent_again() -> None:
    play = calling()
    refused(play, 2)
    assert play.notes("notifications/cancelled", requestId=2) == []
    assert play.server(3, {"id": 3, "result": discovery()}) == []
    assert play.empty()


def test_a_session_that_ends_closes_its_discovery() -> None:
    play = calling()
    refused(play, 2)
    assert play.plain(play.talk.close()) == [Abort(3)]
    assert play.server(3, {"id": 3, "result": discovery()}) == []


def test_an_error_of_the_brokers_own_is_no_refusal_of_the_server() -> None:
    play = calling()
    error = {"code": -32022, "message": "no", "data": {"supported": [MODERN]}}
    [told] = play.server(2, {"id": 2, "error": error}, "broker")
    assert (told.exchange, told.final, told.frame.error.code) == (2, True, -32022)


def test_a_call_has_not_been_renewed_before() -> None:
    assert Bridge(1, "tools/call", {}, None).renewal == ""  # type: ignore[arg-type]
