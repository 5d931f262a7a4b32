"""What is said of a server's catalogue before any call is what its translation does to it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker.hooks.filter_names import FilterNames, Rule
from broker.report import Finding, Report, make
from broker.report_rules import Judgement
from broker.report_text import lines

Json = dict[str, Any]
DISCOVERY: Json = {
    "resultType": "complete",
    "supportedVersions": ["2026-07-28"],
    "capabilities": {"tools": {"listChanged": True}},
    "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "s\u001b[31m", "version": "1"}},
}
GREETING: Json = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}, "tasks": {"list": {}}, "completions": {}},
    "serverInfo": {"name": "s", "version": "1"},
}
HIDES_ALL = Judgement([FilterNames({"tools": Rule(deny=("*",))})])
PLAIN: Json = {"name": "plain", "inputSchema": {"type": "object"}}


def report(client: str, *tools: Json, server: str = "2026-07-28", **more: Any) -> Report:
    greeting = DISCOVERY if server == "2026-07-28" else GREETING
    return make("x", client, server, greeting, {"tools/list": list(tools)}, **{"incomplete": {}, **more})


def tool(client: str, entry: Json, server: str = "2026-07-28") -> Finding:
    (found,) = report(client, entry, server=server).entries["tools"]
    return found


def method(found: Report, name: str) -> Finding:
    (one,) = [finding for finding in found.methods if finding.name == name]
    return one


def test_a_tool_that_every_revision_can_say_is_identical() -> None:
    for client in ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"):
        assert tool(client, PLAIN).verdict == "identical"


def test_members_are_said_with_the_change_that_took_them() -> None:
    decorated = {**PLAIN, "title": "T", "icons": [{"src": "data:,"}], "annotations": {"readOnlyHint": True}}
    found = tool("2025-03-26", decorated)
    assert found.verdict == "rewritten"
    assert found.said == (
        "title dropped (titles)",
        "icons dropped (icons)",
        "annotations rewritten (titles)",
    )
    assert {noted.path for noted in found.losses} == {"tools[].icons", "tools[].title", "tools[].annotations"}


@pytest.mark.parametrize(
    ("client", "schema", "said"),
    [
        ("2024-11-05", {"type": "object"}, "structured output is said as text"),
        ("2025-11-25", {"type": "array"}, "structured output is wrapped in an object"),
        ("2025-11-25", {"type": ["object", "null"]}, "structured output is wrapped in an object"),
        ("2025-11-25", {"type": "object"}, None),
        ("2026-07-28", {"type": "array"}, None),
    ],
)
def test_structured_output_is_foreseen_from_its_schema(client: str, schema: Json, said: str | None) -> None:
    found = tool(client, {**PLAIN, "outputSchema": schema})
    assert [text for text in found.said if text.startswith("structured")] == ([said] if said else [])


def test_a_schema_that_cannot_be_wrapped_degrades_its_tool() -> None:
    found = tool("2025-11-25", {**PLAIN, "outputSchema": {"type": "array", "$dynamicRef": "#a"}})
    assert found.verdict == "degraded"
    assert "outputSchema dropped (output schemas that cannot be wrapped)" in found.said


def test_a_tool_whose_header_annotations_break_the_rules_is_refused() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "object", "x-mcp-header": "A"}}}
    found = tool("2025-11-25", {"name": "bad", "inputSchema": schema})
    assert (found.verdict, found.said) == ("refused", ("left out: its header annotations break the rules",))
    assert tool("2025-03-26", {"name": "bad", "inputSchema": schema}, "2025-11-25").verdict == "rewritten"


def test_a_tool_that_must_run_as_a_task_is_left_out_for_who_has_none() -> None:
    tasks = {**PLAIN, "execution": {"taskSupport": "required"}}
    kept = tool("2025-11-25", tasks, "2025-11-25")
    assert kept.verdict == "identical"
    found = tool("2025-06-18", tasks, "2025-11-25")
    assert found.verdict in ("degraded", "refused")
    assert any("tasks" in text for text in found.said)


def test_a_question_is_refused_for_clients_whose_revision_has_none() -> None:
    assert method(report("2025-03-26"), "elicitation/create").verdict == "refused"
    assert "a tool that asks fails" in method(report("2025-03-26"), "elicitation/create").said[0]
    assert "is told" in method(report("2025-03-26", server="2025-11-25"), "elicitation/create").said[0]
    assert method(report("2025-11-25"), "elicitation/create").verdict != "refused"


def test_methods_are_those_the_server_offers_and_a_list_is_as_bad_as_its_worst_entry() -> None:
    found = report("2025-06-18", {**PLAIN, "outputSchema": {"type": "array", "$dynamicRef": "#a"}})
    assert method(found, "tools/list").verdict == "degraded"
    assert method(report("2025-06-18", PLAIN), "tools/list").verdict == "rewritten"
    names = {finding.name for finding in found.methods}
    assert "prompts/list" not in names
    assert {"initialize", "ping", "tools/call", "logging/setLevel"} <= names


def test_capabilities_are_those_the_client_will_be_shown() -> None:
    shown = {finding.name: finding.verdict for finding in report("2025-03-26", server="2025-11-25").capabilities}
    assert shown == {"tools": "identical", "tasks": "refused", "completions": "identical", "logging": "emulated"}


def test_hidden_entries_are_refused_and_incomplete_lists_are_named() -> None:
    found = report(
        "2025-11-25",
        PLAIN,
        incomplete={"tools/list": "error -32603"},
        rules=HIDES_ALL,
    )
    assert found.entries["tools"][0].said == ("hidden by the operator's filter",)
    assert "not read to its end: tools/list (error -32603)" in lines(found)


def test_the_text_counts_verdicts_and_escapes_what_servers_wrote() -> None:
    shown = lines(report("2025-11-25", PLAIN, {**PLAIN, "name": "a\nb", "outputSchema": {"type": "array"}}))
    assert "s\\x1b[31m 1 speaks 2026-07-28" in shown[0]
    assert shown[-1] == "tools: 1 identical, 1 rewritten"
    assert all("\n" not in line and "\x1b" not in line for line in shown)


def test_a_report_changes_nothing_of_what_it_was_given() -> None:
    entry = {**PLAIN, "title": "T", "outputSchema": {"type": "array"}}
    before = json.dumps([DISCOVERY, entry])
    report("2024-11-05", entry)
    assert json.dumps([DISCOVERY, entry]) == before
