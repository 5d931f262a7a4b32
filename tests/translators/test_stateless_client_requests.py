"""Requests on their way to the server: translated, under ids of the session, in the order their log level asks for."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from protocol_versions.jsonrpc import Frame
from tests.translators.playbook import CLIENT_INFO, Json
from tests.translators.stateless_playbook import (
    COMPLETE,
    DONE,
    ELICIT,
    FORM,
    INPUTS,
    LISTED,
    META,
    PREFIX,
    ROOTS,
    done,
    dropped,
    errored,
    failed,
    met,
    sent,
    told,
)
from translators.asks import LEVELS
from translators.loss import Loss
from translators.machine import Note, ToServer
from translators.stateless_client import Asked
from translators.stateless_client.requests import NO_LEVEL

ENVELOPE: Json = {
    f"{PREFIX}protocolVersion": "2026-07-28",
    f"{PREFIX}clientCapabilities": {"roots": {}},
    f"{PREFIX}clientInfo": CLIENT_INFO,
    f"{PREFIX}logLevel": "debug",
}
DEBUG, INFO, ERROR = LEVELS.index("debug"), LEVELS.index("info"), LEVELS.index("error")


def lossless(effects: list[Any]) -> list[Any]:
    """Without the notes of what was lost."""
    return [effect for effect in effects if not (isinstance(effect, Note) and effect.kind == "lossy")]


def test_calls_have_ids_of_the_session_and_legs_keep_their_own() -> None:
    play = met()
    assert play.asks(77) == [sent(3, "tools/call", name="t")]
    assert play.asks(77_000, "prompts/get", {"name": "p"}) == [sent(4, "prompts/get", name="p")]
    assert play.returns(4, messages=[]) == [done(77_000, {"messages": [], "resultType": "complete", "_meta": META})]
    assert play.returns(3, **DONE) == [done(77, COMPLETE)]
    assert play.returns(3, **DONE) == []
    assert play.empty()


def test_what_a_request_says_of_its_client_is_not_said_again() -> None:
    play = met()
    effects = play.asks(10, "tools/call", {"name": "t", "_meta": {**ENVELOPE, "progressToken": 10, "x/trace": "1"}})
    assert effects[0] == sent(3, "tools/call", name="t", _meta={"progressToken": 10, "x/trace": "1"})
    assert [effect.losses[0].loss for effect in effects[1:]] == [Loss.STASHED]


def test_an_envelope_with_nothing_else_in_it_is_taken_off() -> None:
    play = met()
    assert lossless(play.asks(10, "tools/list", {"_meta": ENVELOPE})) == [sent(3, "tools/list")]


def test_answers_without_a_state_go_nowhere() -> None:
    play = met()
    effects = play.asks(10, "tools/call", {"name": "t", "inputResponses": {"a": LISTED}})
    assert lossless(effects) == [sent(3, "tools/call", name="t")]
    assert [effect.kind for effect in effects[1:]] == ["lossy"]


@pytest.mark.parametrize(
    "method", ["ping", "initialize", "logging/setLevel", "resources/subscribe", "tasks/get", "x/y"]
)
def test_what_the_newer_revision_does_not_have_is_not_sent(method: str) -> None:
    play = met()
    assert play.asks(10, method, {"uri": "test://a"}) == [
        failed(10, "method-unknown", "Method not found", -32601),
        Note("refused", "", "method-unknown"),
    ]
    assert play.empty()


def test_a_request_that_cannot_be_read_is_refused() -> None:
    play = met()
    assert play.asks(10, "tools/list", b'{"cursor":1e999}') == [
        failed(10, "client-garbage", "Invalid params: the message is not valid in the negotiated revision", -32602),
        Note("refused", "tools/list", "client-garbage"),
    ]
    assert play.empty()


def test_a_request_without_parameters_is_sent_without_any() -> None:
    play = met()
    assert play.asks(10, "tools/list", {}) == [sent(3, "tools/list")]


def test_a_request_without_any_member_is_sent_all_the_same() -> None:
    play = met()
    effects = play.talk.handle(Asked(10, Frame(id=10, method="tools/list"), {}, NO_LEVEL), play.now)
    assert play.plain(effects) == [sent(3, "tools/list")]


def test_only_a_list_has_a_cursor() -> None:
    assert met().asks(10, "tools/call", {"name": "t", "cursor": "p2"}) == [sent(3, "tools/call", name="t", cursor="p2")]


def test_changing_what_was_sent_does_not_change_what_is_known_of_the_call() -> None:
    play = met()
    request = Frame(id=10, method="resources/read", params={"uri": Raw(b'"test://a"')})
    [effect] = play.talk.handle(Asked(10, request, {}, NO_LEVEL), play.now)
    effect.frame.params.clear()  # type: ignore[attr-defined]
    assert play.errs(3, -32002) == [errored(10, -32602, "no", {"uri": "test://a"})]


# ---- log levels -----------------------------------------------------------------------------------------------------


def test_the_sessions_level_is_set_before_the_first_request_that_wants_one() -> None:
    play = met()
    assert play.asks(10, level=INFO) == [sent(3 + 1, "logging/setLevel", level="info")]
    assert play.returns(4) == [sent(3, "tools/call", name="t")]
    assert play.asks(11, level=INFO) == [sent(5, "tools/call", name="t")]
    assert play.asks(12, level=ERROR) == [sent(6, "tools/call", name="t")]


def test_a_request_without_a_level_waits_for_none() -> None:
    play = met()
    play.asks(10, level=INFO)
    assert play.asks(11) == [sent(5, "tools/call", name="t")]


def test_a_session_is_made_more_talkative_and_never_less() -> None:
    play = met()
    play.asks(10, level=ERROR)
    assert play.asks(11, level=DEBUG) == [sent(6, "logging/setLevel", level="debug")]
    assert play.returns(4) == []
    assert play.returns(6) == [sent(3, "tools/call", name="t"), sent(5, "tools/call", name="t")]
    assert play.asks(12, level=ERROR) == [sent(7, "tools/call", name="t")]


def test_a_server_without_levels_is_called_all_the_same() -> None:
    play = met()
    play.asks(10, level=INFO)
    assert play.errs(4, -32601) == [sent(3, "tools/call", name="t")]


def test_a_request_that_is_gone_before_its_level_is_set_is_not_sent() -> None:
    play = met()
    play.asks(10, level=INFO)
    play.asks(11, level=INFO)
    assert play.leaves(10) == []
    assert play.returns(4) == [sent(5, "tools/call", name="t")]


@pytest.mark.parametrize("level", range(len(LEVELS) + 1))
def test_each_request_is_given_the_messages_it_asked_for(level: int) -> None:
    play = met()
    play.asks(10, level=level)
    if level < len(LEVELS):
        play.returns(4)
    heard = [play.says(3, "message", level=name, data="x") for name in LEVELS]
    expected = [
        [told(10, method="notifications/message", params={"level": name, "data": "x"})] if number >= level else []
        for number, name in enumerate(LEVELS)
    ]
    assert heard == expected


@pytest.mark.parametrize("level", ["loud", 1, None, ["info"]])
def test_a_message_of_no_level_counts_as_information(level: Any) -> None:
    play = met()
    play.asks(10, level=INFO)
    play.returns(4)
    heard = told(10, method="notifications/message", params={"level": "info", "data": "x"})
    assert lossless(play.says(3, "message", level=level, data="x")) == [heard]
    play.asks(11, level=ERROR)
    assert lossless(play.says(5, "message", level=level, data="x")) == []


def test_a_message_on_the_standing_stream_is_the_only_calls_that_runs() -> None:
    play = met()
    play.asks(10, level=DEBUG)
    play.returns(4)
    heard = told(10, method="notifications/message", params={"level": "info", "data": "x"})
    assert play.says(0, "message", level="info", data="x") == [heard]
    assert play.says(99, "message", level="info", data="x") == [dropped("message", "not-of-a-call")]
    play.asks(11)
    assert play.says(0, "message", level="info", data="x") == [dropped("message", "not-of-a-call")]
    assert play.says(3, "message", level="info", data="x") == [heard]


def test_a_message_on_the_standing_stream_is_not_of_a_call_that_was_never_sent() -> None:
    play = met()
    play.asks(10, level=DEBUG)
    assert play.says(0, "message", level="info", data="x") == [dropped("message", "not-of-a-call")]


def test_a_message_on_the_standing_stream_is_not_of_a_call_that_was_given_up() -> None:
    play = met(INPUTS)
    play.suspended()
    play.later(600, "parked:1")
    assert play.says(0, "message", level="info", data="x") == [dropped("message", "not-of-a-call")]
    play.asks(11, level=INFO)
    play.returns(5)
    heard = told(11, method="notifications/message", params={"level": "info", "data": "x"})
    assert play.says(0, "message", level="info", data="x") == [heard]


def test_a_message_on_the_standing_stream_is_not_of_a_call_that_has_ended() -> None:
    play = met(INPUTS)
    play.suspended()
    play.returns(3, **DONE)
    assert play.says(0, "message", level="info", data="x") == [dropped("message", "not-of-a-call")]


def test_a_message_of_no_call_at_all_is_dropped() -> None:
    assert met().says(0, "message", level="info", data="x") == [dropped("message", "not-of-a-call")]


# ---- progress -------------------------------------------------------------------------------------------------------


def test_progress_goes_to_the_request_that_gave_a_token_under_its_own_name() -> None:
    play = met()
    play.asks(10, "tools/call", {"name": "t", "_meta": {"progressToken": 10}})
    play.asks(11)
    params = {"progressToken": "server's", "progress": 0.5, "total": 2, "message": "half"}
    assert play.says(3, "progress", **params) == [
        told(10, method="notifications/progress", params={**params, "progressToken": 10})
    ]
    assert play.says(4, "progress", **params) == []
    assert play.says(0, "progress", **params) == [dropped("progress", "token-unknown")]
    assert play.says(99, "progress", **params) == [dropped("progress", "token-unknown")]


def test_progress_only_grows() -> None:
    play = met()
    play.asks(10, "tools/call", {"name": "t", "_meta": {"progressToken": 10}})

    def step(progress: float) -> list[Any]:
        return play.says(3, "progress", progressToken=3, progress=progress)

    behind = [dropped("progress", "progress-not-increasing")]
    assert [effect.frame.params["progress"] for effect in step(1)] == [1]
    assert step(1) == behind
    assert step(0.5) == behind
    assert [effect.frame.params["progress"] for effect in step(1.5)] == [1.5]


@pytest.mark.parametrize("progress", ["1", None, True, 1e301, -1e301])
def test_progress_that_is_no_number_is_dropped(progress: Any) -> None:
    play = met()
    play.asks(10, "tools/call", {"name": "t", "_meta": {"progressToken": 10}})
    garbage = [dropped("progress", "backend-garbage")]
    assert lossless(play.says(3, "progress", progressToken=3, progress=progress)) == garbage


def test_the_largest_progress_is_carried() -> None:
    play = met()
    play.asks(10, "tools/call", {"name": "t", "_meta": {"progressToken": 10}})
    assert [effect.exchange for effect in play.says(3, "progress", progressToken=3, progress=1e300)] == [10]


@pytest.mark.parametrize("method", ["progress", "message"])
def test_what_is_lost_of_a_companion_is_noted(method: str) -> None:
    play = met()
    play.asks(10, "tools/call", {"name": "t", "_meta": {"progressToken": 10}}, level=DEBUG)
    play.returns(4)
    spoofed = {"io.modelcontextprotocol/subscriptionId": 1}
    said = {"progressToken": 3, "progress": 1} if method == "progress" else {"level": "info", "data": 1}
    [heard, lossy] = play.says(3, method, **said, _meta=spoofed)
    assert "io.modelcontextprotocol/subscriptionId" not in str(heard.frame.params)
    assert (lossy.kind, lossy.method) == ("lossy", f"notifications/{method}")


@pytest.mark.parametrize("meta", [b"null", b"7", b"[]", b'"x"', b'{"progress":1}'])
def test_metadata_of_any_kind_holds_no_token(meta: bytes) -> None:
    play = met()
    play.asks(10, "tools/call", b'{"name":"t","_meta":%b}' % meta)
    [call] = play.talk.calls.values()
    assert not call.legs[10].token


# ---- other notifications --------------------------------------------------------------------------------------------


def test_a_notification_nobody_knows_is_dropped() -> None:
    assert met().says(0, "vendor/x") == [Note("dropped", "unknown", "method-unknown")]


@pytest.mark.parametrize("method", ["progress", "message", "cancelled", "elicitation/complete", "resources/updated"])
def test_a_notification_that_cannot_be_read_is_dropped(method: str) -> None:
    play = met()
    play.listens(9, resourceSubscriptions=["test://a"])
    play.returns(3)
    body = b'"progress":1e999,"level":1e999,"requestId":1e999,"elicitationId":1e999,"uri":1e999'
    message = b'{"jsonrpc":"2.0","method":"notifications/%b","params":{%b}}' % (method.encode(), body)
    assert lossless(play.server(0, message)) == [dropped(method, "backend-garbage")]


def test_a_notification_of_a_task_has_no_reader() -> None:
    [note] = met().says(0, "tasks/status", taskId="t", status="working")
    assert (note.kind, note.method) == ("swallowed", "notifications/tasks/status")
    assert note.losses


def test_a_ping_is_answered_at_once() -> None:
    play = met()
    assert play.wonders(0, 1, "ping") == [ToServer(0, done(1, {}).frame)]
    assert play.wonders(9, 2, "ping", {}) == [ToServer(0, done(2, {}).frame)]


@pytest.mark.parametrize("method", ["vendor/ask", "tools/list", "tasks/get"])
def test_a_request_that_no_client_knows_is_refused(method: str) -> None:
    play = met(INPUTS)
    [reply, note] = play.wonders(0, 1, method, {})
    assert reply.frame.error.code == -32601
    assert note == Note("refused", "unknown", "method-unknown")


def test_a_question_that_cannot_be_read_is_refused() -> None:
    play = met(INPUTS)
    play.asks(10)
    message = b'{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":1e999}}'
    [reply, note] = play.server(3, message)
    assert reply.frame.error.code == -32602
    assert note == Note("refused", ELICIT, "backend-garbage")
    assert play.wonders(3, 2, ROOTS, None)
    assert play.wonders(3, 3, ELICIT, FORM) == []
