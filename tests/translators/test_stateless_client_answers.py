"""What a session server answers, as a stateless client reads it; what a cancelled or lost call leaves behind."""

from __future__ import annotations

import pytest

from tests.translators.playbook import Json
from tests.translators.stateless_playbook import (
    COMPLETE,
    DONE,
    ELICIT,
    FORM,
    INPUTS,
    META,
    SERVER,
    calling,
    done,
    errored,
    failed,
    met,
    replied,
    sent,
)
from translators.loss import Loss
from translators.machine import Note, ToServer
from translators.reply import notify
from translators.stateless_client.answers import UNKNOWN_OUTCOME, UNKNOWN_TEXT

HINTS: Json = {"ttlMs": 0, "cacheScope": "private"}
LOST: Json = {
    "content": [{"type": "text", "text": UNKNOWN_TEXT}],
    "isError": True,
    "resultType": "complete",
    "_meta": META,
}


def cancelled(call: int) -> ToServer:
    return ToServer(0, notify("notifications/cancelled", {"requestId": call}))


# ---- results --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "result", "hints"),
    [
        ("tools/call", {"content": []}, {}),
        ("prompts/get", {"messages": []}, {}),
        ("completion/complete", {"completion": {"values": []}}, {}),
        ("resources/read", {"contents": []}, HINTS),
        ("tools/list", {"tools": []}, HINTS),
        ("prompts/list", {"prompts": []}, HINTS),
        ("resources/list", {"resources": []}, HINTS),
        ("resources/templates/list", {"resourceTemplates": []}, HINTS),
    ],
)
def test_every_result_says_its_type_and_its_server_and_lists_for_how_long(
    method: str, result: Json, hints: Json
) -> None:
    play = calling(method)
    assert play.returns(3, **result) == [done(10, {**result, **hints, "resultType": "complete", "_meta": META})]


def test_what_an_older_server_writes_under_newer_names_is_not_believed() -> None:
    play = calling("tools/list")
    [effect, lossy] = play.returns(
        3,
        tools=[],
        resultType="input_required",
        ttlMs=60_000,
        cacheScope="public",
        _meta={SERVER: {"name": "evil", "version": "0"}, "x/y": 1},
    )
    assert effect == done(10, {"tools": [], **HINTS, "resultType": "complete", "_meta": {**META, "x/y": 1}})
    assert lossy.losses[0].loss is Loss.COSMETIC


@pytest.mark.parametrize("meta", [b"null", b"[]", b'"x"', b"7"])
def test_metadata_that_is_none_is_replaced(meta: bytes) -> None:
    play = calling()
    [effect, *_notes] = play.server(3, b'{"jsonrpc":"2.0","id":3,"result":{"content":[],"_meta":%b}}' % meta)
    assert effect.frame.result["_meta"] == META


def test_a_result_that_cannot_be_read_ends_the_request_all_the_same() -> None:
    play = calling("tools/list")
    assert play.server(3, b'{"jsonrpc":"2.0","id":3,"result":{"tools":[],"nextCursor":1e999}}') == [
        failed(10, "backend-garbage", "The server's answer is not valid MCP")
    ]
    assert play.empty()


def test_the_handle_of_a_task_is_no_result() -> None:
    play = calling()
    task = {"taskId": "s", "status": "working", "createdAt": "2025-11-25T10:00:00Z", "ttl": 1}
    [effect] = play.returns(3, task=task)
    assert (effect.frame.error.code, effect.frame.error.data["reason"]) == (-32603, "task-not-awaited")
    assert play.empty()


def test_a_tool_error_is_a_result() -> None:
    play = calling()
    assert play.returns(3, **DONE, isError=True) == [done(10, {**COMPLETE, "isError": True})]


# ---- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [-32602, -32603, -32601, -32000, -32001, -1, 7])
def test_errors_are_given_on_as_they_are(code: int) -> None:
    assert calling().errs(3, code, "why", data={"x": [1]}) == [errored(10, code, "why", {"x": [1]})]
    assert calling().errs(3, code, "why") == [errored(10, code, "why")]


@pytest.mark.parametrize("code", [-32099, -32050, -32021, -32020, 0])
def test_codes_that_the_newer_revision_gave_another_meaning_are_not(code: int) -> None:
    assert calling().errs(3, code) == [errored(10, -32603, "no", {"legacyCode": code})]
    assert calling().errs(3, code, data="x") == [errored(10, -32603, "no", {"legacyCode": code, "data": "x"})]


def test_a_missing_resource_is_named() -> None:
    play = calling("resources/read")
    assert play.errs(3, -32002, "Resource not found") == [
        errored(10, -32602, "Resource not found", {"uri": "test://a"})
    ]
    play = met(INPUTS)
    play.asks(10, "resources/read", {"uri": 7})
    assert play.errs(3, -32002, "Resource not found") == [errored(10, -32602, "Resource not found")]
    assert calling("prompts/get").errs(3, -32002, "x") == [errored(10, -32002, "x")]


def test_an_error_that_cannot_be_read_ends_the_request_all_the_same() -> None:
    play = calling()
    assert play.server(3, b'{"jsonrpc":"2.0","id":3,"error":{"code":-1,"message":"","data":1e999}}') == [
        failed(10, "backend-garbage", "The server's answer is not valid MCP")
    ]


def test_the_brokers_own_errors_are_given_on() -> None:
    for data in (None, {"origin": "broker", "reason": "denied"}, {"origin": "broker", "reason": "overloaded"}, "x"):
        assert calling().errs(3, -32050, "policy", data=data, origin="broker") == [errored(10, -32050, "policy", data)]


# ---- lost connections -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", sorted(UNKNOWN_OUTCOME))
def test_a_tool_whose_connection_was_lost_may_have_run(reason: str) -> None:
    play = calling()
    assert play.breaks(3, reason) == [done(10, LOST)]
    assert play.empty()


@pytest.mark.parametrize("method", ["prompts/get", "resources/read", "tools/list", "completion/complete"])
def test_any_other_request_says_so_as_an_error(method: str) -> None:
    assert calling(method).breaks(3, "backend-closed") == [failed(10, "backend-closed", UNKNOWN_TEXT)]


@pytest.mark.parametrize("reason", ["backend-connect", "backend-session-lost", "backend-unauthorized", "overloaded"])
def test_a_call_that_never_ran_is_an_error_that_says_so(reason: str) -> None:
    data = {"origin": "broker", "reason": reason}
    assert calling().breaks(3, reason) == [errored(10, -32603, "it broke", data)]


def test_what_a_server_says_of_itself_is_no_lost_connection() -> None:
    data = {"origin": "broker", "reason": "backend-closed"}
    assert calling().errs(3, -32603, "x", data=data) == [errored(10, -32603, "x", data)]


def test_questions_of_a_lost_call_are_answered_by_nobody() -> None:
    play = calling()
    play.wonders(3, 1, ELICIT, FORM)
    assert play.breaks(3, "backend-closed") == [done(10, LOST), replied(1, {"action": "cancel"})]
    assert play.empty()


# ---- cancelled ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["tools/call", "tools/list", "completion/complete"])
def test_a_request_whose_client_has_gone_is_cancelled(method: str) -> None:
    play = calling(method)
    assert play.leaves(10) == [cancelled(3)]
    assert play.empty()
    assert play.returns(3, **DONE) == []


def test_questions_that_wait_to_be_shown_are_cancelled_first() -> None:
    play = calling()
    play.wonders(3, 1, ELICIT, FORM)
    assert play.leaves(10) == [replied(1, {"action": "cancel"}), cancelled(3)]
    assert play.later(0.04, "gather:3") == []
    assert play.empty()


def test_closing_the_connection_of_a_request_that_was_answered_cancels_nothing() -> None:
    play = met(INPUTS)
    play.suspended()
    assert play.leaves(10) == []
    assert play.talk.calls
    play.asks(11)
    play.returns(4)
    assert play.leaves(11) == []
    assert play.leaves(99) == []


def test_a_call_goes_on_while_anybody_waits_for_it() -> None:
    play = met(INPUTS)
    play.suspended()
    play.retries(11, 1, {"input-1": {"action": "cancel"}})
    play.retries(12, 1, {"input-1": {"action": "cancel"}})
    assert play.leaves(12) == []
    assert play.returns(3, **DONE) == [done(11, COMPLETE)]


def test_requests_of_one_session_end_in_any_order() -> None:
    play = calling()
    assert play.asks(11) == [sent(4, "tools/call", name="t")]
    assert play.leaves(11) == [cancelled(4)]
    assert play.returns(3, **DONE) == [done(10, COMPLETE)]
    assert play.empty()


def test_a_refusal_on_the_way_is_noted() -> None:
    play = met()
    assert play.asks(10, "x/y", {})[1] == Note("refused", "", "method-unknown")
