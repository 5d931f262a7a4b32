"""The registry, and what the shapes of each revision refuse."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import protocol_versions
from protocol_versions import REVISIONS, UnknownRevision, by_id
from protocol_versions.base import Revision, answer, ask, notification, params, result
from protocol_versions.shapes import fits
from tests.strategies import wire

OLD, BATCHED, TITLED, TASKED, STATELESS = REVISIONS
TEXT = {"type": "text", "text": "t"}
AUDIO = {"type": "audio", "data": "", "mimeType": "audio/wav"}
LINK = {"type": "resource_link", "uri": "u", "name": "n"}
USE = {"type": "tool_use", "id": "1", "name": "n", "input": {}}
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
TASK = {"taskId": "t", "status": "working", "createdAt": "c", "lastUpdatedAt": "l", "ttl": None}
CALL = result("tools/call")
SAMPLE = ask("sampling/createMessage")
ELICIT = ask("elicitation/create")


def form(schema: Any) -> Any:
    return {"message": "m", "requestedSchema": {"type": "object", "properties": {"f": schema}}}


def sampling(content: Any) -> Any:
    return {"maxTokens": 1, "messages": [{"role": "user", "content": content}]}


LEGAL: list[tuple[Revision, Any, Any]] = [
    (OLD, CALL, {"content": [TEXT]}),
    (OLD, CALL, {"content": [{"type": "resource", "resource": {"uri": "u", "blob": ""}}], "unknown": 1}),
    (BATCHED, CALL, {"content": [AUDIO]}),
    (TITLED, CALL, {"content": [LINK], "structuredContent": {}}),
    (TITLED, ELICIT, form({"type": "string", "enum": ["a"], "enumNames": ["A"]})),
    (TITLED, answer("elicitation/create"), {"action": "accept", "content": {"n": 1.5, "b": True, "s": ""}}),
    (TASKED, ELICIT, form({"type": "array", "items": {"anyOf": [{"const": "a", "title": "A"}]}})),
    (TASKED, ELICIT, {"mode": "form", **form({"type": "boolean", "default": True})}),
    (TASKED, ELICIT, {"mode": "url", "message": "m", "url": "u", "elicitationId": "e"}),
    (TASKED, SAMPLE, sampling([USE, TEXT])),
    (TASKED, SAMPLE, sampling({"type": "tool_result", "toolUseId": "1", "content": [LINK]})),
    (TASKED, CALL, {"task": TASK}),
    (TASKED, result("tasks/get"), {**TASK, "ttl": 5}),
    (TASKED, notification("notifications/cancelled"), {}),
    (STATELESS, CALL, {"resultType": "complete", "content": [], "structuredContent": [1, None]}),
    (STATELESS, CALL, {"resultType": "input_required", "requestState": "s"}),
    (
        STATELESS,
        CALL,
        {
            "resultType": "input_required",
            "inputRequests": {
                "a": {"method": "roots/list"},
                "b": {"method": "elicitation/create", "params": {"mode": "url", "message": "m", "url": "u"}},
                "c": {"method": "sampling/createMessage", "params": sampling(TEXT)},
            },
        },
    ),
    (
        STATELESS,
        params("tools/call"),
        {"_meta": META, "name": "n", "requestState": "s", "inputResponses": {"a": {"roots": []}}},
    ),
]

ILLEGAL: list[tuple[Revision, Any, Any]] = [
    (OLD, CALL, {"content": [AUDIO]}),
    (OLD, CALL, {"content": [{"type": "text"}]}),
    (OLD, CALL, {"content": [{"text": "no type"}]}),
    (OLD, CALL, {"content": [{"type": "resource", "resource": {"uri": "neither text nor blob"}}]}),
    (OLD, CALL, {"content": TEXT}),
    (OLD, CALL, {"content": None}),
    (OLD, CALL, {}),
    (OLD, result("tools/list"), {"tools": [{"name": "n", "inputSchema": {}}]}),
    (
        OLD,
        result("tools/list"),
        {"tools": [{"name": "n", "inputSchema": {"type": "object", "properties": {"x": True}}}]},
    ),
    (OLD, result("tools/list"), {"tools": [], "nextCursor": None}),
    (OLD, SAMPLE, sampling([TEXT])),
    (OLD, SAMPLE, {**sampling(TEXT), "modelPreferences": {"costPriority": 1.5}}),
    (OLD, notification("notifications/cancelled"), {}),
    (OLD, params("logging/setLevel"), {"level": "trace"}),
    (OLD, params("prompts/get"), {"name": "n", "arguments": {"a": 1}}),
    (BATCHED, CALL, {"content": [LINK]}),
    (TITLED, CALL, {"content": [], "structuredContent": [1]}),
    (TITLED, ELICIT, form({"type": "array", "items": {"type": "string", "enum": ["a"]}})),
    (TITLED, ELICIT, form({"type": "object"})),
    (TITLED, ELICIT, {"mode": "url", "message": "m", "url": "u", "elicitationId": "e"}),
    (TITLED, answer("elicitation/create"), {"action": "accept", "content": {"a": ["list"]}}),
    (TITLED, answer("elicitation/create"), {"action": "ok"}),
    (TASKED, ELICIT, {"mode": "url", "message": "m", "url": "u"}),
    (TASKED, ELICIT, {"mode": "other", **form({"type": "boolean"})}),
    (TASKED, ELICIT, form({"type": "array", "items": {"anyOf": [{"const": "no title"}]}})),
    (TASKED, CALL, {"content": [USE]}),
    (TASKED, CALL, {"task": {name: value for name, value in TASK.items() if name != "ttl"}}),
    (TASKED, SAMPLE, sampling(LINK)),
    (STATELESS, CALL, {"content": []}),
    (STATELESS, CALL, {"resultType": "complete"}),
    (STATELESS, CALL, {"resultType": "input_required", "inputRequests": {"a": {"method": "ping"}}}),
    (STATELESS, params("tools/call"), {"name": "n"}),
    (STATELESS, params("tools/call"), {"_meta": {}, "name": "n"}),
    (STATELESS, params("tools/call"), {"_meta": META, "name": "n", "inputResponses": {"a": {"nothing": 1}}}),
    (STATELESS, result("tools/list"), {"resultType": "complete", "tools": [], "ttlMs": -1, "cacheScope": "public"}),
    (STATELESS, result("completion/complete"), {"resultType": "complete", "completion": {"values": ["v"] * 101}}),
]


@pytest.mark.parametrize(("revision", "slot", "tree"), LEGAL)
def test_a_legal_body_is_taken(revision: Revision, slot: Any, tree: Any) -> None:
    fits(tree, revision.shapes(slot))


@pytest.mark.parametrize(("revision", "slot", "tree"), ILLEGAL)
def test_an_illegal_body_is_refused(revision: Revision, slot: Any, tree: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        fits(tree, revision.shapes(slot))


def _shapes() -> list[type[msgspec.Struct]]:
    """Every Struct of every revision's modules, once."""
    names = [name for name in sys.modules if name.startswith("protocol_versions.v")]
    found = {
        value
        for name in names
        for value in vars(sys.modules[name]).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == name
    }
    return sorted(found, key=lambda shape: (shape.__module__, shape.__name__))


@pytest.mark.parametrize("shape", _shapes(), ids=lambda shape: f"{shape.__module__.split('.', 1)[1]}.{shape.__name__}")
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_required_member_is_required_and_of_its_kind(shape: type[msgspec.Struct], data: Any) -> None:
    tree = data.draw(wire(shape))
    for member in msgspec.structs.fields(shape):
        name = member.encode_name
        if member.required:
            with pytest.raises(msgspec.ValidationError):
                msgspec.convert({key: value for key, value in tree.items() if key != name}, shape)
        if member.type is not Any:
            with pytest.raises(msgspec.ValidationError):
                msgspec.convert({**tree, name: object()}, shape)


def test_revisions_are_found_oldest_first_and_by_id() -> None:
    ids = [revision.id for revision in REVISIONS]
    assert ids == sorted(ids)
    assert len(ids) == len(set(ids)) == 5
    assert [by_id(revision_id) for revision_id in ids] == list(REVISIONS)


@pytest.mark.parametrize("unknown", ["", "2024-11-06", "v2024_11_05", "2025-06-18 "])
def test_an_unknown_revision_is_a_key_error_of_its_own(unknown: str) -> None:
    with pytest.raises(UnknownRevision) as error:
        by_id(unknown)
    assert isinstance(error.value, KeyError)


def test_a_file_whose_name_is_no_revision_is_not_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "v2027_01_01.py").write_text(
        "from protocol_versions import by_id\nfrom msgspec import structs\n"
        "REVISION = structs.replace(by_id('2026-07-28'), id='2027-01-01')\n"
    )
    (tmp_path / "v2027_helper.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.setattr(protocol_versions, "__path__", [*protocol_versions.__path__, str(tmp_path)])
    assert [revision.id for revision in protocol_versions._found()][-2:] == ["2026-07-28", "2027-01-01"]
    (tmp_path / "v2027_02_02.py").write_text("from protocol_versions.v2027_01_01 import REVISION\n")
    with pytest.raises(ImportError):
        protocol_versions._found()
    for name in ("v2027_01_01", "v2027_02_02"):
        monkeypatch.delitem(sys.modules, f"protocol_versions.{name}")
