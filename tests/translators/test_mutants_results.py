"""Repairs of results: what only looks like the case they are for stays as it is, and is noted nowhere."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from protocol_versions import by_id
from protocol_versions.base import Slot, answer, ask, result
from translators.context import Context
from translators.hygiene import prepares, repairs

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
