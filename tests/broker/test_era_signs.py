"""What each answer of a backend says about its era: the decisions, row by row."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.backends.http1 import BackendFailure
from broker.era_signs import (
    LEGACY,
    MODERN,
    classify,
    evidence,
    lacks_result_type,
    style_of,
    unanswered,
    undispatched,
)
from protocol_versions import jsonrpc

Json = dict[str, Any]
JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream; charset=utf-8"}
NEW = "2026-07-28"


def result(*versions: str, **more: Any) -> Json:
    return {"jsonrpc": "2.0", "id": "p", "result": {"supportedVersions": list(versions), "capabilities": {}, **more}}


def error(code: int, id: Any = "p", **data: Any) -> Json:  # noqa: A002
    return {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": "no", **data}}


def unsupported(*supported: str, id: Any = "p") -> Json:  # noqa: A002
    return error(-32022, id, data={"supported": list(supported), "requested": NEW})


def verdict(status: int, message: Json | bytes, headers: dict[str, str] | None = None) -> str:
    """kind, or kind? for a candidate, and the reason."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    found = classify(status, JSON if headers is None else headers, body)
    return f"{found.kind}{'?' if found.candidate else ''} {found.reason}"


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        # discovery
        (200, result(NEW), "modern discovered"),
        (200, result("2025-11-25", NEW, resultType="complete", ttlMs=0, cacheScope="public"), "modern discovered"),
        (200, result(NEW, serverInfo={}, ttlMs=-1), "modern discovered"),
        (200, result(NEW, ttlMs=1.5, cacheScope="shared"), "modern discovered"),
        (200, result(NEW, "2031-01-01"), "modern discovered"),
        (200, result("2025-11-25"), "legacy discovered"),
        (200, result(*LEGACY), "legacy discovered"),
        (200, result("2031-01-01"), "fail no-common-version"),
        (200, result(), "legacy? no-discovery"),
        (200, {"jsonrpc": "2.0", "id": "p", "result": {}}, "legacy? no-discovery"),
        (200, {"jsonrpc": "2.0", "id": "p", "result": {"supportedVersions": NEW}}, "legacy? no-discovery"),
        (200, {"jsonrpc": "2.0", "id": "p", "result": {"supportedVersions": [1]}}, "legacy? no-discovery"),
        (400, result(NEW), "legacy? no-discovery"),
        # errors a stateless server defines
        (400, unsupported(NEW), "retry version-unsupported"),
        (400, unsupported("2025-11-25", NEW), "retry version-unsupported"),
        (200, unsupported(NEW), "retry version-unsupported"),
        (400, unsupported("2025-11-25"), "legacy version-unsupported"),
        (400, unsupported("2025-11-25", "2031-01-01"), "legacy version-unsupported"),
        (400, unsupported("2031-01-01"), "fail no-common-version"),
        (400, unsupported("2025-11-25", id=None), "legacy version-unsupported"),
        (400, unsupported(), "legacy? refused"),
        (400, error(-32022), "legacy? refused"),
        (400, error(-32022, None), "legacy? refused"),
        (400, error(-32022, data=[NEW]), "legacy? refused"),
        (400, error(-32022, data={"supported": NEW}), "legacy? refused"),
        (400, error(-32021, data={"requiredCapabilities": {}}), "modern capability-missing"),
        (200, error(-32021), "modern capability-missing"),
        (400, error(-32020), "fail headers-stripped"),
        # every other refusal
        (200, error(-32601), "legacy? refused"),
        (404, error(-32601), "legacy? refused"),
        (200, error(-32602), "legacy? refused"),
        (200, error(-32603), "legacy? refused"),
        (400, error(-32602), "legacy? refused"),
        (400, error(-32600, "server-error"), "legacy? refused"),  # Python SDK: Missing session ID
        (400, error(-32000, None), "legacy? refused"),  # TypeScript SDK: Server not initialized
        (404, error(-32001, None), "legacy? refused"),  # TypeScript SDK: Session not found
        (400, b"", "legacy? no-answer"),
        (400, b"Bad Request", "legacy? no-answer"),
        (404, b"", "legacy? no-post"),
        (405, b"Method Not Allowed", "legacy? no-post"),
        (405, error(-32000, None), "legacy? no-post"),
        (404, error(-32000, None), "legacy? no-post"),
        (406, error(-32000, None), "legacy? refused"),
        (415, b"", "legacy? no-answer"),
        (422, b'{"detail": []}', "legacy? no-answer"),
        (501, b"", "legacy? no-answer"),
        (202, b"", "legacy? no-answer"),
        (200, b"<html>", "legacy? no-answer"),
        (200, b"[]", "legacy? no-answer"),
        (200, {"jsonrpc": "2.0", "method": "ping", "id": 0}, "legacy? no-answer"),
        # not the server's word about its era
        (401, b"", "auth unauthorized"),
        (401, error(-32001), "auth unauthorized"),
        (402, b"", "auth unauthorized"),
        (403, error(-32022, data={"supported": ["2025-11-25"]}), "auth unauthorized"),
        (301, b"", "fail redirect"),
        (307, result(NEW), "fail redirect"),
        (408, b"", "inconclusive unavailable"),
        (425, b"", "inconclusive unavailable"),
        (429, b"", "inconclusive unavailable"),
        (500, b"", "inconclusive unavailable"),
        (500, error(-32603), "inconclusive unavailable"),
        (502, b"<html>", "inconclusive unavailable"),
        (503, error(-32601), "inconclusive unavailable"),
        (504, b"", "inconclusive unavailable"),
    ],
)
def test_every_answer_to_a_probe_has_its_verdict(status: int, message: Json | bytes, expected: str) -> None:
    assert verdict(status, message) == expected


def test_a_discovery_is_kept_with_the_revision_in_common() -> None:
    found = classify(200, JSON, json.dumps(result("2025-11-25", NEW)).encode())
    assert found.revision == NEW == MODERN[-1]
    assert found.discovery is not None
    assert json.loads(bytes(found.discovery["supportedVersions"])) == ["2025-11-25", NEW]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([result(NEW)], "modern discovered"),
        ([b"", {"jsonrpc": "2.0", "method": "notifications/message"}, result(NEW)], "modern discovered"),
        ([error(-32021)], "modern capability-missing"),  # TypeScript SDK: HTTP 200, the error in the stream
        ([b"{", error(-32601)], "legacy? refused"),
        ([], "legacy? no-answer"),
    ],
)
def test_an_event_stream_is_read_like_a_body(events: list[Any], expected: str) -> None:
    parts = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    assert verdict(200, b"".join(b"id: 1\ndata: %b\n\n" % part for part in parts), SSE) == expected


def test_a_body_without_a_content_type_is_still_read() -> None:
    assert verdict(400, error(-32021), {}) == "modern capability-missing"


@given(st.integers(200, 599), st.binary(max_size=60), st.sampled_from([JSON, SSE, {}]))
def test_no_garbage_is_ever_taken_for_a_stateless_server(status: int, body: bytes, headers: dict[str, str]) -> None:
    assert classify(status, headers, body).kind in ("legacy", "fail", "auth", "inconclusive")


@pytest.mark.parametrize("reason", ["connect", "tls", "connect-timeout", "head-timeout", "closed", "protocol"])
def test_no_answer_is_no_verdict(reason: Any) -> None:
    found = unanswered(BackendFailure(reason, "unknown"))
    assert (found.kind, found.reason) == ("inconclusive", reason)


@pytest.mark.parametrize(
    ("status", "code", "text", "method", "expected"),
    [
        (404, None, "", "tools/call", True),
        (405, None, "", "tools/call", True),
        (400, None, "", "tools/call", True),
        (404, None, "Not Found", "tools/call", True),
        (400, -32600, "Bad Request: Missing session ID", "tools/call", True),
        (400, -32000, "Bad Request: No valid session ID provided", "tools/call", True),
        (400, -32000, "Bad Request: Server not initialized", "tools/call", True),
        (404, -32001, "Session not found", "tools/call", True),
        (404, -32601, "Method not found", "server/discover", True),
        (404, -32601, "Method not found", "tools/call", False),
        (400, -32602, "Invalid params", "tools/call", False),
        (400, -32600, "no back-channel", "tools/call", False),
        (200, -32603, "the database is not initialized", "tools/call", False),
        (400, -32021, "", "tools/call", False),
        (401, None, "", "tools/call", False),
        (429, None, "", "tools/call", False),
        (503, None, "Session not found", "tools/call", False),
    ],
)
def test_what_contradicts_a_stateless_server(
    status: int, code: int | None, text: str, method: str, expected: bool
) -> None:
    assert evidence(status, code, text, method=method) is expected


@pytest.mark.parametrize(
    ("status", "code", "method", "expected"),
    [
        (400, -32022, "initialize", True),
        (404, -32601, "initialize", True),
        (200, -32601, "initialize", True),
        (404, None, "initialize", True),
        (400, -32020, "tools/call", True),
        (200, -32021, "tools/call", True),
        (200, -32601, "tools/call", False),
        (404, None, "tools/call", False),
        (404, -32001, "tools/call", False),
        (400, -32602, "initialize", False),
        (503, None, "initialize", False),
        (401, None, "initialize", False),
    ],
)
def test_what_contradicts_a_server_with_sessions(status: int, code: int | None, method: str, expected: bool) -> None:
    assert evidence(status, code, "", face="legacy", method=method) is expected


def test_a_result_of_a_stateless_server_names_its_type() -> None:
    assert lacks_result_type({"content": []})
    assert not lacks_result_type({"resultType": "complete"})


@pytest.mark.parametrize(
    ("status", "code", "text", "foreign", "expected"),
    [
        (404, None, "", False, True),
        (405, None, "", False, True),
        (406, None, "", False, True),
        (415, None, "", False, True),
        (400, None, "", False, False),
        (502, None, "", False, False),
        (404, -32601, "", False, True),
        (400, -32020, "", False, True),
        (400, -32022, "", False, True),
        (400, -32600, "Bad Request: Missing session ID", False, True),
        (400, -32000, "Bad Request: Unsupported protocol version", False, True),
        (400, -32600, "anything", True, True),
        (400, -32600, "no back-channel", False, False),
        (400, -32602, "Invalid params", False, False),
        (200, -32603, "Session not found", False, False),
        (400, -32021, "", False, False),
    ],
)
def test_only_a_refusal_that_proves_it_allows_a_second_sending(
    status: int, code: int | None, text: str, foreign: bool, expected: bool
) -> None:
    assert undispatched(status, code, text, foreign_id=foreign) is expected


NO_CHANNEL = (
    "Cannot send 'elicitation/create': this transport context has no back-channel for server-initiated requests."
)
NOT_AVAILABLE = "Server-to-client requests are not available on protocol revision 2026-07-28: 'elicitation/create'"
NOT_DECLARED = "the client on this 2025-era connection did not declare the required capability (no elicitation)"


def failed(text: str, is_error: bool = True) -> jsonrpc.Frame:
    return jsonrpc.response(1, {"content": [{"type": "text", "text": text}], "isError": is_error})


@pytest.mark.parametrize(
    ("frame", "face", "sessionless", "expected"),
    [
        (jsonrpc.error_response(1, -32600, NO_CHANNEL), "modern", True, "push"),
        (jsonrpc.error_response(1, -32603, NO_CHANNEL), "modern", True, None),
        (jsonrpc.error_response(1, -32600, NO_CHANNEL), "legacy", True, None),
        (failed(NOT_AVAILABLE), "modern", True, "push"),
        (failed(NOT_AVAILABLE, is_error=False), "modern", True, None),
        (failed(NOT_DECLARED), "legacy", True, "mrtr"),
        (jsonrpc.error_response(1, -32603, NOT_DECLARED), "legacy", True, "mrtr"),
        (failed(NOT_DECLARED), "legacy", False, None),
        (failed(NOT_DECLARED), "modern", True, None),
        (failed("x" * 70_000 + NOT_AVAILABLE), "modern", True, None),
        (failed("out of paper"), "modern", True, None),
        (jsonrpc.response(1, {"isError": True}), "modern", True, None),
        (jsonrpc.response(1, {"isError": True, "content": {"text": NOT_AVAILABLE}}), "modern", True, None),
        (jsonrpc.response(1, {"isError": True, "content": [7, {"text": 7}]}), "modern", True, None),
        (jsonrpc.notification("notifications/message", {"data": NOT_AVAILABLE}), "modern", True, None),
    ],
)
def test_a_failure_may_tell_how_a_tool_wants_to_ask(
    frame: jsonrpc.Frame, face: Any, sessionless: bool, expected: str | None
) -> None:
    assert style_of(frame, face, sessionless=sessionless) == expected
