"""Small clients without an SDK: each speaks one session revision, and only what that knows, it accepts.

They read strictly: a block type, a content shape or a revision that theirs does not have is an error, as it is for
programs of that time. They report the same lines as `sdk_client`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import aiohttp
import msgspec

from broker import sse
from broker.demo.offers import NOTES_URI
from protocol_versions.v2024_11_05 import REVISION as OLDEST
from protocol_versions.v2025_11_25 import REVISION as ASKING

SESSION: Final = "Mcp-Session-Id"
ARGUMENTS: Final[dict[str, dict[str, Any]]] = {"weather": {"city": "Isfahan"}, "forecast": {"city": "Isfahan"}}
CHANGING: Final = "remember"  # the one tool that changes what others see
_BLOCKS: Final = {  # the content of server/tools
    OLDEST.id: frozenset(["text", "image", "resource"]),
    ASKING.id: frozenset(["text", "image", "resource", "audio", "resource_link"]),
}
WAIT_S: Final = 30.0  # one exchange; everything is on this machine

Message = dict[str, Any]
Answer = Callable[[str, Message], Message]
"""`(method, params) -> result` of a question to the client."""


class StrangeAnswer(Exception):  # noqa: N818 (what a program of that time would report)
    """The server said something that this revision does not have."""


class WireClient:
    """One session. `asked` are the questions it was asked, `told` the notifications of its standing stream."""

    def __init__(self, http: aiohttp.ClientSession, url: str, revision: str, answer: Answer | None = None) -> None:
        self._http = http
        self._url = url
        self._headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        self._serial = 0
        self._answer = answer
        self.revision = revision
        self.asked: list[Message] = []

    async def open(self) -> Message:
        """Initialize; the result."""
        info = {"name": "wire-client", "version": "1"}
        capabilities: Message = {} if self._answer is None else {"elicitation": {}}
        hello = {"protocolVersion": self.revision, "capabilities": capabilities, "clientInfo": info}
        opened: Message = (await self.ask("initialize", hello))["result"]
        if opened["protocolVersion"] != self.revision:
            raise StrangeAnswer(f"revision {opened['protocolVersion']}")
        await self.tell("notifications/initialized")
        return opened

    async def ask(self, method: str, params: Message) -> Message:
        """The response to a request: an object with `result` or `error`. Questions on the way are answered."""
        self._serial += 1
        number = self._serial
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        async with self._http.post(self._url, data=msgspec.json.encode(message), headers=self._headers) as response:
            if SESSION in response.headers:
                self._headers[SESSION] = response.headers[SESSION]
            async for found in _messages(response):
                if "method" not in found and found.get("id") == number:
                    return found
                if "method" in found and "id" in found:
                    await self._reply(found)
            raise StrangeAnswer(f"{method}: HTTP {response.status} without an answer")

    async def _reply(self, question: Message) -> None:
        if self._answer is None:
            raise StrangeAnswer(f"asked for {question['method']}, which was never declared")
        self.asked.append(question)
        result = self._answer(question["method"], question.get("params", {}))
        await self._post({"jsonrpc": "2.0", "id": question["id"], "result": result})

    async def tell(self, method: str) -> None:
        """Send a notification."""
        await self._post({"jsonrpc": "2.0", "method": method})

    async def _post(self, message: Message) -> None:
        async with self._http.post(self._url, data=msgspec.json.encode(message), headers=self._headers) as response:
            if response.status != 202:
                raise StrangeAnswer(f"{message.get('method', 'an answer')}: HTTP {response.status}")

    async def listen(self, opened: asyncio.Event, method: str) -> Message:
        """The first notification of a method on the standing stream; `opened` is set when there is one.

        Raises:
            StrangeAnswer: the stream ended before.
        """
        async with self._http.get(self._url, headers={**self._headers, "Accept": "text/event-stream"}) as response:
            opened.set()
            async for found in _messages(response):
                if found.get("method") == method:
                    return found
        raise StrangeAnswer(f"no {method}")

    async def end(self) -> None:
        """End the session."""
        async with self._http.delete(self._url, headers=self._headers):
            pass


async def _messages(response: aiohttp.ClientResponse) -> AsyncIterator[Message]:
    if response.content_type == "application/json":
        yield msgspec.json.decode(await response.read())
        return
    parser = sse.Parser()
    async for chunk in response.content.iter_any():
        for event in parser.feed(chunk):
            if event.data:
                yield msgspec.json.decode(event.data)


def _http() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WAIT_S))


async def call(client: WireClient, name: str, arguments: Message) -> Message:
    """The report of one tool call.

    Raises:
        StrangeAnswer: content of a kind that the client's revision does not have.
    """
    answer = await client.ask("tools/call", {"name": name, "arguments": arguments})
    if "error" in answer:
        return {"feature": "tools/call", "tool": name, "error": answer["error"]["message"]}
    result = answer["result"]
    strange = [block["type"] for block in result["content"] if block["type"] not in _BLOCKS[client.revision]]
    if strange:
        raise StrangeAnswer(f"{name}: content of type {strange[0]}")
    line = {"feature": "tools/call", "tool": name, "content": result["content"]}
    if "structuredContent" in result:
        line["structured"] = result["structuredContent"]
    return {**line, "is_error": result.get("isError", False)}


async def walk(url: str) -> list[Message]:
    """As a 2024-11-05 client, walk through what the sample server offers; one report per feature.

    Raises:
        StrangeAnswer: something reached this client that its revision does not have.
    """
    async with _http() as http:
        client = WireClient(http, url, OLDEST.id)
        opened = await client.open()
        lines: list[Message] = []
        lines.append({"feature": "initialize", "revision": client.revision, "server": opened["serverInfo"]["name"]})
        tools = (await client.ask("tools/list", {}))["result"]["tools"]
        lines.append({"feature": "tools/list", "tools": tools})
        names = [tool["name"] for tool in tools if tool["name"] != CHANGING]
        lines.extend([await call(client, name, ARGUMENTS.get(name, {})) for name in names])
        read = (await client.ask("resources/read", {"uri": NOTES_URI}))["result"]
        lines.append({"feature": "resources/read", "contents": read["contents"]})
        prompt = await client.ask("prompts/get", {"name": "plan_day", "arguments": {"mood": "calm"}})
        lines.append({"feature": "prompts/get", "messages": prompt["result"]["messages"]})
        await client.end()
    return lines


def as_user(method: str, params: Message) -> Message:
    """What the person before the client answers."""
    if method != "elicitation/create" or "name" not in params["requestedSchema"]["properties"]:
        raise StrangeAnswer(f"asked for {method}")
    return {"action": "accept", "content": {"name": "Gerard"}}


async def answer_and_follow(url: str, *, following: bool) -> list[Message]:
    """As a 2025-11-25 client, answer a question and, if wanted, follow a resource that changes; one report each.

    Raises:
        StrangeAnswer: something reached this client that its revision does not have.
    """
    async with _http() as http:
        client = WireClient(http, url, ASKING.id, as_user)
        opened = await client.open()
        lines: list[Message] = []
        lines.append({"feature": "initialize", "revision": client.revision, "server": opened["serverInfo"]["name"]})
        lines.append({**await call(client, "greet", {}), "asked": client.asked})
        if following:
            lines.append(await call(client, "forecast", ARGUMENTS["forecast"]))
            lines.append(await _follow(client))
        await client.end()
    return lines


async def _follow(client: WireClient) -> Message:
    """Subscribe, change the resource, and wait for the announcement."""
    opened = asyncio.Event()
    listening = asyncio.create_task(client.listen(opened, "notifications/resources/updated"))
    ready = asyncio.create_task(opened.wait())
    try:
        async with asyncio.timeout(WAIT_S):
            await asyncio.wait([listening, ready], return_when=asyncio.FIRST_COMPLETED)
            subscribed = await client.ask("resources/subscribe", {"uri": NOTES_URI})
            if "error" in subscribed:
                raise StrangeAnswer(f"resources/subscribe: {subscribed['error']['message']}")
            await call(client, CHANGING, {"text": "Ask the interpreter."})
            update = await listening
        return {"feature": "resources/subscribe", "uri": update["params"]["uri"]}
    finally:
        for task in (listening, ready):
            task.cancel()
