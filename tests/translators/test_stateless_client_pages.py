"""Lists for stateless clients: cursors of one session, the same order each time, and how long a list may be kept."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translators.playbook import Json
from tests.translators.stateless_playbook import META, StatelessPlay, done, failed, met, sent
from translators.machine import Note
from translators.stateless_client.machine import Rules
from translators.stateless_client.pages import MAX_ORDERED

LISTS = [
    ("tools/list", "tools", "name", "tools"),
    ("prompts/list", "prompts", "name", "prompts"),
    ("resources/list", "resources", "uri", "resources"),
    ("resources/templates/list", "resourceTemplates", "uriTemplate", "resources"),
]
EXPIRED = "Invalid params: the cursor is not valid any more"


def listing(member: str, items: list[Json], **more: Any) -> Json:
    return {member: items, "resultType": "complete", "ttlMs": 0, "cacheScope": "private", "_meta": META, **more}


def items(*names: str, key: str = "name", **more: Any) -> list[Json]:
    """Items that are valid in any list."""
    shared: Json = {"name": "n", "uri": "test://a", "uriTemplate": "test://{a}", "inputSchema": {"type": "object"}}
    return [{**shared, key: name, **more} for name in names]


def listed(play: StatelessPlay, call: int, *names: str, **more: Any) -> list[str]:
    """The order in which a client is given tools that the server listed in this order."""
    play.asks(call, "tools/list", {})
    [effect] = play.returns(call, tools=items(*names, **more))
    return [tool["name"] for tool in effect.frame.result["tools"]]


@pytest.mark.parametrize(("method", "member", "key", "_kind"), LISTS)
def test_a_cursor_leaves_with_the_session_in_front_and_comes_back_without(
    method: str, member: str, key: str, _kind: str
) -> None:
    play = met()
    assert play.asks(10, method, {}) == [sent(3, method)]
    page = items("a", key=key)
    assert play.returns(3, **{member: page}, nextCursor="p2") == [
        done(10, listing(member, page, nextCursor="owner.1.0.p2"))
    ]
    assert play.asks(11, method, {"cursor": "owner.1.0.p2"}) == [sent(4, method, cursor="p2")]
    assert play.returns(4, **{member: page}) == [done(11, listing(member, page))]


def test_a_cursor_may_hold_anything() -> None:
    play = met()
    assert play.asks(10, "tools/list", {"cursor": "owner.1.0.owner.1.0.é"}) == [
        sent(3, "tools/list", cursor="owner.1.0.é")
    ]
    assert play.asks(11, "tools/list", {"cursor": "owner.1.0."}) == [sent(4, "tools/list", cursor="")]


@pytest.mark.parametrize("cursor", ["p2", "", "owner.2.0.p2", "owner.1.1.p2", "other.1.0.p2", "owner.1.0", 1, []])
def test_a_cursor_that_this_session_never_gave_is_refused(cursor: Any) -> None:
    play = met()
    assert play.asks(10, "tools/list", {"cursor": cursor}) == [
        failed(10, "cursor-expired", EXPIRED, -32602),
        Note("refused", "tools/list", "cursor-expired"),
    ]
    assert play.empty()


def test_a_cursor_that_is_null_is_none() -> None:
    [request, *_notes] = met().asks(10, "tools/list", {"cursor": None})
    assert request == sent(3, "tools/list")


def test_cursors_end_with_the_session_that_gave_them() -> None:
    play = met()
    play.plain(play.talk.resync(play.now, again=False))
    assert play.asks(10, "tools/list", {"cursor": "owner.1.0.p2"}) == [sent(3, "tools/list", cursor="p2")]
    play.plain(play.talk.resync(play.now, again=True))
    assert play.asks(11, "tools/list", {"cursor": "owner.1.0.p2"})[0] == failed(11, "cursor-expired", EXPIRED, -32602)
    assert play.asks(12, "tools/list", {"cursor": "owner.1.1.p2"}) == [sent(4, "tools/list", cursor="p2")]


def test_a_session_of_one_request_alone_passes_cursors_on() -> None:
    play = met(rules=Rules(wrap_cursors=False))
    assert play.asks(10, "tools/list", {"cursor": "p2"}) == [sent(3, "tools/list", cursor="p2")]
    assert play.returns(3, tools=[], nextCursor="p3") == [done(10, listing("tools", [], nextCursor="p3"))]


@pytest.mark.parametrize("cursor", ["", None, 7, {}])
def test_the_last_page_has_no_cursor_at_all(cursor: Any) -> None:
    play = met()
    play.asks(10, "tools/list", {})
    [effect, *_notes] = play.returns(3, tools=[], nextCursor=cursor)
    assert "nextCursor" not in effect.frame.result


@pytest.mark.parametrize(("method", "member", "key", "_kind"), LISTS)
def test_a_list_comes_in_the_order_it_had(method: str, member: str, key: str, _kind: str) -> None:
    play = met()
    orders = [("b", "a", "c"), ("c", "b", "a"), ("a", "b", "c"), ("b", "a", "c")]
    for number, order in enumerate(orders, 3):
        play.asks(number, method, {})
        [effect] = play.returns(number, **{member: items(*order, key=key)})
        assert [item[key] for item in effect.frame.result[member]] == ["b", "a", "c"]


def test_items_that_changed_keep_their_place() -> None:
    play = met()
    listed(play, 3, "b", "a")
    play.asks(4, "tools/list", {})
    [effect] = play.returns(4, tools=items("a", "b", description="new"))
    assert effect.frame.result["tools"] == items("b", "a", description="new")
    assert listed(play, 5, "a", "b") == ["b", "a"]


def test_a_list_with_other_items_comes_as_the_server_wrote_it() -> None:
    play = met()
    assert listed(play, 3, "b", "a") == ["b", "a"]
    assert listed(play, 4, "a", "b", "c") == ["a", "b", "c"]
    assert listed(play, 5, "c", "b", "a") == ["a", "b", "c"]
    assert listed(play, 6, "b", "a") == ["b", "a"]


def test_equal_names_are_left_as_they_are() -> None:
    play = met()
    listed(play, 3, "b", "a", "a")
    assert listed(play, 4, "a", "a", "b") == ["a", "a", "b"]


def test_a_list_too_long_to_be_remembered_comes_as_it_is() -> None:
    play = met()
    names = [f"t{number}" for number in range(MAX_ORDERED + 1)]
    assert listed(play, 3, *names) == names
    assert listed(play, 4, *reversed(names)) == names[::-1]
    assert listed(play, 5, *names[:-1]) == names[:-1]
    assert listed(play, 6, *reversed(names[:-1])) == names[:-1]


def test_a_list_without_names_makes_the_order_before_it_forgotten() -> None:
    play = met()
    listed(play, 3, "b", "a")
    play.asks(4, "resources/list", {})
    play.returns(4, resources=[{"name": "x", "uri": 7}])
    play.asks(5, "tools/list", {})
    [effect, *_notes] = play.returns(5, tools=[{"inputSchema": {"type": "object"}}, *items("c")])
    assert effect.final
    assert listed(play, 6, "a", "b") == ["a", "b"]


def test_each_kind_of_list_and_no_later_page_has_an_order_of_its_own() -> None:
    play = met()
    listed(play, 3, "b", "a")
    play.asks(4, "prompts/list", {})
    [effect] = play.returns(4, prompts=items("a", "b"))
    assert [prompt["name"] for prompt in effect.frame.result["prompts"]] == ["a", "b"]
    play.asks(5, "tools/list", {"cursor": "owner.1.0.p2"})
    [effect] = play.returns(5, tools=items("a", "b"))
    assert [tool["name"] for tool in effect.frame.result["tools"]] == ["a", "b"]
    assert listed(play, 6, "a", "b") == ["b", "a"]


@pytest.mark.parametrize(("method", "member", "_key", "kind"), LISTS)
def test_a_list_may_be_kept_where_its_changes_are_announced(method: str, member: str, _key: str, kind: str) -> None:
    rules = Rules(list_ttl_ms=30_000)
    for stands, offers, ttl in (
        (True, {kind: {"listChanged": True}}, 30_000),
        (True, {kind: {"listChanged": False}}, 0),
        (True, {kind: {"listChanged": 1}}, 0),
        (True, {kind: True}, 0),
        (True, {}, 0),
        (False, {kind: {"listChanged": True}}, 0),
    ):
        play = met(rules=rules, stands=stands, offers=offers)
        play.asks(10, method, {})
        assert play.returns(3, **{member: []}) == [done(10, listing(member, [], ttlMs=ttl))]


def test_nothing_may_be_kept_unless_an_operator_says_so() -> None:
    play = met()
    play.asks(10, "tools/list", {})
    assert play.returns(3, tools=[]) == [done(10, listing("tools", []))]


def test_a_resource_is_never_kept() -> None:
    play = met(rules=Rules(list_ttl_ms=30_000))
    play.asks(10, "resources/read", {"uri": "test://a"})
    assert play.returns(3, contents=[]) == [done(10, listing("contents", []))]


def test_a_completion_is_cut_at_a_hundred_values() -> None:
    play = met()
    play.asks(10, "completion/complete", {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a"}})
    [effect, *_notes] = play.returns(3, completion={"values": ["x"] * 101})
    completion = effect.frame.result["completion"]
    assert (len(completion["values"]), completion["hasMore"]) == (100, True)
