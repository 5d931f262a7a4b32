"""How servers say that something does not exist, and what only sounds like it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from broker.hooks.absence import MAX_CONTENT_BYTES, absent_error, absent_result, says_absent

SAYS = [
    ("tools", "x", "Unknown tool: x"),
    ("tools", "x", "unknown tool 'x'"),
    ("tools", "x", 'Unknown tool: "x". Available tools: a, secret_b'),
    ("tools", "x", "Unknown tool: x. Did you mean secret_x?"),
    ("tools", "x", "MCP error -32602: Tool x not found"),
    ("tools", "x", "Tool x not found"),
    ("tools", "x", "Tool not found: x"),
    ("tools", "x", "No such tool: x"),
    ("tools", "x", "No tool named 'x'"),
    ("tools", "x", "There is no tool called `x` here."),
    ("tools", "x", "Error: the tool “x” does not exist"),
    ("tools", "x", "tool: x is not registered"),
    ("tools", "x", "Function x is unknown"),
    ("tools", "x", "Invalid tool name: x"),
    ("tools", "x", "Tool 'x' cannot be found"),
    ("tools", "x", "Unknown tool"),
    ("tools", "x", "Tool not found."),
    ("tools", "tool", "Unknown tool: tool"),
    ("tools", "a.b/c-d", "Unknown tool: a.b/c-d"),
    ("prompts", "p q", "Unknown prompt: p q"),
    ("prompts", "p", "Prompt p not found"),
    ("resources", "test://a", "Unknown resource: test://a"),
    ("resources", "test://a", "Resource test://a not found"),
    ("resources", "test://a", "Resource not found: test://a"),
    ("resources", "test://a", "Resource not found"),
    ("resources", "test://a", "No resource with uri test://a"),
]
DOES_NOT = [
    ("tools", "x", ""),
    ("tools", "read_file", "read_file: file not found"),
    ("tools", "read_file", "File read_file not found"),
    ("tools", "x", "Unknown tool: y"),
    ("tools", "read", "Unknown tool: read_file"),
    ("tools", "available", "No tool available"),
    ("tools", "input", "Invalid tool input"),
    ("tools", "x", "Tool x failed: host not found"),
    ("tools", "x", "Tool x is not available right now"),
    ("tools", "x", "Error executing tool x: unknown city"),
    ("tools", "x", "Unknown prompt: x"),
    ("tools", "x", "." * 2_000 + "Unknown tool: x"),
    ("prompts", "p", "Unknown tool: p"),
    ("resources", "test://a", "Host of test://a not found"),
    ("tools", None, "Unknown tool: x"),
    ("tools", "", "Unknown tool: x"),
]


@pytest.mark.parametrize(("kind", "name", "text"), SAYS)
def test_what_says_that_a_thing_does_not_exist(kind: str, name: str, text: str) -> None:
    assert says_absent(kind, name, text)
    assert absent_error(kind, name, {"code": -32602, "message": text})


@pytest.mark.parametrize(("kind", "name", "text"), DOES_NOT)
def test_what_only_sounds_like_it(kind: str, name: str | None, text: str) -> None:
    assert not says_absent(kind, name, text)
    assert not absent_error(kind, name, {"code": -32602, "message": text})


def test_the_code_for_resources_needs_no_words() -> None:
    assert absent_error("resources", "test://a", {"code": -32002, "message": "gone"})
    assert not absent_error("tools", "x", {"code": -32002, "message": "gone"})
    assert not absent_error("tools", "x", {"code": -32602})


def content(*blocks: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(list(blocks)))


def text(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"content": content(text("Sorry. Unknown tool: x")), "isError": True}, True),
        ({"content": [text("Unknown tool: x")], "isError": True}, True),
        ({"content": content(text("Unknown tool: x"))}, True),
        ({"content": content(text('{"error": "Unknown tool: x"}'))}, True),
        ({"content": content(text('{"error":"Tool x not found"}')), "isError": False}, True),
        ({"content": content(text("The log says: Unknown tool: x"))}, False),
        ({"content": content(text("Unknown tool: x"), text("more")), "isError": True}, False),
        ({"content": content(text("out of paper")), "isError": True}, False),
        ({"content": content({"type": "image", "data": "", "mimeType": "image/png"}), "isError": True}, False),
        ({"content": content(7), "isError": True}, False),
        ({"content": msgspec.Raw(b'{"text":"Unknown tool: x"}'), "isError": True}, False),
        ({"content": msgspec.Raw(b'[{"text":1e999}]'), "isError": True}, False),
        ({"content": content(), "isError": True}, False),
        ({"content": content(text("Unknown tool: x" + " " * MAX_CONTENT_BYTES)), "isError": True}, False),
        ({"content": content(text("Unknown tool: x. " + "a, " * 1_000))}, False),
        ({"structuredContent": msgspec.Raw(b"{}")}, False),
    ],
)
def test_a_result_may_say_it_as_well(body: dict[str, Any], expected: bool) -> None:
    assert absent_result("tools", "x", body) == expected
