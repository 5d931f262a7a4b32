"""The functions of the step to 2026-07-28 that conversations call, and whole translations across it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given

from protocol_versions import REVISIONS, v2025_11_25, v2026_07_28
from tests.strategies import wire
from tests.translators.laws import LAW
from translators import Context, translate
from translators.v2025_11_25__v2026_07_28.fields_capabilities import (
    SERVER_INFO,
    discover_result,
    initialize_result,
    mapped_client_capabilities,
    mapped_server_capabilities,
)
from translators.v2025_11_25__v2026_07_28.fields_errors import (
    missing_resource,
    newer_error,
    older_error,
    required_capabilities,
)
from translators.v2025_11_25__v2026_07_28.fields_schemas import (
    output_schema_for_sessions,
    tools_to_wrap,
    wraps,
)

SESSIONS = [revision.id for revision in REVISIONS if revision.traits.sessions]
NEWER = "2026-07-28"


@pytest.mark.parametrize(
    ("declared", "mapped"),
    [
        ({}, {}),
        ({"roots": {"listChanged": True}}, {"roots": {}}),
        ({"roots": {"x": 1}}, {"roots": {"x": 1}}),
        ({"elicitation": {}}, {"elicitation": {"form": {}}}),
        ({"elicitation": {"x": 1}}, {"elicitation": {"x": 1, "form": {}}}),
        ({"elicitation": {"url": {}}}, {"elicitation": {"url": {}}}),
        ({"elicitation": {"form": {"a": 1}, "url": {}}}, {"elicitation": {"form": {"a": 1}, "url": {}}}),
        ({"sampling": {"tools": {}, "context": {}}}, {"sampling": {"tools": {}, "context": {}}}),
        ({"tasks": {"list": {}}, "experimental": {"x": {}}}, {"experimental": {"x": {}}}),
        ({"extensions": {"io.modelcontextprotocol/tasks": {}}}, {}),
        (
            {"extensions": {"io.modelcontextprotocol/tasks": {}, "io.modelcontextprotocol/ui": {"a": [1]}}},
            {"extensions": {"io.modelcontextprotocol/ui": {"a": [1]}}},
        ),
        ({"com.example/own": {"a": 1}}, {"com.example/own": {"a": 1}}),
    ],
)
def test_a_client_declares_with_each_request_what_it_declared_once(declared: Any, mapped: Any) -> None:
    unopened = msgspec.json.decode(msgspec.json.encode(declared), type=dict[str, msgspec.Raw])
    assert mapped_client_capabilities(unopened) == mapped
    assert mapped_client_capabilities(declared) == mapped
    assert declared == msgspec.json.decode(msgspec.json.encode(unopened))


@LAW
@given(wire(v2025_11_25.ClientCapabilities))
def test_mapped_capabilities_are_legal_and_mapping_them_again_changes_nothing(declared: Any) -> None:
    mapped = mapped_client_capabilities(declared)
    msgspec.convert(mapped, v2026_07_28.ClientCapabilities)
    assert mapped_client_capabilities(mapped) == mapped


def test_a_server_declares_everything_but_tasks() -> None:
    declared = {"tasks": {}, "tools": {"listChanged": True}, "extensions": {"a/b": {}}, "completions": {}}
    mapped = {"tools": {"listChanged": True}, "extensions": {"a/b": {}}, "completions": {}}
    assert mapped_server_capabilities(declared) == mapped


DISCOVERED = {
    "resultType": "complete",
    "supportedVersions": ["2026-07-28"],
    "capabilities": {"tools": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}},
    "instructions": "Ask nicely",
    "ttlMs": 60000,
    "cacheScope": "public",
    "_meta": {SERVER_INFO: {"name": "s", "version": "2", "title": "S"}},
}


def test_a_session_is_welcomed_with_what_was_discovered() -> None:
    before = msgspec.json.encode(DISCOVERED)
    assert initialize_result(DISCOVERED, "2025-06-18") == {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "s", "version": "2", "title": "S"},
        "instructions": "Ask nicely",
    }
    assert msgspec.json.encode(DISCOVERED) == before


@pytest.mark.parametrize("info", [None, "s", {}, {"name": "s"}, {"name": 1, "version": "2"}])
def test_a_server_that_does_not_identify_itself_has_a_name_all_the_same(info: Any) -> None:
    welcome = initialize_result({"capabilities": {}, "_meta": {SERVER_INFO: info}}, "2025-11-25")
    msgspec.convert(welcome, v2025_11_25.InitializeResult)
    assert welcome["serverInfo"] == {"name": "unknown-mcp-server", "version": "0"}
    assert "instructions" not in welcome


def test_what_a_session_was_told_is_discovered_and_not_to_be_kept() -> None:
    told = {
        "protocolVersion": "2025-03-26",
        "capabilities": {"tools": {"listChanged": True}, "tasks": {"list": {}}},
        "serverInfo": {"name": "s", "version": "2"},
        "instructions": "Ask nicely",
    }
    found = discover_result(told)
    msgspec.convert(found, v2026_07_28.DiscoverResult)
    assert found == {
        "resultType": "complete",
        "supportedVersions": ["2026-07-28"],
        "capabilities": {"tools": {"listChanged": True}},
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": {SERVER_INFO: {"name": "s", "version": "2"}},
        "instructions": "Ask nicely",
    }
    assert "_meta" not in discover_result({**told, "serverInfo": None})


@LAW
@given(wire(v2026_07_28.DiscoverResult))
def test_every_discovery_makes_a_legal_welcome_and_every_welcome_a_legal_discovery(discovered: Any) -> None:
    welcome = initialize_result(discovered, "2025-11-25")
    msgspec.convert(welcome, v2025_11_25.InitializeResult)
    msgspec.convert(discover_result(welcome), v2026_07_28.DiscoverResult)


@pytest.mark.parametrize(
    ("problem", "missing"),
    [
        ({"code": -32002, "message": ""}, True),
        ({"code": -32602, "message": "", "data": {"uri": "a"}}, True),
        ({"code": -32602, "message": "Resource test://x not found"}, True),
        ({"code": -32602, "message": "Invalid cursor"}, False),
        ({"code": 0, "message": "Unknown resource: a"}, True),
        ({"code": 0, "message": "boom", "data": {"uri": "a"}}, False),
        ({"code": -32603, "message": "File does not exist"}, True),
        ({"code": -32603, "message": "not found", "data": {"legacyCode": -32050}}, False),
        ({"code": -32000, "message": "not found"}, False),
    ],
)
def test_a_missing_resource_is_known_by_its_code_its_data_or_its_words(problem: Any, missing: bool) -> None:
    assert missing_resource(problem) is missing


def test_an_error_of_a_known_newer_server_is_renumbered_by_its_words_too() -> None:
    problem = {"code": -32602, "message": "Resource not found"}
    assert older_error(problem, "resources/read", "a:b") == {**problem, "code": -32002, "data": {"uri": "a:b"}}
    assert older_error(problem, "resources/read") == {**problem, "code": -32002}
    assert older_error(problem, "tools/call", "a:b") == problem
    assert newer_error({"code": -32002, "message": "m"}, "tools/call") == {"code": -32002, "message": "m"}


def test_required_capabilities_are_named_as_far_as_they_are_defined() -> None:
    needed: Any = {"elicitation": {"url": {}, "x": {}}, "sampling": {"tools": {}}, "roots": None, "extensions": {}}
    problem = {"code": -32021, "message": "m", "data": {"requiredCapabilities": needed}}
    assert required_capabilities(problem) == ("roots", "sampling.tools", "elicitation.url")
    assert required_capabilities({"code": -32021, "message": "m", "data": {"requiredCapabilities": ["x"]}}) == ()


def test_a_list_and_its_calls_agree_on_what_is_wrapped() -> None:
    schemas: tuple[Any, ...] = ({"type": "array"}, {}, {"anyOf": []}, {"type": "object"}, {"properties": {}}, None)
    for schema in (*schemas, {"$id": "x"}):
        shown = output_schema_for_sessions(schema)
        wrapped = shown is not None and "result" in shown.get("properties", {})
        assert wraps(schema) is wrapped


def test_a_call_keeps_step_with_the_list_the_facts_were_made_from() -> None:
    page = {
        "tools": [
            {"name": "list", "inputSchema": {"type": "object"}, "outputSchema": {"type": "array"}},
            {"name": "object", "inputSchema": {"type": "object"}, "outputSchema": {"type": "object"}},
            {"name": "named", "inputSchema": {"type": "object"}, "outputSchema": {"type": "array", "$id": "x"}},
            {"name": "plain", "inputSchema": {"type": "object"}},
            {"name": 1, "outputSchema": {"type": "array"}},
            "no tool",
        ]
    }
    unopened = msgspec.json.decode(msgspec.json.encode(page), type=dict[str, msgspec.Raw])
    facts = tools_to_wrap(unopened)
    assert facts == {"list": {"name": "list", "outputSchema": {"type": "array"}}}
    assert msgspec.json.decode(msgspec.json.encode(unopened)) == page
    for name, value, read in (
        ("list", [1], {"result": [1]}),
        ("list", None, {"result": None}),
        ("object", {"a": 1}, {"a": 1}),
    ):
        ctx = Context(facts={"tools": facts}, request={"name": msgspec.Raw(msgspec.json.encode(name))})
        body: Any = {"resultType": "complete", "content": [], "structuredContent": value}
        pair: Any = {"method": "tools/call", "part": "result", "client": "2025-11-25", "server": NEWER}
        done = translate(msgspec.json.encode(body), **pair, context=ctx)
        assert msgspec.json.decode(done.body) == {"content": [], "structuredContent": read}


@pytest.mark.parametrize("client", SESSIONS)
def test_a_result_of_a_newer_server_is_read_by_every_session_client(client: str) -> None:
    body = {"resultType": "complete", "content": [{"type": "text", "text": "[1]"}], "structuredContent": [1]}
    done = translate(body, method="tools/call", part="result", client=client, server=NEWER)
    assert (done.verdict, done.body) == ("rewritten", {"content": [{"type": "text", "text": "[1]"}]})


@pytest.mark.parametrize("client", SESSIONS)
@pytest.mark.parametrize("kind", ["input_required", "task", "later"])
def test_what_is_no_result_reaches_no_session_client(client: str, kind: str) -> None:
    for method in ("tools/call", "prompts/get", "resources/read", "tools/list"):
        done = translate({"resultType": kind}, method=method, part="result", client=client, server=NEWER)
        assert done.refusal is not None
        assert (done.verdict, done.refusal.code) == ("refused", -32603)


def test_an_elicitation_gets_the_id_that_a_conversation_makes_once_and_keeps() -> None:
    body = {"mode": "url", "message": "Sign in", "url": "https://example.com/a"}
    ctx = Context(stash={"elicitationId": iter(["first", "second"]).__next__})
    pair: Any = {"method": "elicitation/create", "part": "params", "client": "2025-11-25", "server": NEWER}
    for _ in range(2):
        done = translate(body, **pair, toward="client", context=ctx)
        assert done.body == {**body, "elicitationId": "first"}
    assert ctx.stash == {"elicitationId": "first"}
    form = {"message": "m", "requestedSchema": {"type": "object", "properties": {}}}
    assert translate(form, **pair, toward="client").verdict == "identical"


@pytest.mark.parametrize("client", SESSIONS)
def test_a_request_of_a_session_client_names_its_revision_to_a_newer_server(client: str) -> None:
    ctx = Context(facts={"client_capabilities": {"sampling": {}}})
    done = translate(b"{}", method="tools/list", part="params", client=client, server=NEWER, context=ctx)
    meta = msgspec.json.decode(done.body)["_meta"]
    assert meta == {
        "io.modelcontextprotocol/protocolVersion": NEWER,
        "io.modelcontextprotocol/clientCapabilities": {"sampling": {}},
    }


@pytest.mark.parametrize("server", SESSIONS)
def test_a_tool_of_a_session_server_is_read_by_a_newer_client(server: str) -> None:
    body: Any = {"tools": [{"name": "t", "inputSchema": {"type": "object"}}]}
    done = translate(body, method="tools/list", part="result", client=NEWER, server=server)
    assert done.body == {**body, "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}


def test_two_peers_of_the_newer_revision_keep_any_value_and_any_question() -> None:
    bodies: tuple[Any, ...] = (
        {"resultType": "complete", "content": [], "structuredContent": None},
        {"resultType": "complete", "content": [], "structuredContent": [1]},
        {"resultType": "input_required", "inputRequests": {}, "requestState": "s"},
    )
    for body in bodies:
        assert translate(body, method="tools/call", part="result", client=NEWER, server=NEWER).verdict == "identical"


@pytest.mark.parametrize("client", SESSIONS)
@pytest.mark.parametrize("server", SESSIONS)
def test_null_as_structured_content_means_absence_between_sessions(client: str, server: str) -> None:
    body: Any = {"content": [], "structuredContent": None}
    done = translate(body, method="tools/call", part="result", client=client, server=server)
    assert done.body == {"content": []}


@pytest.mark.parametrize("text", [b'"outputSchema":{"type":"array"}', b'"output\\u0053chema":{"type":"array"}'])
def test_a_schema_to_wrap_is_found_among_usual_ones_however_its_name_is_spelled(text: bytes) -> None:
    usual = b'{"name":"a","outputSchema":{"type":"object"},"description":"\\"outputSchema\\":{\\"type\\":\\"object\\""}'
    assert tools_to_wrap({"tools": msgspec.Raw(b"[%b]" % usual)}) == {}
    listed: dict[str, Any] = {"tools": msgspec.Raw(b'[%b,{"name":"b",%b}]' % (usual, text))}
    assert tools_to_wrap(listed) == {"b": {"name": "b", "outputSchema": {"type": "array"}}}
