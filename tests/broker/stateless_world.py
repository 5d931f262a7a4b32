"""Stateless requests to a raw backend: the messages it writes, an owner that remembers, and both put together."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from broker.backends.base import Refusal
from broker.backends.http1 import Limits
from broker.backends.stateless_http import StatelessLegs
from broker.backends.streamable_http import Deadlines
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame, WireLimits
from tests.broker.http1_world import Backend, Clock, Peer, backend, pool_for, turn, within

Json = dict[str, Any]
RESULT: Json = {"jsonrpc": "2.0", "id": 7, "result": {"resultType": "complete"}}
NOTE: Json = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}
NAMED = [("Mcp-Method", "tools/call"), ("Mcp-Name", "x"), ("Mcp-Param-Empty", "")]


def error(code: int, id: Any = 7, message: str = "no", **data: Any) -> Json:  # noqa: A002
    return {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message, **data}}


def whole(body: Json | bytes, status: int = 200, kind: str = "application/json") -> bytes:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text


def stream(status: int = 200) -> bytes:
    """The head of an event stream that ends with its connection."""
    return f"HTTP/1.1 {status} X\r\ncontent-type: text/event-stream\r\n\r\n".encode()


def event(message: Json | bytes, before: bytes = b"") -> bytes:
    return before + b"data: " + (message if isinstance(message, bytes) else json.dumps(message).encode()) + b"\n\n"


class Heard:
    """An owner that remembers: ("message", frame as JSON), ("failed", reason, executed), ("violation", reason)."""

    def __init__(self) -> None:
        self.all: list[tuple[Any, ...]] = []
        self.refusals: list[Refusal] = []
        self.legs: set[int] = set()
        self._changed = asyncio.Event()

    def _note(self, leg: int, *what: Any) -> None:
        self.legs.add(leg)
        self.all.append(what)
        self._changed.set()

    def leg_message(self, leg: int, frame: Frame) -> None:
        self._note(leg, "message", json.loads(jsonrpc.encode(frame)))

    def leg_failed(self, leg: int, reason: str, executed: str) -> None:
        self._note(leg, "failed", reason, executed)

    def leg_violation(self, leg: int, reason: str) -> None:
        self._note(leg, "violation", reason)

    def refused(self, leg: int, refusal: Refusal) -> None:
        assert leg == 7
        assert leg not in self.legs  # the observer comes first
        self.refusals.append(refusal)

    async def until(self, count: int) -> list[tuple[Any, ...]]:
        async def reached() -> None:
            while len(self.all) < count:
                self._changed.clear()
                await self._changed.wait()

        await within(reached())
        return self.all


class World:
    def __init__(self, server: Backend, legs: StatelessLegs, heard: Heard, clock: Clock) -> None:
        self.server = server
        self.legs = legs
        self.heard = heard
        self.clock = clock

    async def sent(self, leg: int = 7, *, streams: bool = False) -> Peer:
        """Post the usual request; the connection it came over, after its head and body."""
        method = "subscriptions/listen" if streams else "tools/call"
        self.legs.post(leg, jsonrpc.request(leg, method, {"name": "x"}), NAMED, stream=streams)
        peer = await self.server.accept()
        self.head, self.body = await peer.request()
        return peer

    async def failure(self) -> tuple[Any, ...]:
        """What ended the leg, if that was a failure."""
        count = 1
        while (last := (await self.heard.until(count))[-1])[0] != "failed":
            count = len(self.heard.all) + 1
        return last

    async def only(self, *outcome: Any) -> None:
        """The leg ended so, once, and nothing of it is left."""
        assert await self.heard.until(1) == [outcome]
        await turn()
        assert self.heard.all == [outcome]
        assert self.heard.legs == {7}
        assert not self.legs.open


@asynccontextmanager
async def world(*, linger_s: float = 1.0, limits: WireLimits | None = None) -> AsyncIterator[World]:
    clock, heard = Clock(), Heard()
    deadlines = Deadlines(connect_s=2, head_s=20, idle_s=30, total_s=60, stream_idle_s=300)
    async with backend() as server, pool_for(server.port, clock, Limits(max_connections=4, max_streams=2)) as pool:
        legs = StatelessLegs(pool, heard, deadlines, limits or WireLimits(), linger_s=linger_s, observer=heard.refused)
        yield World(server, legs, heard, clock)
        legs.close()
        assert not legs.lingering
