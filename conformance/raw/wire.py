"""A raw Streamable HTTP client: sends what it is told, well-formed or not, and shows statuses and every
event.

It keeps to its revision (2025-06-18 and later send `MCP-Protocol-Version`) unless a check says otherwise.
Invariant: nothing is repaired; what came over the wire is what a check sees.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from conformance.revisions import has

ACCEPT: Final = "application/json, text/event-stream"
CAPABILITIES: Final = {"roots": {"listChanged": True}, "sampling": {}}
Message = dict[str, Any]
OnMessage = Callable[[Message], Awaitable[Message | None]]


@dataclass(frozen=True)
class Event:
    """One server-sent event; `data` is None when no data line came."""

    id: str | None
    data: str | None
    retry: int | None = None

    @property
    def message(self) -> Message | None:
        """The JSON object of the event, None for a priming event."""
        if not self.data:
            return None
        value = json.loads(self.data)
        return value if isinstance(value, dict) else {"batch": value}


@dataclass
class Answer:
    """One HTTP exchange: `messages` are JSON-RPC messages of the body or of the stream, in order."""

    status: int
    headers: Mapping[str, str]
    messages: list[Message] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    body: bytes = b""

    @property
    def code(self) -> int | None:
        """The code of the first JSON-RPC error."""
        for message in self.messages:
            if isinstance(message.get("error"), dict):
                code = message["error"].get("code")
                return code if isinstance(code, int) else None
        return None

    def response(self, request_id: Any) -> Message | None:
        """The response with that very id, of the same JSON type."""
        for message in self.messages:
            if "method" not in message and "id" in message and same_id(message["id"], request_id):
                return message
        return None


def same_id(one: Any, other: Any) -> bool:
    """Whether two ids are one: 1 and "1" are not."""
    return type(one) is type(other) and bool(one == other)


async def read_events(content: aiohttp.StreamReader) -> AsyncIterator[Event]:
    """The events of a stream until it ends; comments are skipped."""
    event_id: str | None = None
    retry: int | None = None
    data: list[str] = []
    async for raw in content:
        line = raw.decode("utf-8").rstrip("\r\n")
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data or event_id is not None:
                yield Event(event_id, "\n".join(data) if data else None, retry)
            event_id, retry, data = None, None, []
        elif name == "data":
            data.append(value)
        elif name == "id":
            event_id = value
        elif name == "retry" and value.isdigit():
            retry = int(value)


@dataclass
class Wire:
    """The endpoint as a client of one revision would use it."""

    http: aiohttp.ClientSession
    url: str
    revision: str

    async def post(
        self,
        body: Any,
        *,
        session: str | None = None,
        headers: Mapping[str, str | None] | None = None,
        until: Any = None,
        on_message: OnMessage | None = None,
    ) -> Answer:
        """POST a JSON value, or bytes as they are; reads a stream until the response `until` or its end.

        A header given as None is left out.
        """
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.post(self.url, data=data, headers=self.headers(session, headers)) as response:
            answer = Answer(response.status, dict(response.headers))
            if response.content_type == "text/event-stream":
                await self._collect(response, answer, until, on_message)
            else:
                answer.body = await response.read()
                answer.messages = _messages(answer.body)
            return answer

    async def _collect(
        self, response: aiohttp.ClientResponse, answer: Answer, until: Any, on_message: OnMessage | None
    ) -> None:
        async for event in read_events(response.content):
            answer.events.append(event)
            message = event.message
            if message is None:
                continue
            answer.messages.append(message)
            if on_message is not None:
                await on_message(message)
            if until is not None and "method" not in message and same_id(message.get("id"), until):
                return

    def headers(self, session: str | None, changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """The headers of a well-behaved request of this revision, changed as told."""
        headers: dict[str, str | None] = {"Content-Type": "application/json", "Accept": ACCEPT}
        if session is not None:
            headers["Mcp-Session-Id"] = session
            if has(self.revision, "version header"):
                headers["MCP-Protocol-Version"] = self.revision
        headers.update(changes or {})
        return {name: value for name, value in headers.items() if value is not None}

    async def open(self, capabilities: Mapping[str, Any] | None = None) -> Session:
        """A session, initialised and announced."""
        params = {
            "protocolVersion": self.revision,
            "capabilities": dict(CAPABILITIES if capabilities is None else capabilities),
            "clientInfo": {"name": "raw", "version": "1"},
        }
        answer = await self.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}, until=0)
        response = answer.response(0)
        if answer.status != 200 or response is None or "result" not in response:
            raise AssertionError(f"initialize: HTTP {answer.status} {answer.messages or answer.body[:200]!r}")
        lowered = {name.lower(): value for name, value in answer.headers.items()}
        session = Session(self, lowered.get("mcp-session-id", ""), response["result"])
        done = await session.notify("notifications/initialized")
        if done.status != 202:
            raise AssertionError(f"notifications/initialized: HTTP {done.status}")
        return session


@dataclass
class Session:
    """One session of a wire."""

    wire: Wire
    id: str
    opened: Message
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def post(self, body: Any, **options: Any) -> Answer:
        """POST in this session; options as of `Wire.post`."""
        return await self.wire.post(body, session=self.id, **options)

    async def notify(self, method: str, params: Message | None = None) -> Answer:
        """Send a notification."""
        message: Message = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message["params"] = params
        return await self.post(message)

    async def ask(
        self,
        method: str,
        params: Message | None = None,
        *,
        request_id: Any = None,
        on_message: OnMessage | None = None,
    ) -> Answer:
        """Send a request; the answer's stream is read to its response."""
        chosen = next(self._ids) if request_id is None else request_id
        message: Message = {"jsonrpc": "2.0", "id": chosen, "method": method}
        if params is not None:
            message["params"] = params
        return await self.post(message, until=chosen, on_message=on_message)

    async def result(self, method: str, params: Message | None = None, **options: Any) -> Message:
        """The result of a request; AssertionError when there is none."""
        answer = await self.ask(method, params, **options)
        for message in answer.messages:
            if "method" not in message and isinstance(message.get("result"), dict):
                result: Message = message["result"]
                return result
        raise AssertionError(f"{method}: HTTP {answer.status}, {answer.messages or answer.body[:200]!r}")

    async def call(self, tool: str, arguments: Message | None = None, **options: Any) -> Message:
        """The result of a tool call."""
        return await self.result("tools/call", {"name": tool, "arguments": arguments or {}}, **options)

    def get(self, headers: Mapping[str, str | None] | None = None) -> Any:
        """The GET stream, to be entered with `async with`; gives the response."""
        changed = {"Accept": "text/event-stream", "Content-Type": None, **(headers or {})}
        return self.wire.http.get(self.wire.url, headers=self.wire.headers(self.id, changed))

    async def delete(self) -> int:
        """End the session; gives the status."""
        headers = self.wire.headers(self.id, {"Content-Type": None})
        async with self.wire.http.delete(self.wire.url, headers=headers) as response:
            await response.read()
            return response.status


def _messages(body: bytes) -> list[Message]:
    if not body:
        return []
    try:
        value = json.loads(body)
    except ValueError:
        return []
    found = value if isinstance(value, list) else [value]
    return [each for each in found if isinstance(each, dict)]
