"""Corners of the repairs that no pair shows; each test was written because a change to the repair went unnoticed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from protocol_versions import by_id
from protocol_versions.base import Slot, answer, ask, notification, params, result
from translators.context import Context
from translators.hygiene import prepares, repairs
from translators.hygiene.blocks import KNOWN, all_known, standard_base64
from translators.hygiene.members import LEVELS
from translators.ops import KEEP

READER = by_id("2025-11-25")
TOOLS, CALL, RESOURCES = result("tools/list"), result("tools/call"), result("resources/list")


def read(slot: Slot, written: Any, ctx: Context | None = None) -> Any:
    """What a 2025-11-25 reader gets, with members unopened to begin with, as they arrive."""
    body = msgspec.json.decode(msgspec.json.encode(written), type=dict[str, msgspec.Raw])
    for op in (*prepares(READER, slot), *repairs(READER, slot)):
        op.apply(body, ctx if ctx is not None else Context())
    return msgspec.json.decode(msgspec.json.encode(body))


def tool_read(**members: Any) -> Any:
    """A tool as a client reads it."""
    return read(TOOLS, {"tools": [{"name": "t", "inputSchema": {"type": "object"}, **members}]})["tools"][0]


def annotations_read(annotations: Any) -> Any:
    """The annotations of a resource as a client reads them."""
    resource = {"uri": "u:1", "name": "r", "annotations": annotations}
    return read(RESOURCES, {"resources": [resource]})["resources"][0]["annotations"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        *((level, level) for level in LEVELS),
        *((level.upper(), level) for level in LEVELS),
        *(("trace", "debug"), ("WARN", "warning"), ("err", "error"), ("fatal", "critical"), ("panic", "emergency")),
    ],
)
def test_a_level_is_told_by_the_name_the_revision_has_for_it(written: str, expected: str) -> None:
    assert read(notification("notifications/message"), {"level": written, "data": 1})["level"] == expected
    assert read(params("logging/setLevel"), {"level": written}) == {"level": expected}


def test_the_levels_are_the_eight_of_the_schema() -> None:
    assert LEVELS == ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_of_the_schema_is_noted_nowhere(level: str) -> None:
    ctx = Context()
    read(notification("notifications/message"), {"level": level}, ctx)
    assert ctx.losses == []


@pytest.mark.parametrize("level", ["loud", 7])
def test_a_message_of_no_level_is_information_and_a_request_for_none_is_the_servers_to_refuse(level: Any) -> None:
    assert read(notification("notifications/message"), {"level": level})["level"] == "info"
    assert read(params("logging/setLevel"), {"level": level}) == {"level": level}


@pytest.mark.parametrize(
    ("written", "expected"),
    [(0, 0), (1, 1), (0.5, 0.5), (-1, 0), (1.5, 1), (2, 1), (-0.5, 0), (True, None), ("high", None), ({}, None)],
)
def test_a_priority_lies_between_nothing_and_one(written: Any, expected: Any) -> None:
    assert annotations_read({"priority": written}) == ({} if expected is None else {"priority": expected})


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["user"], ["user"]),
        (["assistant"], ["assistant"]),
        (["user", "assistant"], ["user", "assistant"]),
        (["system", "user"], ["user"]),
        ([], []),
        (["system"], None),
        ("user", None),
    ],
)
def test_an_audience_holds_known_roles(written: Any, expected: Any) -> None:
    assert annotations_read({"audience": written}) == ({} if expected is None else {"audience": expected})


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2025-01-12", "2025-01-12T00:00:00Z"),
        ("2025-01-12T15:00", "2025-01-12T15:00Z"),
        ("2025-01-12t15:00:58", "2025-01-12t15:00:58Z"),
        ("2025-01-12 15:00:58.123", "2025-01-12 15:00:58.123Z"),
        ("2025-01-12T15:00:58Z", "2025-01-12T15:00:58Z"),
        ("2025-01-12T15:00:58+01:00", "2025-01-12T15:00:58+01:00"),
        ("yesterday", "yesterday"),
        ("2025-01-12T15", "2025-01-12T15"),
        (1736690458, None),
    ],
)
def test_a_date_has_a_time_and_an_offset(written: Any, expected: Any) -> None:
    assert annotations_read({"lastModified": written}) == ({} if expected is None else {"lastModified": expected})


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        *(("", None), ("AAEC", None), ("AAE=", None), ("AA==", None), ("++//", None)),
        *(
            ("-_-_", "+/+/"),
            ("-_-x", "+/+x"),
            ("AAE", "AAE="),
            ("AA", "AA=="),
            ("A A\nE C", "AAEC"),
            ("AA======", "AA=="),
        ),
        *(("A", None), ("äöü", None), ("äöüß", None), ("A===", None), ("!!!!", None), ("AAEC===", "AAEC")),
    ],
)
def test_base64_is_of_the_standard_alphabet_or_left_alone(written: str, expected: str | None) -> None:
    assert standard_base64(written, Context()) == (KEEP if expected is None else expected)


@pytest.mark.parametrize("kind", sorted(KNOWN))
def test_a_block_of_a_known_kind_is_left_alone(kind: str) -> None:
    block = {"type": kind, "uri": "u:1", "name": "n"}
    assert read(CALL, {"content": [block]}) == {"content": [block]}
    assert all_known(msgspec.json.encode([block]))
    assert not all_known(msgspec.json.encode([{**block, "type": kind + "x"}]))


@pytest.mark.parametrize(
    ("link", "name"),
    [
        ({"uri": "file:///a/b.md"}, "b.md"),
        ({"uri": "file:///a/b/"}, "b"),
        ({"uri": "file:///a/xbox"}, "xbox"),
        ({"uri": "b.md"}, "b.md"),
        ({"uri": "b.md", "title": "B"}, "B"),
        ({"uri": "///"}, "///"),
        ({"uri": ""}, "resource"),
        ({}, "resource"),
        ({"uri": "u", "name": 5}, "u"),
        ({"uri": "u", "name": ""}, ""),
    ],
)
def test_a_link_is_named_after_its_title_or_the_end_of_its_uri(link: Any, name: str) -> None:
    (block,) = read(CALL, {"content": [{"type": "resource_link", **link}]})["content"]
    assert block["name"] == name


@pytest.mark.parametrize("support", ["forbidden", "optional", "required"])
def test_a_known_support_of_tasks_stays(support: str) -> None:
    assert tool_read(execution={"taskSupport": support})["execution"] == {"taskSupport": support}
    assert tool_read(execution={"taskSupport": support + "?"})["execution"] == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_known_theme_and_a_list_of_sizes_stay(theme: str) -> None:
    icons = [{"src": "s", "theme": theme, "sizes": ["1x1"]}]
    assert tool_read(icons=icons)["icons"] == icons
    assert tool_read(icons=[{"src": "s", "theme": theme + "?", "sizes": "1x1 2x2"}])["icons"] == [
        {"src": "s", "sizes": ["1x1", "2x2"]}
    ]


@pytest.mark.parametrize(("size", "expected"), [(3, 3), (3.0, 3), (3.5, None), ("3", "3"), (0.0, 0)])
def test_a_size_is_whole(size: Any, expected: Any) -> None:
    (resource,) = read(RESOURCES, {"resources": [{"uri": "u", "name": "n", "size": size}]})["resources"]
    assert resource == {"uri": "u", "name": "n"} | ({} if expected is None else {"size": expected})
    assert type(resource.get("size")) is type(expected)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object"}, None),
        ({}, {"type": "object"}),
        ({"type": "array"}, {"type": "object"}),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, None),
        ({"type": "object", "properties": {"a": {"default": True}}}, None),
        ({"type": "object", "properties": {"a": {"const": False}}}, None),
        ({"type": "object", "properties": 3}, None),
        ({"type": "object", "properties": {"a": True}}, {"type": "object", "properties": {"a": {}}}),
        (
            {"type": "object", "properties": {"a": False, "b": {}}},
            {"type": "object", "properties": {"a": {"not": {}}, "b": {}}},
        ),
        ({"properties": {"a": True}}, {"type": "object", "properties": {"a": {}}}),
        (
            {"type": "object", "properties": {"a": False}, "additionalProperties": False},
            {"type": "object", "properties": {"a": {"not": {}}}, "additionalProperties": False},
        ),
    ],
)
def test_a_schema_is_of_an_object_whose_properties_are_objects(schema: Any, expected: Any) -> None:
    assert tool_read(inputSchema=schema)["inputSchema"] == (schema if expected is None else expected)
    assert tool_read(inputSchema={"x": 1, **schema})["inputSchema"] == {"x": 1, **(expected or schema)}
    if schema.get("type") != "array":
        assert tool_read(outputSchema=schema)["outputSchema"] == (schema if expected is None else expected)


@pytest.mark.parametrize("schema", [None, 3, [], {"type": "array"}, {"type": ["object"]}])
def test_a_schema_of_something_else_gives_way(schema: Any) -> None:
    assert tool_read(inputSchema=schema)["inputSchema"] == {"type": "object"}
    assert "outputSchema" not in tool_read(outputSchema=schema)


@pytest.mark.parametrize("given", [99, 100, 101])
def test_a_hundred_completions_are_the_most(given: int) -> None:
    values = [str(number) for number in range(given)]
    found = read(result("completion/complete"), {"completion": {"values": values}})["completion"]
    more = {"total": given, "hasMore": True} if given > 100 else {}
    assert found == {"values": values[:100], **more}


@pytest.mark.parametrize(("token", "stays"), [(1, True), ("a", True), (True, False), (1.5, False), ({}, False)])
def test_a_token_is_a_text_or_a_number(token: Any, stays: bool) -> None:
    found = read(CALL, {"content": [], "_meta": {"progressToken": token}})["_meta"]
    assert found == ({"progressToken": token} if stays else {})


@pytest.mark.parametrize(
    ("task", "stays"), [({"taskId": "1"}, True), ({"taskId": 1}, False), ({}, False), ("1", False), (["taskId"], False)]
)
def test_a_related_task_is_named(task: Any, stays: bool) -> None:
    related = {"io.modelcontextprotocol/related-task": task}
    assert read(CALL, {"content": [], "_meta": related})["_meta"] == (related if stays else {})


@pytest.mark.parametrize("slot", [answer("sampling/createMessage"), CALL])
def test_one_block_is_a_block_only_where_a_question_without_tools_was_asked(slot: Slot) -> None:
    ctx = Context()
    read(ask("sampling/createMessage"), {"messages": []}, ctx)
    block = {"type": "text", "text": "a"}
    expected = block if slot.toward == "server" else [block]
    assert read(slot, {"content": [block]}, ctx)["content"] == expected


NULLS: list[tuple[Slot, Any, Any, int]] = [
    (TOOLS, {"tools": [], "nextCursor": None}, {"tools": []}, 1),
    (TOOLS, {"tools": [{"title": None}, {"name": "b"}]}, {"tools": [{}, {"name": "b"}]}, 1),
    (TOOLS, {"tools": [{"name": "b"}, {"title": None}]}, {"tools": [{"name": "b"}, {}]}, 1),
    (TOOLS, {"tools": [{"title": None}], "x": {"a": None}}, {"tools": [{}], "x": {"a": None}}, 1),
    (TOOLS, {"tools": [{"title": None, "x": None}, 3, None]}, {"tools": [{"x": None}, 3, None]}, 1),
    (TOOLS, {"tools": None}, {"tools": None}, 0),
    (TOOLS, {"tools": [{"inputSchema": {"type": "object"}, "x": None}]}, None, 0),
    (TOOLS, {"tools": [{"annotations": {"title": None}}]}, {"tools": [{"annotations": {}}]}, 1),
    (TOOLS, {"tools": [{"annotations": {"title": "null"}, "a": 1}]}, None, 0),
    (CALL, {"content": [{"type": "text", "text": None}]}, None, 0),
    (CALL, {"task": {"taskId": "1", "ttl": None, "statusMessage": None}}, {"task": {"taskId": "1", "ttl": None}}, 1),
    (CALL, {"content": [], "structuredContent": {"a": None}}, None, 0),
    (params("tools/call"), {"name": "t", "arguments": {"a": None}}, None, 0),
    (TOOLS, {"nextCursor": None, "tools": [{"title": "null"}]}, {"tools": [{"title": "null"}]}, 1),
    (TOOLS, {"tools": [{"title": "null"}]}, None, 0),
    (TOOLS, {"tools": ["null"]}, None, 0),
    *(
        (ask("sampling/createMessage"), {"messages": [{"content": before}]}, {"messages": [{"content": after}]}, 1)
        for before, after in (
            ({"type": "text", "annotations": None}, {"type": "text"}),
            ([{"type": "text", "annotations": None}], [{"type": "text"}]),
            ({"type": "image", "annotations": {"priority": None}}, {"type": "image", "annotations": {}}),
        )
    ),
    (TOOLS, {"tools": [{"annotations": [None, {"a": None}]}]}, None, 0),
    *(
        (ask("elicitation/create"), {"requestedSchema": {"properties": before}}, after, noted)
        for before, after, noted in (
            ({"a": {"title": None}, "b": {}}, {"requestedSchema": {"properties": {"a": {}, "b": {}}}}, 1),
            ({"a": {}, "b": {"title": None}}, {"requestedSchema": {"properties": {"a": {}, "b": {}}}}, 1),
            ({"a": {"title": "null"}}, None, 0),
        )
    ),
]


@pytest.mark.parametrize(("slot", "written", "expected", "noted"), NULLS)
def test_nulls_go_where_a_member_may_be_absent_and_nowhere_else(
    slot: Slot, written: Any, expected: Any, noted: int
) -> None:
    body = msgspec.json.decode(msgspec.json.encode(written), type=dict[str, msgspec.Raw])
    ctx = Context()
    for op in prepares(READER, slot):
        op.apply(body, ctx)
    assert msgspec.json.decode(msgspec.json.encode(body)) == (written if expected is None else expected)
    assert [loss.path for loss in ctx.losses] == [""] * noted
