"""What a lane remembers of lists, and what it must not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from protocol_versions.base import Slot, result
from tests.strategies import body
from tests.translators.laws import LAW
from translators import STEPS
from translators.context import Context
from translators.errors import Refused
from translators.lane import Lane
from translators.memo import MAX_ENTRY_BYTES, Memo
from translators.ops import KEEP, Loss, drop, each, fill, refuse_if, remember, rename
from translators.pipeline import pipeline

REVISIONS = (STEPS[0].older, *(step.newer for step in STEPS))
LISTED = result("tools/list")
LISTS = tuple(map(result, ("tools/list", "prompts/list", "resources/list", "resources/templates/list")))


def opened(value: Any) -> dict[str, Any]:
    return msgspec.json.decode(value if isinstance(value, bytes) else msgspec.json.encode(value), type=dict[str, Raw])


def plain(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def through(lane: Lane, value: Any, ctx: Context | None = None) -> tuple[bytes, list[Any]]:
    context = ctx if ctx is not None else Context(method=lane.slot.method)
    context.losses = []
    return msgspec.json.encode(lane.run(opened(value), context)), context.losses


@LAW
@given(data=st.data())
def test_a_list_seen_before_becomes_what_its_operations_make_of_it(data: st.DataObject) -> None:
    client, server = (data.draw(st.sampled_from(REVISIONS)) for _ in range(2))
    slot: Slot = data.draw(st.sampled_from(LISTS))
    written = msgspec.json.encode(data.draw(body(REVISIONS[-1], slot)))
    lane = pipeline(client.id, server.id).lane(slot)
    singly, known = msgspec.json.decode(written), Context(method=slot.method)
    try:
        for action in (*lane.prepares, *lane.actions, *lane.repairs):
            action.apply(singly, known)
    except Refused:
        for _ in range(2):
            with pytest.raises(Refused):
                through(lane, written)
        return
    first, again = through(lane, written), through(lane, written)
    assert first == again
    assert plain(msgspec.json.decode(first[0])) == plain(singly)
    assert first[1] == known.losses


def test_operations_run_once_for_equal_lists_and_anew_for_each_other_one() -> None:
    seen: list[str] = []

    def look(name: Any, _ctx: Context) -> Any:
        seen.append(name)
        return name.upper()

    lane = Lane(LISTED, (each("tools[].name", look, Loss.CARRIED),))
    pages = [
        {"tools": [{"name": name * 100, "n": "x" * 900}], "nextCursor": cursor} for name in "ab" for cursor in "cd"
    ]
    for _ in range(3):
        for page in pages:
            found, losses = through(lane, page)
            assert msgspec.json.decode(found)["tools"][0]["name"] == page["tools"][0]["name"].upper()  # type: ignore[index]
            assert msgspec.json.decode(found)["nextCursor"] == page["nextCursor"]
            assert [noted.loss for noted in losses] == [Loss.CARRIED]
    assert len(seen) == 2  # the cursor makes no list another one


CURSORS = {
    "looks at it": each("nextCursor", lambda cursor, _ctx: cursor.upper(), Loss.CARRIED),
    "copies it": fill("seen", lambda body, _ctx: body["nextCursor"]),
    "renames it": rename("nextCursor", "cursor", Loss.CARRIED),
    "drops it": drop("nextCursor", Loss.COSMETIC),
    "writes another": fill("nextCursor", lambda _body, _ctx: "none"),
    "notes it": remember(lambda body, ctx: ctx.stash.__setitem__("seen", bytes(body["nextCursor"]))),
    "does nothing": drop("tools[].icons", Loss.COSMETIC),
}


@pytest.mark.parametrize("name", CURSORS)
def test_every_answer_keeps_the_cursor_it_came_with_whatever_is_done_to_it(name: str) -> None:
    lane = Lane(LISTED, (drop("tools[].title", Loss.COSMETIC), CURSORS[name].named(name)))
    for cursor in ("a", "b", "a", "", None, 7):
        written = {"tools": [{"title": 1, "name": "a"}], "nextCursor": cursor}
        singly, known = opened(written), Context(stash={})
        try:
            for op in lane.actions:
                op.apply(singly, known)
        except Exception as failed:
            with pytest.raises(type(failed)):
                through(lane, written, Context(stash={}))
            continue
        ctx = Context(stash={})
        found, losses = through(lane, written, ctx)
        assert msgspec.json.decode(found) == plain(singly)
        assert (losses, ctx.stash) == (known.losses, known.stash)


def test_lists_of_one_length_that_differ_in_one_byte_are_told_apart() -> None:
    lane = Lane(LISTED, (drop("tools[].icons", Loss.COSMETIC),))
    for at in range(1_000, 1_300):
        name = "x" * at + "y" + "x" * (1_500 - at)
        found, _ = through(lane, {"tools": [{"name": name, "icons": []}]})
        assert msgspec.json.decode(found) == {"tools": [{"name": name}]}


ASKING = {
    "the request": fill("seen", lambda _body, ctx: (ctx.request or {}).get("cursor", "none")),
    "a fact": fill("seen", lambda _body, ctx: ctx.facts.get("cursor", "none")),
    "what was stashed": fill("seen", lambda _body, ctx: ctx.stash.get("cursor", "none")),
    "the method": fill("seen", lambda _body, ctx: ctx.method + str(ctx.facts)),
}


@pytest.mark.parametrize("name", ASKING)
def test_an_outcome_that_depends_on_more_than_the_body_is_not_remembered(name: str) -> None:
    lane = Lane(LISTED, (ASKING[name],))
    found = set()
    for cursor in ("a", "b"):
        known = {"cursor": cursor}
        ctx = Context(method="tools/list", request=known, facts=known, stash=known)
        found.add(through(lane, {"tools": []}, ctx)[0])
    assert len(found) == 2


def test_what_an_operation_stashes_is_stashed_every_time() -> None:
    lane = Lane(LISTED, (remember(lambda body, ctx: ctx.stash.__setitem__("count", len(body))),))
    for _ in range(2):
        ctx = Context(method="tools/list", stash={})
        through(lane, {"tools": []}, ctx)
        assert ctx.stash == {"count": 1}


def test_a_refusal_is_not_remembered_and_keeps_what_was_noted() -> None:
    lane = Lane(
        LISTED,
        (
            drop("nextCursor", Loss.COSMETIC),
            refuse_if("tools", lambda tools, _ctx: not tools, -32603, "none", "No tools"),
        ),
    )
    for _ in range(2):
        ctx = Context(method="tools/list")
        with pytest.raises(Refused):
            lane.run(opened({"tools": [], "nextCursor": "x"}), ctx)
        assert len(ctx.losses) == 1


def test_changing_what_was_answered_changes_no_later_answer() -> None:
    lane = Lane(LISTED, (each("tools", lambda _tools, _ctx: [{"name": "a"}], Loss.NONE),))
    for _ in range(3):
        answered = lane.run(opened({"tools": []}), Context())
        assert plain(answered) == {"tools": [{"name": "a"}]}
        answered["tools"] = None
        answered["more"] = 1


def test_no_more_is_held_than_the_bound_says_and_the_last_used_stay() -> None:
    memo, ran = Memo(max_bytes=5_000), []

    def run(body: dict[str, Any], _ctx: Context) -> dict[str, Any]:
        ran.append(bytes(body["tools"])[1:2])
        return body

    def ask(number: int) -> None:
        memo.run("lane", run, opened({"tools": f"{number}" * 1_000}), Context())

    for number in (0, 1, 2, 3, 0, 4, 5, 0, 6, 7, 0, 8, 9, 0):
        ask(number)
    assert memo.held <= 5_000
    assert len(memo) == 4
    assert ran.count(b"0") == 1
    ask(1)
    assert ran.count(b"1") == 2


def test_a_list_that_is_too_long_passes_without_being_kept() -> None:
    memo = Memo()
    written = opened({"tools": "x" * MAX_ENTRY_BYTES})
    assert memo.run("lane", lambda body, _ctx: body, written, Context()) is written
    assert (len(memo), memo.held) == (0, 0)


def test_two_lanes_share_nothing() -> None:
    lanes = [
        Lane(LISTED, (fill("made", lambda _body, _ctx: "a"),)),
        Lane(LISTED, (fill("made", lambda _body, _ctx: "b"),)),
    ]
    for _ in range(2):
        assert [msgspec.json.decode(through(lane, {"tools": []})[0])["made"] for lane in lanes] == ["a", "b"]


def test_a_function_that_keeps_everything_is_not_asked_again() -> None:
    asked: list[Any] = []

    def keep(name: Any, _ctx: Context) -> Any:
        asked.append(name)
        return KEEP

    lane = Lane(LISTED, (each("tools[].name", keep, Loss.NONE),))
    for _ in range(3):
        assert through(lane, {"tools": [{"name": "a"}]}) == (b'{"tools":[{"name":"a"}]}', [])
    assert asked == ["a"]
