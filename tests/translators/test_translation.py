"""The public face: translate() and trace()."""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from typing import Any

import msgspec
import pytest

from protocol_versions import UnknownRevision
from translators import Context, Loss, translate
from translators.translation import HYGIENE, trace

OLD, MIDDLE, NEW = "2024-11-05", "2025-06-18", "2025-11-25"
LINK = {"type": "resource_link", "uri": "file:///a.md", "name": "a.md"}
RESULT: dict[str, Any] = {"content": [LINK], "structuredContent": {"n": 1}, "isError": False}
READ = {
    "content": [{"type": "text", "text": "[a.md](file:///a.md)"}, {"type": "text", "text": '{"n":1}'}],
    "isError": False,
}


def test_a_result_is_spelled_for_its_reader_and_the_losses_are_named() -> None:
    found = translate(RESULT, method="tools/call", part="result", client=OLD, server=NEW)
    assert found.verdict == "rewritten"
    assert found.body == READ
    assert [(loss.change, loss.path, loss.loss) for loss in found.losses] == [
        ("resource links", "content[]", Loss.DEGRADED),
        ("structured tool output", "content", Loss.CARRIED),
        ("structured tool output", "structuredContent", Loss.CARRIED),
    ]


def test_the_body_given_is_not_changed() -> None:
    given = deepcopy(RESULT)
    translate(given, method="tools/call", part="result", client=OLD, server=NEW)
    assert given == RESULT


def test_bytes_come_back_as_bytes() -> None:
    found = translate(json.dumps(RESULT).encode(), method="tools/call", part="result", client=OLD, server=NEW)
    assert json.loads(found.body) == READ


@pytest.mark.parametrize("body", [b'{"content": [ {"type":"text","text":"a"} ],\n "x": 1.0}', {"content": []}])
def test_a_body_with_nothing_to_change_is_the_same_object(body: Any) -> None:
    found = translate(body, method="tools/call", part="result", client=OLD, server=NEW)
    assert found.verdict == "identical"
    assert found.body is body
    assert found.losses == ()


def test_a_body_that_was_opened_and_not_changed_is_the_same_object() -> None:
    body = b'{"content": [ {"type":"text","text":"a","annotations":{"priority":1}} ] }'
    assert translate(body, method="tools/call", part="result", client=OLD, server=NEW).body is body


def test_numbers_and_unknown_members_keep_their_spelling() -> None:
    body = b'{"content":[],"structuredContent":{"a":1},"x":1.0,"y":123456789012345678901234567890}'
    found = translate(body, method="tools/call", part="result", client=OLD, server=NEW)
    assert b'"x":1.0,"y":123456789012345678901234567890' in found.body


def test_a_message_the_reader_has_no_method_for_is_refused() -> None:
    found = translate({"taskId": "1"}, method="tasks/get", part="params", client=NEW, server=OLD, toward="server")
    assert found.verdict == "refused"
    assert found.body is None
    assert found.refusal is not None
    assert (found.refusal.code, found.refusal.reason) == (-32601, "tasks-unsupported")
    assert (found.refusal.change, found.refusal.slot and found.refusal.slot.method) == ("tasks", "tasks/get")


def test_a_notification_the_reader_lacks_is_swallowed_and_noted() -> None:
    found = translate(
        {"elicitationId": "1"}, method="notifications/elicitation/complete", part="notification", client=OLD, server=NEW
    )
    assert (found.verdict, found.body) == ("swallowed", None)
    assert [loss.loss for loss in found.losses] == [Loss.DEGRADED]


def test_an_error_may_become_a_result() -> None:
    error = {"code": -32601, "message": "Method not found"}
    found = translate(error, method="completion/complete", part="error", client=NEW, server=OLD)
    assert (found.verdict, found.answer) == ("answered", {"completion": {"values": [], "hasMore": False}})


def test_one_context_carries_a_reshaped_question_to_its_answer() -> None:
    context = Context(method="elicitation/create")
    items = {"type": "string", "enum": ["s", "m"]}
    schema = {"type": "object", "properties": {"sizes": {"type": "array", "items": items}}}
    asked = translate(
        {"message": "Which?", "requestedSchema": schema},
        method="elicitation/create",
        part="params",
        client=MIDDLE,
        server=NEW,
        context=context,
    )
    assert sorted(asked.body["requestedSchema"]["properties"]) == ["sizes.0", "sizes.1"]
    told = translate(
        {"action": "accept", "content": {"sizes.0": False, "sizes.1": True}},
        method="elicitation/create",
        part="result",
        client=MIDDLE,
        server=NEW,
        context=context,
    )
    assert told.body == {"action": "accept", "content": {"sizes": ["m"]}}
    assert told.losses == ()


def test_newer_members_are_removed_even_between_equal_revisions() -> None:
    tools = {"tools": [{"name": "a", "inputSchema": {"type": "object"}, "icons": []}]}
    found = translate(tools, method="tools/list", part="result", client=MIDDLE, server=MIDDLE)
    assert found.body == {"tools": [{"name": "a", "inputSchema": {"type": "object"}}]}


@pytest.mark.parametrize(
    ("method", "part", "toward"),
    [
        ("ping", "params", None),
        ("tools/cull", "params", None),
        ("tools/call", "params", "client"),
        ("x", "error", None),
    ],
)
def test_a_slot_that_is_not_one_is_a_value_error(method: str, part: Any, toward: Any) -> None:
    with pytest.raises(ValueError, match=method):
        translate({}, method=method, part=part, client=OLD, server=NEW, toward=toward)


def test_an_unknown_revision_is_named() -> None:
    with pytest.raises(UnknownRevision):
        translate({}, method="tools/call", part="params", client="2020-01-01", server=NEW)


def test_bytes_without_an_object_are_a_decode_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        translate(b"[]", method="tools/call", part="params", client=OLD, server=NEW)


def test_a_trace_shows_every_change_with_the_body_before_and_after() -> None:
    acted = trace({**RESULT, "isError": None}, method="tools/call", part="result", client=OLD, server=NEW)
    assert [(one.change.name, one.step, one.direction) for one in acted] == [
        ("nulls of optional members", HYGIENE, HYGIENE),
        ("resource links", "2025-03-26|2025-06-18", "down"),
        ("structured tool output", "2025-03-26|2025-06-18", "down"),
    ]
    assert acted[0].before == {**RESULT, "isError": None}
    assert [one.before for one in acted[1:]] == [one.after for one in acted[:-1]]
    assert acted[-1].after == {"content": READ["content"]}
    assert [loss.path for loss in acted[2].losses] == ["content", "structuredContent"]


def test_a_trace_ends_with_the_change_that_stopped_the_message() -> None:
    acted = trace({"message": "m"}, method="elicitation/create", part="params", client=OLD, server=NEW)
    assert [(one.change.name, one.after) for one in acted] == [("elicitation", None)]


def test_a_trace_ends_where_translation_does() -> None:
    body = {"content": [LINK, {"type": "audio", "data": "-_8", "mimeType": "audio/wav"}], "nextCursor": 1}
    acted = trace(body, method="tools/call", part="result", client=OLD, server=NEW)
    assert acted[-1].after == translate(body, method="tools/call", part="result", client=OLD, server=NEW).body


def test_translation_needs_msgspec_alone() -> None:
    code = (
        "import sys, translators; translators.translate({}, method='tools/call', part='result', client='2024-11-05',"
        " server='2025-11-25'); print([name for name in ('asyncio', 'socket', 'aiohttp', 'pydantic', 'jsonpatch')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"
