"""Requests that a header must name: without a name there is nothing a stateless server could be asked."""

from __future__ import annotations

import msgspec
import pytest

from protocol_versions.jsonrpc import Frame
from translators.context import Context
from translators.machine import FromClient, ToClient
from translators.session_client import Facts, SessionClient
from translators.session_client.rounds import Bridge, Fault, read


@pytest.mark.parametrize(
    ("method", "member"), [("tools/call", "name"), ("prompts/get", "name"), ("resources/read", "uri")]
)
@pytest.mark.parametrize("value", [5, None, ["x"]])
def test_a_request_whose_name_is_no_text_is_the_clients_own_mistake(method: str, member: str, value: object) -> None:
    machine = SessionClient(Facts(), lambda: "id")
    params: dict[str, object] = {member: value}
    effects = machine.handle(FromClient(7, Frame(id=7, method=method, params=params)), 0.0)  # type: ignore[arg-type]
    assert len(effects) == 1
    told = effects[0]
    assert isinstance(told, ToClient)
    assert told.final
    assert told.frame.error.code == -32602  # type: ignore[union-attr]
    assert not machine.bridges


def test_questions_under_the_same_key_are_a_breach() -> None:
    asked = msgspec.Raw(b'{"a":{"method":"roots/list"},"a":{"method":"roots/list"}}')
    bridge = Bridge(call=1, method="tools/call", params={}, ctx=Context())
    with pytest.raises(Fault) as breach:
        read(bridge, {"inputRequests": asked}, {"roots": {}})
    assert breach.value.reason == "bad-input-requests"
    assert not bridge.round
