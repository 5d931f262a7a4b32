"""Which era a message belongs to, judged by its body first, and in which order a modern one is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker.faces.classify import LEGACY_ONLY, Modern, Refusal, Verdict, classify, listed
from protocol_versions import REVISIONS
from protocol_versions.jsonrpc import Frame, decode_strict
from tests.broker.modern_world import PREFIX, REVISION, envelope

ALL = tuple(revision.id for revision in REVISIONS)
LEGACY = ALL[:-1]
VERSION, CAPABILITIES = f"{PREFIX}protocolVersion", f"{PREFIX}clientCapabilities"


class Headers(dict[str, str]):
    """Names without case, as aiohttp's."""

    def __init__(self, **names: str) -> None:
        super().__init__({name.replace("_", "-").lower(): value for name, value in names.items()})

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key.lower(), default)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(str(key).lower())


GOOD = {"MCP_Protocol_Version": REVISION, "Mcp_Method": "tools/call", "Mcp_Name": "x"}


def judged(
    message: dict[str, Any], served: tuple[str, ...] = ALL, drop: tuple[str, ...] = (), **headers: Any
) -> Verdict:
    frame = decode_strict(json.dumps({"jsonrpc": "2.0", **message}).encode())
    assert isinstance(frame, Frame)
    lines = {name: value for name, value in {**GOOD, **headers}.items() if name not in drop}
    return classify(frame, Headers(**lines), served)


def call(meta: Any = None, method: str = "tools/call", **params: Any) -> dict[str, Any]:
    body = {"name": "x", **params, "_meta": envelope() if meta is None else meta}
    return {"id": 1, "method": method, "params": body}


def without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in envelope().items() if key not in keys}


def refused(verdict: Verdict) -> tuple[int, int, str]:
    assert isinstance(verdict, Refusal)
    return verdict.status, verdict.code, verdict.reason


def test_a_request_in_good_order_is_modern() -> None:
    verdict = judged(call())
    assert isinstance(verdict, Modern)
    assert (verdict.revision.id, verdict.method, verdict.target) == (REVISION, "tools/call", "x")
    assert set(verdict.meta) == set(envelope())


def test_an_envelope_makes_a_request_modern_whatever_session_it_names() -> None:
    assert isinstance(judged(call(), Mcp_Session_Id="abc"), Modern)


@pytest.mark.parametrize("version", [None, "2025-11-25", REVISION])
def test_initialize_without_an_envelope_opens_a_session_whatever_a_stale_header_says(version: str | None) -> None:
    message = {"id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}
    headers: dict[str, Any] = {} if version is None else {"MCP_Protocol_Version": version}
    drop = ("MCP_Protocol_Version",) if version is None else ()
    assert judged(message, drop=drop, **headers) == "opening"


def test_initialize_with_an_envelope_is_a_method_that_does_not_exist() -> None:
    assert refused(judged(call(method="initialize"), Mcp_Method="initialize")) == (404, -32601, "method-unknown")


@pytest.mark.parametrize("method", ["ping", "logging/setLevel", "resources/subscribe", "tasks/get", "nobody/knows"])
def test_methods_of_other_revisions_and_unknown_ones_are_404(method: str) -> None:
    assert refused(judged(call(method=method), Mcp_Method=method)) == (404, -32601, "method-unknown")


@pytest.mark.parametrize(
    "message",
    [
        {"id": 1, "method": "tools/list"},
        {"method": "notifications/initialized"},
        {"id": 1, "result": {}},
        {"id": 1, "method": "tools/list", "params": {"_meta": {"progressToken": 1}}},
    ],
)
def test_what_has_no_envelope_and_names_a_session_belongs_to_it(message: dict[str, Any]) -> None:
    assert judged(message, Mcp_Session_Id="abc") == "session"
    assert judged(message, drop=("MCP_Protocol_Version",)) == "session"


@pytest.mark.parametrize("params", [None, {}, {"_meta": {}}, {"_meta": 7}, {"_meta": without(VERSION)}])
def test_a_modern_header_without_an_envelope_is_an_attempt_that_failed(params: Any) -> None:
    message = {"id": 1, "method": "tools/list", **({} if params is None else {"params": params})}
    assert refused(judged(message)) == (400, -32602, "envelope")


def test_half_an_envelope_without_any_header_is_refused_as_such() -> None:
    verdict = judged(call(without(VERSION)), drop=("MCP_Protocol_Version",))
    assert refused(verdict) == (400, -32602, "envelope")


def test_a_header_of_a_revision_nobody_knows_is_told_what_is_served() -> None:
    verdict = judged({"id": 1, "method": "tools/list"}, MCP_Protocol_Version="2031-01-01")
    assert refused(verdict) == (400, -32022, "version")
    assert isinstance(verdict, Refusal)
    assert verdict.data == {"supported": listed(ALL), "requested": "2031-01-01"}


@pytest.mark.parametrize(
    "meta",
    [
        without(CAPABILITIES),
        {**envelope(), VERSION: 20260728},
        {**envelope(), VERSION: None},
        {**envelope(), CAPABILITIES: []},
        {**envelope(), CAPABILITIES: {"roots": True}},
        {**envelope(), f"{PREFIX}clientInfo": {"name": "without a version"}},
        {**envelope(), f"{PREFIX}logLevel": "loud"},
        {**envelope(), "progressToken": {}},
    ],
)
def test_an_envelope_that_lacks_or_mistypes_a_member_is_invalid_params(meta: dict[str, Any]) -> None:
    assert refused(judged(call(meta))) == (400, -32602, "envelope")


def test_the_client_may_leave_its_name_out_and_add_what_nobody_knows() -> None:
    meta = {**without(f"{PREFIX}clientInfo"), "com.example/x": {"y": [1]}, "traceparent": "00-0-0-01"}
    assert isinstance(judged(call(meta)), Modern)


@pytest.mark.parametrize("version", [None, "2025-11-25", "v999.0.0"])
def test_a_version_header_that_is_absent_or_differs_is_a_mismatch(version: str | None) -> None:
    headers: dict[str, Any] = {} if version is None else {"MCP_Protocol_Version": version}
    verdict = judged(call(), drop=("MCP_Protocol_Version",) if version is None else (), **headers)
    assert refused(verdict) == (400, -32020, "header-mismatch")


def test_header_and_body_that_disagree_are_told_so_before_the_version_is_judged() -> None:
    assert refused(judged(call({**envelope(), VERSION: "v999.0.0"})))[1] == -32020


@pytest.mark.parametrize("version", ["v999.0.0", "2025-11-25", ""])
def test_a_version_that_is_not_served_this_way_lists_those_that_are(version: str) -> None:
    verdict = judged(call({**envelope(), VERSION: version}), MCP_Protocol_Version=version)
    assert refused(verdict) == (400, -32022, "version")
    assert isinstance(verdict, Refusal)
    assert verdict.data["requested"] == version
    assert verdict.data["supported"] == [known for known in reversed(ALL) if known != version]


@pytest.mark.parametrize("method", [None, "tools/list", "Tools/Call"])
def test_mcp_method_must_repeat_the_method(method: str | None) -> None:
    headers: dict[str, Any] = {} if method is None else {"Mcp_Method": method}
    assert refused(judged(call(), drop=("Mcp_Method",) if method is None else (), **headers))[:2] == (400, -32020)


@pytest.mark.parametrize(
    "name",
    ["y", "X", "=?BASE64?eA==?=", "=?base64?eB==?=", "=?base64?eA?=", "=?base64?!!!!?=", "=?base64?/w==?=", "%78"],
)
def test_mcp_name_must_say_the_name_in_one_of_its_two_spellings(name: str) -> None:
    assert refused(judged(call(), Mcp_Name=name)) == (400, -32020, "header-mismatch")


def test_a_missing_mcp_name_is_a_mismatch_and_a_missing_name_is_not() -> None:
    assert refused(judged(call(), drop=("Mcp_Name",)))[1] == -32020
    assert refused(judged(call(name=7)))[:2] == (400, -32602)


@pytest.mark.parametrize(
    ("name", "header"),
    [("x", "=?base64?eA==?="), ("café", "=?base64?Y2Fmw6k=?="), ("=?base64?eA==?=", "=?base64?PT9iYXNlNjQ/ZUE9PT89?=")],
)
def test_mcp_name_is_decoded_exactly_once(name: str, header: str) -> None:
    verdict = judged(call(name=name), Mcp_Name=header)
    assert isinstance(verdict, Modern)
    assert verdict.target == name


def test_mcp_name_of_a_resource_is_its_uri() -> None:
    message = call(method="resources/read", uri="file:///a")
    assert isinstance(judged(message, Mcp_Method="resources/read", Mcp_Name="file:///a"), Modern)
    assert refused(judged(message, Mcp_Method="resources/read", Mcp_Name="x"))[1] == -32020


def test_a_modern_notification_is_one_and_a_modern_response_is_refused() -> None:
    notice = {"method": "notifications/cancelled", "params": {"requestId": 1, "_meta": envelope()}}
    assert judged(notice) == "notification"
    assert judged({"method": "notifications/cancelled"}) == "notification"
    for answer in ({"id": 1, "result": {}}, {"id": 1, "error": {"code": 1, "message": "x"}}):
        assert refused(judged(answer)) == (400, -32600, "response")


def test_where_only_sessions_are_served_every_modern_attempt_is_told_to_fall_back() -> None:
    for message in (call(), call(method="server/discover"), {"id": 1, "method": "tools/list"}):
        assert judged(message, LEGACY) == LEGACY_ONLY
    assert (LEGACY_ONLY.status, LEGACY_ONLY.code) == (400, -32601)
    assert judged({"id": 1, "method": "initialize"}, LEGACY) == "opening"


def test_where_no_sessions_are_served_initialize_is_told_the_versions_that_are() -> None:
    message = {"id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}
    verdict = judged(message, (REVISION,), drop=("MCP_Protocol_Version",))
    assert refused(verdict) == (400, -32022, "version")
    assert isinstance(verdict, Refusal)
    assert verdict.data == {"supported": [REVISION], "requested": "2025-11-25"}
