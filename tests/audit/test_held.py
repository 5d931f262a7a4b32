"""Messages that wait for the end of a turn: sent as they came, whatever happens to their session meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from broker.identity import Principal
from protocol_versions import jsonrpc
from tests.audit.test_calls import Audited
from tests.broker.crossing_world import crossing, greeted
from tests.broker.scripted_backend import World, world

NARROW = Principal("local", "local", scopes=frozenset(("read",)))
WIDE = Principal("local", "local", scopes=frozenset(("read", "write")))


class Spy:
    """What sends to a server, and who that is for."""

    def __init__(self, sends: Any, relay: Any) -> None:
        self._sends = sends
        self._relay = relay
        self.told: list[Principal] = []
        self.sent: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sends, name)

    def send(self, effect: Any) -> None:
        self.told.append(self._relay.speaker.who)
        self.sent.append((effect.frame.method, effect.call or effect.frame.params["requestId"]))
        self._sends.send(effect)

    def post(self, *parts: Any) -> None:
        self.told.append(self._relay.speaker.who)
        self._sends.post(*parts)


async def opened(here: World, *, crosses: bool) -> tuple[Any, Spy]:
    """The relay of an open session, and what stands before its server."""
    await (greeted(here) if crosses else here.client.open())
    relay: Any = next(iter(here.context.sessions)).relay
    if crosses:
        spy = relay.backend.http = Spy(relay.backend.http, relay)
    else:
        spy = relay.backend = Spy(relay.backend, relay)
    return relay, spy


def asks(relay: Any, number: int, who: Principal) -> None:
    body = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"x"}}' % number
    relay.speaker.who = who
    relay.client_frame(relay.outbox.open(1).id, jsonrpc.decode_backend(body))


@pytest.mark.parametrize("crosses", [False, True])
async def test_a_call_goes_to_its_server_for_the_credential_it_came_with(crosses: bool) -> None:
    audited = Audited()
    async with (crossing if crosses else world)(**audited.settings) as here:
        relay, spy = await opened(here, crosses=crosses)
        await here.client.call("first")
        spy.told.clear()
        asks(relay, 1, NARROW)
        asks(relay, 2, WIDE)
        await asyncio.sleep(0)
        assert spy.told == [NARROW, WIDE]
        assert relay.speaker.who is WIDE


async def test_a_session_that_ends_takes_back_what_was_sent_also_if_it_has_just_asked_something() -> None:
    audited = Audited()
    async with world(**audited.settings) as here:
        relay, spy = await opened(here, crosses=False)
        asks(relay, 1, NARROW)
        await asyncio.sleep(0)
        asks(relay, 2, NARROW)
        relay.close("shutdown")
        calls = [call for method, call in spy.sent if method == "tools/call"]
        assert spy.sent[-2:] == [("notifications/cancelled", call) for call in calls]
        assert len(calls) == 2
        await audited.closed()
    assert len(audited.pairs("tools/call")) == 2
