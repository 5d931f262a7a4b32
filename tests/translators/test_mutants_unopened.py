"""What repairs leave alone they leave as bytes, note nowhere, and find alike in bodies that others have opened."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from protocol_versions import by_id
from protocol_versions.base import result
from translators.context import Context
from translators.hygiene import repairs

TOOLS = result("tools/list")
REPAIRS = repairs(by_id("2025-11-25"), TOOLS)

FINE: list[Any] = [
    {"type": "object"},
    {"type": "object", "properties": {"a": {"type": "string"}}},
    {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
    {"x": 1, "type": "object", "properties": {"a": {"default": True}, "b": {"const": False}}},
    {"x": 1, "type": "object", "properties": 3},
    {"x": 1, "type": "object"},
    {"type": "object", "properties": {}, "x": True},
]


def _repaired(tool: dict[str, Any]) -> list[str]:
    """The paths that were noted; the tool is changed in place."""
    ctx = Context()
    for op in REPAIRS:
        op.apply({"tools": [tool]}, ctx)
    return [loss.path for loss in ctx.losses]


@pytest.mark.parametrize("schema", FINE)
@pytest.mark.parametrize("member", ["inputSchema", "outputSchema"])
def test_a_fine_schema_is_noted_nowhere_opened_or_not(schema: Any, member: str) -> None:
    for tool in (
        {"inputSchema": {"type": "object"}, member: schema},
        {"inputSchema": Raw(b'{"type":"object"}'), member: Raw(msgspec.json.encode(schema))},
        {
            "inputSchema": Raw(b'{"type":"object"}'),
            member: {name: Raw(msgspec.json.encode(value)) for name, value in schema.items()},
        },
    ):
        assert _repaired(tool) == []
        assert msgspec.json.decode(msgspec.json.encode(tool[member])) == schema


@pytest.mark.parametrize("schema", FINE[:3])
def test_the_usual_schema_stays_bytes(schema: Any) -> None:
    raw = Raw(msgspec.json.encode(schema))
    tool = {"inputSchema": raw}
    _repaired(tool)
    assert tool["inputSchema"] is raw


def test_properties_without_booleans_stay_bytes() -> None:
    properties = Raw(b'{"a":{"type":"string"}}')
    tool: dict[str, Any] = {"inputSchema": {"x": Raw(b"1"), "type": Raw(b'"object"'), "properties": properties}}
    _repaired(tool)
    assert tool["inputSchema"]["properties"] is properties


@pytest.mark.parametrize("start", [b'{"type":"object"', b'{"x":1,"type":"object"'])
def test_a_boolean_property_is_found_behind_a_usual_start(start: bytes) -> None:
    meanings: Any = ((b"true", {}), (b"false", {"not": {}}))
    for flag, expected in meanings:
        tool: dict[str, Any] = {"inputSchema": Raw(start + b',"properties":{"a":' + flag + b"}}")}
        assert _repaired(tool) == ["tools[].inputSchema"]
        assert msgspec.json.decode(msgspec.json.encode(tool))["inputSchema"]["properties"] == {"a": expected}


def test_a_boolean_property_is_found_in_a_body_others_have_opened() -> None:
    tool: dict[str, Any] = {"inputSchema": {"type": "object", "properties": {"a": True, "b": {}}}}
    assert _repaired(tool) == ["tools[].inputSchema"]
    assert tool["inputSchema"]["properties"] == {"a": {}, "b": {}}
