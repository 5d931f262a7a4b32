"""The headers that repeat the body: which annotations hold, how values are spelt, what a request carries."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from translators import mirrored as subject
from translators.errors import INVALID_PARAMS, METHOD_NOT_FOUND, Refused
from translators.mirrored import (
    MAX_VALUE_BYTES,
    SAFE_INTEGER,
    BadAnnotation,
    Unreadable,
    agrees,
    annotations_of,
    decode_value,
    encode_value,
    headers_of,
    mirrored,
    name_of,
)

SAFE_LINE = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")


def prop(name: Any = "Region", kind: Any = "string", **more: Any) -> dict[str, Any]:
    return {"type": kind, "x-mcp-header": name, **more}


def tool(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def test_annotations_are_found_along_properties_at_any_depth() -> None:
    schema = tool(
        region=prop(),
        count=prop("Count", "integer", enum=[1, SAFE_INTEGER]),
        dry=prop("Method", "boolean"),
        where=tool(zone=prop("Zone"), deeper=tool(still=prop("Still"))),
        plain={"type": "number"},
    )
    assert mirrored(schema) == {
        ("region",): "Region",
        ("count",): "Count",
        ("dry",): "Method",
        ("where", "zone"): "Zone",
        ("where", "deeper", "still"): "Still",
    }


@pytest.mark.parametrize(
    "schema",
    [
        None,
        True,
        {},
        tool(),
        {"properties": []},
        tool(**{"x-mcp-header": {"type": "string"}}),
        {"$defs": {"x-mcp-header": {"type": "string"}}, "required": ["x-mcp-header"]},
        tool(a={"type": "object", "default": {"x-mcp-header": ""}, "examples": [{"x-mcp-header": 1}]}),
        tool(a={"const": {"x-mcp-header": 1}, "enum": [{"x-mcp-header": 1}], "x-vendor": {"x-mcp-header": 1}}),
        tool(a=True, b=False),
    ],
)
def test_a_name_or_a_value_that_looks_like_an_annotation_is_none(schema: Any) -> None:
    assert mirrored(schema) == {}
    assert annotations_of(schema) == {}


@pytest.mark.parametrize(
    ("fault", "schema"),
    [
        ("empty", tool(a=prop(""))),
        ("not-a-string", tool(a=prop(1))),
        ("not-a-string", tool(a=prop(None))),
        ("not-a-token", tool(a=prop("a b"))),
        ("not-a-token", tool(a=prop("X\r\nY"))),
        ("not-a-token", tool(a=prop("X\n"))),
        ("not-a-token", tool(a=prop("a:b"))),
        ("not-a-token", tool(a=prop("Größe"))),
        ("not-a-token", tool(a=prop("a\0"))),
        ("not-primitive", tool(a=prop("A", "number"))),
        ("not-primitive", tool(a=prop("A", "object"))),
        ("not-primitive", tool(a=prop("A", "array"))),
        ("not-primitive", tool(a=prop("A", "null"))),
        ("not-primitive", tool(a=prop("A", ["string", "null"]))),
        ("not-primitive", tool(a=prop("A", {}))),
        ("not-primitive", tool(a={"x-mcp-header": "A"})),
        ("not-primitive", tool(a={"x-mcp-header": "A", "$ref": "#/$defs/s"})),
        ("duplicate", tool(a=prop("Region"), b=prop("Region"))),
        ("duplicate", tool(a=prop("Region"), b=tool(c=prop("rEGION")))),
        ("unsafe-integer", tool(a=prop("A", "integer", const=2**53))),
        ("unsafe-integer", tool(a=prop("A", "integer", enum=[1, -(2**53)]))),
        ("not-reachable", prop()),
        ("not-reachable", tool(a={"type": "array", "items": prop()})),
        ("not-reachable", tool(a={"type": "array", "items": [prop()]})),
        ("not-reachable", tool(a={"type": "array", "items": tool(b=prop())})),
        ("not-reachable", tool(a={"type": "array", "prefixItems": [prop()]})),
        ("not-reachable", tool(a={"type": "array", "contains": prop()})),
        ("not-reachable", {"$defs": {"s": prop()}, **tool(a={"$ref": "#/$defs/s"})}),
        ("not-reachable", {"definitions": {"s": prop()}}),
        ("not-reachable", {"anyOf": [tool(a=prop())]}),
        ("not-reachable", {"oneOf": [tool(a=prop())]}),
        ("not-reachable", {"allOf": [{}, tool(a=prop())]}),
        ("not-reachable", {"not": tool(a=prop())}),
        ("not-reachable", {"if": tool(a=prop())}),
        ("not-reachable", {"if": {}, "then": tool(a=prop())}),
        ("not-reachable", {"if": {}, "else": tool(a=prop())}),
        ("not-reachable", {"patternProperties": {"^a": prop()}}),
        ("not-reachable", {"dependentSchemas": {"a": tool(a=prop())}}),
        ("not-reachable", {"additionalProperties": prop()}),
        ("not-reachable", {"unevaluatedProperties": prop()}),
        ("not-reachable", {"propertyNames": prop()}),
    ],
)
def test_an_annotation_that_breaks_a_rule_refuses_the_tool_and_says_why(fault: str, schema: Any) -> None:
    found = mirrored(schema)
    assert isinstance(found, BadAnnotation)
    assert found.fault == fault
    assert annotations_of(schema) is None


def test_one_bad_annotation_outweighs_the_good_ones() -> None:
    assert mirrored(tool(a=prop("A"), b=prop("B", "number"), c=prop("C"))) == BadAnnotation("not-primitive", ("b",))


def test_a_schema_of_any_depth_is_read_without_recursion() -> None:
    schema: dict[str, Any] = prop()
    for _ in range(5000):
        schema = tool(a=schema)
    assert mirrored(schema) == {("a",) * 5000: "Region"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("us-west1", "us-west1"),
        ("", ""),
        ("a b", "a b"),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("a\tb", "=?base64?YQli?="),
        ("\x7f", "=?base64?fw==?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("=?base64?=", "=?base64?PT9iYXNlNjQ/PQ==?="),
        ("=?BASE64?YQ==?=", "=?BASE64?YQ==?="),
        (42, "42"),
        (-7, "-7"),
        (SAFE_INTEGER, "9007199254740991"),
        (True, "true"),
        (False, "false"),
    ],
)
def test_values_are_spelt_as_the_specification_shows(value: str | int | bool, text: str) -> None:
    assert encode_value(value) == text
    assert agrees(text, value)
    if isinstance(value, str):
        assert decode_value(text) == value


@pytest.mark.parametrize("value", [2**53, -(2**53), 10**40, "\ud800", "x" * (MAX_VALUE_BYTES + 1), "é" * 4000])
def test_values_that_no_header_can_carry_are_refused(value: str | int) -> None:
    with pytest.raises(ValueError, match=r".+"):
        encode_value(value)


@given(st.text(max_size=200))
def test_whatever_the_text_the_line_is_safe_and_reads_back(value: str) -> None:
    text = encode_value(value)
    assert SAFE_LINE.fullmatch(text)
    assert decode_value(text) == value
    assert agrees(text, value)


@given(st.text(max_size=40))
def test_any_header_text_is_read_as_one_value_or_refused(text: str) -> None:
    try:
        value = decode_value(text)
    except Unreadable:
        return
    sentinel = text != value
    assert not sentinel or text == f"=?base64?{base64.b64encode(value.encode()).decode()}?="


@pytest.mark.parametrize(
    "text",
    [
        "=?base64?YQ=?=",
        "=?base64?YR==?=",
        "=?base64?Y Q==?=",
        "=?base64?/w==?=",
        "=?base64?YQ_-?=",
        "a\r\nb",
        "a\0",
        "é",
    ],
)
def test_broken_header_values_are_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        decode_value(text)


@pytest.mark.parametrize(
    ("text", "value", "same"),
    [
        ("42.0", 42, True),
        ("42", 42.0, True),
        ("42", 43, False),
        ("42.5", 42, False),
        ("4e1", 40, False),
        ("", 0, False),
        ("1", True, False),
        ("true", True, True),
        ("True", True, False),
        ("true", "true", True),
        ("42.0", "42", False),
        ("null", None, False),
        ("e\u0301", "x", None),
        ("9" * 5000, 9, False),
        ("[]", [], False),
    ],
)
def test_a_header_agrees_with_the_same_value_only(text: str, value: Any, same: bool | None) -> None:
    if same is None:
        with pytest.raises(Unreadable):
            agrees(text, value)
    else:
        assert agrees(text, value) is same


@pytest.mark.parametrize(
    ("method", "params", "name"),
    [
        ("tools/call", {"name": "a"}, "a"),
        ("tools/call", {"name": Raw(b'"\\u00e9"')}, "é"),
        ("prompts/get", {"name": ""}, ""),
        ("resources/read", {"uri": "file:///x", "name": "y"}, "file:///x"),
        ("tasks/get", {"taskId": "t"}, "t"),
        ("tasks/cancel", {"taskId": Raw(b'"t"')}, "t"),
        ("tools/list", {"name": "a"}, None),
        ("tools/call", {}, None),
        ("tools/call", {"name": Raw(b"7")}, None),
        ("tools/call", {"name": Raw(b'{"a":1}')}, None),
    ],
)
def test_a_request_is_named_by_the_member_of_its_method(method: str, params: dict[str, Any], name: str | None) -> None:
    assert name_of(method, params) == name


ANNOTATIONS = {("region",): "Region", ("n",): "N", ("dry",): "Dry", ("at", "zone"): "Zone"}


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode())


@pytest.mark.parametrize("form", ["raw", "opened", "half"])
def test_a_call_mirrors_what_it_sends_and_leaves_it_as_it_was(form: str) -> None:
    arguments: Any = {"region": "Zürich", "n": 42.0, "dry": False, "at": {"zone": "z"}, "other": [1]}
    if form == "raw":
        arguments = raw(arguments)
    elif form == "half":
        arguments = {key: raw(value) for key, value in arguments.items()}
    params = {"name": raw("run me"), "arguments": arguments}
    before = msgspec.json.encode(params)
    assert headers_of("tools/call", params, ANNOTATIONS) == [
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "run me"),
        ("Mcp-Param-Region", "=?base64?WsO8cmljaA==?="),
        ("Mcp-Param-N", "42"),
        ("Mcp-Param-Dry", "false"),
        ("Mcp-Param-Zone", "z"),
    ]
    assert msgspec.json.encode(params) == before


@pytest.mark.parametrize(
    "arguments",
    [None, {}, {"region": None, "at": None}, {"at": {"zone": None}}, {"at": "zone"}, {"at": [{"zone": 1}]}, [], 7],
)
@pytest.mark.parametrize("opened", [True, False])
def test_an_absent_or_null_argument_has_no_header(arguments: Any, opened: bool) -> None:
    params = {"name": "a", "arguments": arguments if opened else raw(arguments)}
    assert headers_of("tools/call", params, ANNOTATIONS) == [("Mcp-Method", "tools/call"), ("Mcp-Name", "a")]


def test_other_methods_mirror_no_arguments() -> None:
    params = {"name": "p", "arguments": {"region": "x"}}
    assert headers_of("prompts/get", params, ANNOTATIONS) == [("Mcp-Method", "prompts/get"), ("Mcp-Name", "p")]
    assert headers_of("tools/list", {}) == [("Mcp-Method", "tools/list")]


@pytest.mark.parametrize("value", [2**53, 1.5, 1e300, [1], {"a": 1}, "x" * (MAX_VALUE_BYTES + 1)])
def test_an_argument_that_cannot_be_mirrored_is_refused_before_anything_is_sent(value: Any) -> None:
    for arguments in ({"n": value}, raw({"n": value})):
        with pytest.raises(Refused) as refused:
            headers_of("tools/call", {"name": "a", "arguments": arguments}, ANNOTATIONS)
        assert (refused.value.code, refused.value.reason) == (INVALID_PARAMS, "unmirrorable")
        assert refused.value.__context__ is None or refused.value.__suppress_context__


@pytest.mark.parametrize("name", ["a\r\nX: y", "\0", "🦉" * 10])
def test_a_hostile_name_stays_on_its_line(name: str) -> None:
    ((_, method), (_, text)) = headers_of("tools/call", {"name": name})
    assert method == "tools/call"
    assert SAFE_LINE.fullmatch(text)
    assert decode_value(text) == name


def test_a_name_of_twenty_kilobytes_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        headers_of("resources/read", {"uri": "file:///" + "x" * 20_000})
    assert refused.value.code == INVALID_PARAMS


@pytest.mark.parametrize("method", ["", "a b", "a\r\nb", "é", "x" * (MAX_VALUE_BYTES + 1)])
def test_a_method_that_no_header_can_carry_is_unknown(method: str) -> None:
    with pytest.raises(Refused) as refused:
        headers_of(method, {})
    assert (refused.value.code, refused.value.reason) == (METHOD_NOT_FOUND, "method-unknown")


def test_the_largest_value_is_carried_whole() -> None:
    assert subject.encode_value("x" * MAX_VALUE_BYTES) == "x" * MAX_VALUE_BYTES
