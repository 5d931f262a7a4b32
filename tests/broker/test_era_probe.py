"""Probing a raw backend: what is asked, what ends it, and what is cleaned up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest

from broker.era_probe import PROBE_BYTES, Prober
from broker.era_signs import Verdict
from tests.broker.http1_world import Backend, Clock, Peer, backend, pool_for, within

Json = dict[str, Any]
DISCOVERY: Json = {"jsonrpc": "2.0", "id": "p1", "result": {"supportedVersions": ["2026-07-28"], "capabilities": {}}}
REFUSED: Json = {"jsonrpc": "2.0", "id": "p1", "error": {"code": -32601, "message": "Method not found"}}
UNSUPPORTED: Json = {
    "jsonrpc": "2.0",
    "id": None,
    "error": {"code": -32022, "message": "no", "data": {"supported": ["2026-07-28"], "requested": "x"}},
}
EVENTS = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\n\r\n"


def whole(body: Json | bytes, status: int = 200, extra: str = "") -> bytes:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n{extra}\r\n"
    return head.encode() + text


class World:
    def __init__(self, server: Backend, prober: Prober, clock: Clock) -> None:
        self.server = server
        self.clock = clock
        self.verdict: asyncio.Task[Verdict] = asyncio.ensure_future(prober())

    async def asked(self) -> tuple[Peer, bytes, Json]:
        """A new connection's first request."""
        peer = await self.server.accept()
        head, body = await peer.request()
        return peer, head, json.loads(body)

    async def said(self) -> tuple[str, str]:
        found = await within(self.verdict)
        return found.kind, found.reason


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    clock, numbers = Clock(), count(1)
    async with backend() as server, pool_for(server.port, clock) as pool:
        info = {"name": "broker", "version": "1"}
        here = World(server, Prober(pool, info, new_id=lambda: f"p{next(numbers)}"), clock)
        try:
            yield here
        finally:
            here.verdict.cancel()
            await asyncio.wait([here.verdict])


async def test_a_probe_is_a_whole_stateless_request_with_an_id_of_its_own() -> None:
    async with world() as here:
        peer, head, message = await here.asked()
        assert message == {
            "jsonrpc": "2.0",
            "id": "p1",
            "method": "server/discover",
            "params": {
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientCapabilities": {},
                    "io.modelcontextprotocol/clientInfo": {"name": "broker", "version": "1"},
                }
            },
        }
        assert {
            b"content-type: application/json",
            b"accept: application/json, text/event-stream",
            b"mcp-protocol-version: 2026-07-28",
            b"mcp-method: server/discover",
        } <= set(head.split(b"\r\n"))
        await peer.write(whole(DISCOVERY))
        found = await within(here.verdict)
        assert (found.kind, found.revision) == ("modern", "2026-07-28")
        assert found.discovery is not None
        assert here.server.accepted == 1


async def test_ids_of_probes_never_repeat() -> None:
    clock = Clock()
    async with backend() as server, pool_for(server.port, clock) as pool:
        prober, ids = Prober(pool, {"name": "broker", "version": "1"}), set()
        for number in range(3):
            task = asyncio.ensure_future(prober())
            if not number:
                peer = await server.accept()
            ids.add(json.loads((await peer.request())[1])["id"])
            await peer.write(whole(REFUSED, 404))
            assert (await within(task)).candidate
        assert len(ids) == 3
        assert all(isinstance(one, str) for one in ids)


async def test_a_stream_need_not_end_for_its_response_to_count() -> None:
    async with world() as here:
        peer, _, _ = await here.asked()
        await peer.write(EVENTS + b"id: 1\ndata: \n\n: alive\n\ndata: " + json.dumps(DISCOVERY).encode() + b"\n\n")
        assert await here.said() == ("modern", "discovered")
        assert await peer.gone()


async def test_a_stream_that_ends_without_a_response_is_a_refusal() -> None:
    async with world() as here:
        peer, _, _ = await here.asked()
        await peer.write(EVENTS + b"data: {}\n\n")
        peer.close()
        assert await here.said() == ("legacy", "no-answer")


async def test_a_version_the_server_names_is_asked_for_once_more() -> None:
    async with world() as here:
        peer, _, first = await here.asked()
        await peer.write(whole(UNSUPPORTED, 400))
        second = json.loads((await peer.request())[1])
        assert first["id"] != second["id"]
        await peer.write(whole(DISCOVERY))
        assert await here.said() == ("modern", "discovered")


async def test_a_server_that_refuses_the_version_it_names_is_given_up() -> None:
    async with world() as here:
        peer, _, _ = await here.asked()
        await peer.write(whole(UNSUPPORTED, 400))
        await peer.request()
        await peer.write(whole(UNSUPPORTED, 400))
        assert await here.said() == ("fail", "version-refused")


@pytest.mark.parametrize("status", [400, 200])
async def test_a_session_opened_for_a_refused_probe_is_deleted(status: int) -> None:
    async with world() as here:
        peer, _, _ = await here.asked()
        refusal = {"jsonrpc": "2.0", "id": "server-error", "error": {"code": -32600, "message": "Missing session ID"}}
        await peer.write(whole(refusal, status, "mcp-session-id: 1613c9\r\n"))
        assert await here.said() == ("legacy", "refused")
        lines = (await peer.head()).split(b"\r\n")  # the connection is free again, and no other was needed
        assert lines[0] == b"DELETE /mcp HTTP/1.1"
        assert b"mcp-session-id: 1613c9" in lines
        assert not [line for line in lines if line.startswith(b"mcp-protocol-version")]
        await peer.write(b"HTTP/1.1 405 X\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.parametrize("session", ["", "a b", "x" * 1025, "\xe9"])
async def test_a_session_id_that_no_header_should_hold_is_left_alone(session: str) -> None:
    async with world() as here:
        peer, _, _ = await here.asked()
        await peer.write(whole(REFUSED, 404, f"mcp-session-id: {session}\r\n"))
        assert await here.said() == ("legacy", "refused")
        assert here.server.accepted == 1


async def test_silence_is_no_verdict() -> None:
    async with world() as here:
        peer, _, _ = await here.asked()
        here.clock.advance(9)
        assert await here.said() == ("inconclusive", "total-timeout")
        assert await peer.gone()


async def test_a_stream_of_nothing_but_comments_ends_with_the_time() -> None:
    async with world() as here:
        peer, _, _ = await here.asked()
        await peer.write(EVENTS + b": alive\n\n")
        here.clock.advance(9)
        kind, _ = await here.said()
        assert kind == "inconclusive"
        assert await peer.gone()


async def test_a_reset_is_no_verdict() -> None:
    async with world() as here:
        peer, _, _ = await here.asked()
        peer.reset()
        assert await here.said() == ("inconclusive", "closed")


@pytest.mark.parametrize(
    "answer",
    [whole(b" " * (PROBE_BYTES + 1)), EVENTS + b": " + b"x" * 65536 + (b"\n: " + b"x" * 65536) * 16],
)
async def test_an_endless_answer_is_not_read(answer: bytes) -> None:
    async with world() as here:
        peer, _, _ = await here.asked()
        peer.writer.write(answer)
        assert await here.said() == ("inconclusive", "too-large")
        assert await peer.gone()


async def test_a_probe_that_nobody_waits_for_closes_its_connection() -> None:
    async with world() as here:
        peer, _, _ = await here.asked()
        here.verdict.cancel()
        assert await peer.gone()
