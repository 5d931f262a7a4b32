"""The one look at a list of tools says "nothing to do" only where every operation that relies on it does nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol_versions.base import ask, result
from tests.strategies import body
from tests.translators.laws import LAW
from translators import STEPS
from translators.context import Context
from translators.listed import KEPT_BYTES, remembered, usual_tools
from translators.op import Op
from translators.pipeline import pipeline

REVISIONS = (STEPS[0].older, *(step.newer for step in STEPS))
SLOTS = (result("tools/list"), ask("sampling/createMessage"))


def relying() -> list[Op]:
    """Every operation of any lane that stays away from lists that pass."""
    lanes = [
        pipeline(client.id, server.id).lane(slot) for client in REVISIONS for server in REVISIONS for slot in SLOTS
    ]
    ops = [op for lane in lanes for op in (*lane.prepares, *lane.actions, *lane.repairs) if isinstance(op, Op)]
    return [op for op in ops if op.content is usual_tools]


RELYING = relying()
schemas = st.sampled_from(
    (
        *(b"{}", b"null", b"true", b'{"type":"object"}', b'{"type":["object"]}', b'{"type":"array"}', b'"object"'),
        *(b'{"type":"object","properties":{"a":true}}', b'{"type":"object","properties":{"a":{"default":true}}}'),
        *(b'{"type":"object","properties":{"a":null}}', b'{"type":"object","properties":{"a":{},"a":false}}'),
        *(b'{"type":"object","properties":[]}', b'{"properties":{},"type":"object"}', b'{"properties":{"a":{}}}'),
        *(b'{"type":"object","type":"array"}', b'{"type":"array","type":"object"}', b'{"type":"\\u006fbject"}'),
        *(b'{"type":"object","additionalProperties":false}', b'{"type":"object","properties":{"a":{},"b":1}}'),
    )
)
others = st.sampled_from(
    (
        *(b'"icons":[{"src":"a","sizes":"48x48 any"}]', b'"icons":[{"sizes":["any"],"theme":"dark"}]', b'"icons":[{}]'),
        *(b'"icons":[{"theme":"blue"}]', b'"icons":[{"sizes":null}]', b'"icons":{}', b'"icons":[1]'),
        *(b'"execution":{"taskSupport":"optional"}', b'"execution":{"taskSupport":"later"}', b'"execution":{}'),
        *(b'"execution":null', b'"annotations":{"readOnlyHint":true}', b'"annotations":null', b'"name":"a"'),
    )
)


@st.composite
def tools(draw: Any) -> bytes:
    """A list of tools as text: clean ones, odd ones, ones without a schema or with two."""
    listed = []
    for _ in range(draw(st.integers(0, 3))):
        members = [b'"inputSchema":%b' % draw(schemas) for _ in range(draw(st.sampled_from((1, 1, 1, 0, 2))))]
        members += [b'"outputSchema":%b' % draw(schemas) for _ in range(draw(st.sampled_from((0, 0, 1, 2))))]
        members += draw(st.lists(others, max_size=2))
        listed.append(b"{%b}" % b",".join(draw(st.permutations(members))))
    return b"[%b]" % b",".join(listed)


def _nothing_acts(text: bytes) -> None:
    for op in RELYING:
        ctx = Context(method="tools/list")
        opened = {"tools": msgspec.Raw(text)}
        op.apply(opened, ctx)
        assert msgspec.json.decode(msgspec.json.encode(opened)) == {"tools": msgspec.json.decode(text)}
        assert ctx.losses == []


@LAW
@given(text=tools())
def test_no_operation_that_relies_on_the_look_has_anything_to_do_on_a_list_that_passes(text: bytes) -> None:
    if usual_tools(text):
        _nothing_acts(text)


@LAW
@given(data=st.data())
def test_the_same_holds_for_lists_as_servers_write_them(data: st.DataObject) -> None:
    revision = data.draw(st.sampled_from(REVISIONS))
    text = msgspec.json.encode(data.draw(body(revision, SLOTS[0]))["tools"])
    if usual_tools(text):
        _nothing_acts(text)


def test_operations_rely_on_the_look_and_what_nearly_every_server_writes_passes_it() -> None:
    assert {op.path for op in RELYING} >= {"tools[].inputSchema", "tools[].outputSchema", "tools[].icons[].sizes"}
    usual = b'[{"name":"a","inputSchema":{"type":"object","properties":{"q":{"default":true}},"required":["q"]}}]'
    assert usual_tools(b"[]")
    assert usual_tools(usual)


@pytest.mark.parametrize(
    "text", [b'[{"inputSchema":{"type":"object"}', b"{}", b"[1]", b"null", b"[" * 5_000, b'["\xff"]']
)
def test_what_is_no_list_of_tools_does_not_pass(text: bytes) -> None:
    assert not usual_tools(text)


def test_a_remembered_verdict_is_given_for_the_same_text_alone() -> None:
    asked: list[bytes] = []

    @remembered
    def even(text: bytes) -> bool:
        asked.append(text)
        return len(text) % 2 == 0

    long = b"x" * (KEPT_BYTES + 1)
    told = [even(text) for text in (b"", b"a", b"a", b"ab", b"a", long, long, b"a")]
    assert told == [True, False, False, True, False, False, False, False]
    assert asked == [b"", b"a", b"ab", b"a", long, long]
