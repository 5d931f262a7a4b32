"""`list_changed` before a stateless server: told only when what the client would read has changed, or as it comes."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from protocol_versions import jsonrpc
from tests.translators.playbook import Json
from tests.translators.session_playbook import SessionPlay, done, met, told
from translators.machine import STANDING, Abort, FromServer, Note, SetTimer, ToClient
from translators.session_client.handshake import MAX_PAGES
from translators.session_client.lists import PAUSE_S
from translators.session_client.machine import SESSION

OFFERS: Json = {kind: {"listChanged": True} for kind in ("tools", "prompts", "resources")}
FLAGS = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
A: Json = {"name": "a", "inputSchema": {"type": "object"}}
B: Json = {"name": "b", "inputSchema": {"type": "object"}}


def changed(kind: str = "tools") -> Any:
    return told(STANDING, method=f"notifications/{kind}/list_changed")


def rest(kind: str = "tools") -> SetTimer:
    return SetTimer(f"rested:{kind}", PAUSE_S)


def same(kind: str = "tools") -> Note:
    return Note("dropped", f"notifications/{kind}/list_changed", "list-unchanged")


def reading(*tools: Json, compare: bool = True, reader: str = SESSION) -> SessionPlay:
    """A session that listens on leg 2 and, if there are any, has read these tools on leg 3."""
    play = met(offers=OFFERS, compare_lists=compare, reader=reader)
    play.stands()
    play.acknowledges(2, **FLAGS)
    if tools:
        play.asks(3, "tools/list")
        play.returns(3, tools=list(tools))
    return play


def announce(play: SessionPlay, kind: str = "tools") -> list[Any]:
    return play.says(2, f"notifications/{kind}/list_changed")


def test_every_announcement_is_told_unless_lists_are_to_be_compared() -> None:
    play = reading(A, compare=False)
    assert announce(play) == [changed()]
    assert announce(play) == [changed()]


def test_a_client_that_never_read_the_list_is_told_at_once() -> None:
    play = reading()
    for kind in ("tools", "prompts", "resources"):
        assert announce(play, kind) == [changed(kind)]


def test_a_list_that_is_the_same_is_not_announced() -> None:
    play = reading(A, B)
    assert announce(play) == [play.leg(4, "tools/list")]
    assert play.returns(4, tools=[A, B], ttlMs=5, cacheScope="public") == [same(), rest()]


def test_the_order_of_a_list_is_no_change() -> None:
    play = reading(A, B)
    announce(play)
    assert play.returns(4, tools=[B, A]) == [same(), rest()]


def test_the_order_of_an_objects_members_is_no_change() -> None:
    play = reading(A)
    announce(play)
    assert play.returns(4, tools=[dict(reversed(A.items()))]) == [same(), rest()]


@pytest.mark.parametrize(
    ("reader", "member", "news"),
    [
        ("2024-11-05", "annotations", {"readOnlyHint": True}),
        ("2025-03-26", "outputSchema", {"type": "object"}),
        ("2025-06-18", "icons", [{"src": "https://example.com/a.png"}]),
    ],
)
def test_what_the_clients_revision_does_not_have_is_no_change_of_its_list(reader: str, member: str, news: Any) -> None:
    for revision, expected in ((reader, same()), (SESSION, changed())):
        play = reading(A, reader=revision)
        announce(play)
        assert play.returns(4, tools=[{**A, member: news}])[0] == expected


def test_a_list_that_cannot_be_compared_is_given_and_its_next_change_told_at_once() -> None:
    play = reading(A)
    play.asks(4, "tools/list")
    odd = b'{"jsonrpc":"2.0","id":4,"result":{"resultType":"complete","tools":[{"name":"a","x-vendor":1e999}]}}'
    [given] = play.talk.handle(FromServer(4, jsonrpc.decode_backend(odd)), play.now)
    assert isinstance(given, ToClient)
    assert (given.exchange, given.final, given.frame.error) == (4, True, UNSET)
    assert announce(play) == [changed()]


def test_comparing_leaves_the_list_the_client_is_given_as_it_is() -> None:
    tool = {**A, "title": "A", "icons": [{"src": "https://example.com/a.png"}], "annotations": {"readOnlyHint": True}}
    for text in (tool, {**tool, "outputSchema": {"type": "array"}}):
        results = []
        for compare in (True, False):
            play = met(offers=OFFERS, compare_lists=compare, reader="2024-11-05")
            play.asks(3, "tools/list")
            results.append(play.returns(2, tools=[text]))
        assert results[0] == results[1]
        assert results[0][0].frame.result


@pytest.mark.parametrize("tools", [[A], [A, B, B], [A, {**B, "title": "B"}], []])
def test_a_list_that_is_another_is_announced(tools: list[Json]) -> None:
    play = reading(A, B)
    announce(play)
    assert play.returns(4, tools=tools) == [changed(), rest()]


def test_what_the_client_would_not_be_given_is_no_change() -> None:
    play = reading(A)
    announce(play)
    bad = {"name": "x", "inputSchema": {"type": "object", "properties": {"r": {"type": "number", "x-mcp-header": "R"}}}}
    hidden: Json = {"r": {"type": "string", "x-mcp-header": "R"}}
    assert play.returns(4, tools=[A, bad])[-2:] == [same(), rest()]
    assert play.facts.knows_tools(play.now)
    play.asks(5, "tools/list")
    plain: Json = {"name": "a", "inputSchema": {"type": "object", "properties": {"r": {"type": "string"}}}}
    play.returns(5, tools=[plain])
    play.expires("rested:tools")
    announce(play)
    assert same() in play.returns(6, tools=[{"name": "a", "inputSchema": {"type": "object", "properties": hidden}}])


def test_a_list_that_went_back_to_what_the_client_has_is_no_change() -> None:
    play = reading(A)
    announce(play)
    assert play.returns(4, tools=[B])[0] == changed()
    play.expires("rested:tools")
    announce(play)
    assert play.returns(5, tools=[A]) == [same(), rest()]


def test_announcements_during_a_check_lead_to_one_more_after_a_pause() -> None:
    play = reading(A)
    announce(play)
    assert announce(play) == []
    assert announce(play) == []
    assert play.returns(4, tools=[A]) == [same(), rest()]
    assert announce(play) == []
    assert play.expires("rested:tools") == [play.leg(5, "tools/list")]
    assert play.returns(5, tools=[B]) == [changed(), rest()]
    assert play.expires("rested:tools") == []


def test_lists_of_several_pages_are_compared_whole() -> None:
    play = reading()
    play.asks(3, "tools/list")
    play.returns(3, tools=[A], nextCursor="c1")
    play.asks(4, "tools/list", cursor="c1")
    play.returns(4, tools=[B])
    assert announce(play) == [play.leg(5, "tools/list")]
    assert play.returns(5, tools=[B], nextCursor="d1") == [play.leg(6, "tools/list", {"cursor": "d1"})]
    assert play.returns(6, tools=[A]) == [same(), rest()]
    play.expires("rested:tools")
    announce(play)
    play.returns(7, tools=[A], nextCursor="c1")
    assert play.returns(8, tools=[]) == [changed(), rest()]


@pytest.mark.parametrize("cursors", [["c9"], [None], [None, "c2"], ["c1", None]])
def test_a_client_that_did_not_read_to_the_end_is_told_at_once(cursors: list[str | None]) -> None:
    play = reading(A)
    for number, cursor in enumerate(cursors):
        play.asks(4 + number, "tools/list", **({"cursor": cursor} if cursor else {}))
        play.returns(4 + number, tools=[A], nextCursor="c1")
    play.asks(9, "tools/list", cursor="c7")
    play.returns(4 + len(cursors), tools=[A])
    assert announce(play) == [changed()]


def test_a_list_that_cannot_be_read_again_counts_as_changed() -> None:
    for way in ("error", "failure", "garbage"):
        play = reading(A)
        announce(play)
        if way == "error":
            effects = play.errs(4, -32601)
        elif way == "failure":
            effects = play.fails(4)
        else:
            effects = play.server(4, b'{"jsonrpc":"2.0","id":4,"result":{"tools":[{"name":1e999}]}}')
        assert effects == [changed(), rest()]


def test_a_list_without_end_is_not_read_for_ever() -> None:
    play = reading(A)
    announce(play)
    for number in range(MAX_PAGES - 1):
        assert play.returns(4 + number, tools=[A], nextCursor="more")[0].call == 5 + number
    assert play.returns(3 + MAX_PAGES, tools=[A], nextCursor="more") == [changed(), rest()]


def test_a_list_the_client_is_just_reading_may_be_the_old_one() -> None:
    play = reading(A)
    play.asks(4, "tools/list")
    announce(play)
    assert play.returns(5, tools=[A]) == [changed(), rest()]


def test_resources_and_their_templates_change_under_one_name() -> None:
    play = reading()
    play.asks(3, "resources/list")
    play.returns(3, resources=[{"uri": "test://a", "name": "a"}])
    play.asks(4, "resources/templates/list")
    play.returns(4, resourceTemplates=[{"uriTemplate": "test://{x}", "name": "x"}])
    assert announce(play, "resources") == [play.leg(5, "resources/list")]
    assert play.returns(5, resources=[{"uri": "test://a", "name": "a"}]) == [play.leg(6, "resources/templates/list")]
    assert play.returns(6, resourceTemplates=[]) == [changed("resources"), rest("resources")]


def test_kinds_are_checked_apart() -> None:
    play = reading(A)
    play.asks(4, "prompts/list")
    play.returns(4, prompts=[{"name": "p"}])
    assert announce(play) == [play.leg(5, "tools/list")]
    assert announce(play, "prompts") == [play.leg(6, "prompts/list")]
    assert play.returns(6, prompts=[]) == [changed("prompts"), rest("prompts")]
    assert play.returns(5, tools=[A]) == [same(), rest()]


def test_after_a_gap_only_what_changed_is_told() -> None:
    play = reading(A)
    play.fails(2)
    play.expires("listen")
    assert play.acknowledges(4, **FLAGS) == [play.leg(5, "tools/list"), changed("prompts"), changed("resources")]
    assert play.returns(5, tools=[A]) == [same(), rest()]


def test_a_check_ends_with_the_session() -> None:
    play = reading(A)
    announce(play)
    assert play.plain(play.talk.close()) == [Abort(2), Abort(4)]
    assert play.returns(4, tools=[A]) == []
    assert play.expires("rested:tools") == []


def test_the_catalogue_learns_from_a_check() -> None:
    play = reading(A)
    announce(play)
    assert play.asks(4, "tools/call", name="a") == [play.leg(5, "tools/list")], "a call does not wait for a check"
    play.returns(4, tools=[A])
    assert play.returns(5, tools=[A]) == [play.leg(6, "tools/call", {"name": "a"})]
    assert play.returns(6, content=[]) == [done(4, {"content": []})]
