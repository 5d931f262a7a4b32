"""The stateless clients of the benchmarks say what their revision demands, and their answers are judged by it.

The invariant: no assertion here depends on how fast the machine is.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from benchmarks import facts
from benchmarks.backend import Connection
from benchmarks.bare import Bare
from benchmarks.client import HarnessError
from benchmarks.load import warm
from benchmarks.rows import LOADS, NEWEST, OLDEST, ROWS
from benchmarks.workloads import Echo, Gather, Measure, Stream, ToolList, Workload
from tests.benchmark_world import answered_rightly, serving

WAIT = 5.0
STATELESS = facts.STATELESS


@pytest.mark.parametrize(
    "workload",
    [Echo("echo"), Echo("echo_sse"), Measure(), ToolList(), ToolList(fresh=True), Gather(1), Stream(5, 0)],
)
async def test_a_strict_server_takes_every_workload_of_a_bare_client(workload: Workload) -> None:
    async with serving() as (server, port):
        client = Bare(port, f"/{STATELESS}/mcp", {"roots": {}})
        try:
            await client.open()
            assert client.negotiated == STATELESS
            await asyncio.wait_for(warm(client, workload), WAIT)
            assert server.stats.refused == 0
        finally:
            await client.end()


async def test_a_bare_client_begins_its_cursors_as_its_first_page_does() -> None:
    class Lender(Connection):
        """A server whose cursors say whose they are."""

        cursors: list[str] = []

        def on_message_complete(self) -> None:
            self.cursors.append(msgspec.json.decode(self.body)["params"].get("cursor", ""))
            super().on_message_complete()

        def answer(self, ask: Any, result: bytes, extra: bytes = b"") -> None:
            if ask.method == "tools/list" and not ask.params.cursor:
                result = result[:-1] + b',"nextCursor":"s1.after-"}'
            super().answer(ask, result, extra)

    async with serving(Lender) as (_, port):
        client = Bare(port, f"/{STATELESS}/mcp", {})
        await client.open()
        await client.ask(ToolList().body(1, "here"))
        await client.end()
    assert Lender.cursors[-1] == "s1.here"


async def test_a_server_that_discovers_nothing_is_no_target() -> None:
    async with serving() as (_, port):
        client = Bare(port, f"/{NEWEST}/mcp", {})
        with pytest.raises(HarnessError, match="server/discover"):
            await client.open()
        await client.end()


def test_an_answer_is_complete_for_stateless_clients_and_says_nothing_of_it_to_others() -> None:
    content: list[dict[str, Any]] = [{"type": "text", "text": "m"}]

    def said(**more: Any) -> list[bytes]:
        return [msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "result": {"content": content, **more}})]

    assert Echo("echo").accepts(said(resultType="complete"), 1, "m", STATELESS)
    assert not Echo("echo").accepts(said(), 1, "m", STATELESS)
    assert not Echo("echo").accepts(said(resultType="input_required"), 1, "m", STATELESS)
    assert not Echo("echo").accepts(said(resultType="complete"), 1, "m", NEWEST)


def test_a_list_says_to_stateless_clients_alone_how_long_it_keeps() -> None:
    def listed(revision: str, **more: Any) -> list[bytes]:
        tools = msgspec.json.decode(facts.tools_json(revision))
        return [msgspec.json.encode({"id": 1, "result": {"tools": tools, "nextCursor": "x.after-m", **more}})]

    whole = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    assert ToolList().accepts(listed(STATELESS, **whole), 1, "m", STATELESS)
    for name in whole:
        less = {key: value for key, value in whole.items() if key != name}
        assert not ToolList().accepts(listed(STATELESS, **less), 1, "m", STATELESS)
    assert not ToolList().accepts(listed(STATELESS, **{**whole, "nextCursor": "after-n"}), 1, "m", STATELESS)
    assert not ToolList().accepts(listed(NEWEST, nextCursor="after-m", ttlMs=0), 1, "m", NEWEST)


def test_the_other_targets_have_a_client_of_the_servers_own_revision() -> None:
    loads = [load for load in LOADS if load.client == STATELESS]
    assert {load.backend for load in loads} >= {OLDEST, NEWEST}
    assert all(load.client_beside == load.beside == load.backend for load in loads)
    assert all(load.client_beside == load.client for load in LOADS if load not in loads)


def test_both_small_call_rows_of_stateless_clients_gate_at_three_quarters() -> None:
    rows = [row for row in ROWS if row.name.startswith("cpu-bridged-")]
    assert [(row.gate, row.target, row.enforced) for row in rows] == [(0.75, 0.55, True)] * 2


def test_the_broker_answers_every_bridged_load_rightly_with_one_request_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answered_rightly("bridged-", capsys)
