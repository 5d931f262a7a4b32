"""The clients of a run: one open stream each, of every kind there is before a server of one era."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import msgspec

from tests.broker.modern_world import ask, envelope
from tests.broker.pair_world import PairClient
from tests.broker.scripted_backend import Client, Json, Reply, World

NUMBER = 7
"""Every client's own id of its request: ids of different clients are equal all the time."""

KINDS = {
    "session": ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "standing", "pair", "stateless"),
    "stateless": ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "pair", "stateless", "listen"),
}
"""By the era of the server: calls of session clients on their streams, and what else may be open."""

LISTENS = 90
"""Subscriptions of one caller, below what is allowed."""


class Told(msgspec.Struct):
    """How one stream ended: its last message, and when, in seconds of the monotonic clock."""

    kind: str
    last: Json = {}
    ended_at: float = 0.0
    problem: str = ""

    def reason(self) -> str:
        """Why the call failed; empty if it did not."""
        data = self.last.get("error", {}).get("data", {})
        return str(data.get("reason", "")) if data.get("origin") == "broker" else ""


class OneStream:
    """One client and its stream. `credential` is read anew with each request."""

    def __init__(self, here: World, kind: str, header: str) -> None:
        self.told = Told(kind)
        self._here = here
        self._client: Client = here.another()
        self._client.headers = {"Authorization": header}
        self._reply: Reply | None = None

    async def open(self) -> None:
        """Until something was said on the stream, or, of a standing one, until it stands."""
        kind, client = self.told.kind, self._client
        if kind == "pair":
            pair = PairClient(self._here)
            pair.headers = dict(client.headers)
            await pair.open()
            params = {"name": "x", "_meta": {"progressToken": "p"}}
            await pair.post({"id": NUMBER, "method": "tools/call", "params": params})
            self._reply = pair.stream
        elif kind == "stateless":
            self._reply = await ask(client, id=NUMBER, meta=envelope(progressToken="p"))
        elif kind == "listen":
            wanted = {"notifications": {"toolsListChanged": True}}
            self._reply = await ask(client, "subscriptions/listen", wanted, id=NUMBER)
        else:
            await client.open("2025-11-25" if kind == "standing" else kind)
            if kind == "standing":
                self._reply = await client.send("GET", Accept="text/event-stream")
            else:
                self._reply = await client.call(NUMBER, _meta={"progressToken": "p"})
        assert self._reply.status == 200, self._reply.status
        assert self._reply.streams, self._reply.body
        if kind != "standing":
            assert "method" in await self._reply.message()

    async def end(self) -> Told:
        """Read to the end."""
        assert self._reply is not None
        told = self.told
        try:
            while (event := await self._reply.event()) is not None:
                if event.data:
                    told.last = json.loads(event.data)
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError) as error:
            told.problem = f"the stream did not end in good form: {type(error).__name__}"
        told.ended_at = time.monotonic()
        return told


def clients(here: World, count: int, era: str, header: Callable[[], Any]) -> list[OneStream]:
    """As many, of all kinds in turn."""
    found, listens = [], 0
    for number in range(count):
        kind = KINDS[era][number % len(KINDS[era])]
        if kind == "listen":
            listens += 1
            kind = kind if listens <= LISTENS else "stateless"
        found.append(OneStream(here, kind, header()))
    return found
