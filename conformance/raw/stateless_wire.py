"""A raw client of 2026-07-28: each request stands by itself, well-formed or not, and a round is retried as told.

Follows basic/index, basic/transports/streamable-http and basic/patterns/mrtr of 2026-07-28.
Invariant: nothing is repaired and nothing is remembered from one request to the next but what a check hands over.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from conformance.raw.wire import Answer, Message, OnMessage, Wire
from conformance.revisions import STATELESS

META: Final = "io.modelcontextprotocol/"
ALL: Final[Message] = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}}
"""Every capability that lets a server ask."""
NAMED: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Which parameter of a method its Mcp-Name header repeats."""
GIVEN: Final[dict[str, Message]] = {
    "elicitation/create": {"action": "accept", "content": {"name": "Ada"}},
    "roots/list": {"roots": [{"uri": "file:///home", "name": "home"}]},
    "sampling/createMessage": {"role": "assistant", "content": {"type": "text", "text": "yo"}, "model": "m"},
}
"""What the person in front answers, by the method of the question."""


@dataclass(frozen=True)
class Interim:
    """A request that was answered by questions: what was asked of whom, to be retried."""

    method: str
    params: Message
    result: Message
    capabilities: Message

    @property
    def questions(self) -> dict[str, Message]:
        found: dict[str, Message] = self.result.get("inputRequests", {})
        return found

    @property
    def state(self) -> str:
        """The state to be carried; KeyError where the server gave none."""
        return str(self.result["requestState"])

    @property
    def methods(self) -> list[str]:
        """The methods of the questions, sorted."""
        return sorted(str(question["method"]) for question in self.questions.values())

    def answers(self) -> dict[str, Message]:
        """A good answer to every question."""
        return {key: GIVEN[question["method"]] for key, question in self.questions.items()}


@dataclass(frozen=True)
class Stateless:
    """The endpoint as a client of 2026-07-28 uses it; `extra` headers go with every request."""

    http: aiohttp.ClientSession
    url: str
    extra: Mapping[str, str] = field(default_factory=dict)

    def request(
        self,
        method: str,
        params: Message | None = None,
        *,
        request_id: Any = "r",
        capabilities: Message = ALL,
        meta: Message | None = None,
    ) -> Message:
        """A request as the revision writes it; `meta` adds to its `_meta`, and a value of None takes away."""
        envelope: Message = {
            f"{META}protocolVersion": STATELESS,
            f"{META}clientCapabilities": capabilities,
            f"{META}clientInfo": {"name": "raw", "version": "1"},
            **(meta or {}),
        }
        kept = {key: value for key, value in envelope.items() if value is not None}
        return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": {**(params or {}), "_meta": kept}}

    async def send(
        self,
        body: Any,
        headers: Mapping[str, str | None] | None = None,
        *,
        until: Any = None,
        on_message: OnMessage | None = None,
    ) -> Answer:
        """POST a body with the headers that belong to it, changed as told (None: left out)."""
        wire = Wire(self.http, self.url, STATELESS)
        return await wire.post(
            body, headers={**self.headers(body), **(headers or {})}, until=until, on_message=on_message
        )

    def headers(self, body: Any) -> dict[str, str | None]:
        """The headers that a request of the revision has."""
        headers: dict[str, str | None] = {**self.extra, "MCP-Protocol-Version": STATELESS}
        if isinstance(body, dict) and isinstance(body.get("method"), str):
            headers["Mcp-Method"] = body["method"]
            name = (body.get("params") or {}).get(NAMED.get(body["method"], ""))
            if isinstance(name, str):
                headers["Mcp-Name"] = encoded(name)
        return headers

    async def ask(
        self,
        method: str,
        params: Message | None = None,
        *,
        request_id: Any = "r",
        headers: Mapping[str, str | None] | None = None,
        on_message: OnMessage | None = None,
        **members: Any,
    ) -> Answer:
        """Send a good request; `members` as of `request`. The answer's stream is read to its response."""
        body = self.request(method, params, request_id=request_id, **members)
        return await self.send(body, headers, until=request_id, on_message=on_message)

    async def result(self, method: str, params: Message | None = None, **options: Any) -> Message:
        """The result of a request; AssertionError when there is none."""
        answer = await self.ask(method, params, **options)
        return result_of(answer, options.get("request_id", "r"))

    async def call(self, tool: str, arguments: Message | None = None, **options: Any) -> Message:
        """The complete result of a tool call."""
        result = await self.result("tools/call", {"name": tool, "arguments": arguments or {}}, **options)
        if result.get("resultType") != "complete":
            raise AssertionError(f"{tool}: not complete: {str(result)[:300]}")
        return result

    async def interim(self, tool: str, arguments: Message | None = None, **options: Any) -> Interim:
        """The questions that a tool call is answered by; AssertionError when it is answered otherwise."""
        params = {"name": tool, "arguments": arguments or {}}
        result = await self.result("tools/call", params, **options)
        return interim_of("tools/call", params, result, options.get("capabilities", ALL))

    async def retry(
        self, interim: Interim, answers: Mapping[str, Any] | None = None, *, state: Any = None, **options: Any
    ) -> Answer:
        """The request again with answers (good ones by default) and the state (or another)."""
        params = {**interim.params, "inputResponses": interim.answers() if answers is None else dict(answers)}
        if state is not None or "requestState" in interim.result:
            params["requestState"] = interim.state if state is None else state
        options.setdefault("capabilities", interim.capabilities)
        return await self.ask(interim.method, params, **options)

    async def again(self, interim: Interim, answers: Mapping[str, Any] | None = None, **options: Any) -> Interim:
        """The questions that a retry is answered by."""
        answer = await self.retry(interim, answers, **options)
        result = result_of(answer, options.get("request_id", "r"))
        return interim_of(interim.method, interim.params, result, interim.capabilities)


def interim_of(method: str, params: Message, result: Message, capabilities: Message) -> Interim:
    """The interim result as such; AssertionError when it is none or shapeless."""
    asked = result.get("inputRequests")
    shaped = isinstance(asked, dict) and asked and isinstance(result.get("requestState", ""), str)
    if result.get("resultType") != "input_required" or not shaped:
        raise AssertionError(f"no questions: {str(result)[:300]}")
    return Interim(method, params, result, capabilities)


def result_of(answer: Answer, request_id: Any = "r") -> Message:
    """The result that answers that id; AssertionError when there is none."""
    response = answer.response(request_id)
    if response is None or not isinstance(response.get("result"), dict):
        raise AssertionError(f"HTTP {answer.status}, {str(answer.messages or answer.body[:200])[:400]}")
    result: Message = response["result"]
    return result


def error_of(answer: Answer, request_id: Any = "r") -> Message:
    """The error that answers that id; AssertionError when there is none."""
    response = answer.response(request_id)
    if response is None or not isinstance(response.get("error"), dict):
        raise AssertionError(f"no error: HTTP {answer.status}, {str(answer.messages or answer.body[:200])[:400]}")
    error: Message = response["error"]
    return error


def encoded(value: str) -> str:
    """A name as a header holds it: itself, or base64 between marks where it cannot."""
    plain = all(0x20 <= ord(each) <= 0x7E for each in value) and value == value.strip(" ")
    if plain and not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="
