"""Requests, answers and cancellations of an open session, both ways: who is told what, under whose ids."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translators.playbook import empty, from_broker, opened, to_client, to_server
from translators.machine import (
    Abort,
    Accept,
    ClientGone,
    End,
    Expired,
    Failed,
    Hush,
    Note,
    OpenStream,
    SetTimer,
)

DONE: dict[str, Any] = {"content": []}
ENDED = from_broker("session-ended", -32603, "The session has ended")


def test_a_request_leaves_under_an_id_of_ours_and_its_answer_returns_under_the_clients() -> None:
    play = opened()
    params: dict[str, Any] = {"name": "add", "arguments": {"a": 1}}
    assert play.call(2, "mine", **params) == [to_server(2, 2, id=2, method="tools/call", params=params)]
    result = {"content": [{"type": "text", "text": "2"}], "vendor": {"x": 1}}
    assert play.server({"id": 2, "result": result}, 2) == [
        to_client(2, final=True, id="mine", result=result),
        End(2, "ok"),
    ]
    assert empty(play)


def test_a_request_without_parameters_leaves_without_them() -> None:
    play = opened()
    effects = play.client(2, {"id": 1, "method": "tools/list"})
    assert effects == [to_server(2, 2, id=2, method="tools/list")]


def test_the_number_1_and_the_text_1_are_two_ids() -> None:
    play = opened()
    play.call(2, 1)
    play.call(3, "1")
    assert play.server({"id": 3, "result": DONE}, 3)[0] == to_client(3, final=True, id="1", result=DONE)
    assert play.server({"id": 2, "result": DONE}, 2)[0] == to_client(2, final=True, id=1, result=DONE)


@pytest.mark.parametrize("client_id", [9007199254740993, -9007199254740993, "", "a\r\nb\x00🌍\u202e"])
def test_any_legal_id_comes_back_exactly(client_id: int | str) -> None:
    play = opened()
    play.call(2, client_id)
    assert play.server({"id": 2, "result": DONE}, 2)[0].frame.id == client_id


def test_an_id_still_open_is_refused_and_the_first_request_goes_on() -> None:
    play = opened()
    play.call(2, 5)
    error = from_broker("duplicate-id", -32600, "Invalid Request: a request with this id is still open")
    assert play.call(3, 5) == [
        to_client(3, final=True, origin="broker", id=5, error=error),
        Note("refused", reason="duplicate-id"),
    ]
    assert play.server({"id": 2, "result": DONE}, 2)[0] == to_client(2, final=True, id=5, result=DONE)
    assert play.call(4, 5)[0].call == 3


def test_errors_of_the_server_pass_with_their_code_message_and_data() -> None:
    play = opened()
    play.call()
    error = {"code": -32042, "message": "Grüße", "data": {"elicitations": []}}
    assert play.server({"id": 2, "error": error}, 2) == [
        to_client(2, final=True, id=1, error=error),
        End(2, "error"),
    ]


def test_an_answer_nobody_waits_for_is_dropped() -> None:
    play = opened()
    play.call()
    play.server({"id": 2, "result": DONE}, 2)
    for stray in (2, 99, "2"):
        assert play.server({"id": stray, "result": {"x": 1}}, 2) == [Note("dropped", reason="answer-unasked")]


def test_an_error_that_names_no_request_is_dropped() -> None:
    play = opened()
    message = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}'
    assert play.server(message) == [Note("dropped", reason="answer-unasked")]


@pytest.mark.parametrize("method", ["vendor/x", "server/discover", "rpc.discover", ""])
def test_a_method_no_revision_defines_is_answered_by_the_broker(method: str) -> None:
    play = opened()
    error = from_broker("method-unknown", -32601, "Method not found")
    assert play.call(2, 1, method) == [
        to_client(2, final=True, origin="broker", id=1, error=error),
        Note("refused", reason="method-unknown"),
    ]


@pytest.mark.parametrize("method", ["tasks/get", "tasks/list", "tasks/cancel", "tasks/result"])
def test_a_method_the_servers_revision_lacks_never_reaches_it(method: str) -> None:
    play = opened("2025-11-25", "2025-06-18")
    (reply, note) = play.call(2, 1, method, taskId="t")
    assert reply.frame.error.code == -32601
    assert (reply.exchange, reply.final, reply.origin, note.kind) == (2, True, "broker", "refused")
    assert play.talk.book.calls == {}


def test_a_method_the_servers_revision_lacks_is_answered_by_the_broker_towards_the_server_too() -> None:
    play = opened("2025-11-25", "2025-06-18", declares={"elicitation": {"form": {}}})
    error = from_broker("method-unknown", -32601, "Method not found")
    assert play.server({"id": "q", "method": "vendor/ask"}) == [
        to_server(0, id="q", error=error),
        Note("refused", "vendor/ask", "method-unknown"),
    ]


def test_unknown_notifications_are_dropped_on_either_side() -> None:
    play = opened()
    assert play.client(2, {"method": "notifications/vendor"}) == [
        Accept(2),
        Note("dropped", "notifications/vendor", "method-unknown"),
    ]
    assert play.server({"method": "notifications/vendor"}) == [Note("dropped", "unknown", "method-unknown")]


def test_the_standing_stream_is_opened_behind_initialized() -> None:
    play = opened()
    assert play.client(2, {"method": "notifications/initialized"}) == [
        to_server(0, 2, method="notifications/initialized"),
        OpenStream(then=2),
    ]


def test_too_many_open_calls_are_refused_until_one_ends() -> None:
    play = opened(max_calls=2)
    play.call(2, 1)
    play.call(3, 2)
    error = from_broker("overloaded", -32603, "Too many open requests")
    assert play.call(4, 3)[0] == to_client(4, final=True, origin="broker", id=3, error=error)
    play.server({"id": 2, "result": DONE}, 2)
    assert play.call(4, 3)[0].call == 4


# ---- progress -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["tok", 1, 0, ""])
def test_a_progress_token_is_replaced_on_the_way_out_and_restored_on_the_way_back(token: int | str) -> None:
    play = opened()
    sent = play.call(2, 1, name="x", _meta={"progressToken": token, "vendor": 1})[0]
    assert sent.frame.params["_meta"] == {"progressToken": 2, "vendor": 1}
    note = {"method": "notifications/progress", "params": {"progressToken": 2, "progress": 1, "total": 2}}
    params = {"progressToken": token, "progress": 1, "total": 2}
    assert play.server(note, 2) == [to_client(2, method="notifications/progress", params=params)]


@pytest.mark.parametrize("token", [3, "2", 99, None, True, 2.0, [2], {"a": 2}])
def test_progress_nobody_asked_for_is_dropped(token: Any) -> None:
    play = opened()
    play.call(2, 1, _meta={"progressToken": "tok"})
    play.call(3, 2)
    note = {"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}}
    assert play.server(note, 2) == [Note("dropped", "notifications/progress", "token-unknown")]


def test_progress_after_the_answer_is_dropped() -> None:
    play = opened()
    play.call(2, 1, _meta={"progressToken": "tok"})
    play.server({"id": 2, "result": DONE}, 2)
    note = {"method": "notifications/progress", "params": {"progressToken": 2, "progress": 1}}
    assert play.server(note, 2) == [Note("dropped", "notifications/progress", "token-unknown")]


def test_progress_on_another_stream_reaches_the_exchange_of_its_own_call() -> None:
    play = opened()
    play.call(2, 1, _meta={"progressToken": "a"})
    play.call(3, 2, _meta={"progressToken": "b"})
    note = {"method": "notifications/progress", "params": {"progressToken": 3, "progress": 1}}
    assert play.server(note, 2)[0].exchange == 3


@pytest.mark.parametrize("token", [True, 1.5, None, [1], {"a": 1}])
def test_a_progress_token_of_an_illegal_kind_is_not_passed_on(token: Any) -> None:
    play = opened()
    sent = play.call(2, 1, _meta={"progressToken": token})[0]
    assert sent.frame.params == {"_meta": {}}


# ---- cancellation -------------------------------------------------------------------------------------------------


def cancel(request_id: Any, **more: Any) -> dict[str, Any]:
    return {"method": "notifications/cancelled", "params": {"requestId": request_id, **more}}


def test_a_cancellation_crosses_under_our_id_and_gives_the_call_a_grace() -> None:
    play = opened()
    play.call(2, "mine")
    assert play.client(3, cancel("mine", reason="enough")) == [
        to_server(0, 3, method="notifications/cancelled", params={"requestId": 2, "reason": "enough"}),
        SetTimer("cancelled:2", 5.0),
    ]


def test_a_cancelled_call_that_answers_within_its_grace_is_answered() -> None:
    play = opened()
    play.call(2, "mine")
    play.client(3, cancel("mine"))
    assert play.server({"id": 2, "result": DONE}, 2)[0] == to_client(2, final=True, id="mine", result=DONE)
    assert play.event(Expired("cancelled:2")) == []


def test_a_cancelled_call_that_stays_silent_ends_without_an_answer() -> None:
    play = opened()
    play.call(2, "mine")
    play.client(3, cancel("mine"))
    assert play.event(Expired("cancelled:2")) == [Hush(2), Abort(2), End(2, "cancelled")]
    assert play.server({"id": 2, "result": DONE}, 2) == [Note("dropped", reason="answer-unasked")]
    assert play.event(Expired("cancelled:2")) == []


@pytest.mark.parametrize("request_id", [2, "1", 99, None, True, 1.0, [1], {"a": 1}])
def test_a_cancellation_of_an_unknown_request_is_taken_and_dropped(request_id: Any) -> None:
    play = opened()
    play.call(2, 1)
    assert play.client(3, cancel(request_id)) == [
        Accept(3),
        Note("dropped", "notifications/cancelled", "request-unknown"),
    ]


def test_a_failed_call_gets_one_error_with_a_frozen_text() -> None:
    play = opened()
    play.call()
    error = from_broker("backend-closed", -32603, "The server closed the connection before it answered")
    assert play.event(Failed(2, "backend-closed")) == [
        to_client(2, final=True, origin="broker", id=1, error=error),
        Note("failed", "tools/call", "backend-closed"),
        End(2, "failed"),
    ]
    assert play.event(Failed(2, "backend-closed")) == []
    assert play.server({"id": 2, "result": DONE}, 2) == [Note("dropped", reason="answer-unasked")]


def test_when_the_client_ends_its_session_each_open_call_ends_once() -> None:
    play = opened(declares={"roots": {}})
    play.call(2, 1)
    play.call(3, "b")
    play.server({"id": 5, "method": "roots/list"}, 2)
    assert play.event(ClientGone()) == [
        to_client(2, final=True, origin="broker", id=1, error=ENDED),
        Abort(2),
        End(2, "cancelled"),
        to_client(3, final=True, origin="broker", id="b", error=ENDED),
        Abort(3),
        End(3, "cancelled"),
    ]
    assert play.event(ClientGone()) == []
    assert empty(play)


def test_an_ended_session_sends_nothing_any_more() -> None:
    play = opened(declares={"roots": {}})
    play.server({"id": 5, "method": "roots/list"})
    play.event(ClientGone())
    assert play.call(2, 1)[0] == to_client(2, final=True, origin="broker", id=1, error=ENDED)
    dropped = Note("dropped", reason="session-ended")
    assert play.client(3, {"method": "notifications/initialized"}) == [Accept(3), dropped]
    assert play.client(4, {"id": 1, "result": {"roots": []}}) == [Accept(4), dropped]
    assert play.server({"id": 6, "method": "roots/list"}) == [dropped]
    assert play.server({"method": "notifications/tools/list_changed"}) == [dropped]


# ---- garbage ------------------------------------------------------------------------------------------------------

GARBAGE = from_broker("backend-garbage", -32603, "The server's answer is not valid MCP")


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("tools/list", b'"tools":[{"name":"x","title":1e999}]'),
        ("tools/call", b'"content":[],"structuredContent":{"a":1e999}'),
        ("tools/call", b'"content":[{"type":"resource_link","uri":1e999}]'),
        ("prompts/get", b'"messages":[{"role":"user","content":{"type":"resource_link","uri":1e999}}]'),
    ],
)
def test_an_answer_that_cannot_be_read_costs_that_call_only(method: str, body: bytes) -> None:
    play = opened("2024-11-05", "2025-11-25")
    play.call(2, 1, method, name="x")
    play.call(3, 2, method, name="x")
    effects = play.server(b'{"jsonrpc":"2.0","id":2,"result":{%b}}' % body, 2)
    assert effects[0] == to_client(2, final=True, origin="broker", id=1, error=GARBAGE)
    assert effects[-1] == End(2, "error")
    empty: dict[str, Any] = {"tools": [], "content": [], "messages": []}
    assert play.server({"id": 3, "result": empty}, 3)[0] == to_client(3, final=True, id=2, result=empty)


def test_notifications_that_cannot_be_read_are_dropped() -> None:
    play = opened("2024-11-05", "2025-11-25", declares={"roots": {}})
    play.call(2, 1, _meta={"progressToken": "t"})
    for method, member in (
        ("notifications/progress", "progressToken"),
        ("notifications/cancelled", "requestId"),
    ):
        body = b'{"jsonrpc":"2.0","method":"%b","params":{"%b":1e999}}' % (method.encode(), member.encode())
        assert play.server(body, 2) == [Note("dropped", method, "backend-garbage")]
    play.server({"id": 1, "method": "roots/list"}, 2)
    assert play.server({"method": "notifications/cancelled", "params": {"requestId": [1]}}, 2) == [
        Note("dropped", "notifications/cancelled", "request-unknown")
    ]


def test_a_question_that_cannot_be_read_is_refused_to_the_server() -> None:
    play = opened("2025-06-18", declares={"roots": {}})
    body = b'{"jsonrpc":"2.0","id":"q","method":"roots/list","params":{"_meta":{"progressToken":1e999}}}'
    effects = play.server(body)
    assert effects[0].frame.id == "q"
    assert effects[0].frame.error.code == -32602
    assert play.talk.book.asks == {}


def test_task_ids_that_cannot_be_read_cost_that_message_only() -> None:
    play = opened(declares={"roots": {}}, offers={"tasks": {}, "logging": {}}, tasks=True)
    play.call(2, 1)
    broken = b'"_meta":{"io.modelcontextprotocol/related-task":{"taskId":1e999}}'
    assert play.server(b'{"jsonrpc":"2.0","id":2,"result":{%b}}' % broken, 2) == [
        to_client(2, final=True, origin="broker", id=1, error=GARBAGE),
        End(2, "error"),
    ]
    asked = play.server(b'{"jsonrpc":"2.0","id":9,"method":"roots/list","params":{%b}}' % broken)
    assert (asked[0].frame.id, asked[0].frame.error.code) == (9, -32602)
    told = b'{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":1e999}}'
    assert play.server(told) == [Note("dropped", reason="backend-garbage")]


@pytest.mark.parametrize("params", [{"_meta": "x"}, {"_meta": []}, {"_meta": None}, {"_meta": {"progressToken": {}}}])
def test_odd_metadata_of_the_client_never_breaks_the_session(params: dict[str, Any]) -> None:
    for client in ("2025-03-26", "2025-11-25"):
        play = opened(client, "2025-06-18")
        assert play.call(2, 1, "tools/list", **params)
        assert play.call(3, 2, "tools/list")[0].frame.method == "tools/list"


def test_a_client_that_garbles_a_member_a_change_reads_gets_an_error_for_that_request() -> None:
    play = opened("2025-11-25", "2024-11-05")
    values: list[Any] = [1, "x", [1], {"type": {}}, None]
    for number, value in enumerate(values):
        effects = play.call(2 + number, number, "completion/complete", ref=value, argument=value, context=value)
        assert effects
    assert play.call(20, "after", "tools/list")[0].frame.method == "tools/list"
