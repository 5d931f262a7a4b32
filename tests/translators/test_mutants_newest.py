"""Corners of 2025-06-18 | 2025-11-25 that no pair shows: what is noted, and what only looks like something newer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from protocol_versions.base import Slot, answer, ask, error, result
from translators.context import Context
from translators.errors import Refused
from translators.v2025_06_18__v2025_11_25 import STEP

TOOLS, CALL, SAMPLING = result("tools/list"), result("tools/call"), "sampling/createMessage"


def read(way: str, slot: Slot, written: Any) -> tuple[Any, list[tuple[str, str]]]:
    """What the reader gets, and what was noted: path and loss."""
    body, ctx = msgspec.json.decode(msgspec.json.encode(written), type=dict[str, msgspec.Raw]), Context()
    (STEP.down if way == "down" else STEP.up)(slot, body, ctx)
    return msgspec.json.decode(msgspec.json.encode(body)), [(loss.path, loss.loss.value) for loss in ctx.losses]


@pytest.mark.parametrize(
    "schema",
    [
        {"items": {"type": "string"}},
        {"properties": {"items": {"exclusiveMinimum": 3}, "dependencies": {"type": "string"}}},
        {"dependencies": 3, "exclusiveMaximum": 5},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "items": [{}]},
        ["items"],
        "items",
    ],
)
def test_a_schema_that_means_the_same_in_both_dialects_is_noted_nowhere(schema: Any) -> None:
    written = {"tools": [{"name": "t", "inputSchema": schema, "outputSchema": schema}]}
    assert read("up", TOOLS, written) == (written, [])


@pytest.mark.parametrize(
    "schema",
    [
        {"items": [{}]},
        {"dependencies": {}},
        {"exclusiveMinimum": False},
        {"exclusiveMaximum": True},
        {"anyOf": [{"items": [{}]}, {}]},
        {"anyOf": [{}, {"items": [{}]}]},
        {"items": [{}], "dependencies": {}},
        {"items": [{}], "exclusiveMinimum": True},
    ],
)
def test_a_schema_that_is_rewritten_is_noted_as_carried(schema: Any) -> None:
    read_schema, noted = read("up", TOOLS, {"tools": [{"name": "t", "inputSchema": schema}]})
    assert noted == [("tools[].inputSchema", "carried")]
    assert read_schema["tools"][0]["inputSchema"] != schema


def test_an_error_without_words_is_told_by_its_url() -> None:
    problem = {"code": -32042, "data": {"elicitations": [{"url": "https://a.example/"}]}}
    assert read("down", error("ping"), problem)[0]["message"] == "https://a.example/"


@pytest.mark.parametrize("kind", ["tool_use", "tool_result"])
@pytest.mark.parametrize("at", [0, 1])
def test_one_block_of_tools_among_others_is_enough_to_refuse(kind: str, at: int) -> None:
    content = [{"type": "text", "text": "a"}]
    content.insert(at, {"type": kind, "text": "b"})
    with pytest.raises(Refused) as asked:
        read("down", ask(SAMPLING), {"messages": [{"role": "user", "content": content}]})
    assert (asked.value.code, asked.value.reason) == (-32602, "sampling-tools-unsupported")
    with pytest.raises(Refused) as answered:
        read("down", answer(SAMPLING), {"role": "assistant", "content": content})
    assert (answered.value.code, answered.value.reason) == (-32603, "sampling-answer-unsupported")


def test_a_text_block_without_text_says_nothing() -> None:
    content = [{"type": "text", "text": "a"}, {"type": "text"}, {"type": "text", "text": "b"}]
    assert read("down", answer(SAMPLING), {"content": content})[0] == {"content": {"type": "text", "text": "a\n\nb"}}


@pytest.mark.parametrize("task", [{}, {"x": 1}, "taskId", ["taskId"]])
@pytest.mark.parametrize("slot", [CALL, answer(SAMPLING), answer("elicitation/create")])
def test_a_member_that_names_no_task_is_no_task(slot: Slot, task: Any) -> None:
    assert read("down", slot, {"task": task})[0] == {"task": task}


@pytest.mark.parametrize("support", ["optional", "forbidden", "required", 3])
def test_only_a_tool_that_needs_tasks_is_degraded_without(support: Any) -> None:
    written = {"tools": [{"name": "t", "inputSchema": {}, "execution": {"taskSupport": support}}]}
    lost = [("execution", "degraded")] if support == "required" else [("tools[].execution", "cosmetic")]
    assert read("down", TOOLS, written) == ({"tools": [{"name": "t", "inputSchema": {}}]}, lost)
