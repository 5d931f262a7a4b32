"""What the backend says of its own accord: questions, their answers and cancellations, logs and changes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translators.playbook import DATED, Play, from_broker, opened, to_client, to_server
from translators.asks import LEVELS, MAX_OPEN_ASKS
from translators.machine import STANDING, Accept, Effect, End, Note, Reject, Unanswerable

INPUTS: dict[str, Any] = {"roots": {}, "sampling": {}, "elicitation": {"form": {}, "url": {}}}
NOT_DECLARED = from_broker("not-declared", -32601, "The client did not declare this capability")
NO_STREAM = from_broker("no-stream", -32603, "The client has no stream to receive this request")
FORM = {"message": "?", "requestedSchema": {"type": "object", "properties": {}}}


def ask(backend_id: int | str = 7, method: str = "roots/list", **params: Any) -> dict[str, Any]:
    return {"id": backend_id, "method": method, **({"params": params} if params else {})}


def test_a_question_on_a_calls_stream_reaches_the_calls_exchange_under_an_id_of_ours() -> None:
    play = opened(declares=INPUTS)
    play.call(2, 1)
    assert play.server(ask("q7"), 2) == [to_client(2, id=1, method="roots/list")]
    answer = {"roots": [{"uri": "file:///a"}]}
    assert play.client(3, {"id": 1, "result": answer}) == [to_server(0, 3, id="q7", result=answer)]
    assert play.talk.book.asks == {}


def test_a_question_on_the_standing_stream_belongs_to_no_exchange() -> None:
    play = opened(declares=INPUTS)
    play.call(2, 1)
    assert play.server(ask(7)) == [to_client(STANDING, id=1, method="roots/list")]


def test_a_servers_ids_0_and_text_0_are_two_questions() -> None:
    play = opened(declares=INPUTS)
    play.server(ask(0))
    play.server(ask("0"))
    error = {"code": -1, "message": "no"}
    assert play.client(3, {"id": 2, "error": error}) == [to_server(0, 3, id="0", error=error)]
    answer: dict[str, Any] = {"roots": []}
    assert play.client(3, {"id": 1, "result": answer}) == [to_server(0, 3, id=0, result=answer)]


@pytest.mark.parametrize("method", ["roots/list", "sampling/createMessage", "elicitation/create"])
@pytest.mark.parametrize("client", DATED)
def test_what_the_client_did_not_declare_is_never_asked_of_it(client: str, method: str) -> None:
    play = opened(client, "2025-11-25")
    params = FORM if method == "elicitation/create" else {}
    assert play.server(ask("q", method, **params)) == [
        to_server(0, id="q", error=NOT_DECLARED),
        Note("refused", method, "not-declared"),
    ]
    assert play.talk.book.asks == {}


@pytest.mark.parametrize("client", ["2024-11-05", "2025-03-26"])
def test_a_client_whose_revision_has_no_elicitation_is_never_asked_whatever_it_declared(client: str) -> None:
    play = opened(client, "2025-11-25", declares=INPUTS)
    effects = play.server(ask("q", "elicitation/create", **FORM))
    assert effects[0].frame.id == "q"
    assert effects[0].frame.error.code in (-32601, -32602)
    assert not any(hasattr(effect, "final") for effect in effects)
    assert play.talk.book.asks == {}


@pytest.mark.parametrize("client", DATED)
def test_ping_needs_no_capability_and_crosses_both_ways(client: str) -> None:
    play = opened(client, "2024-11-05")
    assert play.server(ask(9, "ping")) == [to_client(STANDING, id=1, method="ping")]
    assert play.client(2, {"id": 1, "result": {}}) == [to_server(0, 2, id=9, result={})]
    assert play.client(3, {"id": 1, "method": "ping"}) == [to_server(2, 3, id=2, method="ping")]
    assert play.server({"id": 2, "result": {}}, 2) == [to_client(3, final=True, id=1, result={}), End(2, "ok")]


def test_a_late_answer_is_taken_and_an_unasked_one_is_refused() -> None:
    play = opened(declares=INPUTS)
    play.server(ask())
    play.client(3, {"id": 1, "result": {"roots": []}})
    assert play.client(4, {"id": 1, "result": {"roots": []}}) == [Accept(4), Note("dropped", reason="answer-late")]
    for stray in (0, 2, -1, "1", 10**15):
        text = "Invalid Request: no request of this id is open"
        assert play.client(5, {"id": stray, "result": {}}) == [
            Reject(5, -32600, text, "answer-unasked"),
            Note("refused", reason="answer-unasked"),
        ]


def test_an_answer_the_servers_revision_cannot_express_becomes_an_error_to_the_server() -> None:
    play = opened("2025-11-25", "2025-06-18", declares=INPUTS)
    play.server(ask("q", "sampling/createMessage", messages=[], maxTokens=1))
    bad = b'{"jsonrpc":"2.0","id":1,"result":{"role":"assistant","model":"m","content":7}}'
    effects = play.client(3, bad)
    assert [effect.frame.id for effect in effects if hasattr(effect, "initialize")] == ["q"]
    assert play.talk.book.asks == {}


def test_a_question_nobody_can_be_asked_is_answered_with_an_error() -> None:
    play = opened(declares=INPUTS)
    play.server(ask("q"))
    assert play.event(Unanswerable(1)) == [
        to_server(0, id="q", error=NO_STREAM),
        Note("refused", "roots/list", "no-stream"),
    ]
    assert play.event(Unanswerable(1)) == []
    assert play.client(4, {"id": 1, "result": {"roots": []}})[0] == Accept(4)


def test_too_many_open_questions_are_refused_until_one_is_answered() -> None:
    play = opened(declares=INPUTS)
    for number in range(MAX_OPEN_ASKS):
        assert play.server(ask(number))[0].frame.id == number + 1
    overloaded = from_broker("overloaded", -32603, "Too many open requests")
    assert play.server(ask("late"))[0] == to_server(0, id="late", error=overloaded)
    play.client(3, {"id": 5, "result": {"roots": []}})
    assert play.server(ask("later"))[0].frame.method == "roots/list"


def test_progress_on_a_question_crosses_under_the_servers_token() -> None:
    play = opened(declares=INPUTS)
    asked = play.server(ask("q", _meta={"progressToken": "srv"}))[0]
    assert asked.frame.params == {"_meta": {"progressToken": 1}}
    params = {"progressToken": 1, "progress": 0.5}
    assert play.client(3, {"method": "notifications/progress", "params": params}) == [
        to_server(0, 3, method="notifications/progress", params={"progressToken": "srv", "progress": 0.5})
    ]


@pytest.mark.parametrize("token", [True, 1.0, "1", 2, None, [1], {"a": 1}])
def test_progress_on_no_question_is_taken_and_dropped(token: Any) -> None:
    play = opened(declares=INPUTS)
    play.server(ask("q", _meta={"progressToken": "srv"}))
    note = {"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}}
    assert play.client(3, note) == [Accept(3), Note("dropped", "notifications/progress", "token-unknown")]


def test_a_server_cancels_its_question_under_the_id_the_client_was_shown() -> None:
    play = opened(declares=INPUTS)
    play.call(2, 1)
    play.server(ask("q"), 2)
    cancelled = {"method": "notifications/cancelled", "params": {"requestId": "q", "reason": "late"}}
    assert play.server(cancelled) == [
        to_client(2, method="notifications/cancelled", params={"requestId": 1, "reason": "late"})
    ]
    assert play.server(cancelled) == [Note("dropped", "notifications/cancelled", "request-unknown")]
    assert play.client(3, {"id": 1, "result": {"roots": []}})[0] == Accept(3)


@pytest.mark.parametrize("request_id", [1, "x", True, None, [1], {"a": 1}])
def test_a_server_cannot_cancel_what_it_did_not_ask(request_id: Any) -> None:
    play = opened(declares=INPUTS)
    play.call(2, 1)
    play.server(ask("q"), 2)
    note = {"method": "notifications/cancelled", "params": {"requestId": request_id}}
    assert play.server(note, 2) == [Note("dropped", "notifications/cancelled", "request-unknown")]


# ---- logging ------------------------------------------------------------------------------------------------------


def log(level: Any) -> dict[str, Any]:
    return {"method": "notifications/message", "params": {"level": level, "data": "x"}}


def test_the_level_of_a_server_without_logging_is_kept_and_applied_by_the_broker() -> None:
    play = opened(offers={})
    assert play.call(2, 1, "logging/setLevel", level="warning") == [
        to_client(2, final=True, origin="broker", id=1, result={})
    ]
    assert play.talk.book.calls == {}
    shown = [level for level in LEVELS if play.server(log(level))]
    assert shown == ["warning", "error", "critical", "alert", "emergency"]


def test_before_any_level_is_set_everything_is_shown() -> None:
    play = opened(offers={})
    params = {"level": "debug", "data": "x"}
    assert play.server(log("debug")) == [to_client(STANDING, method="notifications/message", params=params)]


def test_a_request_that_names_no_level_is_the_servers_to_refuse() -> None:
    play = opened(offers={})
    sent = play.call(2, 1, "logging/setLevel")
    assert sent == [to_server(2, 2, id=2, method="logging/setLevel", params={})]
    assert play.talk.level is None


def test_a_server_with_logging_is_told_the_level_and_filters_by_itself() -> None:
    play = opened()
    sent = play.call(2, 1, "logging/setLevel", level="error")
    assert sent == [to_server(2, 2, id=2, method="logging/setLevel", params={"level": "error"})]
    assert play.talk.level is None
    play.server({"id": 2, "result": {}}, 2)
    assert play.talk.level == "error"
    assert play.server(log("debug"))


def test_logs_on_a_calls_stream_stay_on_its_exchange() -> None:
    play = opened()
    play.call(2, 1)
    assert play.server(log("info"), 2)[0].exchange == 2
    play.server({"id": 2, "result": {"content": []}}, 2)
    assert play.server(log("info"), 2)[0].exchange == STANDING


# ---- changes ------------------------------------------------------------------------------------------------------

CHANGES = [
    ("notifications/tools/list_changed", {"tools": {"listChanged": True}}),
    ("notifications/prompts/list_changed", {"prompts": {"listChanged": True}}),
    ("notifications/resources/list_changed", {"resources": {"listChanged": True}}),
    ("notifications/resources/updated", {"resources": {"subscribe": True}}),
]


def told(client: str, method: str, offers: dict[str, Any]) -> list[Effect]:
    play: Play = opened(client, "2025-11-25", offers={"logging": {}, **offers})
    return play.server({"method": method, "params": {"uri": "test://a"}})


@pytest.mark.parametrize(("method", "offers"), CHANGES)
@pytest.mark.parametrize("client", ["2025-06-18", "2025-11-25"])
def test_a_reader_bound_to_capabilities_hears_of_changes_only_if_they_were_offered(
    client: str, method: str, offers: dict[str, Any]
) -> None:
    params = {"uri": "test://a"}
    assert told(client, method, offers) == [to_client(STANDING, method=method, params=params)]
    (capability,) = offers
    lesser: list[dict[str, Any]] = [{}, {capability: {}}, {capability: {"listChanged": "yes", "subscribe": 1}}]
    for less in lesser:
        assert told(client, method, less) == [Note("dropped", method, "not-declared")]


@pytest.mark.parametrize(("method", "offers"), CHANGES)
@pytest.mark.parametrize("client", ["2024-11-05", "2025-03-26"])
def test_older_readers_hear_of_changes_in_any_case(client: str, method: str, offers: dict[str, Any]) -> None:
    params = {"uri": "test://a"}
    assert (
        told(client, method, {}) == told(client, method, offers) == [to_client(STANDING, method=method, params=params)]
    )


def test_a_completed_elicitation_is_told_only_to_readers_who_know_it() -> None:
    method = "notifications/elicitation/complete"
    for client in DATED:
        play = opened(client, "2025-11-25", declares=INPUTS)
        effects = play.server({"method": method, "params": {"elicitationId": "e"}})
        assert any(hasattr(effect, "final") for effect in effects) == (client == "2025-11-25")
