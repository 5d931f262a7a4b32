"""Corners of the steps that no pair shows; each test was written because a change to the step went unnoticed."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import msgspec
import pytest

from protocol_versions.base import Slot, answer, ask, error, params, result
from translators import STEPS
from translators.change import Step
from translators.context import Context
from translators.structured import content_with_structured
from translators.v2025_06_18__v2025_11_25.elicitation import CLIENT_REQUESTS

OLDEST, MIDDLE, NEWEST = (step for step in STEPS if step.newer.traits.sessions)
TOOLS, CALL, FORM = result("tools/list"), result("tools/call"), ask("elicitation/create")
SEVERAL = "enum variants"

DRAFT_07 = {"exclusiveMinimum": True, "minimum": 3}
IN_2020_12 = {"exclusiveMinimum": 3}


def read(step: Step, way: str, slot: Slot, written: Any, ctx: Context | None = None) -> Any:
    """What the reader gets, with members unopened to begin with, as they arrive."""
    body = msgspec.json.decode(msgspec.json.encode(written), type=dict[str, msgspec.Raw])
    (step.down if way == "down" else step.up)(slot, body, ctx)
    return msgspec.json.decode(msgspec.json.encode(body))


def schema_read(schema: Any) -> Any:
    """A tool's input schema as a 2025-11-25 client reads it."""
    return read(NEWEST, "up", TOOLS, {"tools": [{"name": "t", "inputSchema": schema}]})["tools"][0]["inputSchema"]


@pytest.mark.parametrize("method", CLIENT_REQUESTS)
def test_an_error_of_another_code_is_left_alone_whatever_it_carries(method: str) -> None:
    asked = [{"message": "Sign in", "url": "https://example.com/"}]
    problem = {"code": -32000, "message": "no", "data": {"elicitations": asked}}
    ctx = Context(method=method)
    assert NEWEST.down(error(method), deepcopy(problem), ctx) == problem
    assert ctx.losses == []


def test_only_what_can_be_opened_is_told_of_a_required_url() -> None:
    asked = [
        "odd",
        {"message": "no url"},
        {"url": 5},
        {"url": "https://a.example/"},
        {"message": "b", "url": "https://b"},
    ]
    problem = {"code": -32042, "message": "Needed", "data": {"elicitations": asked}}
    told = read(NEWEST, "down", error("ping"), problem)
    assert told["message"] == "Needed\nhttps://a.example/\nb https://b"


@pytest.mark.parametrize("keyword", ["properties", "patternProperties", "definitions", "$defs", "dependentSchemas"])
def test_schemas_in_a_map_are_read_as_draft_07(keyword: str) -> None:
    assert schema_read({keyword: {"a": DRAFT_07, "b": True}}) == {keyword: {"a": IN_2020_12, "b": True}}


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf", "prefixItems"])
def test_schemas_in_a_list_are_read_as_draft_07(keyword: str) -> None:
    assert schema_read({keyword: [True, DRAFT_07]}) == {keyword: [True, IN_2020_12]}


@pytest.mark.parametrize(
    "keyword",
    [
        *("items", "additionalItems", "additionalProperties", "unevaluatedItems", "unevaluatedProperties"),
        *("contains", "propertyNames", "not", "if", "then", "else"),
    ],
)
def test_a_single_schema_is_read_as_draft_07(keyword: str) -> None:
    assert schema_read({keyword: DRAFT_07}) == {keyword: IN_2020_12}


@pytest.mark.parametrize("keyword", ["const", "default", "enum", "examples", "x-vendor"])
def test_values_are_not_taken_for_schemas(keyword: str) -> None:
    schema = {keyword: [DRAFT_07], "type": "object"}
    assert schema_read(schema) == schema


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"items": [{}]}, {"prefixItems": [{}]}),
        ({"items": [DRAFT_07], "additionalItems": False}, {"prefixItems": [IN_2020_12], "items": False}),
        ({"dependencies": {"a": ["b"]}}, {"dependentRequired": {"a": ["b"]}}),
        ({"dependencies": {"a": {"x": 1}}}, {"dependentSchemas": {"a": {"x": 1}}}),
        ({"exclusiveMinimum": True, "minimum": 1}, {"exclusiveMinimum": 1}),
        ({"exclusiveMinimum": False, "minimum": 1}, {"minimum": 1}),
        ({"exclusiveMaximum": True, "maximum": 1}, {"exclusiveMaximum": 1}),
        ({"exclusiveMaximum": True}, {}),
        ({"exclusiveMaximum": 5, "maximum": 9}, {"exclusiveMaximum": 5, "maximum": 9}),
        ({"$schema": "http://json-schema.org/draft-07/schema#", **DRAFT_07}, None),
    ],
)
def test_one_keyword_of_draft_07_alone_is_enough(schema: Any, expected: Any) -> None:
    assert schema_read(schema) == (schema if expected is None else expected)


def test_a_link_is_called_by_title_name_or_uri() -> None:
    link = {"type": "resource_link", "uri": "u:1", "icons": [], "size": 4, "x-vendor": 1}
    for more, label in (({}, "u:1"), ({"name": "n"}, "n"), ({"name": "n", "title": "t"}, "t")):
        (block,) = read(MIDDLE, "down", CALL, {"content": [{**link, **more}]})["content"]
        assert block == {"type": "text", "text": f"[{label}](u:1)", "x-vendor": 1}


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ({"priority": 1, "lastModified": "2025-01-01T00:00:00Z"}, {"annotations": {"priority": 1}}),
        ({"lastModified": "2025-01-01T00:00:00Z"}, {"annotations": {}}),
        ({}, {"annotations": {}}),
    ],
)
def test_annotations_inside_a_resource_move_to_its_block(inner: Any, outer: Any) -> None:
    resource = {"uri": "u:1", "text": "t"}
    written = {"content": [{"type": "resource", "resource": {**resource, "annotations": inner}}]}
    ctx = Context()
    moved = {"content": [{"type": "resource", "resource": resource, **outer}]}
    assert read(MIDDLE, "down", CALL, written, ctx) == moved
    assert [loss.path for loss in ctx.losses] == ["content[].annotations"]


def test_annotations_of_a_block_come_before_those_inside_it() -> None:
    written = {
        "content": [
            {"type": "resource", "resource": {"uri": "u:1", "annotations": {"priority": 1}}, "annotations": {"a": 1}}
        ]
    }
    assert read(MIDDLE, "down", CALL, written) == written
    odd = {"content": [{"type": "resource", "resource": {"uri": "u:1", "annotations": 3}, "annotations": {"a": 1}}]}
    assert read(MIDDLE, "down", CALL, odd) == odd


def test_a_tool_without_title_gets_no_annotations() -> None:
    written: Any = {"tools": [{"name": "a", "title": None, "inputSchema": {}}]}
    assert read(MIDDLE, "down", TOOLS, written) == {"tools": [{"name": "a", "inputSchema": {}}]}


def test_a_server_with_nothing_to_complete_declares_no_completions() -> None:
    slot = result("initialize")
    complete: Any = ({}, {"tools": {}}, {"completions": {}}, {"prompts": {}, "completions": {"x": 1}})
    for capabilities in complete:
        assert read(OLDEST, "up", slot, {"capabilities": capabilities}) == {"capabilities": capabilities}
    assert read(OLDEST, "up", slot, {"capabilities": {"prompts": {}}})["capabilities"] == {
        "prompts": {},
        "completions": {},
    }


def test_audio_without_data_is_an_empty_resource() -> None:
    ((block,),) = (read(OLDEST, "down", CALL, {"content": [{"type": "audio"}]}).values(),)
    assert block[0]["resource"]["blob"] == ""
    assert block[0]["resource"].keys() == {"uri", "blob"}
    assert read(OLDEST, "up", CALL, {"content": block}) == {"content": [{"type": "audio", "data": ""}]}


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"n":2}', "[" * 100_000])
def test_a_text_that_says_something_else_does_not_stand_for_the_structure(text: str) -> None:
    body = {"content": [{"type": "text", "text": text}], "structuredContent": {"n": 1}}
    assert content_with_structured(body, Context())[1:] == [{"type": "text", "text": '{"n":1}'}]


def test_a_block_without_text_does_not_stand_for_the_structure() -> None:
    body = {"content": [{"type": "image"}], "structuredContent": {"n": 1}}
    assert len(content_with_structured(body, Context())) == 2


def test_a_capability_keeps_what_it_says_beyond_its_modes() -> None:
    declared = {"capabilities": {"elicitation": {"form": {"a": 1}, "url": {}, "x-vendor": 1}}}
    elicitation = {"x-vendor": 1, "form": {}}
    assert read(NEWEST, "up", params("initialize"), declared) == {"capabilities": {"elicitation": elicitation}}


@pytest.mark.parametrize("context", ["thisServer", "allServers"])
@pytest.mark.parametrize("declared", [{}, {"sampling": {}}, {"sampling": 3}])
def test_context_is_asked_of_clients_that_declared_it(context: str, declared: Any) -> None:
    ctx = Context(facts={"client_capabilities": declared})
    written = {"messages": [], "includeContext": context}
    assert read(NEWEST, "up", ask("sampling/createMessage"), written, ctx) == {"messages": []}
    none = {"messages": [], "includeContext": "none"}
    assert read(NEWEST, "up", ask("sampling/createMessage"), none, ctx) == none


def test_messages_of_one_block_each_are_not_rewritten() -> None:
    ctx = Context()
    written = {"messages": [{"role": "user", "content": {"type": "text", "text": "a"}}]}
    assert read(NEWEST, "down", ask("sampling/createMessage"), written, ctx) == written
    assert ctx.losses == []


def test_a_question_without_a_task_stashes_nothing() -> None:
    ctx = Context()
    written = {"message": "m", "requestedSchema": {}, "_meta": {"x": 1}}
    assert read(NEWEST, "down", FORM, written, ctx) == written
    assert (ctx.stash, ctx.losses) == ({}, [])


def several(**more: Any) -> Any:
    """A form with one field of several choices."""
    field = {"type": "array", "items": {"enum": ["s", "m"]}, **more}
    return {"message": "m", "requestedSchema": {"type": "object", "properties": {"size": field}}}


@pytest.mark.parametrize(
    ("more", "words"),
    [({}, "size"), ({"title": "Sizes"}, "Sizes"), ({"title": "Sizes", "description": "Which?"}, "Which?")],
)
def test_a_yes_no_field_is_described_by_the_question_it_comes_from(more: Any, words: str) -> None:
    fields = read(NEWEST, "down", FORM, several(**more), Context())["requestedSchema"]["properties"]
    assert {field["description"] for field in fields.values()} == {words}
    assert [field["title"] for field in fields.values()] == ["s", "m"]


@pytest.mark.parametrize("one_of", ["odd", ["a"], [{"title": "a"}], [{"const": "a"}, {"title": "b"}]])
def test_a_field_of_one_of_something_else_stays(one_of: Any) -> None:
    form = {"message": "m", "requestedSchema": {"properties": {"a": {"type": "string", "oneOf": one_of}}}}
    assert read(NEWEST, "down", FORM, form, Context()) == form


@pytest.mark.parametrize(
    ("bounds", "chosen", "action"),
    [
        ({"minItems": 1}, [], "cancel"),
        ({"minItems": 1}, ["s"], "accept"),
        ({"maxItems": 1}, ["s"], "accept"),
        ({"maxItems": 1}, ["s", "m"], "cancel"),
        ({}, [], "accept"),
        ({"minItems": "odd"}, [], "accept"),
        ({"minItems": "odd", "maxItems": "odd"}, ["s", "m"], "accept"),
    ],
)
@pytest.mark.parametrize("way", ["down", "up"])
def test_a_number_of_choices_the_server_forbade_is_a_cancel(bounds: Any, chosen: Any, action: str, way: str) -> None:
    ctx = Context()
    form = several(**bounds)
    read(NEWEST, "down", FORM, form, ctx)
    given = {f"size.{index}": value in chosen for index, value in enumerate(("s", "m"))}
    told = read(NEWEST, way, answer("elicitation/create"), {"action": "accept", "content": given}, ctx)
    assert told == {"action": action, **({"content": {"size": chosen}} if action == "accept" else {})}
    assert ctx.stash == {}


@pytest.mark.parametrize("way", ["down", "up"])
@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_what_was_not_accepted_is_not_put_together(action: str, way: str) -> None:
    ctx = Context()
    read(NEWEST, "down", FORM, several(minItems=1), ctx)
    written = {"action": action, "content": {"size.0": True}}
    assert read(NEWEST, way, answer("elicitation/create"), written, ctx) == written


@pytest.mark.parametrize("way", ["down", "up"])
def test_an_answer_to_a_plain_form_is_left_alone(way: str) -> None:
    ctx = Context()
    written = {"action": "accept", "content": {"a": "b"}}
    assert read(NEWEST, way, answer("elicitation/create"), written, ctx) == written
    assert ctx.losses == []


@pytest.mark.parametrize("resource", [{"uri": "urn:dragoman:audio:1"}, {"uri": "urn:dragoman:audio:1", "text": "t"}])
def test_a_resource_without_sound_is_no_audio(resource: Any) -> None:
    written = {"content": [{"type": "resource", "resource": resource}]}
    assert read(OLDEST, "up", CALL, written) == written


def test_only_an_array_is_a_choice_of_several() -> None:
    form = several(type="string")
    assert read(NEWEST, "down", FORM, form, Context()) == form
