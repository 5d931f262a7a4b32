"""A lane that knows usual bodies does what its operations do one by one, whatever operations it has."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from protocol_versions.base import Revision, Slot, notification, params, result
from tests.strategies import body
from tests.translators.laws import LAW
from translators import STEPS
from translators.context import Context
from translators.lane import Lane
from translators.ops import KEEP, REMOVE, Loss, Op, drop, each, fill, swap
from translators.pipeline import pipeline
from translators.usual import SHAPES
from translators.witnesses import needed

REVISIONS = (STEPS[0].older, *(step.newer for step in STEPS))
CALLED = result("tools/call")

texts = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        ("audio", "null", "resource_link", 'say "audio"', "io.modelcontextprotocol/related-task", "\ud7ff")
    ),
)
values = st.sampled_from(
    (
        *(
            b"null",
            b"0",
            b"-1.5",
            b"1e300",
            b"true",
            b"false",
            b'""',
            b'"warn"',
            b'"null"',
            b'"\\u006eull"',
            b"[]",
            b"{}",
        ),
        *(b'{"a":null}', b'{"progressToken":7}', b'{"progressToken":true}', b'{"progressToken":null}', b"[1]"),
        *(b'{"_meta":{"progressToken":1.5}}', b'{"type":"text","text":"x"}', b'{"taskId":"t"}'),
    )
)
blocks = st.lists(
    st.one_of(
        st.builds(lambda text: b'{"type":"text","text":%b}' % msgspec.json.encode(text), texts),
        st.builds(lambda text: b'{"text":%b,"type":"text"}' % msgspec.json.encode(text), texts),
        st.sampled_from(
            (
                b'{"type":"text","text":"x","annotations":{"priority":7}}',
                b'{"type":"text","text":"x","icons":[]}',
                b'{"type":"text","text":"x","_meta":null}',
                b'{"type":"text","type":"audio","text":"x"}',
                b'{"type":"audio","type":"text","text":"x"}',
                b'{"type":"text","te\\u0078t":"x"}',
                b'{"type":"text","text":null}',
                b'{"type":"text","text":5}',
                b'{"type":"text"}',
                b'{"type":"odd","text":"x"}',
                b'{"type":"resource_link","uri":"u"}',
                b'{"type":"image","data":"_-","mimeType":"image/png"}',
                b"null",
            )
        ),
    ),
    max_size=6,
).map(lambda found: b"[" + b",".join(found) + b"]")
NAMES = sorted({name for shape in SHAPES.values() for name in shape} | {"task", "level", "resultType", "other"})


@st.composite
def bodies(draw: Any, reader: Revision, slot: Slot) -> dict[str, bytes]:
    """Usual bodies, generated ones, and both with members of any kind put in and out, as texts of JSON."""
    found: dict[str, bytes] = {}
    if reader.knows(slot) and draw(st.booleans()):
        written = draw(body(reader, slot))
        found = {
            name: bytes(raw) for name, raw in msgspec.json.decode(msgspec.json.encode(written), type=Members).items()
        }
    usual: dict[str, st.SearchStrategy[bytes]] = {
        "content": blocks,
        "structuredContent": st.sampled_from((b"{}", b'{"a":null}', b'{"result":{"isError":true}}', b"[]", b"null")),
        "isError": st.sampled_from((b"true", b"false", b"null")),
        "name": texts.map(msgspec.json.encode),
    }
    for name in draw(st.permutations(sorted(SHAPES[slot]))):
        if draw(st.booleans()):
            found[name] = draw(st.one_of(usual.get(name, values), values))
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=1)):
        found[name] = draw(values)
    return found


Members = dict[str, Raw]


def outcome(lane: Lane, written: dict[str, bytes], ctx: Context, *, singly: bool) -> Any:
    """What becomes of a body: what it says in the end and what was noted, or what stopped it."""
    opened: dict[str, Any] = {name: Raw(text) for name, text in written.items()}
    try:
        if singly:
            for action in (*lane.prepares, *lane.actions, *lane.repairs):
                action.apply(opened, ctx)
        else:
            lane.run(opened, ctx)
    except Exception as stopped:
        return type(stopped), str(stopped), ctx.losses
    return msgspec.json.decode(msgspec.json.encode(opened)), ctx.losses, ctx.stash


KNOWN: list[dict[str, Any]] = [
    {},
    {"facts": {"tools": {"a": {"name": "a", "outputSchema": {"type": "array"}}}}, "request": {"name": "a"}},
    {"facts": {"client_capabilities": {"sampling": {}}}, "request": {"tools": []}},
]


@LAW
@given(data=st.data())
def test_a_lane_does_the_same_with_and_without_its_usual_shapes(data: st.DataObject) -> None:
    client, server = (data.draw(st.sampled_from(REVISIONS)) for _ in range(2))
    slot = data.draw(st.sampled_from(sorted(SHAPES)))
    lane = pipeline(client.id, server.id).lane(slot)
    written = data.draw(bodies(lane_reader(client, server, slot), slot))
    known = data.draw(st.sampled_from(KNOWN))
    expected = outcome(lane, written, Context(method=slot.method, **known), singly=True)
    assert outcome(lane, written, Context(method=slot.method, **known), singly=False) == expected


def lane_reader(client: Revision, server: Revision, slot: Slot) -> Revision:
    return client if slot.toward == "client" else server


def _in_block(function: Any) -> Op:
    return each("content[]", function, Loss.DEGRADED)


OPERATIONS = {
    "looks at a text": _in_block(lambda block, _ctx: {**block, "text": "cut"} if block["text"] == "secret" else KEEP),
    "counts blocks": each("content", lambda found, _ctx: found[:1] if len(found) == 2 else KEEP, Loss.DEGRADED),
    "knows a fact": _in_block(lambda block, ctx: {**block, "seen": 1} if ctx.facts.get("on") else KEEP),
    "takes every block": _in_block(lambda block, _ctx: {**block, "text": "-"}),
    "renames a kind": swap("content[]", "text", lambda block, _ctx: {**block, "type": "Text"}, Loss.DEGRADED),
    "always writes": fill("resultType", lambda _body, _ctx: "complete", Loss.NONE),
    "drops the text": drop("content[].text", Loss.DEGRADED),
    "sorts by length": each("content[].text", lambda text, _ctx: REMOVE if len(text) > 4 else KEEP, Loss.DEGRADED),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("written", [[], ["secret"], ["a", "secret"], ["a", "b", "c"]], ids=len)
def test_an_operation_that_has_something_to_do_on_usual_bodies_does_it(name: str, written: list[str]) -> None:
    op = OPERATIONS[name].named(name)
    lane = Lane(CALLED, (op, drop("content[].icons", Loss.COSMETIC), drop("resultTypes", Loss.COSMETIC)))
    content = msgspec.json.encode([{"type": "text", "text": text} for text in written])
    for _ in range(2):  # the first body of a shape and those after it
        found = [
            outcome(lane, {"content": content}, Context(facts={"on": True}), singly=singly) for singly in (True, False)
        ]
        assert found[0] == found[1]
    assert op in (needed([op], {"content": SHAPES[CALLED]["content"]}) or [op])


def test_operations_that_look_elsewhere_are_not_needed() -> None:
    shape = {"content": SHAPES[CALLED]["content"]}
    idle = [drop("content[].icons", Loss.COSMETIC), drop("structuredContent", Loss.CARRIED), drop("_meta", Loss.NONE)]
    writer = OPERATIONS["always writes"]
    assert needed(idle, shape) == []
    assert needed([*idle, writer], shape) == [writer]
    assert needed([writer, drop("resultType", Loss.NONE)], shape) is not None


def test_everything_behind_an_operation_that_looks_is_needed() -> None:
    ops = [drop("content[].icons", Loss.COSMETIC), OPERATIONS["looks at a text"], drop("task", Loss.NONE)]
    assert needed(ops, {"content": SHAPES[CALLED]["content"]}) == ops[1:]


@pytest.mark.parametrize("slot", [CALLED, params("tools/call"), notification("notifications/progress")], ids=str)
def test_a_usual_body_between_equal_peers_needs_nothing(slot: Slot) -> None:
    lane = pipeline("2025-11-25", "2025-11-25").lane(slot)
    ops = [op for op in (*lane.prepares, *lane.actions, *lane.repairs) if isinstance(op, Op)]
    assert ops
    assert needed(ops, SHAPES[slot], missing="tools") == []


def test_an_operation_that_asks_for_a_missing_fact_is_needed_only_where_the_fact_is_known() -> None:
    shape = {"content": SHAPES[CALLED]["content"]}
    asks = _in_block(lambda block, ctx: {**block, "seen": 1} if ctx.facts.get("tools") else KEEP)
    assert needed([asks], shape, missing="tools") == []
    assert needed([asks], shape) == [asks]
    assert needed([OPERATIONS["knows a fact"]], shape, missing="tools") == [OPERATIONS["knows a fact"]]
    lane = Lane(CALLED, (asks,))
    for known in (False, True, False):
        ctx = [Context(facts={"tools": {"a": {}}} if known else {}) for _ in range(2)]
        written = {"content": b'[{"type":"text","text":"x"}]'}
        assert outcome(lane, written, ctx[0], singly=False) == outcome(lane, written, ctx[1], singly=True)
