"""What was made for one level of a caller is not kept for another: discoveries, facts and sessions of servers."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Raw

from broker.faces.classify import classify
from broker.hooks.runner import Runner
from broker.hooks.sanitise import Sanitise
from broker.identity import Principal
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import DEFAULT_LIMITS
from tests.broker.bridge_world import bridging
from tests.broker.http1_world import within
from tests.broker.modern_world import envelope, headers, modern
from tests.broker.sanitise_world import CANARY, rule
from tests.broker.scripted_backend import Asked, Json, World, world
from tests.broker.test_sanitise_actions import GRANTS

LOW = Principal("ann", "token", {"realm": {"role": "user"}})
HIGH = Principal("ann", "token", {"realm": {"role": "root"}})
RENEWED = Principal("ann", "token", {"realm": {"role": "user"}, "iat": 2})


def sanitising(here: World) -> None:
    here.context.hooks = Runner([Sanitise([rule(CANARY)], GRANTS)], DEFAULT_LIMITS)


async def test_what_is_known_of_a_server_is_kept_by_caller_and_level() -> None:
    async with world() as here:
        assert (here.context.audience(LOW), here.context.audience(HIGH)) == ("", "")
        assert here.context.facts(LOW) is here.context.facts(HIGH)
        sanitising(here)
        assert (here.context.audience(LOW), here.context.audience(HIGH)) == ("public", "secret")
        facts = here.context.facts(LOW)
        assert here.context.facts(RENEWED) is facts
        assert here.context.facts(HIGH) is not facts
        here.context.forget_tools("bob")
        assert here.context.facts(LOW) is facts
        here.context.forget_tools("ann")
        assert here.context.facts(LOW) is not facts
        relay = here.pool.relay
        keys = {relay.discovery_key(who, Raw(b"{}")) for who in (LOW, HIGH, RENEWED)}
        assert keys == {("ann", "public", b"{}"), ("ann", "secret", b"{}")}


async def discovered(here: World, who: Principal, *, bridged: bool) -> str:
    """What a caller is told by a discovery."""
    params: Json = {"_meta": envelope()}
    message = {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": params}
    frame = jsonrpc.decode_strict(json.dumps(message).encode())
    assert isinstance(frame, jsonrpc.Frame)
    request = classify(frame, headers("server/discover", params), here.context.revisions)  # type: ignore[arg-type]
    relay = here.pool.relay
    call = relay.begin(modern=request, client_id=1, caller=who, bridged=bridged)
    call.start(None)
    await within(call.exchange.decided())
    relay.leave(call)
    return (call.exchange.body or b"").decode()


def modern_server(asked: Asked) -> Any:
    result: Json = {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {}}
    return asked.result({**result, "ttlMs": 60_000, "cacheScope": "private", "instructions": f"say {CANARY}"})


def session_server(asked: Asked) -> Any:
    result: Json = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "a", "version": "1"}}
    return asked.result({**result, "instructions": f"say {CANARY}"}, mcp_session_id=f"s{asked.id}")


ASKED = ((HIGH, True), (LOW, False), (HIGH, True), (RENEWED, False))


async def test_a_kept_discovery_is_shown_to_callers_of_its_level_alone() -> None:
    async with modern() as here:
        sanitising(here)
        here.backend.on("server/discover", modern_server)
        relay = here.pool.relay
        for who, shows in ASKED:
            assert (CANARY in await discovered(here, who, bridged=False)) == shows
            kept = relay.discoveries.fresh(relay.discovery_key(who, Raw(b"{}")), here.context.wheel.clock())
            assert kept is not None
            assert (CANARY in jsonrpc.encode(jsonrpc.response(1, kept)).decode()) == shows


async def test_a_servers_session_is_shared_within_a_level_alone() -> None:
    async with bridging() as here:
        sanitising(here)
        here.backend.on("initialize", session_server)
        for who, shows in ASKED:
            said = await discovered(here, who, bridged=True)
            assert "instructions" in said
            assert (CANARY in said) == shows
        assert here.backend.count("initialize") == 2
