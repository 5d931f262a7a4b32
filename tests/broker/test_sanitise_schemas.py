"""Structured content that something was taken out of, and the schema its tool promised (security catalogue C166)."""

from __future__ import annotations

import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.hooks.sanitise_schemas import Schemas
from protocol_versions.base import Slot
from tests.broker.sanitise_world import AWS, CARD, hook, info, rule, shown
from tests.broker.scripted_backend import Json

LIST = Slot("result", "tools/list", "client")
MARK = "[redacted:secret]"
WITHHELD = {"denied": "sanitised:output-schema"}
TEXT: Json = {"type": "string"}


def schema(of: Any, **more: Any) -> Json:
    return {"type": "object", "properties": {"k": of}, **more}


def told(outputs: Json, content: Json, **rules: Any) -> Json:
    """What becomes of a result of a tool that was listed with this schema."""
    sanitise = hook(rule("secrets", "card", **rules))
    tool = {"name": "x", "inputSchema": {}, "outputSchema": outputs}
    shown(sanitise, {"tools": [tool]}, LIST, info("tools/list"))
    return shown(sanitise, {"content": [], "structuredContent": content})


FITS: tuple[Any, ...] = (
    TEXT, {}, True, {"type": ["string", "null"]}, {"anyOf": [TEXT, {"type": "null"}]},
    {"type": "string", "maxLength": 99},
    {"$ref": "#/$defs/t"}, {"allOf": [TEXT, {"minLength": 1}]}, {"type": "string", "description": "a key"},
)  # fmt: skip
UNFIT = (
    {"type": "string", "pattern": "^AKIA"}, {"type": "string", "format": "email"}, {"enum": [AWS]}, {"const": AWS},
    {"type": "string", "maxLength": 5}, {"$ref": "https://example.com/s"}, {"$ref": "#/$defs/gone"},
    {"not": {"type": "null"}}, {"anyOf": [{"type": "null"}, {"enum": [AWS]}]}, {"$ref": "#/properties/k"},
)  # fmt: skip


@pytest.mark.parametrize("of", FITS)
def test_c166_what_still_fits_is_shown(of: Any) -> None:
    seen = told(schema(of, **{"$defs": {"t": TEXT}}), {"k": AWS, "other": 1})
    assert seen["structuredContent"] == {"k": MARK, "other": 1}


@pytest.mark.parametrize("of", UNFIT)
def test_c166_what_does_not_or_takes_a_validator_to_know_is_an_error(of: Any) -> None:
    assert told(schema(of, **{"$defs": {"t": TEXT}}), {"k": AWS}) == WITHHELD


def test_c166_a_number_that_becomes_text_and_a_required_member_that_goes_are_errors() -> None:
    number = int(CARD.replace(" ", ""))
    assert told(schema({"type": "integer"}), {"k": number}) == WITHHELD
    assert told(schema({"type": "integer"}), {"k": 5, "note": CARD})["structuredContent"]["k"] == 5
    assert told(schema(TEXT, required=["k"]), {"k": AWS}, action="drop") == WITHHELD
    assert told(schema(TEXT), {"k": AWS}, action="drop")["structuredContent"] == {}
    assert told(schema(TEXT, additionalProperties=False), {AWS: "x"}) == WITHHELD
    items: Json = {"type": "array", "items": TEXT}
    assert told(schema(items), {"k": ["a", AWS]})["structuredContent"] == {"k": ["a", MARK]}
    assert told(schema({**items, "uniqueItems": True}), {"k": [AWS, f"{AWS[:-1]}X"]}) == WITHHELD
    assert told(schema({**items, "minItems": 2}), {"k": ["a", AWS]}, action="drop") == WITHHELD
    assert told(schema({"prefixItems": [TEXT, {"const": AWS}]}), {"k": ["a", AWS]}) == WITHHELD


def test_c166_without_a_schema_or_a_finding_and_in_a_failure_nothing_is_withheld() -> None:
    strict = schema({"const": AWS})
    sanitise = hook(rule("secrets"))
    body: Json = {"content": [], "structuredContent": {"k": AWS}}
    assert shown(sanitise, body)["structuredContent"] == {"k": MARK}
    assert told(strict, {"k": "b"})["structuredContent"] == {"k": "b"}
    tool = {"name": "x", "inputSchema": {}, "outputSchema": strict}
    shown(sanitise, {"tools": [tool]}, LIST, info("tools/list"))
    assert shown(sanitise, body) == WITHHELD
    assert shown(sanitise, {**body, "isError": True})["structuredContent"] == {"k": MARK}
    assert shown(sanitise, body, told=info(who="key:cleared")) == body


def test_c166_a_rule_about_calls_alone_knows_the_schemas_of_lists() -> None:
    sanitise = hook(rule("secrets", methods=("tools/call",)))
    tool = {"name": "x", "inputSchema": {}, "outputSchema": schema({"const": AWS})}
    listed: Json = {"tools": [tool]}
    assert shown(sanitise, listed, LIST, info("tools/list")) == listed
    assert shown(sanitise, {"content": [], "structuredContent": {"k": AWS}}) == WITHHELD


def test_c166_alternatives_that_refer_to_alternatives_cost_no_more_than_others() -> None:
    many: Json = {"anyOf": [{"$ref": "#/$defs/many"}] * 40}
    began = time.thread_time()
    assert told(schema(many, **{"$defs": {"many": many}}), {"k": AWS}) == WITHHELD
    assert time.thread_time() - began < 2.0


def test_c166_a_name_that_is_longer_than_any_schema_is_not_remembered() -> None:
    schemas = Schemas()
    schemas.learn([{"name": "x" * 100_000, "outputSchema": {"const": "a"}}])
    assert schemas.fits("x" * 100_000, "a", MARK)


_LEAF = st.sampled_from([TEXT, {"type": "integer"}, {"type": "string", "maxLength": 9}, {"enum": ["a", MARK]}, {}])
_SCHEMA = st.recursive(
    _LEAF,
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.fixed_dictionaries({"a": inner, "b": inner})}
        ),
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)}),
    ),
    max_leaves=5,
)
_VALUE = st.recursive(
    st.one_of(st.sampled_from(["a", MARK, "long enough text"]), st.integers(0, 9)),
    lambda inner: st.one_of(st.fixed_dictionaries({"a": inner, "b": inner}), st.lists(inner, max_size=2)),
    max_leaves=5,
)


@given(_SCHEMA, _VALUE, _VALUE)
def test_c166_what_is_said_to_fit_is_what_a_validator_takes(outputs: Json, before: Any, after: Any) -> None:
    schemas = Schemas()
    schemas.learn([{"name": "x", "outputSchema": outputs}])
    if schemas.fits("x", before, after) and jsonschema.Draft202012Validator(outputs).is_valid(before):
        assert after is before or jsonschema.Draft202012Validator(outputs).is_valid(after)
