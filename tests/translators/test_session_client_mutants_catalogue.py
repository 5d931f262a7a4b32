"""Corners of discovery and catalogue before a stateless server that mutants showed untested."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from msgspec import Raw, json

from protocol_versions.jsonrpc import Frame
from tests.translators.playbook import CLIENT_INFO, Json
from tests.translators.session_playbook import (
    MODERN,
    PREFIX,
    TOOL,
    SessionPlay,
    discovery,
    envelope,
    failed,
    greeting,
    met,
)
from translators.context import Context
from translators.machine import FromServer, Note
from translators.session_client.envelope import Envelope, needs_only_envelope
from translators.session_client.facts import CATALOGUE_MS, MAX_TOOLS, UNREAD_MS, Facts
from translators.session_client.handshake import MAX_PAGES
from translators.tables import tables

CALL = {"name": "m"}
GOOD: Json = {
    "name": "m",
    "inputSchema": {"type": "object", "properties": {"r": {"type": "string", "x-mcp-header": "Region"}}},
}
WRAPPED: Json = {"name": "w", "inputSchema": {"type": "object"}, "outputSchema": {"type": "array"}}
SPOILED: Json = {
    "name": "s",
    "inputSchema": {"type": "object", "properties": {"r": {"type": "number", "x-mcp-header": "Region"}}},
}


def waiting() -> SessionPlay:
    """A session with call 2 waiting for the catalogue on leg 2."""
    play = met(tools=False)
    play.asks(2, "tools/call", **CALL)
    return play


def test_an_unread_catalogue_is_asked_for_again_after_exactly_its_time() -> None:
    play = waiting()
    play.errs(2, -32601)
    play.now = UNREAD_MS / 1000
    assert play.asks(3, "tools/call", **CALL) == [play.leg(4, "tools/list")]


def test_a_catalogue_of_several_pages_is_known_afterwards() -> None:
    play = waiting()
    play.returns(2, tools=[GOOD], nextCursor="c1")
    play.returns(3, tools=[])
    play.now = CATALOGUE_MS / 1000 - 0.1
    assert play.asks(3, "tools/call", **CALL) == [play.leg(5, "tools/call", CALL)]
    play.now += 0.1
    assert play.asks(4, "tools/call", **CALL) == [play.leg(6, "tools/list")]


def test_a_catalogue_is_known_though_its_last_page_says_what_the_one_before_it_did() -> None:
    play = waiting()
    play.returns(2, tools=[GOOD], nextCursor="c1")
    play.returns(3, tools=[GOOD])
    assert play.asks(3, "tools/call", **CALL) == [play.leg(5, "tools/call", CALL)]


def test_a_page_that_says_what_the_last_one_did_is_not_read_again() -> None:
    facts, page = Facts(), {"tools": Raw(json.encode([GOOD, WRAPPED, SPOILED]))}
    assert facts.learn_tools(dict(page), 0.0, first=True) == (["s"], False)
    kept = facts.schemas["w"]
    assert facts.learn_tools(dict(page), 0.0, first=True) == (["s"], False)
    assert facts.schemas["w"] is kept


def test_a_page_that_says_something_else_is_read() -> None:
    facts = Facts()
    for tools in ([WRAPPED], [GOOD], [GOOD, WRAPPED]):
        facts.learn_tools({"tools": Raw(json.encode(tools))}, 0.0, first=True)
        assert (facts.mirrors, bool(facts.schemas)) == (GOOD in tools, WRAPPED in tools)


def test_a_page_that_was_opened_is_read_as_well() -> None:
    facts = Facts()
    for tools in ([WRAPPED], [GOOD], [GOOD, WRAPPED]):
        facts.learn_tools({"tools": deepcopy(tools)}, 0.0, first=True)
        assert (facts.mirrors, bool(facts.schemas)) == (GOOD in tools, WRAPPED in tools)


def test_a_page_that_is_all_there_is_forgets_even_if_it_was_one_of_several_before() -> None:
    facts, page = Facts(), {"tools": Raw(json.encode([GOOD]))}
    facts.learn_tools({"tools": Raw(json.encode([WRAPPED])), "nextCursor": "c"}, 0.0, first=True)
    facts.learn_tools(dict(page), 0.0, first=False, walk=True)
    assert facts.schemas
    facts.learn_tools(dict(page), 0.0, first=True)
    assert not facts.schemas


@pytest.mark.parametrize("versions", ["2025-11-25", {"2025-11-25": 1}, None, 5])
def test_a_discovery_whose_revisions_are_no_list_is_garbage(versions: Any) -> None:
    play = SessionPlay()
    play.client(1, greeting())
    found = play.server(1, {"id": 1, "result": discovery(supportedVersions=versions)})
    assert found[-1] == Note("failed", "server/discover", "backend-garbage")


USUAL: list[tuple[Json, bool]] = [
    ({"name": "t"}, True),
    ({"name": "t", "arguments": {"a": 1}}, True),
    ({"name": "t", "arguments": {}, "_meta": {"progressToken": 1}}, True),
    ({"name": "t", "task": {}}, False),
    ({"name": "t", "arguments": None}, False),
    ({"name": "t", "x": 1}, False),
    ({"name": "t", "_meta": {f"{PREFIX}logLevel": "debug"}}, False),
]


@pytest.mark.parametrize(("params", "usual"), USUAL)
def test_a_usual_call_needs_an_envelope_and_nothing_else(params: Json, usual: bool) -> None:
    lane = tables("2025-11-25", MODERN).to_server["tools/call"].params
    body = {name: Raw(json.encode(value)) for name, value in params.items()}
    for _ in range(2):
        assert needs_only_envelope(lane, body, Context(method="tools/call")) is usual


def test_a_page_that_is_not_the_first_makes_no_catalogue_known() -> None:
    facts = Facts()
    facts.learn_tools({"tools": []}, 0.0, first=False)
    assert not facts.knows_tools(0.0)


def test_a_catalogue_mirrors_if_any_tool_of_it_does() -> None:
    facts = Facts()
    assert facts.mirrors is False
    facts.learn_tools({"tools": [TOOL, GOOD]}, 0.0, first=True)
    assert facts.mirrors is True


def test_an_envelope_leaves_nothing_a_client_wrote_under_its_names() -> None:
    written = {f"{PREFIX}logLevel": "debug", f"{PREFIX}serverInfo": {}, f"{PREFIX}subscriptionId": 1, "x": 1}
    stamped = Envelope({}, CLIENT_INFO).stamp({"_meta": Raw(json.encode(written))})
    assert json.decode(json.encode(stamped)) == {"_meta": {**envelope(), "x": 1}}


def test_a_catalogue_of_one_page_forgets_the_tools_it_does_not_name() -> None:
    play = met(tools=False)
    play.asks(2, "tools/list")
    wrapping = {**TOOL, "outputSchema": {"type": "array"}}
    play.returns(2, tools=[GOOD, wrapping])
    assert play.facts.mirrored("m") == {("r",): "Region"}
    assert list(play.facts.schemas) == ["t"]
    play.asks(3, "tools/list")
    play.returns(3, tools=[])
    assert play.facts.mirrored("m") == {}
    assert play.facts.schemas == {}


def test_a_page_of_several_forgets_nothing() -> None:
    play = met(tools=False)
    play.asks(2, "tools/list")
    play.returns(2, tools=[GOOD])
    play.asks(3, "tools/list")
    play.returns(3, tools=[], nextCursor="c")
    assert play.facts.mirrored("m") == {("r",): "Region"}


@pytest.mark.parametrize(
    "odd",
    [
        b'{"name":["n"],"inputSchema":{"type":"object"}}',
        b'{"name":5}',
        b"7",
        b'{"name":"o","inputSchema":{"default":1e999}}',
        b'{"name":"o","inputSchema":{"type":"object"},"outputSchema":{"type":"object","default":1e999}}',
        b'{"name":"o","inputSchema":{"type":"object"},"outputSchema":true}',
        b'{"name":"o","inputSchema":{"type":"object"},"outputSchema":"any"}',
        b'{"name":"o","inputSchema":{"type":"object"},"outputSchema":{"description":"d","type":"object"}}',
        b'{"name":"o","inputSchema":null,"outputSchema":null}',
        b'{"name":"o"}',
    ],
)
def test_one_odd_tool_does_not_keep_the_others_from_being_learnt(odd: bytes) -> None:
    play = waiting()
    good = b'{"name":"m","inputSchema":{"type":"object","properties":{"r":{"type":"string","x-mcp-header":"Region"}}}}'
    body = b'{"jsonrpc":"2.0","id":2,"result":{"tools":[%b,%b],"ttlMs":90000}}' % (odd, good)
    assert play.server(2, body) == [play.leg(3, "tools/call", CALL)]
    assert play.facts.mirrored("m") == {("r",): "Region"}
    assert play.facts.schemas == {}
    assert play.facts.knows_tools(89.9)


def test_nothing_is_kept_of_more_tools_than_the_bound() -> None:
    facts = Facts()
    tools = [{**GOOD, "name": f"t{number}"} for number in range(MAX_TOOLS + 1)]
    facts.learn_tools({"tools": tools}, 0.0, first=True)
    assert facts.mirrored(f"t{MAX_TOOLS - 1}") == {("r",): "Region"}
    assert facts.mirrored(f"t{MAX_TOOLS}") == {}


def test_an_error_in_a_result_that_is_none_ends_no_catalogue_but_its_own() -> None:
    play = waiting()
    assert play.plain(play.talk.handle(FromServer(2, Frame(id=2)), 0.0)) == [play.leg(3, "tools/call", CALL)]


def test_the_last_page_that_is_read_leaves_the_catalogue_unread() -> None:
    play = waiting()
    for number in range(1, MAX_PAGES + 1):
        play.returns(number + 1, tools=[], nextCursor="more")
    play.now = UNREAD_MS / 1000
    assert play.asks(3, "tools/call", **CALL)[0].frame.method == "tools/list", "not believed as if it were whole"


def test_a_second_walk_starts_with_a_first_page() -> None:
    play = waiting()
    for number in range(1, MAX_PAGES + 1):
        play.returns(number + 1, tools=[GOOD], nextCursor="more")
    play.now = UNREAD_MS / 1000
    [sent] = play.asks(3, "tools/call", **CALL)
    play.returns(sent.call, tools=[])
    assert play.facts.mirrored("m") == {}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"origin": "broker", "reason": "backend-timeout"}, "backend-timeout"),
        ({"origin": "broker", "reason": 7}, "backend-status"),
        ({"origin": "broker"}, "backend-status"),
        ({"origin": "server", "reason": "backend-timeout"}, "backend-status"),
        ({"reason": "backend-timeout"}, "backend-status"),
        (["broker"], "backend-status"),
    ],
)
def test_a_refused_discovery_is_told_for_the_brokers_reason_alone(data: Any, reason: str) -> None:
    play = SessionPlay()
    play.client(1, greeting())
    error = {"code": -32603, "message": "no", "data": data}
    [_answer, note] = play.server(1, {"id": 1, "error": error})
    assert note == Note("failed", "server/discover", reason)


def test_an_unreadable_discovery_is_the_servers_fault() -> None:
    play = SessionPlay()
    play.client(1, greeting())
    body = b'{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":[1e999]}}'
    assert play.server(1, body)[0] == failed(1, "backend-garbage", "The server's answer is not valid MCP")


def test_a_discovery_is_kept_as_it_was_given() -> None:
    play = SessionPlay()
    play.client(1, greeting())
    play.server(1, {"id": 1, "result": discovery(supportedVersions=["2024-11-05", MODERN])})
    assert play.talk.facts.discover(59.9) == discovery(supportedVersions=["2024-11-05", MODERN])
    play.talk.facts.forget()
    assert play.talk.facts.discover(0.0) is None
    assert SessionPlay(play.facts).client(1, greeting()) == [play.leg(1, "server/discover")]


def test_an_unread_catalogue_is_not_asked_for_before_its_time() -> None:
    play = waiting()
    play.errs(2, -32601)
    play.now = UNREAD_MS / 1000 - 0.001
    assert play.asks(3, "tools/call", **CALL) == [play.leg(4, "tools/call", CALL)]


@pytest.mark.parametrize("method", ["prompts/get", "tools/call"])
def test_a_mismatch_of_headers_makes_the_catalogue_stale(method: str) -> None:
    play = met()
    play.asks(2, method, **CALL)
    play.errs(2, -32020)
    assert not play.facts.knows_tools(0.0)


@pytest.mark.parametrize("code", [-32020, -32022])
def test_an_error_of_the_brokers_own_teaches_nothing_of_the_server(code: int) -> None:
    play = met()
    play.asks(2, "tools/call", **CALL)
    [answer] = play.server(2, {"id": 2, "error": {"code": code, "message": "no"}}, "broker")
    assert (answer.final, answer.frame.error.code) == (True, code)
    assert play.facts.knows_tools(0.0)
    assert play.facts.discover(0.0) is not None


def test_two_introductions_are_answered_once_each_at_most() -> None:
    play = SessionPlay()
    play.client(1, greeting())
    assert play.client(2, {**greeting(), "id": 2}) == [play.leg(2, "server/discover")]
    [answer] = play.server(1, {"id": 1, "result": discovery()})
    assert answer.exchange == 2
    assert play.server(2, {"id": 2, "result": discovery()}) == []


def test_a_call_that_is_cancelled_waits_for_no_catalogue() -> None:
    play = waiting()
    assert play.notes("notifications/cancelled", requestId=2) == []
    assert play.talk.waiting == []
    assert play.returns(2, tools=[]) == []
    assert play.empty()


def test_a_list_that_is_read_again_is_believed_anew() -> None:
    play = met(tools=False)
    for number, now in ((2, 0.0), (3, 59.0)):
        play.now = now
        play.asks(number, "tools/list")
        play.returns(number, tools=[GOOD])
    assert play.facts.knows_tools(59.0 + CATALOGUE_MS / 1000 - 0.1)
    assert not play.facts.knows_tools(59.0 + CATALOGUE_MS / 1000)


@pytest.mark.parametrize(
    ("asked", "more"), [({}, {"nextCursor": "c"}), ({"cursor": "c"}, {}), ({"cursor": "c"}, {"nextCursor": "d"})]
)
def test_a_page_that_is_read_again_is_no_catalogue(asked: Json, more: Json) -> None:
    play = met(tools=False)
    for number in (2, 3):
        play.asks(number, "tools/list", **asked)
        play.returns(number, tools=[GOOD], **more)
    assert not play.facts.knows_tools(0.0)
