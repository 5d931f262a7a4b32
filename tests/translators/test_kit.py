"""The kit that Changes are written with: paths, operations, gates, steps."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from protocol_versions import by_id
from protocol_versions.base import ask, params, result
from translators import tree
from translators.change import Change, Step, answer_with, refuse, swallow
from translators.context import Context
from translators.errors import Answered, Refused, Swallowed
from translators.lane import Lane
from translators.loss import Loss
from translators.ops import KEEP, REMOVE, Op, drop, each, fill, refuse_if, rename, swap, when

OLDER, NEWER = by_id("2024-11-05"), by_id("2025-03-26")


def opened(value: Any) -> dict[str, Any]:
    """A body as the broker has it: top-level members are bytes."""
    return msgspec.json.decode(msgspec.json.encode(value), type=dict[str, Raw])


def after(op: Op, value: Any, ctx: Context | None = None) -> Any:
    """What an operation makes of a body."""
    body = opened(value)
    op.apply(body, ctx or Context())
    return msgspec.json.decode(msgspec.json.encode(body))


def test_a_path_names_members_items_of_lists_and_all_members() -> None:
    assert tree.segments("tools[].icons") == ("tools", "[]", "icons")
    assert tree.segments("requestedSchema.properties.{}.$x") == ("requestedSchema", "properties", "{}", "$x")
    assert tree.segments("_meta.`io.example/a.b`") == ("_meta", "io.example/a.b")
    assert tree.segments("a[][]") == ("a", "[]", "[]")


def test_walking_a_path_opens_no_more_than_it_needs() -> None:
    body = opened({"tools": [{"name": "a", "inputSchema": {"type": "object"}}], "other": [1]})
    (tool,) = tree.parents(body, ("tools", "[]"))
    assert type(tool["inputSchema"]) is Raw
    assert type(body["other"]) is Raw


@pytest.mark.parametrize("value", [None, 1, "a", [], [1, "a", None], {"tools": 1}, {"a": {"b": 1}}])
def test_a_path_passes_over_values_of_another_kind(value: Any) -> None:
    assert after(drop("tools[].icons", Loss.COSMETIC), {"tools": value}) == {"tools": value}
    assert after(drop("tools.{}.icons", Loss.COSMETIC), {"tools": value}) == {"tools": value}


def test_drop_deletes_every_member_at_the_path_and_notes_it_once() -> None:
    ctx = Context()
    op = drop("tools[].icons", Loss.COSMETIC).named("icons")
    assert after(op, {"tools": [{"icons": 1}, {"icons": 2}, {}]}, ctx) == {"tools": [{}, {}, {}]}
    assert [(noted.change, noted.path, noted.loss) for noted in ctx.losses] == [
        ("icons", "tools[].icons", Loss.COSMETIC)
    ]


def test_an_operation_that_finds_nothing_notes_nothing_and_keeps_the_bytes() -> None:
    ctx, body = Context(), opened({"tools": [{"name": "a"}]})
    raw = body["tools"]
    Lane(result("tools/list"), (drop("tools[].icons", Loss.COSMETIC),)).run(body, ctx)
    assert body["tools"] is raw
    assert ctx.losses == []


def test_a_name_spelled_with_escapes_is_found() -> None:
    body: dict[str, Any] = {"tools": Raw(b'[{"\\u0069cons":1,"name":"a"}]')}
    Lane(result("tools/list"), (drop("tools[].icons", Loss.COSMETIC),)).run(body, Context())
    assert msgspec.json.encode(body) == b'{"tools":[{"name":"a"}]}'


def test_a_name_with_an_escaped_solidus_is_found() -> None:
    body: dict[str, Any] = {"a": Raw(b'{"_meta":{"io.example\\/key":1}}')}
    Lane(result("tools/list"), (drop("a._meta.`io.example/key`", Loss.COSMETIC),)).run(body, Context())
    assert msgspec.json.encode(body) == b'{"a":{"_meta":{}}}'


def test_of_two_equal_members_the_one_that_was_judged_is_sent() -> None:
    body: dict[str, Any] = {"content": Raw(b'[{"type":"text","type":"audio"}]')}
    op = swap("content[]", "audio", lambda _block, _ctx: {"type": "text"}, Loss.DEGRADED)
    Lane(result("tools/call"), (op,)).run(body, Context())
    assert msgspec.json.encode(body) == b'{"content":[{"type":"text"}]}'


def test_rename_keeps_a_name_that_is_taken() -> None:
    op = rename("items[].old", "new")
    assert after(op, {"items": [{"old": 1}, {"old": 2, "new": 3}]}) == {"items": [{"new": 1}, {"old": 2, "new": 3}]}


@pytest.mark.parametrize(("value", "expected"), [(KEEP, {"a": 1}), (REMOVE, {}), (2, {"a": 2})])
def test_fill_sets_keeps_or_removes(value: Any, expected: Any) -> None:
    ctx = Context()
    assert after(fill("a", lambda _body, _ctx: value), {"a": 1}, ctx) == expected
    assert bool(ctx.losses) is (value is not KEEP)


def test_fill_that_removes_nothing_notes_nothing() -> None:
    ctx = Context()
    assert after(fill("a", lambda _body, _ctx: REMOVE), {}, ctx) == {}
    assert ctx.losses == []


def test_fill_is_limited_to_parents_that_hold_a_given_member() -> None:
    op = fill("items[].a", lambda _body, _ctx: 1, given=("b", "c"))
    assert after(op, {"items": [{"b": 0}, {"c": 0}, {}]}) == {"items": [{"b": 0, "a": 1}, {"c": 0, "a": 1}, {}]}


def test_swap_replaces_and_removes_tagged_items_only() -> None:
    op = swap("content[]", "x", lambda block, _ctx: REMOVE if block.get("gone") else {"type": "y"}, Loss.DEGRADED)
    content = [{"type": "x"}, {"type": "x", "gone": True}, {"type": "z"}, "x", {"type": "x", "gone": True}]
    assert after(op, {"content": content}) == {"content": [{"type": "y"}, {"type": "z"}, "x"]}


def test_swap_replaces_a_single_value() -> None:
    op = swap("messages[].content", "x", lambda _block, _ctx: {"type": "y"}, Loss.DEGRADED)
    before = {"messages": [{"content": {"type": "x"}}, {"content": [{"type": "x"}]}]}
    assert after(op, before) == {"messages": [{"content": {"type": "y"}}, {"content": [{"type": "x"}]}]}


def test_each_reaches_all_members_of_an_object() -> None:
    op = each("fields.{}", lambda value, _ctx: REMOVE if value == 0 else value + 1, Loss.NONE)
    assert after(op, {"fields": {"a": 0, "b": 1}}) == {"fields": {"b": 2}}


def test_each_is_limited_to_objects_that_hold_a_member() -> None:
    op = each("fields.{}", lambda _value, _ctx: 1, Loss.NONE, having=("x",))
    assert after(op, {"fields": {"a": {"x": 0}, "b": {"y": 0}, "c": 0}}) == {"fields": {"a": 1, "b": {"y": 0}, "c": 0}}


def test_each_opens_a_value_only_if_its_bytes_hold_what_it_needs() -> None:
    op = each("a", lambda _value, _ctx: 1, Loss.NONE, needing=(b"zz",))
    assert after(op, {"a": {"x": "y"}}) == {"a": {"x": "y"}}
    assert after(op, {"a": {"x": "zz"}}) == {"a": 1}


def test_when_runs_its_operations_on_the_objects_that_satisfy_it() -> None:
    ctx = Context()
    op = when("items[]", lambda item, _ctx: tree.member(item, "on") is True, drop("x", Loss.DEGRADED)).named("c")
    assert after(op, {"items": [{"on": True, "x": 1}, {"on": False, "x": 1}]}, ctx) == {
        "items": [{"on": True}, {"on": False, "x": 1}]
    }
    assert [(noted.change, noted.path) for noted in ctx.losses] == [("c", "x")]


def test_a_refusal_says_which_change_and_slot_it_comes_from() -> None:
    op = refuse_if("a", lambda value, _ctx: value == 1, -32602, "odd", "No").named("numbers")
    lane = Lane(params("tools/call"), (op,))
    lane.run(opened({"a": 2}), Context())
    with pytest.raises(Refused) as caught:
        lane.run(opened({"a": 1}), Context())
    refused = caught.value
    assert (refused.code, refused.reason, refused.change, refused.path) == (-32602, "odd", "numbers", "a")
    assert refused.slot == params("tools/call")


def test_nothing_runs_behind_a_gate_and_nothing_in_vain_before_it() -> None:
    def boom(_value: Any, _ctx: Context) -> Any:
        raise AssertionError

    lane = Lane(
        ask("elicitation/create"), (each("a", boom, Loss.NONE), refuse(-32601, "none", "No"), drop("a", Loss.NONE))
    )
    with pytest.raises(Refused):
        lane.run(opened({"a": 1}), Context())


def test_an_answering_gate_sees_the_body_as_its_own_revision_spells_it() -> None:
    gate = answer_with("known", lambda body, _ctx: {"seen": sorted(body)})
    lane = Lane(ask("x"), (drop("a", Loss.COSMETIC), gate, drop("b", Loss.COSMETIC)))
    with pytest.raises(Answered) as caught:
        lane.run(opened({"a": 1, "b": 2}), Context())
    assert caught.value.result == {"seen": ["b"]}


def test_a_swallowed_notification_is_noted() -> None:
    ctx = Context()
    gate = msgspec.structs.replace(swallow("unknown"), change="c")
    with pytest.raises(Swallowed):
        Lane(ask("x"), (gate,)).run({}, ctx)
    assert [(noted.change, noted.path, noted.loss) for noted in ctx.losses] == [("c", "", Loss.DEGRADED)]


def test_a_lane_without_actions_passes() -> None:
    assert Lane(result("x")).passes
    assert not Lane(result("x"), (), (drop("a", Loss.NONE),)).passes


def test_up_runs_changes_first_to_last_and_down_last_to_first() -> None:
    slot = result("tools/call")

    def mark(name: str) -> Change:
        ops = (fill("seen", lambda body, _ctx: [*body.get("seen", []), name]),)
        return Change(name=name, spec="x", up={slot: ops}, down={slot: ops})

    step = Step(older=OLDER, newer=NEWER, changes=(mark("a"), mark("b")))
    assert step.up(slot, {}) == {"seen": ["a", "b"]}
    assert step.down(slot, {}) == {"seen": ["b", "a"]}


def test_a_step_with_two_changes_of_one_name_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="share a name"):
        Step(older=OLDER, newer=NEWER, changes=(Change(name="a", spec="x"), Change(name="a", spec="y")))


def test_a_step_that_forgets_a_method_of_one_side_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="elicitation/create"):
        Step(older=NEWER, newer=by_id("2025-06-18"), changes=())
