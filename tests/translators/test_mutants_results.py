"""Repairs of results: what only looks like the case they are for stays as it is, and is noted nowhere."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from protocol_versions import by_id
from protocol_versions.base import Slot, answer, ask, result
from translators.context import Context
from translators.hygiene import prepares, repairs
from translators.ops import KEEP
from translators.structured import content_with_structured

READER = by_id("2025-11-25")
SAMPLING, TASK_SLOTS = (
    "sampling/createMessage",
    [make(f"tasks/{what}") for make in (result, answer) for what in ("get", "cancel")],
)
TEXT = {"type": "text", "text": "a"}


def read(slot: Slot, written: Any, ctx: Context) -> Any:
    """What a 2025-11-25 reader gets, with members unopened to begin with, as they arrive."""
    body = msgspec.json.decode(msgspec.json.encode(written), type=dict[str, msgspec.Raw])
    for op in (*prepares(READER, slot), *repairs(READER, slot)):
        op.apply(body, ctx)
    return msgspec.json.decode(msgspec.json.encode(body))


@pytest.mark.parametrize("content", [[], [TEXT, TEXT], TEXT, "a"])
def test_only_a_list_of_one_block_becomes_that_block(content: Any) -> None:
    ctx = Context()
    read(ask(SAMPLING), {"messages": []}, ctx)
    assert read(answer(SAMPLING), {"content": content}, ctx) == {"content": content}
    assert ctx.losses == []


@pytest.mark.parametrize("task", [{}, {"x": 1}, {"taskId": "1", "ttl": None}, {"taskId": "1", "ttl": 5}, "taskId", 3])
def test_only_a_task_without_ttl_gets_one(task: Any) -> None:
    ctx = Context()
    assert read(result("tools/call"), {"task": task}, ctx) == {"task": task}
    for slot in (result("tasks/list"), answer("tasks/list")):
        assert read(slot, {"tasks": [task]}, ctx) == {"tasks": [task]}
    if isinstance(task, dict):
        for slot in TASK_SLOTS:
            assert read(slot, task, ctx) == task
    assert ctx.losses == []


@pytest.mark.parametrize("slot", TASK_SLOTS)
def test_a_task_without_ttl_has_none(slot: Slot) -> None:
    assert read(slot, {"taskId": "1"}, Context()) == {"taskId": "1", "ttl": None}


@pytest.mark.parametrize(
    ("kind", "more"),
    [("input_required", {}), ("complete", {"content": []}), (None, {"content": []}), ("later", {})],
)
def test_a_result_that_is_not_complete_gets_no_content(kind: Any, more: Any) -> None:
    written = {"x": 1} if kind is None else {"x": 1, "resultType": kind}
    assert read(result("tools/call"), written, Context()) == written | more


@pytest.mark.parametrize(
    ("structured", "text", "said"),
    [
        ({"result": [1]}, "[1]", True),
        ({"result": [1]}, '{"result":[1]}', True),
        ({"results": [1]}, "[1]", False),
        ({"result": [1], "x": 1}, "[1]", False),
        ({"result": [1]}, "[2]", False),
    ],
)
def test_what_was_wrapped_is_said_by_its_value_alone(structured: Any, text: str, said: bool) -> None:
    body = {"content": [{"type": "text", "text": text}], "structuredContent": structured}
    assert (content_with_structured(body, Context()) is KEEP) is said


def test_a_structure_of_null_that_a_newer_peer_means_is_not_taken_for_absent() -> None:
    body = {"content": msgspec.Raw(b"[]"), "structuredContent": msgspec.Raw(b"null")}
    for op in prepares(READER, result("tools/call")):
        op.apply(body, Context())
    assert "structuredContent" in body


def test_a_structure_of_any_kind_stays_where_the_reader_takes_any() -> None:
    for reader, expected in ((by_id("2026-07-28"), {"structuredContent": [1]}), (READER, {})):
        body = {"resultType": "complete", "content": [{"type": "text", "text": "[1]"}], "structuredContent": [1]}
        for op in (*prepares(reader, result("tools/call")), *repairs(reader, result("tools/call"))):
            op.apply(body, Context())
        assert {name: value for name, value in body.items() if name == "structuredContent"} == expected


@pytest.mark.parametrize("content", [None, [TEXT], "a"])
def test_what_an_unfinished_result_says_of_its_content_is_left_alone(content: Any) -> None:
    body: dict[str, Any] = {"resultType": "input_required", "content": content}
    for op in repairs(by_id("2026-07-28"), result("tools/call")):
        op.apply(body, Context())
    assert body == {"resultType": "input_required", "content": content}
