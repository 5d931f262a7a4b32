"""The HTTP+SSE pair on either side: a raw client of it before the broker, and a scripted server of it behind."""

from __future__ import annotations

import json
from typing import Any

from tests.broker.scripted_backend import Client, Json, Reply, World


class PairClient:
    """A client of the pair: its stream, and the address its messages go to."""

    def __init__(self, here: World, path: str = "/sse", **headers: str | None) -> None:
        self._get = Client(here.port, path)
        self._post = Client(here.port)
        self.headers = headers
        here.clients += [self._get, self._post]
        self.endpoint = ""
        self.stream: Reply

    async def connect(self) -> Reply:
        """GET the stream and read where to post."""
        self.stream = await self._get.send("GET", b"", Accept="text/event-stream", **self.headers)
        if self.stream.streams:
            event = await self.stream.event()
            assert event is not None
            assert event.name == "endpoint"
            self.endpoint = self._post.path = event.data.decode()
        return self.stream

    async def post(self, message: Json | bytes, **headers: str | None) -> Reply:
        """One message; 202 if it was taken."""
        body = message if isinstance(message, bytes) else json.dumps({"jsonrpc": "2.0", **message}).encode()
        return await self._post.send("POST", body, **{**self.headers, **headers})

    async def answer(self, number: int | str) -> Json:
        """The answer to a request, from the stream; what comes before is passed over."""
        while True:
            message = await self.stream.message()
            if message.get("id") == number and "method" not in message:
                return message

    async def ask(self, number: int | str, method: str, params: Json | None = None) -> Json:
        """One request and its answer."""
        assert (await self.post({"id": number, "method": method, "params": params or {}})).status == 202
        return await self.answer(number)

    async def open(self, revision: str = "2024-11-05", capabilities: Json | None = None) -> Json:
        """The whole beginning of a session."""
        await self.connect()
        info = {"name": "pair", "version": "1"}
        asked = {"protocolVersion": revision, "capabilities": capabilities or {}, "clientInfo": info}
        found = await self.ask(0, "initialize", asked)
        await self.post({"method": "notifications/initialized"})
        return found

    def leave(self) -> None:
        """Close the stream."""
        self.stream.cut()


def text(answer: Json) -> Any:
    """The text of a tool's result."""
    return answer["result"]["content"][0]["text"]
