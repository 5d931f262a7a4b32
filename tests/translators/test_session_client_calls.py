"""One call of a session client before a stateless server: its envelope, its answer, its progress, its end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translators.playbook import Json, to_client
from tests.translators.session_playbook import FORM, LEVEL, PREFIX, done, failed, met, told
from translators.errors import INVALID_PARAMS, METHOD_NOT_FOUND
from translators.loss import Loss, Noted
from translators.machine import Abort, Note

GARBAGE = "The server's answer is not valid MCP"
CLIENT_GARBAGE = "Invalid params: the message is not valid in the negotiated revision"
TEXT = {"content": [{"type": "text", "text": "hi"}]}
BROKEN = failed(2, "backend-garbage", GARBAGE)


def test_a_request_carries_the_whole_envelope_and_its_result_loses_what_only_it_means() -> None:
    play = met({"roots": {}})
    assert play.asks(2, "tools/call", name="t") == [play.leg(2, "tools/call", {"name": "t"})]
    answer, note = play.returns(2, **TEXT, _meta={f"{PREFIX}serverInfo": {}, "com.example/x": 1})
    assert answer == done(2, {**TEXT, "_meta": {"com.example/x": 1}})
    assert note == Note("lossy", "tools/call", losses=(Noted("metadata of every message", "_meta", Loss.COSMETIC),))
    assert play.empty()


def test_a_request_without_parameters_gets_the_envelope_too() -> None:
    play = met()
    assert play.client(2, {"id": 2, "method": "prompts/list"}) == [play.leg(2, "prompts/list")]
    assert play.returns(2, prompts=[], ttlMs=0, cacheScope="private")[0] == done(2, {"prompts": []})


def test_what_a_client_wrote_under_reserved_names_is_replaced_and_the_rest_is_kept() -> None:
    play = met({"sampling": {}})
    spoofed = {
        f"{PREFIX}protocolVersion": "2030-01-01",
        f"{PREFIX}clientCapabilities": {"elicitation": {}},
        f"{PREFIX}clientInfo": {"name": "somebody", "version": "else"},
        f"{PREFIX}logLevel": "debug",
        f"{PREFIX}serverInfo": {},
        f"{PREFIX}subscriptionId": 1,
    }
    kept = {"com.example/x": {"a": [1.5]}, "traceparent": "00-a-b-01", "progressToken": 2}
    [sent] = play.asks(2, "prompts/get", name="p", _meta={**spoofed, **kept})
    assert sent == play.leg(2, "prompts/get", {"name": "p"}, kept)


def test_a_client_cannot_bring_answers_or_a_state_of_its_own() -> None:
    play = met()
    assert play.asks(2, "tools/call", name="t", inputResponses={"a": {}}, requestState="s") == [
        play.leg(2, "tools/call", {"name": "t"})
    ]


def test_the_log_level_is_kept_here_and_said_with_every_later_request() -> None:
    play = met()
    assert play.asks(2, "prompts/list") == [play.leg(2, "prompts/list")]
    assert play.asks(3, "logging/setLevel", level="warning") == [done(3, {})]
    assert play.asks(4, "prompts/list") == [play.leg(3, "prompts/list", meta={LEVEL: "warning"})]
    assert play.asks(5, "logging/setLevel", level="debug") == [done(5, {})]
    assert play.asks(6, "prompts/list") == [play.leg(4, "prompts/list", meta={LEVEL: "debug"})]


@pytest.mark.parametrize("level", ["loud", None, 3, ["info"], {}])
def test_a_level_that_is_none_is_the_clients_fault(level: Any) -> None:
    play = met()
    assert play.asks(2, "logging/setLevel", level=level) == [
        failed(2, "client-garbage", CLIENT_GARBAGE, INVALID_PARAMS)
    ]
    assert play.talk.envelope.level is None


def test_a_ping_is_answered_here() -> None:
    assert met().client(2, {"id": 2, "method": "ping"}) == [done(2, {})]


@pytest.mark.parametrize("method", ["vendor/x", "server/discover", "subscriptions/listen", "sampling/createMessage"])
def test_a_method_the_client_cannot_know_reaches_nobody(method: str) -> None:
    assert met().asks(2, method) == [failed(2, "method-unknown", "Method not found", METHOD_NOT_FOUND)]


@pytest.mark.parametrize("method", ["tasks/get", "tasks/list", "tasks/cancel", "tasks/result"])
def test_tasks_are_refused(method: str) -> None:
    [refusal] = met().asks(2, method, taskId="t")
    assert (refusal.frame.error.code, refusal.final) == (METHOD_NOT_FOUND, True)


def test_a_wish_for_a_task_is_dropped_and_the_call_goes_on() -> None:
    play = met()
    sent, note = play.asks(2, "tools/call", name="t", task={"ttl": 1})
    assert sent == play.leg(2, "tools/call", {"name": "t"})
    assert (note.kind, note.method) == ("lossy", "tools/call")


@pytest.mark.parametrize("method", ["notifications/initialized", "notifications/roots/list_changed", "vendor/x"])
def test_no_notification_of_the_client_reaches_the_server(method: str) -> None:
    assert [type(effect) for effect in met().notes(method)] in ([], [Note])


def test_an_absent_result_type_means_complete() -> None:
    play = met()
    play.asks(2, "tools/call", name="t")
    assert play.server(2, {"id": 2, "result": TEXT}) == [done(2, TEXT)]


@pytest.mark.parametrize("kind", ["task", "soon", "", 1, None, {}])
def test_a_result_type_nobody_knows_is_no_result(kind: Any) -> None:
    play = met()
    play.asks(2, "tools/call", name="t")
    assert play.server(2, {"id": 2, "result": {"resultType": kind, **TEXT}}) == [
        failed(2, "unsupported-result-type", "The server's answer is of a kind this client cannot be given"),
        Note("failed", "tools/call", "unsupported-result-type"),
    ]
    assert play.empty()


def test_a_result_that_is_garbage_where_it_is_read_ends_its_call_alone() -> None:
    play = met()
    play.asks(2, "tools/list")
    play.asks(3, "prompts/list")
    broken = b'{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":1e999}]}}'
    assert play.server(2, broken) == [BROKEN, Note("failed", "tools/list", "backend-garbage")]
    assert play.returns(3, prompts=[]) == [done(3, {"prompts": []})]


@pytest.mark.parametrize(
    ("method", "code", "data", "told_code", "told_data"),
    [
        ("tools/call", -32602, {}, -32602, {}),
        ("tools/call", -1, {"a": 1}, -1, {"a": 1}),
        ("resources/read", -32602, {"uri": "test://a"}, -32002, {"uri": "test://a"}),
        ("resources/read", -32602, {}, -32602, {}),
        ("prompts/get", -32602, {"uri": "test://a"}, -32602, {"uri": "test://a"}),
        (
            "prompts/get",
            -32021,
            {"requiredCapabilities": {"sampling": {}}},
            -32603,
            {"requiredCapabilities": {"sampling": {}}, "originalCode": -32021},
        ),
    ],
)
def test_the_servers_errors_are_told_in_the_clients_codes(
    method: str, code: int, data: Json, told_code: int, told_data: Json
) -> None:
    play = met()
    play.asks(2, method, name="t", uri="test://a")
    answer, *_notes = play.errs(2, code, "no", **data)
    error = {"code": told_code, "message": "no", **({"data": told_data} if told_data else {})}
    assert answer == to_client(2, final=True, id=2, error=error)
    assert play.empty()


def test_a_resource_that_a_server_does_not_find_is_told_with_its_uri() -> None:
    play = met()
    play.asks(2, "resources/read", uri="test://a")
    answer, *_notes = play.errs(2, -32602, "Resource not found")
    error = {"code": -32002, "message": "Resource not found", "data": {"uri": "test://a"}}
    assert answer == to_client(2, final=True, id=2, error=error)


def test_a_missing_capability_ends_a_tools_call_with_a_text_for_the_model() -> None:
    play = met()
    play.asks(2, "tools/call", name="t")
    answer, *_notes = play.errs(2, -32021, "no", requiredCapabilities={"elicitation": {"url": {}}})
    assert answer.final
    assert answer.frame.result["isError"] is True
    assert "elicitation.url" in answer.frame.result["content"][0]["text"]


def test_an_error_of_the_brokers_own_is_told_as_it_is() -> None:
    play = met()
    play.asks(2, "resources/read", uri="test://a")
    data = {"origin": "broker", "reason": "denied", "uri": "test://a"}
    error = {"code": -32602, "message": "Denied", "data": data}
    [answer] = play.server(2, {"id": 2, "error": error}, "broker")
    assert answer == to_client(2, final=True, id=2, error=error)


def test_a_server_cannot_pass_its_error_off_as_the_brokers() -> None:
    play = met()
    play.asks(2, "prompts/get", name="p")
    answer, *_notes = play.errs(2, -32021, "no", origin="broker")
    assert answer.frame.error.code == -32603


def test_a_leg_that_fails_ends_its_call() -> None:
    play = met()
    play.asks(2, "tools/call", name="t")
    assert play.fails(2, "backend-timeout") == [failed(2, "backend-timeout", "The server did not answer in time")]
    assert play.empty()
    assert play.fails(2) == []
    assert play.returns(2, **TEXT) == []


def test_progress_must_rise_and_belong_to_the_call() -> None:
    play = met()
    play.asks(2, "tools/call", name="t", _meta={"progressToken": 2})

    def progress(value: Any, token: Any = 2) -> list[Any]:
        return play.says(2, "notifications/progress", progressToken=token, progress=value)

    def goes(value: Any) -> list[Any]:
        return [told(2, method="notifications/progress", params={"progressToken": 2, "progress": value})]

    def dropped(reason: str) -> list[Any]:
        return [Note("dropped", "notifications/progress", reason)]

    assert progress(0) == goes(0)
    assert progress(0) == dropped("progress-not-increasing")
    assert progress(0.5) == goes(0.5)
    assert progress(0.4) == dropped("progress-not-increasing")
    for token in (3, "2", 2.0, None, [2]):
        assert progress(1, token) == dropped("token-unknown")
    unreadable: list[Any] = [True, "1", None, 10**400, []]
    for value in unreadable:
        assert progress(value) == dropped("backend-garbage")
    assert progress(1) == goes(1)


def test_progress_nobody_asked_for_is_dropped() -> None:
    play = met()
    play.asks(2, "tools/call", name="t")
    assert play.says(2, "notifications/progress", progressToken=2, progress=1) == [
        Note("dropped", "notifications/progress", "token-unknown")
    ]


def test_a_token_of_zero_and_of_text_are_tokens() -> None:
    for token in (0, "", "p"):
        play = met()
        play.asks(2, "tools/call", name="t", _meta={"progressToken": token})
        params = {"progressToken": token, "progress": 1}
        assert play.says(2, "notifications/progress", **params) == [
            told(2, method="notifications/progress", params=params)
        ]


def test_log_messages_come_with_their_call_from_the_level_on() -> None:
    play = met()
    play.asks(2, "logging/setLevel", level="warning")
    play.asks(3, "tools/call", name="t")
    assert play.says(2, "notifications/message", level="error", data="x") == [
        told(3, method="notifications/message", params={"level": "error", "data": "x"})
    ]
    assert play.says(2, "notifications/message", level="info", data="x") == [
        Note("dropped", "notifications/message", "below-level")
    ]


@pytest.mark.parametrize("method", ["notifications/tools/list_changed", "notifications/cancelled", "vendor/x"])
def test_nothing_else_belongs_on_the_stream_of_a_call(method: str) -> None:
    play = met()
    play.asks(2, "tools/call", name="t")
    assert play.says(2, method, requestId=2) == [Note("violation", method, "not-of-a-call")]


def test_a_request_of_a_stateless_server_is_not_carried() -> None:
    play = met({"roots": {}})
    play.asks(2, "tools/call", name="t")
    assert play.server(2, {"id": 1, "method": "roots/list"}) == [
        Note("violation", "roots/list", "request-from-stateless-server")
    ]


def test_nothing_is_said_of_a_call_that_is_over() -> None:
    play = met()
    play.asks(2, "tools/call", name="t", _meta={"progressToken": 2})
    play.returns(2, **TEXT)
    assert play.says(2, "notifications/progress", progressToken=2, progress=1) == [
        Note("dropped", "notifications/progress", "not-of-a-call")
    ]


def test_a_cancelled_call_closes_its_leg_and_gets_no_answer() -> None:
    play = met()
    play.asks(2, "tools/call", name="t")
    assert play.notes("notifications/cancelled", requestId=2, reason="enough") == [Abort(2)]
    assert play.empty()
    assert play.returns(2, **TEXT) == []
    assert play.notes("notifications/cancelled", requestId=2) == []


@pytest.mark.parametrize("request_id", [99, "2", None, [2], {}, 2.0])
def test_a_cancellation_of_no_request_is_ignored(request_id: Any) -> None:
    play = met()
    play.asks(2, "tools/call", name="t")
    assert play.notes("notifications/cancelled", requestId=request_id) == []
    assert play.returns(2, **TEXT) == [done(2, TEXT)]


def test_closing_the_session_closes_every_leg() -> None:
    play = met({"elicitation": {}}, {"tools": {"listChanged": True}})
    play.stands()
    play.asks(2, "tools/call", name="t")
    play.asks(3, "tools/call", name="t")
    play.requires(4, "s", a=FORM)
    assert play.plain(play.talk.close()) == [Abort(3), Abort(2)]
    assert play.empty()
    assert play.talk.close() == []
    assert play.expires("patience:3") == []
