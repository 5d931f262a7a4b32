"""The catalogue a tool's call waits for: which arguments are mirrored in headers, which results are wrapped."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translators.playbook import Json
from tests.translators.session_playbook import FORM, TOOL, SessionPlay, done, failed, met
from translators.machine import Note
from translators.session_client.facts import CATALOGUE_MS, UNREAD_MS
from translators.session_client.handshake import MAX_PAGES

CALL = {"name": "m"}


def mirroring(name: str, header: Any = "Region", kind: str = "string") -> Json:
    return {
        "name": name,
        "inputSchema": {"type": "object", "properties": {"r": {"type": kind, "x-mcp-header": header}}},
    }


GOOD = mirroring("m")
BAD = mirroring("b", kind="number")
OTHER = mirroring("o", "Place")


def unread() -> SessionPlay:
    """A session that knows no catalogue, with call 2 waiting for it on leg 2."""
    play = met(tools=False)
    assert play.asks(2, "tools/call", **CALL) == [play.leg(2, "tools/list")]
    return play


def test_the_first_call_of_a_tool_waits_for_the_catalogue() -> None:
    play = unread()
    assert play.asks(3, "tools/call", **CALL) == [], "one reading is enough"
    assert play.asks(4, "prompts/list") == [play.leg(3, "prompts/list")], "nobody else waits"
    assert play.returns(2, tools=[GOOD, TOOL]) == [play.leg(4, "tools/call", CALL), play.leg(5, "tools/call", CALL)]
    assert play.facts.mirrored("m") == {("r",): "Region"}
    assert play.facts.mirrored("t") == {}
    assert play.asks(6, "tools/call", **CALL) == [play.leg(6, "tools/call", CALL)]


def test_a_catalogue_of_several_pages_is_read_to_its_end() -> None:
    play = unread()
    assert play.returns(2, tools=[GOOD], nextCursor="c1") == [play.leg(3, "tools/list", {"cursor": "c1"})]
    assert not play.facts.knows_tools(0.0)
    assert play.returns(3, tools=[OTHER]) == [play.leg(4, "tools/call", CALL)]
    assert play.facts.mirrored("m") == {("r",): "Region"}
    assert play.facts.mirrored("o") == {("r",): "Place"}
    assert play.facts.knows_tools(0.0)


def test_a_catalogue_without_end_is_not_read_for_ever() -> None:
    play = unread()
    for number in range(1, MAX_PAGES):
        assert play.returns(number + 1, tools=[], nextCursor="more")[0].frame.method == "tools/list"
    assert play.returns(MAX_PAGES + 1, tools=[], nextCursor="more")[0].frame.method == "tools/call"


@pytest.mark.parametrize("way", ["error", "failure", "garbage", "no result", "odd cursor"])
def test_a_catalogue_that_cannot_be_read_holds_no_call_up(way: str) -> None:
    play = unread()
    match way:
        case "error":
            effects = play.errs(2, -32601)
        case "failure":
            effects = play.fails(2)
        case "garbage":
            effects = play.server(2, b'{"jsonrpc":"2.0","id":2,"result":{"tools":[],"ttlMs":1e999}}')
        case "no result":
            effects = play.server(2, {"id": 2, "result": {"resultType": "input_required", "requestState": "s"}})
        case _:
            effects = play.returns(2, tools=[], nextCursor=7)
    assert effects == [play.leg(3, "tools/call", CALL)]
    play.now = UNREAD_MS / 1000 - 0.1
    assert play.asks(3, "tools/call", **CALL) == [play.leg(4, "tools/call", CALL)], "not asked for again at once"
    play.now += 0.2
    assert play.asks(4, "tools/call", **CALL) == [play.leg(5, "tools/list")]


def test_a_catalogue_is_believed_for_its_time() -> None:
    play = unread()
    play.returns(2, tools=[], ttlMs=2 * CATALOGUE_MS)
    play.now = 2 * CATALOGUE_MS / 1000 - 0.1
    assert play.asks(3, "tools/call", **CALL)[0].frame.method == "tools/call"
    play.now += 0.1
    assert play.asks(4, "tools/call", **CALL)[0].frame.method == "tools/list"


def test_a_list_the_client_reads_teaches_the_catalogue() -> None:
    play = met(tools=False)
    play.asks(2, "tools/list")
    play.returns(2, tools=[GOOD])
    assert play.asks(3, "tools/call", **CALL) == [play.leg(3, "tools/call", CALL)]
    assert play.facts.mirrored("m") == {("r",): "Region"}


def test_one_page_the_client_reads_is_not_taken_for_the_catalogue() -> None:
    play = met(tools=False)
    play.asks(2, "tools/list", cursor="c9")
    play.returns(2, tools=[GOOD])
    assert play.asks(3, "tools/call", **CALL) == [play.leg(3, "tools/list")]
    play.returns(3, tools=[GOOD], nextCursor="c1")
    play.returns(4, tools=[OTHER])
    play.asks(4, "tools/list")
    play.returns(6, tools=[GOOD], nextCursor="c1")
    assert play.facts.mirrored("o") == {("r",): "Place"}, "the first page says nothing of the second"


def test_a_tool_with_a_bad_annotation_is_left_out_and_no_other() -> None:
    play = met()
    play.asks(2, "tools/list")
    answer, note = play.returns(2, tools=[TOOL, BAD, GOOD])
    plain: Json = {"name": "m", "inputSchema": {"type": "object", "properties": {"r": {"type": "string"}}}}
    assert answer == done(2, {"tools": [TOOL, plain]})
    assert ("tools[b]", "degraded") in [(loss.path, loss.loss) for loss in note.losses]


def test_a_tool_that_mirrors_no_more_is_forgotten() -> None:
    play = unread()
    play.returns(2, tools=[GOOD])
    play.asks(3, "tools/list")
    play.returns(4, tools=[{**TOOL, "name": "m"}], nextCursor="c")
    assert play.facts.mirrored("m") == {}


def test_a_header_mismatch_reads_the_catalogue_again_and_sends_the_call_once_more() -> None:
    play = met({"elicitation": {}})
    play.asks(2, "tools/call", **CALL)
    play.requires(2, "s", a=FORM)
    play.answers(1, result={"action": "accept"})
    assert play.errs(3, -32020) == [Note("stale-facts", "tools/call", "header-mismatch"), play.leg(4, "tools/list")]
    retry = {**CALL, "inputResponses": {"a": {"action": "accept"}}, "requestState": "s"}
    assert play.returns(4, tools=[GOOD]) == [play.leg(5, "tools/call", retry)]
    assert play.errs(5, -32020) == [
        failed(2, "backend-garbage", "The server's answer is not valid MCP"),
        Note("failed", "tools/call", "backend-garbage"),
    ]
    assert play.empty()


def test_a_header_mismatch_of_another_request_is_the_servers_fault() -> None:
    play = met()
    play.asks(2, "prompts/get", name="p")
    assert play.errs(2, -32020)[0] == failed(2, "backend-garbage", "The server's answer is not valid MCP")


def test_a_call_cancelled_while_it_waits_for_the_catalogue_is_not_sent() -> None:
    play = unread()
    play.asks(3, "tools/call", **CALL)
    assert play.notes("notifications/cancelled", requestId=2) == []
    assert play.returns(2, tools=[]) == [play.leg(3, "tools/call", CALL)]
    assert play.returns(3, content=[])[0].exchange == 3
    assert play.empty()


def test_a_structured_result_is_wrapped_exactly_where_the_listed_schema_was() -> None:
    play = unread()
    listed = {"name": "m", "inputSchema": {"type": "object"}, "outputSchema": {"type": "array"}}
    plain = {"name": "p", "inputSchema": {"type": "object"}, "outputSchema": {"type": "object"}}
    play.returns(2, tools=[listed, plain])
    answer, *_notes = play.returns(3, structuredContent=[1], content=[])
    assert answer.frame.result["structuredContent"] == {"result": [1]}
    play.asks(3, "tools/call", name="p")
    answer, *_notes = play.returns(4, structuredContent={"a": 1}, content=[])
    assert answer.frame.result["structuredContent"] == {"a": 1}
    play.asks(4, "tools/list")
    answer, *_notes = play.returns(5, tools=[listed])
    assert answer.frame.result["tools"][0]["outputSchema"]["required"] == ["result"]
