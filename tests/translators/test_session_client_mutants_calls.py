"""Corners of calls, questions and answers before a stateless server that mutants showed untested."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from protocol_versions.jsonrpc import Frame
from tests.translators.playbook import CLIENT_INFO, Json
from tests.translators.session_playbook import (
    INPUTS,
    PREFIX,
    TOOL,
    SessionPlay,
    discovery,
    done,
    failed,
    met,
    page,
    told,
)
from translators.errors import INVALID_PARAMS
from translators.loss import Loss, Noted
from translators.machine import Event, FromClient, Note
from translators.session_client.rounds import next_progress

NAMELESS = {"name": "unknown-mcp-client", "version": "0"}
GARBAGE = "The server's answer is not valid MCP"
CLIENT_GARBAGE = "Invalid params: the message is not valid in the negotiated revision"


def calling(declares: Json | None = None, method: str = "tools/call", **more: Any) -> SessionPlay:
    """A session with call 2 open on leg 2."""
    play = met(INPUTS if declares is None else declares)
    play.asks(2, method, name="t", uri="test://a", **more)
    return play


def test_a_question_with_empty_parameters_keeps_them() -> None:
    question = {"method": "roots/list", "params": {}}
    assert calling().requires(2, a=question) == [told(2, id="ask-1", **question)]


def test_what_a_question_loses_is_noted() -> None:
    tool = {**TOOL, "outputSchema": {"type": "array"}}
    params: Json = {"messages": [], "maxTokens": 5, "tools": [tool]}
    play = calling({"sampling": {"tools": {}}})
    lost = Noted("any JSON schema and structured content", "tools[].outputSchema", Loss.CARRIED)
    [_asked, note] = play.requires(2, a={"method": "sampling/createMessage", "params": params})
    assert note == Note("lossy", "sampling/createMessage", losses=(lost,))


def test_an_answer_that_cannot_be_read_ends_the_call() -> None:
    play = calling()
    play.requires(2, a=page())
    effects = play.event(FromClient(0, Frame(id="ask-1", result={"action": Raw(b"1e999")})))
    assert effects[-1] == Note("refused", "tools/call", "input-unusable")
    assert play.empty()


def test_an_answer_without_a_result_is_an_empty_one() -> None:
    play = calling()
    play.requires(2, a=page())
    [sent] = play.event(FromClient(0, Frame(id="ask-1")))
    assert sent.frame.params["inputResponses"] == {"a": {}}


@pytest.mark.parametrize("number", [1, None, 1.5])
def test_only_texts_name_questions(number: Any) -> None:
    play = calling()
    play.requires(2, a=page())
    assert play.event(FromClient(0, Frame(id=number, result={}))) == [Note("dropped", reason="answer-late")]


def test_an_error_nobody_can_read_is_the_servers_fault() -> None:
    play = calling()
    body = b'{"jsonrpc":"2.0","id":2,"error":{"code":-32021,"message":"m","data":{"requiredCapabilities":1e999}}}'
    assert play.server(2, body) == [
        failed(2, "backend-garbage", GARBAGE),
        Note("failed", "tools/call", "backend-garbage"),
    ]
    assert play.empty()


def test_what_an_error_for_the_model_loses_is_noted() -> None:
    play = calling()
    _answer, *notes = play.errs(2, -32021, "no", requiredCapabilities={"elicitation": {"url": {}}})
    lost = Noted("reserved error codes", "", Loss.DEGRADED)
    assert notes == [Note("lossy", "tools/call", losses=(lost,))]
    assert play.empty()


def test_what_an_error_of_another_call_loses_is_noted() -> None:
    play = calling(method="prompts/get")
    _answer, *notes = play.errs(2, -32021, "no", requiredCapabilities={})
    assert notes == [Note("lossy", "prompts/get", losses=(Noted("reserved error codes", "code", Loss.CARRIED),))]
    assert play.empty()


def test_progress_without_a_token_is_dropped_where_none_was_given() -> None:
    assert calling().says(2, "notifications/progress", progressToken=None, progress=1) == [
        Note("dropped", "notifications/progress", "token-unknown")
    ]


def test_without_a_level_every_log_message_is_told() -> None:
    params = {"level": "debug", "data": 1}
    assert calling().says(2, "notifications/message", **params) == [
        told(2, method="notifications/message", params=params)
    ]


@pytest.mark.parametrize("level", ["loud", 3, None])
def test_a_log_message_of_no_known_level_is_dropped(level: Any) -> None:
    play = calling()
    play.asks(3, "logging/setLevel", level="emergency")
    [note] = play.says(2, "notifications/message", level=level, data=1)
    assert (note.kind, note.method) == ("dropped", "notifications/message")


def test_a_log_message_of_the_very_level_is_told() -> None:
    play = calling()
    play.asks(3, "logging/setLevel", level="warning")
    params = {"level": "warning", "data": 1}
    assert play.says(2, "notifications/message", **params) == [told(2, method="notifications/message", params=params)]


def test_an_unreadable_notification_is_dropped() -> None:
    play = calling(_meta={"progressToken": 1})
    body = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1e999}}'
    assert play.server(2, body) == [Note("dropped", "notifications/progress", "backend-garbage")]


@pytest.mark.parametrize(("value", "told_on"), [(1e300, True), (1.1e300, False), (-1e300, True), (-1.1e300, False)])
def test_progress_ends_where_no_next_step_could_be_told(value: float, told_on: bool) -> None:
    play = calling(_meta={"progressToken": 1})
    [effect] = play.says(2, "notifications/progress", progressToken=1, progress=value)
    assert isinstance(effect, Note) is not told_on


def test_a_notification_without_parameters_is_garbage() -> None:
    play = calling(_meta={"progressToken": 1})
    [note] = play.server(2, {"method": "notifications/progress"})
    assert (note.kind, note.method) == ("dropped", "notifications/progress")


@pytest.mark.parametrize("params", [{}, {"arguments": {}}, {"_meta": {"progressToken": 1}}])
def test_a_call_without_a_name_is_the_clients_fault(params: Json) -> None:
    play = met()
    assert play.asks(2, "tools/call", **params) == [failed(2, "client-garbage", CLIENT_GARBAGE, INVALID_PARAMS)]
    assert play.empty()


@pytest.mark.parametrize(
    ("method", "member"), [("tools/call", "name"), ("resources/read", "uri"), ("tools/list", "_meta")]
)
def test_a_request_that_cannot_be_read_is_the_clients_fault(method: str, member: str) -> None:
    play = met()
    effects = play.event(FromClient(2, Frame(id=2, method=method, params={member: Raw(b"1e999")})))
    assert effects == [failed(2, "client-garbage", CLIENT_GARBAGE, INVALID_PARAMS)]
    assert play.empty()


@pytest.mark.parametrize("tools", [True, False])
def test_what_a_call_loses_is_noted_whether_it_has_to_wait_or_not(tools: bool) -> None:
    play = met(tools=tools)
    lost = Note("lossy", "tools/call", losses=(Noted("tasks moved to an extension", "task", Loss.DEGRADED),))
    effects = play.asks(2, "tools/call", name="t", task={})
    assert [effect for effect in effects if isinstance(effect, Note)] == [lost]


@pytest.mark.parametrize(
    ("method", "name"), [("tools/call", "name"), ("prompts/get", "name"), ("resources/read", "uri")]
)
@pytest.mark.parametrize("value", [None, 1, ["t"]])
def test_a_request_that_names_nothing_is_the_clients_fault(method: str, name: str, value: Any) -> None:
    play = met()
    assert play.asks(2, method, **{name: value}) == [failed(2, "client-garbage", CLIENT_GARBAGE, INVALID_PARAMS)]
    assert play.empty()


def test_a_session_that_nobody_used_waits_for_nothing() -> None:
    play = SessionPlay()
    assert play.event(Event()) == []
    assert play.empty()


def test_a_client_that_never_introduced_itself_is_unknown() -> None:
    play = SessionPlay()
    [sent] = play.asks(1, "prompts/list")
    assert sent.frame.params["_meta"][f"{PREFIX}clientInfo"] == NAMELESS


@pytest.mark.parametrize("info", [None, "client", ["c"]])
def test_a_client_that_does_not_name_itself_is_unknown(info: Any) -> None:
    play = SessionPlay()
    params = {"protocolVersion": "2025-11-25", "capabilities": [], "clientInfo": info}
    [sent] = play.client(1, {"id": 1, "method": "initialize", "params": params})
    assert sent.frame.params["_meta"][f"{PREFIX}clientInfo"] == NAMELESS
    assert sent.frame.params["_meta"][f"{PREFIX}clientCapabilities"] == {}


def test_a_client_is_called_what_it_calls_itself() -> None:
    [sent] = met().asks(2, "prompts/list")
    assert sent.frame.params["_meta"][f"{PREFIX}clientInfo"] == CLIENT_INFO


def test_only_what_is_lost_of_a_clients_notifications_is_noted() -> None:
    play = met()
    assert play.notes("notifications/initialized") == []
    for method in ("notifications/roots/list_changed", "vendor/x"):
        assert play.notes(method) == [Note("swallowed", method, "stateless")]
    assert play.client(0, {"method": "notifications/cancelled"}) == []


def test_a_leg_nobody_opened_has_no_call() -> None:
    play = SessionPlay()
    play.asks(1, "prompts/list")
    assert play.fails(99) == []
    assert play.returns(99, prompts=[]) == []
    assert play.says(99, "notifications/message", level="info", data=1) == [
        Note("dropped", "notifications/message", "not-of-a-call")
    ]
    assert play.returns(1, prompts=[]) == [done(1, {"prompts": []})]


def test_a_closed_session_waits_for_nothing() -> None:
    play = met(tools=False)
    play.asks(2, "tools/call", name="t")
    play.client(3, {"id": 3, "method": "initialize", "params": {}})
    play.talk.close()
    assert play.empty()


@pytest.mark.parametrize(("last", "following"), [(None, 0.001), (0.0, 0.001), (1.0, 1.001), (-2.0, -1.999)])
def test_the_next_step_of_progress_is_small(last: float | None, following: float) -> None:
    assert next_progress(last) == following


def test_the_next_step_of_the_longest_progress_is_one_still() -> None:
    assert next_progress(1e300) > 1e300


def test_the_tasks_a_server_offers_wrap_no_result() -> None:
    play = met(offers=discovery()["capabilities"])
    assert play.talk.server == {"tools": {}, "logging": {}}


@pytest.mark.parametrize("method", ["notifications/message", "notifications/progress"])
def test_what_a_companion_of_a_call_loses_is_noted(method: str) -> None:
    play = calling(_meta={"progressToken": 1})
    params: Json = {"level": "info", "data": 1} if method.endswith("message") else {"progressToken": 1, "progress": 1}
    lost = (Noted("metadata of every message", "_meta", Loss.COSMETIC),)
    effects = play.says(2, method, **params, _meta={f"{PREFIX}serverInfo": {}})
    assert effects[1:] == [Note("lossy", method, losses=lost)]


def test_a_complete_result_may_be_spelled_in_any_way() -> None:
    body = rb'{"jsonrpc":"2.0","id":2,"result":{"resultType": "\u0063omplete","content":[]}}'
    assert calling().server(2, body) == [done(2, {"content": []})]


def test_a_null_of_the_client_is_left_out_of_the_request() -> None:
    play = met()
    assert play.asks(2, "prompts/list", cursor=None) == [play.leg(2, "prompts/list")]
