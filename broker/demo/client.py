"""A small client of revision 2024-11-05, for where the SDK cannot be downloaded: only what it knows, it accepts.

It reads strictly: a block type, a content shape or a revision that 2024-11-05 does not have is an error, as it is for
programs of that time. It reports the same lines as `sdk_client`.
"""

from __future__ import annotations

from typing import Any, Final

import aiohttp
import msgspec

from protocol_versions.v2024_11_05 import REVISION as PINNED

SESSION: Final = "Mcp-Session-Id"
CALLS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("weather", {"city": "Isfahan"}),
    ("notes", {}),
    ("beep", {}),
    ("greet", {}),
)
_BLOCKS: Final = frozenset(["text", "image", "resource"])  # the content of 2024-11-05/server/tools


class StrangeAnswer(Exception):  # noqa: N818 (what a program of that time would report)
    """The server said something that revision 2024-11-05 does not have."""


class WireClient:
    """One session."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url
        self._headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        self._serial = 0

    async def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """The response to a request: an object with `result` or `error`."""
        self._serial += 1
        message = {"jsonrpc": "2.0", "id": self._serial, "method": method, "params": params}
        async with self._http.post(self._url, data=msgspec.json.encode(message), headers=self._headers) as response:
            if SESSION in response.headers:
                self._headers[SESSION] = response.headers[SESSION]
            text = await response.text()
            for found in _messages(response.content_type, text):
                if found.get("id") == self._serial and "method" not in found:
                    return found
            raise StrangeAnswer(f"{method}: HTTP {response.status} without an answer")

    async def tell(self, method: str) -> None:
        """Send a notification."""
        message = {"jsonrpc": "2.0", "method": method}
        async with self._http.post(self._url, data=msgspec.json.encode(message), headers=self._headers) as response:
            if response.status != 202:
                raise StrangeAnswer(f"{method}: HTTP {response.status}")

    async def end(self) -> None:
        """End the session."""
        async with self._http.delete(self._url, headers=self._headers):
            pass


def _messages(content_type: str, text: str) -> list[dict[str, Any]]:
    if content_type == "application/json":
        return [msgspec.json.decode(text)]
    data = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [msgspec.json.decode(item) for item in data if item]


async def walk(url: str) -> list[dict[str, Any]]:
    """Walk through what the sample server offers; one report per feature.

    Raises:
        StrangeAnswer: something reached this client that its revision does not have.
    """
    lines: list[dict[str, Any]] = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
        client = WireClient(http, url)
        info = {"name": "wire-client", "version": "1"}
        hello = {"protocolVersion": PINNED.id, "capabilities": {}, "clientInfo": info}
        opened = (await client.ask("initialize", hello))["result"]
        if opened["protocolVersion"] != PINNED.id:
            raise StrangeAnswer(f"revision {opened['protocolVersion']}")
        lines.append({"feature": "initialize", "revision": PINNED.id, "server": opened["serverInfo"]["name"]})
        await client.tell("notifications/initialized")
        tools = (await client.ask("tools/list", {}))["result"]["tools"]
        lines.append({"feature": "tools/list", "tools": tools})
        for name, arguments in CALLS:
            answer = await client.ask("tools/call", {"name": name, "arguments": arguments})
            if "error" in answer:
                lines.append({"feature": "tools/call", "tool": name, "error": answer["error"]["message"]})
                continue
            result = answer["result"]
            strange = [block["type"] for block in result["content"] if block["type"] not in _BLOCKS]
            if strange:
                raise StrangeAnswer(f"{name}: content of type {strange[0]}")
            error = result.get("isError", False)
            lines.append({"feature": "tools/call", "tool": name, "content": result["content"], "is_error": error})
        read = (await client.ask("resources/read", {"uri": "demo://notes/today"}))["result"]
        lines.append({"feature": "resources/read", "contents": read["contents"]})
        prompt = await client.ask("prompts/get", {"name": "plan_day", "arguments": {"mood": "calm"}})
        lines.append({"feature": "prompts/get", "messages": prompt["result"]["messages"]})
        await client.end()
    return lines
