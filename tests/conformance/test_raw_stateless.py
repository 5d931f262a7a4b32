"""The scripted backend of 2026-07-28 keeps its revision and breaks it as told; checks see what a broker does wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from conformance.launch import Children
from conformance.raw import rounds, run, stateless_acts, stateless_faults
from conformance.raw.bench import Bench, backend_command
from conformance.raw.stateless_backend import ACTS
from conformance.revisions import REVISIONS, STATELESS

META = "io.modelcontextprotocol/"
HEADERS = {"MCP-Protocol-Version": STATELESS, "Accept": "application/json, text/event-stream"}


@pytest_asyncio.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """The stateless backend's endpoint."""
    with Children(tmp_path) as children:
        _, found = await asyncio.to_thread(children.server, "backend", backend_command(STATELESS))
        yield found


async def _post(url: str, method: str, params: dict[str, Any], headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    async with aiohttp.ClientSession() as http, http.post(url, json=body, headers=headers) as response:
        found: dict[str, Any] = await response.json()
        return response.status, found


def _meta(**members: Any) -> dict[str, Any]:
    return {"_meta": {f"{META}protocolVersion": STATELESS, f"{META}clientCapabilities": {}}, **members}


async def _call(url: str, tool: str, **members: Any) -> dict[str, Any]:
    headers = {**HEADERS, "Mcp-Method": "tools/call", "Mcp-Name": tool}
    status, answer = await _post(url, "tools/call", _meta(name=tool, arguments={}, **members), headers)
    assert status == 200
    return answer


async def test_a_request_as_the_revision_writes_it_is_answered(url: str) -> None:
    status, answer = await _post(url, "server/discover", _meta(), {**HEADERS, "Mcp-Method": "server/discover"})
    assert status == 200
    assert answer["result"]["supportedVersions"] == [STATELESS]
    assert answer["result"]["resultType"] == "complete"


@pytest.mark.parametrize(
    ("method", "params", "headers", "status", "code"),
    [
        ("initialize", {"protocolVersion": "2025-11-25"}, {}, 400, -32022),
        ("tools/list", {}, {**HEADERS, "Mcp-Method": "tools/list"}, 400, -32602),
        ("tools/list", _meta(), HEADERS, 400, -32020),
        ("tools/call", _meta(name="echo"), {**HEADERS, "Mcp-Method": "tools/call", "Mcp-Name": "late"}, 400, -32020),
        ("tools/list", _meta(), {**HEADERS, "Mcp-Method": "tools/list", "Mcp-Session-Id": "x"}, 400, -32600),
        ("ping", _meta(), {**HEADERS, "Mcp-Method": "ping"}, 404, -32601),
    ],
)
async def test_a_request_that_breaks_the_revision_is_refused(
    url: str, method: str, params: dict[str, Any], headers: dict[str, str], status: int, code: int
) -> None:
    found, answer = await _post(url, method, params, headers)
    assert (found, answer["error"]["code"]) == (status, code)


async def test_a_retry_that_breaks_the_pattern_is_found_out(url: str) -> None:
    first = (await _call(url, "turns"))["result"]
    assert first["requestState"] == stateless_acts.STATE
    given = {"first": {"action": "accept", "content": {}}}
    for state in ({}, {"requestState": json.dumps(json.loads(stateless_acts.STATE))}):
        answer = await _call(url, "turns", inputResponses=given, **state)
        assert "breach" in answer["error"]["message"]
    second = await _call(url, "turns", inputResponses=given, requestState=stateless_acts.STATE)
    assert set(second["result"]["inputRequests"]) == {"x", "y"}
    kept = await _call(url, "turns", inputResponses={**given, "x": {}, "y": {}})
    assert "breach" in kept["error"]["message"]


@pytest_asyncio.fixture
async def careless(tmp_path: Path) -> AsyncIterator[Bench]:
    """A bench whose broker is an older server that knows nothing of inputs in rounds."""
    with Children(tmp_path) as children:
        child, url = await asyncio.to_thread(children.server, "backend", backend_command("2025-11-25"))
        async with aiohttp.ClientSession() as http:
            yield Bench(children, http, "2025-11-25", STATELESS, child, url, child, url)


@pytest.mark.parametrize(
    "check",
    [
        rounds.rounds_are_gone_through_exactly,
        rounds.a_state_alone_is_gone_through,
        rounds.undeclared_inputs_end_the_call,
        rounds.missing_capabilities_end_the_call,
        stateless_faults.requests_stand_alone,
        stateless_faults.breaches_end_the_call,
        stateless_faults.bare_results_are_complete,
    ],
)
async def test_a_broker_that_breaks_a_promise_fails_its_check(careless: Bench, check: object) -> None:
    (known,) = [each for each in run.CHECKS if each.run is check]
    with pytest.raises(AssertionError):
        await known.run(careless)


def test_every_breach_is_an_act_of_the_backend() -> None:
    assert set(stateless_faults.BREACHES) <= set(ACTS)


def test_checks_of_a_stateless_backend_apply_to_no_other() -> None:
    for check in (*rounds.CHECKS, *stateless_faults.CHECKS):
        assert not any(check.applies(client, server) for client in REVISIONS for server in REVISIONS), check.name
