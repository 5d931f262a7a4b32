"""Input in rounds: what a stateless server needs is asked by real requests, and the call is sent again with answers."""

from __future__ import annotations

from typing import Any

import pytest

from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from tests.translators.playbook import Json
from tests.translators.session_playbook import (
    FORM,
    INPUTS,
    ROOTS,
    SAMPLE,
    SessionPlay,
    done,
    failed,
    met,
    told,
)
from translators.machine import Abort, FromClient, FromServer, Note, SetTimer, ToServer
from translators.session_client.rounds import (
    MAX_ASKS,
    MAX_ROUNDS,
    MAX_STATE_BYTES,
    MAX_STATE_ROUNDS,
    PATIENCE_S,
    STATE_DELAYS_S,
)

SAMPLING: Json = {"messages": [], "maxTokens": 5}
ARGUMENTS = {"name": "t", "arguments": {"x": 1.0}}
TEXT = {"content": [{"type": "text", "text": "hi"}]}
ACCEPTED: Json = {"action": "accept", "content": {"n": 1}}
SAMPLED: Json = {"role": "assistant", "content": {"type": "text", "text": "Paris"}, "model": "m"}
LISTED: Json = {"roots": [{"uri": "file:///a"}]}
LATE = [Note("dropped", reason="answer-late")]


def calling(declares: Json | None = None, method: str = "tools/call", **more: Any) -> SessionPlay:
    """A session with call 2 open on leg 2."""
    play = met(INPUTS if declares is None else declares)
    play.asks(2, method, **{**ARGUMENTS, **more})
    return play


def asked(call: int, number: int, question: Json) -> Any:
    return told(call, id=f"ask-{number}", **question)


def gave_up(call: int, text: str) -> Any:
    return done(call, {"content": [{"type": "text", "text": text}], "isError": True})


def test_one_question_is_asked_on_the_call_and_answered_with_a_retry() -> None:
    play = calling()
    assert play.requires(2, "s", a=FORM) == [asked(2, 1, FORM)]
    assert play.answers(1, result=ACCEPTED) == [
        play.leg(3, "tools/call", {**ARGUMENTS, "inputResponses": {"a": ACCEPTED}, "requestState": "s"})
    ]
    assert play.returns(3, **TEXT) == [done(2, TEXT)]
    assert play.empty()


def test_three_questions_of_three_kinds_are_asked_at_once_and_answered_in_any_order() -> None:
    play = calling()
    assert play.requires(2, a=FORM, b=SAMPLE, c=ROOTS) == [
        asked(2, 1, FORM),
        asked(2, 2, SAMPLE),
        asked(2, 3, ROOTS),
    ]
    assert play.answers(3, result=LISTED) == []
    assert play.answers(1, result=ACCEPTED) == []
    responses = {"c": LISTED, "a": ACCEPTED, "b": SAMPLED}
    assert play.answers(2, result=SAMPLED) == [play.leg(3, "tools/call", {**ARGUMENTS, "inputResponses": responses})]


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read"])
def test_three_methods_may_ask(method: str) -> None:
    play = calling(method=method, uri="test://a")
    assert play.requires(2, a=ROOTS) == [asked(2, 1, ROOTS)]


@pytest.mark.parametrize("method", ["tools/list", "completion/complete", "resources/list"])
def test_no_other_method_may_ask(method: str) -> None:
    play = calling(method=method)
    assert play.requires(2, a=ROOTS) == [
        failed(2, "input-not-allowed", "The server asked for input where none can be asked"),
        Note("failed", method, "input-not-allowed"),
    ]
    assert play.empty()


def test_the_answers_and_the_state_of_a_round_replace_those_before() -> None:
    play = calling()
    play.requires(2, "s1", a=FORM)
    play.answers(1, result=ACCEPTED)
    assert play.requires(3, "s2", b=ROOTS) == [asked(2, 2, ROOTS)]
    assert play.answers(2, result=LISTED) == [
        play.leg(4, "tools/call", {**ARGUMENTS, "inputResponses": {"b": LISTED}, "requestState": "s2"})
    ]
    assert play.requires(4, c=ROOTS) == [asked(2, 3, ROOTS)]
    assert play.answers(3, result=LISTED) == [play.leg(5, "tools/call", {**ARGUMENTS, "inputResponses": {"c": LISTED}})]


@pytest.mark.parametrize(
    "spelling",
    [b'"s"', b'""', rb'"\u0073\/\n"', b'"' + "é漢".encode() + b'"', rb'"{\"a\":1}"'],
)
def test_the_state_goes_back_in_the_very_bytes_it_came_in(spelling: bytes) -> None:
    play = calling()
    result = b'{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"}},"requestState":%b}'
    body = b'{"jsonrpc":"2.0","id":2,"result":' + result % spelling + b"}"
    play.talk.handle(FromServer(2, jsonrpc.decode_backend(body)), 0.0)
    answer = jsonrpc.decode_strict(b'{"jsonrpc":"2.0","id":"ask-1","result":{"roots":[]}}')
    assert isinstance(answer, Frame)
    [sent] = play.talk.handle(FromClient(0, answer), 0.0)
    assert isinstance(sent, ToServer)
    assert b'"requestState":' + spelling in jsonrpc.encode(sent.frame)


@pytest.mark.parametrize("state", [1, None, {"a": 1}, ["s"], True, "x" * 1_000_000, "x" * (MAX_STATE_BYTES - 1)])
def test_a_state_that_is_no_text_or_too_long_ends_the_call(state: Any) -> None:
    play = calling()
    result = {"resultType": "input_required", "requestState": state, "inputRequests": {"a": FORM}}
    assert play.server(2, {"id": 2, "result": result}) == [
        failed(2, "bad-request-state", "The server's request state cannot be carried"),
        Note("failed", "tools/call", "bad-request-state"),
    ]
    assert play.empty()


def test_the_longest_state_is_carried() -> None:
    assert calling().requires(2, "x" * (MAX_STATE_BYTES - 2), a=FORM) == [asked(2, 1, FORM)]


def test_a_round_of_state_alone_waits_longer_each_time_and_is_sent_on() -> None:
    play = calling()
    for number, delay_s in enumerate((*STATE_DELAYS_S, STATE_DELAYS_S[-1])):
        leg = 2 + number
        assert play.requires(leg, f"s{leg}") == [SetTimer("state:2", delay_s)]
        assert play.expires("state:2") == [play.leg(leg + 1, "tools/call", {**ARGUMENTS, "requestState": f"s{leg}"})]
    assert play.returns(6, **TEXT) == [done(2, TEXT)]


def test_a_round_of_state_alone_sends_no_answers_of_the_round_before() -> None:
    play = calling()
    play.requires(2, "s1", a=FORM)
    play.answers(1, result=ACCEPTED)
    play.requires(3, "s2")
    assert play.expires("state:2") == [play.leg(4, "tools/call", {**ARGUMENTS, "requestState": "s2"})]


def test_a_server_that_asks_for_ever_is_cut_off() -> None:
    play = calling()
    for number in range(1, MAX_ROUNDS + 1):
        assert play.requires(number + 1, a=ROOTS) == [asked(2, number, ROOTS)]
        play.answers(number, result=LISTED)
    assert play.requires(MAX_ROUNDS + 2, a=ROOTS) == [
        failed(2, "too-many-rounds", "The server asked for input too many times"),
        Note("failed", "tools/call", "too-many-rounds"),
    ]
    assert play.empty()


def test_a_server_that_only_makes_the_client_wait_is_cut_off() -> None:
    play = calling()
    for number in range(1, MAX_STATE_ROUNDS + 1):
        assert isinstance(play.requires(number + 1, "s")[0], SetTimer)
        play.expires("state:2")
    assert play.requires(MAX_STATE_ROUNDS + 2, "s")[0] == failed(
        2, "too-many-rounds", "The server asked for input too many times"
    )


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_a_refusal_of_the_user_is_an_answer(action: str) -> None:
    play = calling()
    play.requires(2, a=FORM)
    [sent] = play.answers(1, result={"action": action})
    assert sent == play.leg(3, "tools/call", {**ARGUMENTS, "inputResponses": {"a": {"action": action}}})


def test_a_client_that_cannot_elicit_has_cancelled() -> None:
    play = calling()
    play.requires(2, a=FORM)
    assert play.answers(1, error={"code": -32603, "message": "no dialog"}) == [
        play.leg(3, "tools/call", {**ARGUMENTS, "inputResponses": {"a": {"action": "cancel"}}})
    ]


@pytest.mark.parametrize("question", [SAMPLE, ROOTS])
def test_a_client_that_refuses_to_sample_or_to_list_roots_ends_the_call(question: Json) -> None:
    play = calling()
    play.requires(2, "s", a=FORM, b=question)
    assert play.answers(2, error={"code": -1, "message": "no"}) == [
        told(2, method="notifications/cancelled", params={"requestId": "ask-1"}),
        gave_up(2, "The client refused to give the input this request needs."),
        Note("refused", "tools/call", "input-refused"),
    ]
    assert play.empty()
    assert play.answers(1, result=ACCEPTED) == LATE


def test_a_refused_prompt_ends_with_an_error() -> None:
    play = calling(method="prompts/get")
    play.requires(2, a=SAMPLE)
    text = "The client refused to give the input this request needs."
    assert play.answers(1, error={"code": -1, "message": "no"})[0] == failed(2, "input-refused", text)


@pytest.mark.parametrize(
    ("declares", "question"),
    [
        ({}, FORM),
        ({"elicitation": {"url": {}}}, FORM),
        ({"elicitation": {}}, {"method": "elicitation/create", "params": {"mode": "url", "url": "x", "message": ""}}),
        ({"elicitation": {}}, SAMPLE),
        ({"elicitation": {}}, ROOTS),
        ({"sampling": {}}, {**SAMPLE, "params": {**SAMPLING, "tools": []}}),
        ({"sampling": {}}, {**SAMPLE, "params": {**SAMPLING, "toolChoice": {}}}),
        ({"sampling": {}}, {**SAMPLE, "params": {**SAMPLING, "includeContext": "allServers"}}),
    ],
)
def test_what_the_client_did_not_declare_is_never_asked_not_even_beside_what_it_did(
    declares: Json, question: Json
) -> None:
    play = calling(declares)
    good = FORM if declares.get("elicitation") == {} else {}
    requests = {"a": good, "b": question} if good else {"b": question}
    assert play.requires(2, "s", **requests) == [
        gave_up(2, "The server needs input that this client cannot give."),
        Note("refused", "tools/call", "undeclared-input"),
    ]
    assert play.empty()


@pytest.mark.parametrize(
    ("declares", "question"),
    [
        ({"elicitation": {}}, {"method": "elicitation/create", "params": {"message": "?", "requestedSchema": {}}}),
        ({"sampling": {}}, {**SAMPLE, "params": {**SAMPLING, "includeContext": "none"}}),
        ({"sampling": {"tools": {}}}, {**SAMPLE, "params": {**SAMPLING, "tools": []}}),
        ({"sampling": {"context": {}}}, {**SAMPLE, "params": {**SAMPLING, "includeContext": "thisServer"}}),
        ({"roots": {}}, ROOTS),
    ],
)
def test_what_the_client_declared_is_asked(declares: Json, question: Json) -> None:
    assert calling(declares).requires(2, a=question) == [asked(2, 1, question)]


@pytest.mark.parametrize(
    "question",
    [
        {"method": "ping"},
        {"method": "tasks/get", "params": {}},
        {"method": ["roots/list"]},
        {"params": {}},
        {"method": "roots/list", "params": []},
        "roots/list",
        None,
    ],
)
def test_a_question_that_does_not_exist_ends_the_call(question: Any) -> None:
    play = calling()
    assert play.requires(2, a=FORM, b=question) == [
        failed(2, "unknown-input-method", "The server asked a question that does not exist"),
        Note("failed", "tools/call", "unknown-input-method"),
    ]
    assert play.empty()


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({}, "empty-input-required"),
        ({"inputRequests": None}, "empty-input-required"),
        ({"inputRequests": []}, "bad-input-requests"),
        ({"inputRequests": "a"}, "bad-input-requests"),
        ({"inputRequests": {str(number): ROOTS for number in range(MAX_ASKS + 1)}}, "too-many-inputs"),
    ],
)
def test_a_wish_that_is_none_ends_the_call(result: Json, reason: str) -> None:
    play = calling()
    effects = play.server(2, {"id": 2, "result": {"resultType": "input_required", **result}})
    assert effects[0].frame.error.data == {"origin": "broker", "reason": reason}
    assert effects[1:] == [Note("failed", "tools/call", reason)]
    assert play.empty()


def test_questions_that_cannot_be_read_are_not_asked_and_none_is_taken_back() -> None:
    play = calling()
    requests = b'{"a":{"method":"roots/list"},"b":{"method":"roots/list","params":{"_meta":{"x":1e999}}}}'
    result = b'{"resultType":"input_required","inputRequests":' + requests + b"}"
    assert play.server(2, b'{"jsonrpc":"2.0","id":2,"result":' + result + b"}") == [
        failed(2, "bad-input-requests", "The server's questions are not valid MCP"),
        Note("failed", "tools/call", "bad-input-requests"),
    ]
    assert play.empty()


def test_an_answer_that_is_no_answer_ends_the_call() -> None:
    play = calling()
    play.requires(2, a=SAMPLE, b=FORM)
    assert play.answers(1, result={"task": {"taskId": "t"}}) == [
        told(2, method="notifications/cancelled", params={"requestId": "ask-2"}),
        gave_up(2, "The client's input cannot be given to the server."),
        Note("refused", "tools/call", "input-unusable"),
    ]
    assert play.empty()


def test_answers_are_taken_once_and_only_by_their_own_call() -> None:
    play = calling()
    play.asks(3, "tools/call", **ARGUMENTS)
    play.requires(2, "s2", a=FORM)
    play.requires(3, "s3", a=FORM)
    assert play.answers(2, result=ACCEPTED) == [
        play.leg(4, "tools/call", {**ARGUMENTS, "inputResponses": {"a": ACCEPTED}, "requestState": "s3"})
    ]
    assert play.answers(2, result={"action": "decline"}) == LATE
    assert play.answers(1, result={"action": "decline"}) == [
        play.leg(5, "tools/call", {**ARGUMENTS, "inputResponses": {"a": {"action": "decline"}}, "requestState": "s2"})
    ]
    assert play.returns(4, content=[]) == [done(3, {"content": []})]
    assert play.returns(5, **TEXT) == [done(2, TEXT)]


@pytest.mark.parametrize("ask_id", ["ask-9", "1", 1, 0, "ask-1 "])
def test_an_answer_to_no_question_is_dropped(ask_id: Any) -> None:
    play = calling()
    play.requires(2, a=FORM)
    assert play.client(0, {"id": ask_id, "result": ACCEPTED}) == LATE
    assert play.answers(1, result=ACCEPTED) != LATE


def test_a_call_cancelled_while_it_asks_takes_its_questions_back() -> None:
    play = calling()
    play.requires(2, "s", a=FORM, b=ROOTS)
    play.answers(2, result=LISTED)
    assert play.notes("notifications/cancelled", requestId=2) == [
        told(2, method="notifications/cancelled", params={"requestId": "ask-1"})
    ]
    assert play.empty()
    assert play.answers(1, result=ACCEPTED) == LATE


def test_a_call_cancelled_while_it_waits_is_not_sent_again() -> None:
    play = calling()
    play.requires(2, "s")
    assert play.notes("notifications/cancelled", requestId=2) == []
    assert play.expires("state:2") == []


def test_a_call_cancelled_on_a_later_leg_closes_that_leg() -> None:
    play = calling()
    play.requires(2, a=ROOTS)
    play.answers(1, result=LISTED)
    assert play.notes("notifications/cancelled", requestId=2) == [Abort(3)]


def test_a_client_that_gave_a_token_hears_that_its_call_waits() -> None:
    play = calling(_meta={"progressToken": 2})

    def waits(progress: float) -> Any:
        params = {"progressToken": 2, "progress": progress, "message": "waiting for input"}
        return told(2, method="notifications/progress", params=params)

    play.says(2, "notifications/progress", progressToken=2, progress=1)
    assert play.requires(2, a=FORM)[1:] == [SetTimer("patience:2", PATIENCE_S)]
    assert play.expires("patience:2") == [waits(1.001), SetTimer("patience:2", PATIENCE_S)]
    assert play.expires("patience:2") == [waits(1.0019999999999998), SetTimer("patience:2", PATIENCE_S)]
    play.answers(1, result=ACCEPTED)
    assert play.says(3, "notifications/progress", progressToken=2, progress=0.5) == [
        Note("dropped", "notifications/progress", "progress-not-increasing")
    ]
    assert play.requires(3, a=FORM)[1:] == [], "one timer at a time"
    play.answers(2, result=ACCEPTED)
    assert play.expires("patience:2") == [], "the server works"
    assert play.requires(4, a=FORM)[1:] == [SetTimer("patience:2", PATIENCE_S)]


def test_progress_of_the_broker_rises_even_where_numbers_are_too_large_to_count() -> None:
    play = calling(_meta={"progressToken": 2})
    play.says(2, "notifications/progress", progressToken=2, progress=1e17)
    play.requires(2, a=FORM)
    [told_so, _timer] = play.expires("patience:2")
    assert told_so.frame.params["progress"] > 1e17


def test_the_results_of_questions_lose_their_metadata() -> None:
    play = calling()
    play.requires(2, a=FORM, b=ROOTS)
    meta = {"_meta": {"com.example/x": 1}}
    play.answers(1, result={**ACCEPTED, **meta})
    sent = play.answers(2, result={**LISTED, **meta})[-1]
    assert sent == play.leg(3, "tools/call", {**ARGUMENTS, "inputResponses": {"a": ACCEPTED, "b": LISTED}})
