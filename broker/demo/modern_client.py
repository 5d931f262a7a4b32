"""A small client of 2026-07-28 without an SDK: every request stands alone, and it accepts nothing of a session.

Follows 2026-07-28 basic/index, basic/patterns/mrtr and basic/transports/streamable-http. It reads strictly: a result
that does not say what it is, a session id or a status of another kind is an error. It reports the same lines as
`client`.
"""

from __future__ import annotations

from typing import Any, Final

import aiohttp
import msgspec

from broker import sse
from broker.demo.client import ARGUMENTS, SESSION, WAIT_S, Answer, Message, StrangeAnswer, as_user
from broker.demo.offers import NOTES_URI
from protocol_versions.v2026_07_28 import REVISION

PREFIX: Final = "io.modelcontextprotocol/"
MAX_ROUNDS: Final = 10  # as many as the SDKs' clients go
_TARGETS: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


class ModernClient:
    """Requests to one server. `asked` are the questions of its interim results."""

    def __init__(self, http: aiohttp.ClientSession, url: str, answer: Answer) -> None:
        self._http = http
        self._url = url
        self._answer = answer
        self._serial = 0
        self.asked: list[Message] = []

    async def ask(self, method: str, params: Message) -> Message:
        """The complete result of a request; questions on the way are answered, each round with the request anew.

        Raises:
            StrangeAnswer: an error, or something this revision does not have.
        """
        more: Message = {}
        for _ in range(MAX_ROUNDS):
            result = await self._once(method, {**params, **more})
            kind = result.get("resultType")
            if kind == "complete":
                return result
            if kind != "input_required":
                raise StrangeAnswer(f"{method}: a result of type {kind}")
            questions = result["inputRequests"]
            self.asked += questions.values()
            answers = {key: self._answer(one["method"], one.get("params", {})) for key, one in questions.items()}
            more = {"inputResponses": answers, "requestState": result["requestState"]}
        raise StrangeAnswer(f"{method}: {MAX_ROUNDS} rounds without an end")

    async def _once(self, method: str, params: Message) -> Message:
        self._serial += 1
        said = {"protocolVersion": REVISION.id, "clientCapabilities": {"elicitation": {"form": {}}}}
        said |= {"clientInfo": {"name": "wire-client", "version": "1"}}
        meta = {f"{PREFIX}{name}": value for name, value in said.items()}
        message = {"jsonrpc": "2.0", "id": self._serial, "method": method, "params": {**params, "_meta": meta}}
        headers = {
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "MCP-Protocol-Version": REVISION.id,
            "Mcp-Method": method,
        }
        if method in _TARGETS:
            headers["Mcp-Name"] = params[_TARGETS[method]]
        async with self._http.post(self._url, data=msgspec.json.encode(message), headers=headers) as response:
            if SESSION in response.headers or response.status != 200:
                raise StrangeAnswer(f"{method}: HTTP {response.status} with {sorted(response.headers)}")
            answer = _last(await response.read(), response.content_type)
        if answer.get("id") != self._serial or "result" not in answer:
            raise StrangeAnswer(f"{method}: {answer.get('error')}")
        result: Message = answer["result"]
        return result


def _last(body: bytes, kind: str) -> Message:
    """The answer: the body, or the last event of a stream."""
    if kind == "text/event-stream":
        body = next(event.data for event in reversed(sse.Parser().feed(body)) if event.data)
    found: Message = msgspec.json.decode(body)
    return found


async def stand_alone(url: str) -> list[Message]:
    """As a client that knows no sessions, discover, list, call, be asked, and read; one report per feature.

    Raises:
        StrangeAnswer: something reached this client that its revision does not have.
    """
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WAIT_S)) as http:
        client = ModernClient(http, url, as_user)
        found = await client.ask("server/discover", {})
        lines: list[Message] = [
            {
                "feature": "server/discover",
                "revisions": found["supportedVersions"],
                "server": found["_meta"][f"{PREFIX}serverInfo"]["name"],
            }
        ]
        listed = await client.ask("tools/list", {})
        kept = {name: listed[name] for name in ("ttlMs", "cacheScope")}
        lines.append({"feature": "tools/list", "tools": listed["tools"], **kept})
        for name in ("weather", "greet"):
            result = await client.ask("tools/call", {"name": name, "arguments": ARGUMENTS.get(name, {})})
            lines.append(_called(name, result, client.asked))
        read = await client.ask("resources/read", {"uri": NOTES_URI})
        lines.append({"feature": "resources/read", "contents": read["contents"]})
    return lines


def _called(name: str, result: Message, asked: list[Message]) -> Message:
    line: dict[str, Any] = {"feature": "tools/call", "tool": name, "content": result["content"], "asked": [*asked]}
    if "structuredContent" in result:
        line["structured"] = result["structuredContent"]
    return {**line, "is_error": result.get("isError", False)}
