"""Comparisons: what is right passes, each way of being wrong does not, and nothing passes without a reference."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.comparisons import Reference
from conformance.expectations import expect
from conformance.features import NAMES
from conformance.lines import Line
from conformance.revisions import REVISIONS

OLDEST, SPRING, SUMMER, AUTUMN = REVISIONS
JSON_TEXT = '{"temperature": 21.5, "unit": "C"}'


def _line(feature: str, **seen: Any) -> Line:
    return Line(feature, "ok", seen)


def _judged(line: Line, client: str, server: str, direct: Line | None = None, own: Line | None = None) -> str | None:
    return expect(line.feature, client, server).compare(line, Reference(direct, own, client))


def test_audio_must_arrive_as_a_resource_at_the_oldest_client() -> None:
    assert _judged(_line("tools.call.audio", types=["resource"]), OLDEST, AUTUMN) is None
    assert _judged(_line("tools.call.audio", types=["audio"]), OLDEST, AUTUMN)
    assert _judged(_line("tools.call.audio", types=["text"]), OLDEST, AUTUMN)


def test_a_link_must_name_its_uri_in_a_text() -> None:
    right = _line("tools.call.links", types=["text", "text"], texts=["a", "[Static](test://static-text)"])
    assert _judged(right, SPRING, AUTUMN) is None
    silent = _line("tools.call.links", types=["text", "text"], texts=["a", "a link"])
    assert _judged(silent, SPRING, AUTUMN)
    leaked = _line("tools.call.links", types=["text", "resource_link"], texts=["test://static-text"])
    assert _judged(leaked, SPRING, AUTUMN)


def test_the_structured_value_stands_in_exactly_one_text_block() -> None:
    def seen(texts: list[str], structured: Any) -> Line:
        return _line("tools.call.structured", types=["text"], texts=texts, structured=structured)

    value = {"temperature": 21.5, "unit": "C"}
    assert _judged(seen([JSON_TEXT], None), SPRING, SUMMER) is None
    assert _judged(seen([JSON_TEXT], value), SUMMER, AUTUMN) is None
    assert _judged(seen([JSON_TEXT], value), SPRING, SUMMER)
    assert _judged(seen([JSON_TEXT], None), SUMMER, AUTUMN)
    assert _judged(seen([JSON_TEXT, JSON_TEXT], None), SPRING, SUMMER)
    assert _judged(seen([], None), SPRING, SUMMER)


def test_a_refused_ask_must_not_have_reached_the_application() -> None:
    refused = _line("elicitation.form", texts=["Elicitation not supported"], isError=True, asked={})
    assert _judged(refused, SPRING, SUMMER) is None
    asked = _line("elicitation.form", texts=["no"], isError=True, asked={"message": "who?"})
    assert _judged(asked, SPRING, SUMMER)
    assert _judged(_line("elicitation.form", texts=["action=accept"], asked={}), SPRING, SUMMER)


def test_the_client_must_negotiate_its_own_revision_and_see_no_newer_capability() -> None:
    direct = _line(
        "initialize", protocolVersion=AUTUMN, capabilities={"tools": {"listChanged": True}, "completions": {}}
    )

    def seen(version: str, capabilities: dict[str, Any]) -> str | None:
        return _judged(_line("initialize", protocolVersion=version, capabilities=capabilities), OLDEST, AUTUMN, direct)

    assert seen(OLDEST, {"tools": {"listChanged": True}}) is None
    assert seen(AUTUMN, {"tools": {"listChanged": True}})
    assert seen(OLDEST, {"tools": {"listChanged": True}, "completions": {}})
    assert seen(OLDEST, {"tools": {}})
    assert seen(OLDEST, {})


def test_an_oldest_server_is_declared_to_complete_to_newer_clients() -> None:
    direct = _line("initialize", protocolVersion=OLDEST, capabilities={"prompts": {}})
    right = _line("initialize", protocolVersion=SUMMER, capabilities={"prompts": {}, "completions": {}})
    wrong = _line("initialize", protocolVersion=SUMMER, capabilities={"prompts": {}})
    assert _judged(right, SUMMER, OLDEST, direct) is None
    assert _judged(wrong, SUMMER, OLDEST, direct)


def test_the_server_must_see_its_own_revision_and_only_mirrored_capabilities() -> None:
    own = _line("whoami", protocolVersion=SUMMER, capabilities={"roots": {}, "sampling": {}, "elicitation": {}})

    def seen(version: str, capabilities: dict[str, Any], server: str) -> str | None:
        line = _line("whoami", protocolVersion=version, capabilities=capabilities)
        return _judged(line, SUMMER, server, own=own)

    assert seen(SPRING, {"roots": {}, "sampling": {}}, SPRING) is None
    assert seen(SPRING, {"roots": {}, "sampling": {}, "elicitation": {}}, SPRING)
    assert seen(SUMMER, {"roots": {}, "sampling": {}}, SPRING)
    assert seen(AUTUMN, {"roots": {}, "sampling": {}, "elicitation": {"form": {}}}, AUTUMN) is None
    assert seen(AUTUMN, {"roots": {}, "sampling": {}}, AUTUMN)
    assert seen(AUTUMN, {"roots": {}, "sampling": {}, "elicitation": {"form": {}, "url": {}}}, AUTUMN)


def test_a_tool_is_shown_with_the_members_of_the_clients_revision() -> None:
    full = {
        "name": "decorated",
        "title": "Decorated",
        "annotations": {"title": "Ornate", "readOnlyHint": True},
        "outputSchema": True,
        "icons": True,
    }
    direct = _line("tools.list", tools=[full])

    def seen(tool: dict[str, Any], client: str) -> str | None:
        return _judged(_line("tools.list", tools=[tool]), client, AUTUMN, direct, direct)

    assert seen(full, AUTUMN) is None
    assert seen({"name": "decorated"}, OLDEST) is None
    assert seen({"name": "decorated", "annotations": full["annotations"]}, SPRING) is None
    assert seen({"name": "decorated", "annotations": {"readOnlyHint": True}}, SPRING)
    assert seen({**full, "icons": False}, SUMMER) is None
    assert seen(full, SUMMER)
    assert seen({**full, "title": None}, AUTUMN)
    assert seen({**full, "name": "other"}, AUTUMN)


def test_a_list_must_arrive_whole_but_for_members_of_newer_revisions() -> None:
    direct = _line("resources.list", resources=[{"uri": "test://a", "name": "a", "title": "A", "size": 3}])

    def seen(resource: dict[str, Any], client: str) -> str | None:
        return _judged(_line("resources.list", resources=[resource]), client, AUTUMN, direct, direct)

    assert seen({"uri": "test://a", "name": "a", "size": 3}, SPRING) is None
    assert seen({"uri": "test://a", "name": "a", "title": "A", "size": 3}, SUMMER) is None
    assert seen({"uri": "test://a", "name": "a", "size": 3}, SUMMER)
    assert seen({"uri": "test://a", "name": "a", "title": "A", "size": 3}, SPRING)
    assert seen({"uri": "test://b", "name": "a", "size": 3}, SPRING)


def test_a_refusal_must_carry_the_servers_own_code() -> None:
    direct = Line("resources.read.missing", "refused", {}, -32002)
    same = Line("resources.read.missing", "refused", {}, -32002)
    other = Line("resources.read.missing", "refused", {}, -32603)
    assert _judged(same, OLDEST, AUTUMN, direct) is None
    assert _judged(other, OLDEST, AUTUMN, direct)
    assert _judged(_line("resources.read.missing", contents=[]), OLDEST, AUTUMN, direct)


def test_progress_keeps_its_numbers_and_loses_its_message_only_at_the_oldest_client() -> None:
    numbers = ((0, 100), (50, 100), (100, 100))
    told = _line("tools.progress", progress=[[done, total, f"{done}"] for done, total in numbers])
    bare = _line("tools.progress", progress=[[done, total, None] for done, total in numbers])
    short = _line("tools.progress", progress=[[0, 100, None]])
    assert _judged(bare, OLDEST, AUTUMN, told, bare) is None
    assert _judged(told, OLDEST, AUTUMN, told, bare)
    assert _judged(told, SPRING, AUTUMN, told, told) is None
    assert _judged(bare, SPRING, AUTUMN, told, told)
    assert _judged(short, OLDEST, AUTUMN, told, bare)


def test_enum_forms_of_a_newer_revision_must_not_reach_an_older_client() -> None:
    def seen(field: dict[str, Any]) -> str | None:
        asked = {"requestedSchema": {"properties": {"colour": field}}}
        return _judged(_line("elicitation.enums", texts=["accept"], asked=asked), SUMMER, AUTUMN)

    assert seen({"type": "string", "enum": ["r"], "enumNames": ["Red"]}) is None
    assert seen({"type": "string", "oneOf": [{"const": "r", "title": "Red"}]})
    assert seen({"type": "array", "items": {"type": "string", "enum": ["r"]}})


@pytest.mark.parametrize("name", NAMES)
def test_a_failed_line_never_passes(name: str) -> None:
    line = Line(name, "failed", {}, None, "time-out")
    for client in REVISIONS:
        for server in REVISIONS:
            if name != "stray":
                assert _judged(line, client, server, line, line), (client, server)


@pytest.mark.parametrize("name", ["tools.call.text", "resources.list", "sampling", "tools.list", "whoami", "roots"])
def test_nothing_passes_without_a_direct_run_to_compare_with(name: str) -> None:
    seen = {"types": ["text"], "texts": ["x"], "asked": {"a": 1}, "tools": [], "protocolVersion": AUTUMN}
    assert _judged(Line(name, "ok", seen), AUTUMN, AUTUMN)
