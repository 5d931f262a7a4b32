"""The stateless half of the benchmarks: its backend refuses what the revision demands, and its rows mean what they say.

The invariant: no assertion here depends on how fast the machine is.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from benchmarks import facts
from benchmarks.client import connect, exchange
from benchmarks.rows import LOADS, NEWEST, ROWS
from tests.benchmark_world import answered_rightly, serving

WAIT = 5.0
META = "io.modelcontextprotocol/"
CALL = "tools/call"


def envelope(**changed: Any) -> dict[str, Any]:
    """A whole `_meta`, with members changed or (None) left out."""
    meta = {"protocolVersion": facts.STATELESS, "clientCapabilities": {}, **changed}
    return {f"{META}{name}": value for name, value in meta.items() if value is not None}


def request(
    method: str, params: dict[str, Any], *, meta: dict[str, Any] | None = None, verb: bytes = b"POST", **headers: str
) -> bytes:
    """One request with the headers that mirror its body, unless told otherwise; "" leaves one out."""
    body = msgspec.json.encode(
        {
            "jsonrpc": "2.0",
            "id": 7,
            "method": method,
            "params": {**params, "_meta": envelope() if meta is None else meta},
        }
    )
    lines = {"MCP-Protocol-Version": facts.STATELESS, "Mcp-Method": method, "Mcp-Name": str(params.get("name", ""))}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return b"%b /%b/mcp HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (
        verb,
        facts.STATELESS.encode(),
        head.encode(),
        len(body),
        body,
    )


async def asked(port: int, data: bytes) -> tuple[int, dict[str, Any]]:
    """The status and the message of one answer."""
    connection = await connect(port)
    try:
        status, messages = await asyncio.wait_for(exchange(connection, data), WAIT)
        return status, msgspec.json.decode(messages[-1])
    finally:
        connection.close()


ECHO = {"name": "echo", "arguments": {"text": "mark"}}


@pytest.mark.parametrize("tool", ["echo", "echo_sse"])
async def test_a_call_that_stands_for_itself_is_answered_with_its_mark_and_is_complete(tool: str) -> None:
    async with serving() as (server, port):
        status, answer = await asked(port, request(CALL, {**ECHO, "name": tool}))
        assert (status, answer["id"]) == (200, 7)
        assert answer["result"] == {"resultType": "complete", "content": [{"type": "text", "text": "mark"}]}
        assert (server.stats.calls, server.stats.requests, server.stats.refused) == (1, 1, 0)


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (request(CALL, ECHO, Mcp_Method="tools/list"), 400, -32020),
        (request(CALL, ECHO, Mcp_Method=""), 400, -32020),
        (request(CALL, ECHO, Mcp_Name="other"), 400, -32020),
        (request(CALL, ECHO, Mcp_Name=""), 400, -32020),
        (request("tools/list", {}, Mcp_Name="echo"), 400, -32020),
        (request(CALL, ECHO, MCP_Protocol_Version=""), 400, -32020),
        (request(CALL, ECHO, MCP_Protocol_Version=NEWEST), 400, -32020),
        (request(CALL, ECHO, meta=envelope(protocolVersion=NEWEST)), 400, -32020),
        (request(CALL, ECHO, meta=envelope(clientCapabilities=None)), 400, -32602),
        (request(CALL, ECHO, Mcp_Session_Id="s"), 400, -32600),
        (request("initialize", {}), 400, -32600),
        (request("resources/list", {}), 404, -32601),
        (request(CALL, ECHO, verb=b"DELETE"), 405, -32600),
    ],
)
async def test_what_breaks_the_stateless_revision_is_refused_and_counted(data: bytes, status: int, code: int) -> None:
    async with serving() as (server, port):
        seen, answer = await asked(port, data)
        assert (seen, answer["error"]["code"]) == (status, code)
        assert (server.stats.refused, server.stats.calls) == (1, 0)


async def test_discovery_and_lists_say_how_long_and_for_whom_they_hold() -> None:
    async with serving() as (_, port):
        _, found = await asked(port, request("server/discover", {}))
        _, whole = await asked(port, request("tools/list", {}))
        _, page = await asked(port, request("tools/list", {"cursor": "here"}))
    for answer in (found, whole, page):
        held = {name: answer["result"].pop(name) for name in ("resultType", "ttlMs", "cacheScope")}
        assert held == {"resultType": "complete", "ttlMs": 3_600_000, "cacheScope": "private"}
    assert found["result"]["supportedVersions"] == [facts.STATELESS]
    assert len(whole["result"]["tools"]) == facts.LIST_TOOLS
    assert "nextCursor" not in whole["result"]
    assert page["result"]["nextCursor"] == "after-here"
    assert page["result"]["tools"][0].keys() == facts.tool_members(facts.STATELESS)


def test_no_other_target_stands_before_the_stateless_backend() -> None:
    loads = [load for load in LOADS if load.backend == facts.STATELESS]
    assert {load.client for load in loads} >= {"2024-11-05", "2025-11-25"}
    assert {load.beside for load in loads} == {NEWEST}
    assert all(load.beside == load.backend for load in LOADS if load not in loads)


def test_both_small_call_rows_before_a_stateless_server_gate_at_three_quarters() -> None:
    rows = [row for row in ROWS if row.name.startswith("cpu-stateless-")]
    assert [(row.gate, row.target, row.enforced) for row in rows] == [(0.75, 0.55, True)] * 2


def test_the_broker_answers_every_stateless_load_rightly_with_one_request_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answered_rightly("stateless-", capsys)
