"""The laws every step keeps, for generated bodies of every slot both revisions define."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, assume, given, reject, settings
from hypothesis import strategies as st

from protocol_versions import REVISIONS
from protocol_versions.base import Revision, Slot
from tests.strategies import body
from tests.translators.laws import (
    LAW,
    Stopped,
    acted_on,
    contexts,
    covered,
    differences,
    lossy_paths,
    run,
    shared_slots,
    undeclared,
    valid,
)
from translators import STEPS
from translators.change import Step
from translators.context import Context
from translators.errors import Refused, Swallowed
from translators.hygiene import prepares, repairs
from translators.ops import Op
from translators.pipeline import pipeline

every_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
draws = st.data()


def _drawn(
    data: st.DataObject,
    step: Step,
    revision: Revision,
    unknown: bool = True,
    slots: Callable[[Step], list[Slot]] = acted_on,
) -> tuple[Slot, Any]:
    slot = data.draw(st.sampled_from(slots(step)))
    return slot, data.draw(body(revision, slot, unknown))


def _run(step: Step, way: str, slot: Slot, body: Any, ctx: Context | None = None) -> Any:
    try:
        return run(step, way, slot, body, ctx)
    except Stopped:
        reject()


@every_step
def test_a_law_that_fails_says_what_failed_and_nothing_else(step: Step) -> None:
    """A failing law is shown with its parameters, and a text of pages would be an error of its own in its place."""

    @settings(LAW, max_examples=1, phases=(Phase.generate,))
    @given(data=draws)
    def broken(step: Step, data: st.DataObject) -> None:
        _drawn(data, step, step.newer)
        data.draw(st.permutations(step.changes))
        raise AssertionError("what failed")

    with pytest.raises(AssertionError, match=r"^what failed"):
        broken(step=step)


@every_step
@LAW
@given(data=draws)
def test_an_older_body_comes_back_unchanged_but_for_declared_losses(step: Step, data: st.DataObject) -> None:
    slot, older = _drawn(data, step, step.older)
    ctx = data.draw(contexts())
    back = run(step, "down", slot, _run(step, "up", slot, older, ctx), ctx)
    declared = lossy_paths(step, slot, "up", "down")
    assert [path for path in differences(older, back) if not covered(path, declared)] == []


@every_step
@LAW
@given(data=draws)
def test_a_newer_body_comes_back_unchanged_but_for_declared_losses(step: Step, data: st.DataObject) -> None:
    slot, newer = _drawn(data, step, step.newer)
    ctx = data.draw(contexts())
    back = run(step, "up", slot, _run(step, "down", slot, newer, ctx), ctx)
    declared = lossy_paths(step, slot, "up", "down")
    assert [path for path in differences(newer, back) if not covered(path, declared)] == []


@every_step
@LAW
@given(data=draws)
def test_a_downgraded_body_is_valid_and_declares_nothing_newer(step: Step, data: st.DataObject) -> None:
    slot, newer = _drawn(data, step, step.newer, unknown=False, slots=shared_slots)
    older = _run(step, "down", slot, newer)
    assert valid(step.older, slot, older)
    # Unknown keys of `_meta` pass, and so does the dialect a tool's schema names.
    left = [path for path in undeclared(step.older, slot, older) if "_meta" not in path and path[-1] != "$schema"]
    assert left == []


@every_step
@LAW
@given(data=draws)
def test_an_upgraded_body_is_valid_in_the_newer_revision(step: Step, data: st.DataObject) -> None:
    slot, older = _drawn(data, step, step.older, slots=shared_slots)
    assert valid(step.newer, slot, _run(step, "up", slot, older))


@every_step
@LAW
@given(data=draws)
def test_members_nobody_declares_survive_both_ways(step: Step, data: st.DataObject) -> None:
    slot, newer = _drawn(data, step, step.newer)
    older = data.draw(body(step.older, slot))
    mark = {"nobody": ["declares", {"this": None}]}
    assert _run(step, "down", slot, newer | mark)["nobody"] == mark["nobody"]
    assert _run(step, "up", slot, older | mark)["nobody"] == mark["nobody"]


@every_step
@LAW
@given(data=draws)
def test_a_body_of_the_older_revision_is_downgraded_to_itself(step: Step, data: st.DataObject) -> None:
    slot, older = _drawn(data, step, step.older)
    assert differences(older, run(step, "down", slot, older)) == []


@every_step
@LAW
@given(data=draws)
def test_changes_commute(step: Step, data: st.DataObject) -> None:
    way = data.draw(st.sampled_from(["down", "up"]))
    slot, newer = _drawn(data, step, step.newer if way == "down" else step.older)
    shuffled = msgspec.structs.replace(step, changes=tuple(data.draw(st.permutations(step.changes))))
    try:
        expected = run(step, way, slot, newer)
    except Stopped as stopped:
        expected = str(stopped)
    try:
        found = run(shuffled, way, slot, newer)
    except Stopped as stopped:
        found = str(stopped)
    assert found == expected


@LAW
@given(data=draws)
def test_a_fused_lane_does_what_its_operations_do_one_by_one(data: st.DataObject) -> None:
    client, server = data.draw(st.sampled_from([(a, b) for a in REVISIONS for b in REVISIONS]))
    writer = data.draw(st.sampled_from(REVISIONS[-2:]))  # whatever was negotiated, peers write newer members
    slot = data.draw(st.sampled_from(sorted(writer.types)))
    written = msgspec.json.encode(data.draw(body(writer, slot)))
    lane = pipeline(client.id, server.id).lane(slot)
    assume(lane.gate is None)
    one_by_one, fused = (msgspec.json.decode(written), msgspec.json.decode(written, type=dict[str, msgspec.Raw]))
    single, together = Context(method=slot.method), Context(method=slot.method)
    try:
        for action in (*lane.prepares, *lane.actions, *lane.repairs):
            action.apply(one_by_one, single)
    except Exception as stopped:  # whatever stops one must stop the other
        with pytest.raises(type(stopped)):
            lane.run(fused, together)
        return
    lane.run(fused, together)
    assert msgspec.json.decode(msgspec.json.encode(fused)) == one_by_one
    assert together.losses == single.losses
    assert together.stash == single.stash


@LAW
@given(data=draws)
def test_hygiene_leaves_a_valid_body_alone(data: st.DataObject) -> None:
    reader = data.draw(st.sampled_from(REVISIONS))
    slot = data.draw(st.sampled_from(sorted(reader.types)))
    clean: Any = data.draw(body(reader, slot, unknown=False))
    found, ctx = msgspec.json.decode(msgspec.json.encode(clean)), Context(method=slot.method)
    for op in (*prepares(reader, slot), *repairs(reader, slot)):
        op.apply(found, ctx)
    assert differences(clean, found) == []
    assert ctx.losses == []


@LAW
@given(data=draws)
def test_members_no_operation_names_keep_their_bytes(data: st.DataObject) -> None:
    client, server = data.draw(st.sampled_from([(a, b) for a in REVISIONS for b in REVISIONS]))
    slot = data.draw(st.sampled_from(sorted(set(client.types) & set(server.types))))
    lane = pipeline(client.id, server.id).lane(slot)
    written = {"nobody": ["declares", {"this": None}]} | data.draw(body(server, slot))
    opened = msgspec.json.decode(msgspec.json.encode(written), type=dict[str, msgspec.Raw])
    named = {op.top for op in (*lane.actions, *lane.repairs) if isinstance(op, Op)} | {"_meta"}
    before = {name: raw for name, raw in opened.items() if name not in named and b"null" not in bytes(raw)}
    try:
        lane.run(opened, Context(method=slot.method))
    except (Refused, Swallowed):
        reject()
    kept = {name: opened[name] for name in before if name in opened}
    assert all(kept[name] is before[name] for name in kept)
