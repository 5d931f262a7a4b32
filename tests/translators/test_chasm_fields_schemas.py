"""Corners of schemas across the step to 2026-07-28 that no pair shows."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from protocol_versions.base import result
from translators.context import Context
from translators.pipeline import pipeline
from translators.v2025_11_25__v2026_07_28.fields_headers import MIRRORS, without_annotations
from translators.v2025_11_25__v2026_07_28.fields_schemas import output_schema_for_sessions, wraps


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {}},
        {"required": ["a"]},
        {"additionalProperties": False},
        {"patternProperties": {}},
        {"propertyNames": {}},
    ],
)
def test_a_schema_of_objects_that_forgot_its_type_gets_it(schema: Any) -> None:
    assert output_schema_for_sessions(schema) == {**schema, "type": "object"}
    assert not wraps(schema)


@pytest.mark.parametrize("keyword", ["$ref", "allOf", "anyOf", "oneOf", "not", "if", "enum", "const", "type"])
def test_a_schema_that_may_mean_more_than_objects_is_wrapped(keyword: str) -> None:
    schema: Any = {"properties": {}, keyword: "#/$defs/a" if keyword == "$ref" else ["object", "array"]}
    assert wraps(schema)
    assert output_schema_for_sessions(schema) == {
        "type": "object",
        "properties": {"result": schema},
        "required": ["result"],
    }


@pytest.mark.parametrize(
    "keyword", ["$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"]
)
def test_a_schema_that_names_places_in_itself_is_not_moved(keyword: str) -> None:
    naming: list[Any] = [{"type": "array", keyword: "#a"}, {"type": "array", "items": {"anyOf": [{keyword: "#a"}]}}]
    for schema in naming:
        assert output_schema_for_sessions(schema) is None
        assert not wraps(schema)
    # As the name of a property, or as data, the word says nothing.
    silent: list[Any] = [{"type": "array", "items": {"properties": {keyword: {}}}}, {"enum": [{keyword: "#a"}]}]
    for schema in silent:
        assert wraps(schema)


@pytest.mark.parametrize("holder", ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"])
def test_what_authors_name_is_no_keyword(holder: str) -> None:
    inner = {"x-mcp-header": {"type": "string", "x-mcp-header": "A"}}
    assert without_annotations({holder: inner}) == {holder: {"x-mcp-header": {"type": "string"}}}


def test_a_moved_reference_keeps_what_stands_beside_it() -> None:
    schema: Any = {"type": "array", "items": {"$ref": "#/items", "title": "T", "default": {"$ref": "#"}}}
    shown = output_schema_for_sessions(schema)
    assert shown is not None
    assert shown["properties"]["result"]["items"] == {
        "$ref": "#/properties/result/items",
        "title": "T",
        "default": {"$ref": "#"},
    }


@pytest.mark.parametrize("name", [b'"outputSchema"', b'"output\\u0053chema"'])
@pytest.mark.parametrize("space", [b"", b" "])
def test_a_list_is_read_the_same_however_it_is_spelled(name: bytes, space: bytes) -> None:
    tool = b'[{"name":"t","inputSchema":{"type":"object"},' + name + b":" + space + b'{"type":"array"}}]'
    body: Any = {"tools": Raw(tool)}
    read = pipeline("2025-11-25", "2026-07-28").lane(result("tools/list")).run(body, Context())
    (shown,) = msgspec.json.decode(msgspec.json.encode(read))["tools"]
    assert shown["outputSchema"] == {
        "type": "object",
        "properties": {"result": {"type": "array"}},
        "required": ["result"],
    }


@pytest.mark.parametrize("mirrors", [True, False])
def test_annotations_reach_the_stateless_clients_behind_a_session_and_no_other_client(mirrors: bool) -> None:
    schema: Any = {"type": "object", "properties": {"a": {"type": "string", "x-mcp-header": "A"}}}
    lane = pipeline("2025-11-25", "2025-11-25").lane(result("tools/list"))
    tools = Raw(msgspec.json.encode([{"name": "t", "inputSchema": schema}]))
    facts = {MIRRORS: True} if mirrors else {}
    for _ in range(2):  # neither is remembered for the other
        body = lane.run({"tools": tools}, Context(method="tools/list", facts=facts))
        shown = msgspec.json.decode(msgspec.json.encode(body))["tools"][0]["inputSchema"]
        assert shown == (schema if mirrors else without_annotations(schema))
