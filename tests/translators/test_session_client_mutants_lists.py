"""Corners of compared lists before a stateless server that mutants showed untested."""

from __future__ import annotations

from typing import Any

from tests.translators.playbook import Json
from tests.translators.session_playbook import TOOL, SessionPlay, done, met, told
from translators.loss import Loss, Noted
from translators.machine import STANDING, Note
from translators.session_client import Facts, SessionClient
from translators.session_client.handshake import MAX_PAGES

OFFERS: Json = {kind: {"listChanged": True} for kind in ("tools", "prompts", "resources")}
FLAGS = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}


def mirroring(name: str, kind: str) -> Json:
    schema = {"type": "object", "properties": {"r": {"type": kind, "x-mcp-header": "Region"}}}
    return {"name": name, "inputSchema": schema}


def listening(offers: Json | None = None) -> SessionPlay:
    """A session that compares lists and listens on leg 2."""
    play = met(offers=offers or OFFERS, compare_lists=True)
    play.stands()
    play.acknowledges(2, **FLAGS)
    return play


def changed(kind: str) -> Any:
    return told(STANDING, method=f"notifications/{kind}/list_changed")


def test_lists_are_not_compared_unless_that_is_wanted() -> None:
    assert SessionClient(Facts(), str).compare_lists is False


def test_a_list_that_has_no_end_any_more_is_another() -> None:
    play = listening()
    for number in range(MAX_PAGES):
        asked = {"cursor": "c"} if number else {}
        play.asks(3 + number, "prompts/list", **asked)
        play.returns(3 + number, prompts=[], **({"nextCursor": "c"} if number < MAX_PAGES - 1 else {}))
    [sent] = play.says(2, "notifications/prompts/list_changed")
    for _number in range(MAX_PAGES - 1):
        [sent] = play.returns(sent.call, prompts=[], nextCursor="c")
    assert play.returns(sent.call, prompts=[], nextCursor="c")[0] == changed("prompts")


def test_a_list_that_is_answered_with_something_else_is_told_and_teaches_nothing() -> None:
    play = listening()
    play.asks(3, "tools/list")
    play.returns(3, tools=[TOOL])
    [sent] = play.says(2, "notifications/tools/list_changed")
    unfinished = {"id": sent.call, "result": {"resultType": "input_required", "tools": [TOOL]}}
    assert play.server(sent.call, unfinished)[0] == changed("tools")
    assert not play.facts.knows_tools(play.now)


def test_reading_all_pages_of_a_list_again_makes_its_catalogue_known() -> None:
    play = listening()
    play.asks(3, "tools/list")
    play.returns(3, tools=[TOOL])
    [first] = play.says(2, "notifications/tools/list_changed")
    assert not play.facts.knows_tools(play.now)
    [second] = play.returns(first.call, tools=[mirroring("m", "string")], nextCursor="c")
    play.returns(second.call, tools=[TOOL])
    assert play.facts.knows_tools(play.now)


def test_a_tool_that_is_left_out_is_noted_by_its_name() -> None:
    play = listening()
    play.asks(3, "tools/list")
    lost = Noted("mirrored headers", "tools[b]", Loss.DEGRADED)
    assert play.returns(3, tools=[mirroring("b", "number"), TOOL]) == [
        done(3, {"tools": [TOOL]}),
        Note("lossy", "tools/list", losses=(lost,)),
    ]


def test_reading_a_list_again_teaches_the_catalogue_anew() -> None:
    play = listening()
    play.asks(3, "tools/list")
    play.returns(3, tools=[mirroring("m", "string")])
    play.says(2, "notifications/tools/list_changed")
    assert play.returns(4, tools=[TOOL])[0] == changed("tools")
    assert play.facts.mirrored("m") == {}
    assert play.facts.knows_tools(0.0)


def test_a_server_that_announces_in_another_shape_announces_nothing() -> None:
    play = listening({"tools": True, "prompts": {"listChanged": True}})
    play.asks(3, "tools/list")
    assert play.returns(3, tools=[TOOL]) == [done(3, {"tools": [TOOL]})]


def test_a_list_the_server_does_not_announce_is_not_remembered() -> None:
    play = listening({"tools": {}, "prompts": {"listChanged": True}})
    play.asks(3, "tools/list")
    play.returns(3, tools=[TOOL])
    assert play.says(2, "notifications/tools/list_changed") == [changed("tools")]
