"""`initialize` across two session revisions: versions per leg, capabilities mirrored, refusals and counter-offers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translators.playbook import (
    CLIENT_INFO,
    DATED,
    SERVER_INFO,
    Play,
    frame,
    from_broker,
    members,
    opened,
    to_client,
    to_server,
)
from translators import handshake
from translators.context import Context
from translators.handshake import Peers
from translators.machine import End, Failed, Note, Repipe

EVERYTHING = {"roots": {"listChanged": True}, "sampling": {}, "experimental": {"x": {"y": 1}}}


def hello(version: str, capabilities: dict[str, Any]) -> dict[str, Any]:
    return {"protocolVersion": version, "capabilities": capabilities, "clientInfo": CLIENT_INFO}


@pytest.mark.parametrize("server", DATED)
@pytest.mark.parametrize("client", DATED)
def test_each_peer_is_spoken_to_in_its_own_revision(client: str, server: str) -> None:
    play = Play(client, server)
    asked = play.greet(EVERYTHING)
    params = hello(server, EVERYTHING)
    assert asked == [to_server(1, 1, initialize=True, id=1, method="initialize", params=params)]
    offered = {"logging": {}, "tools": {"listChanged": True}}
    answer = {"protocolVersion": client, "capabilities": offered, "serverInfo": SERVER_INFO}
    assert play.welcome(server, offered) == [
        Repipe(server),
        to_client(1, final=True, id=0, result=answer),
        End(1, "ok"),
    ]
    assert play.talk.phase == "open"
    assert play.talk.book.calls == {}


def test_a_server_that_answers_in_an_older_revision_is_taken_at_its_word() -> None:
    play = Play("2025-11-25")
    play.greet()
    first, reply, _ = play.welcome("2024-11-05")
    assert first == Repipe("2024-11-05")
    assert members(reply).result["protocolVersion"] == "2025-11-25"  # type: ignore[index]


def test_capabilities_only_the_clients_revision_knows_do_not_reach_an_older_server() -> None:
    declared: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}, "roots": {}, "tasks": {"list": {}}}
    play = Play("2025-11-25", "2025-03-26")
    (sent,) = (effect for effect in play.greet(declared) if hasattr(effect, "initialize"))
    assert sent.frame.params["capabilities"] == {"roots": {}}
    assert play.talk.peers.declared == {"roots": {}}


def test_url_only_elicitation_is_no_elicitation_to_a_server_that_knows_forms_only() -> None:
    play = Play("2025-11-25", "2025-06-18")
    sent = play.greet({"elicitation": {"url": {}}})[0]
    assert sent.frame.params["capabilities"] == {}


def test_capabilities_of_inputs_are_withheld_for_a_caller_who_may_not_be_asked() -> None:
    play = Play("2025-06-18", inputs=False)
    sent = play.greet({**EVERYTHING, "elicitation": {}})[0]
    assert sent.frame.params["capabilities"] == {"experimental": {"x": {"y": 1}}}


def test_a_server_without_logging_gets_it_declared_on_its_behalf() -> None:
    play = Play("2025-06-18")
    play.greet()
    reply = play.welcome(capabilities={"tools": {}})[1]
    assert members(reply).result["capabilities"] == {"tools": {}, "logging": {}}  # type: ignore[index]
    assert play.talk.peers.logging_emulated


def test_missing_or_broken_infos_and_capabilities_are_filled_in() -> None:
    play = Play("2025-06-18")
    sent = play.greet(capabilities=None, clientInfo="nobody")[0]
    assert sent.frame.params["clientInfo"] == {"name": "unknown-mcp-client", "version": "0"}
    effects = play.server({"id": 1, "result": {"protocolVersion": "2025-06-18", "capabilities": [1]}}, 1)
    answer = {
        "protocolVersion": "2025-06-18",
        "capabilities": {"logging": {}},
        "serverInfo": {"name": "unknown-mcp-server", "version": "0"},
    }
    assert effects[1] == to_client(1, final=True, id=0, result=answer)


def refusal(*supported: Any, code: int = -32602) -> dict[str, Any]:
    return {"code": code, "message": "no", "data": {"supported": list(supported)}}


def test_a_server_that_names_its_revisions_is_offered_the_newest_of_them() -> None:
    play = Play("2025-11-25")
    play.greet({"elicitation": {"form": {}, "url": {}}, "roots": {}})
    effects = play.server({"id": 1, "error": refusal("2024-11-05", "2025-03-26", "1999-01-01")}, 1)
    params = hello("2025-03-26", {"roots": {}})
    assert effects == [End(1, "retried"), to_server(2, 1, initialize=True, id=2, method="initialize", params=params)]
    assert play.welcome("2025-03-26", call=2)[0] == Repipe("2025-03-26")


def test_a_revision_that_was_refused_is_not_offered_twice() -> None:
    play = Play("2025-06-18")
    play.greet()
    play.server({"id": 1, "error": refusal("2025-03-26")}, 1)
    error = refusal("2025-03-26", "2025-06-18")
    effects = play.server({"id": 2, "error": error}, 2)
    assert effects == [to_client(1, final=True, id=0, error=error), End(2, "error")]
    assert play.talk.phase == "new"


@pytest.mark.parametrize(
    "error",
    [
        refusal("2025-03-26", code=-32600),
        {"code": -32602, "message": "no"},
        {"code": -32602, "message": "no", "data": {"supported": "2025-03-26"}},
        {"code": -32602, "message": "no", "data": [1]},
        refusal("2026-07-28", {"a": 1}),
    ],
)
def test_any_other_refusal_reaches_the_client_and_the_session_stays_new(error: dict[str, Any]) -> None:
    play = Play("2025-06-18")
    play.greet()
    assert play.server({"id": 1, "error": error}, 1) == [
        to_client(1, final=True, id=0, error=error),
        End(1, "error"),
    ]
    assert play.talk.phase == "new"


def test_a_pinned_revision_is_never_replaced_by_a_counter_offer() -> None:
    play = Play("2025-06-18", "2025-03-26", pinned=True)
    play.greet()
    effects = play.server({"id": 1, "error": refusal("2024-11-05")}, 1)
    assert effects == [to_client(1, final=True, id=0, error=refusal("2024-11-05")), End(1, "error")]


def test_a_server_that_answers_another_revision_than_the_pinned_one_is_reported() -> None:
    play = Play("2025-06-18", "2025-03-26", pinned=True)
    play.greet()
    effects = play.welcome("2024-11-05")
    assert effects[0] == Repipe("2024-11-05")
    assert effects[2:] == [Note("backend-revision-differs", "initialize", "2024-11-05"), End(1, "ok")]


@pytest.mark.parametrize("chosen", ["2026-07-28", "1.0", 3, None, ["2025-06-18"], {"a": []}])
def test_a_revision_nobody_speaks_ends_the_handshake_with_an_error(chosen: Any) -> None:
    play = Play("2025-06-18")
    play.greet()
    effects = play.server({"id": 1, "result": {"protocolVersion": chosen, "capabilities": {}}}, 1)
    text = "The server answered with a protocol revision this broker does not speak"
    error = from_broker("backend-revision", -32603, text)
    assert effects == [to_client(1, final=True, origin="broker", id=0, error=error), End(1, "error")]
    assert (play.talk.phase, play.talk.pipe) == ("new", None)


@pytest.mark.parametrize("member", ["protocolVersion", "capabilities", "serverInfo"])
def test_a_handshake_answer_that_cannot_be_read_fails_that_handshake_only(member: str) -> None:
    play = Play("2025-06-18", "2024-11-05")
    play.greet()
    answer = b'{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2024-11-05","capabilities":{},"serverInfo":{}}}'
    broken = answer.replace(b'"%b":' % member.encode(), b'"%b":1e999,"x":' % member.encode())
    effects = play.server(broken, 1)
    error = from_broker("backend-garbage", -32603, "The server's answer is not valid MCP")
    assert effects == [to_client(1, final=True, origin="broker", id=0, error=error), End(1, "error")]
    assert play.talk.phase == "new"
    assert play.talk.book.calls == {}


def test_a_handshake_that_fails_can_be_tried_again() -> None:
    play = Play("2025-06-18")
    play.greet()
    error = from_broker("backend-connect", -32603, "The server could not be reached")
    assert play.event(Failed(1, "backend-connect", "no")) == [
        to_client(1, final=True, origin="broker", id=0, error=error),
        Note("failed", "initialize", "backend-connect"),
        End(1, "failed"),
    ]
    assert play.greet()[0].frame.id == 2
    assert play.welcome(call=2)[-1] == End(2, "ok")


@pytest.mark.parametrize("phase", ["greeting", "open"])
def test_a_second_initialize_is_refused_and_changes_nothing(phase: str) -> None:
    play = opened() if phase == "open" else Play()
    if phase == "greeting":
        play.greet()
    effects = play.client(9, {"id": "again", "method": "initialize", "params": {}})
    error = from_broker("already-initialized", -32600, "Invalid Request: the session is already initialized")
    assert effects[0] == to_client(9, final=True, origin="broker", id="again", error=error)
    assert play.talk.phase == phase


def test_nothing_but_initialize_is_taken_before_the_handshake() -> None:
    play = Play()
    error = from_broker("not-initialized", -32600, "Invalid Request: the session is not initialized")
    assert play.call()[0] == to_client(2, final=True, origin="broker", id=1, error=error)
    assert play.server({"id": 1, "method": "ping"}) == [Note("dropped", "ping", "before-initialize")]


def test_initialize_cannot_be_cancelled() -> None:
    play = Play()
    play.greet()
    play.client(2, {"method": "notifications/cancelled", "params": {"requestId": 0}})
    assert play.welcome()[-1] == End(1, "ok")


def test_the_frame_that_opens_a_lost_session_repeats_the_first_one() -> None:
    play = Play("2025-11-25", "2025-03-26")
    sent = play.greet({"roots": {}})[0]
    play.welcome("2025-03-26")
    effects = play.linked(play.link.lost(0))
    again = effects[-1]
    assert again.frame == frame(id=2, method="initialize", params=sent.frame.params)


@pytest.mark.parametrize(
    ("client", "kept"), [("2024-11-05", {"sampling"}), ("2025-06-18", {"sampling", "elicitation"})]
)
def test_a_question_the_clients_own_revision_does_not_define_is_not_offered(client: str, kept: set[str]) -> None:
    peers = Peers(client=client, offer="2025-11-25")
    declared: dict[str, Any] = {"sampling": {}, "elicitation": {}}
    params = {"protocolVersion": client, "capabilities": declared, "clientInfo": {"name": "c", "version": "1"}}
    sent = handshake.hello(peers, dict(params), Context(method="initialize"))
    assert sent["capabilities"].keys() & {"sampling", "elicitation", "roots"} == kept
