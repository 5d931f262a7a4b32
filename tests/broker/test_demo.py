"""The modern sample server: it keeps to its revision, asks in rounds, and announces what changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from broker import serve
from broker.demo import session_server
from broker.demo.client import StrangeAnswer, WireClient, as_user
from broker.demo.modern_client import ModernClient
from broker.demo.offers import NOTES_URI
from broker.demo.server import sample_app
from broker.demo.state import ANSWER_S, Sealer
from broker.settings import Settings
from protocol_versions.v2026_07_28 import REVISION

WAIT_S = 5
PREFIX = "io.modelcontextprotocol/"
SETTINGS = Settings.for_proxy("http://127.0.0.1/mcp", port=0)
FORMS: dict[str, Any] = {"elicitation": {"form": {}}}
Json = dict[str, Any]


class Client:
    """Requests to the sample server, each complete in itself."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self.url = url

    def request(self, method: str, params: Json, capabilities: Json | None = None, **headers: str) -> Any:
        meta = {f"{PREFIX}protocolVersion": REVISION.id, f"{PREFIX}clientCapabilities": capabilities or {}}
        info = {f"{PREFIX}clientInfo": {"name": "t", "version": "1"}}
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": {**meta, **info}}}
        name = params.get("name") or params.get("uri")
        usual = {"MCP-Protocol-Version": REVISION.id, "Mcp-Method": method, **({"Mcp-Name": name} if name else {})}
        return self.http.post(self.url, json=message, headers={**usual, **headers})

    async def ask(self, method: str, params: Json, capabilities: Json | None = None, **headers: str) -> Json:
        async with self.request(method, params, capabilities, **headers) as response:
            return {"status": response.status, **await response.json()}

    async def call(self, name: str, capabilities: Json | None = None, **params: Any) -> Json:
        return await self.ask("tools/call", {"name": name, **params}, capabilities)


@asynccontextmanager
async def sample() -> AsyncIterator[Client]:
    running = await serve.start(Settings.for_proxy("http://127.0.0.1/mcp", port=0), lambda *_: sample_app())
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WAIT_S)) as http:
            yield Client(http, f"{running.url}/mcp")
    finally:
        await running.close()


def run(story: Any) -> None:
    async def main() -> None:
        async with sample() as client:
            await story(client)

    asyncio.run(main())


def test_a_handshake_is_refused_with_the_versions_it_speaks() -> None:
    async def story(client: Client) -> None:
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
        async with client.http.post(client.url, json=message) as response:
            refused = (await response.json())["error"]
            assert (response.status, refused["code"]) == (400, -32022)
            assert refused["data"] == {"supported": [REVISION.id], "requested": "2025-11-25"}
        async with client.http.get(client.url) as response:
            assert response.status == 405

    run(story)


@pytest.mark.parametrize(
    "method", ["server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list"]
)
def test_every_answer_says_that_it_is_complete_and_how_long_it_keeps(method: str) -> None:
    async def story(client: Client) -> None:
        result = (await client.ask(method, {}))["result"]
        assert result["resultType"] == "complete"
        assert result["ttlMs"] >= 0
        assert result["cacheScope"] in ("public", "private")

    run(story)


def test_a_header_that_differs_from_the_body_is_refused() -> None:
    async def story(client: Client) -> None:
        refused = await client.ask("tools/call", {"name": "notes"}, None, **{"Mcp-Name": "beep"})
        assert (refused["status"], refused["error"]["code"]) == (400, -32020)

    run(story)


def test_a_question_is_asked_in_an_interim_result_and_its_answer_ends_the_call() -> None:
    async def story(client: Client) -> None:
        asked = (await client.call("greet", FORMS))["result"]
        assert asked["resultType"] == "input_required"
        ((key, question),) = asked["inputRequests"].items()
        assert question["method"] == "elicitation/create"
        answer = {key: {"action": "accept", "content": {"name": "Isabel"}}}
        done = await client.call("greet", FORMS, inputResponses=answer, requestState=asked["requestState"])
        assert done["result"]["content"] == [{"type": "text", "text": "Good day, Isabel!"}]

    run(story)


def test_the_state_of_one_request_opens_no_other() -> None:
    async def story(client: Client) -> None:
        state = (await client.call("greet", FORMS))["result"]["requestState"]
        for changed in ({"requestState": state[:-1] + "g"}, {"requestState": state, "arguments": {"a": 1}}):
            refused = await client.call("greet", FORMS, **changed)
            assert refused["error"]["code"] == -32602

    run(story)


def test_a_state_has_its_time() -> None:
    now = 0.0
    sealer = Sealer(lambda: now)
    state = sealer.seal(["greet", {}])
    assert sealer.opens(state, ["greet", {}])
    now = ANSWER_S + 2
    assert not sealer.opens(state, ["greet", {}])


@pytest.mark.parametrize("capabilities", [{}, {"elicitation": {"url": {}}}])
def test_a_client_that_cannot_be_asked_is_told_what_it_lacks(capabilities: Json) -> None:
    async def story(client: Client) -> None:
        refused = await client.call("greet", capabilities)
        assert (refused["status"], refused["error"]["code"]) == (400, -32021)
        assert refused["error"]["data"] == {"requiredCapabilities": FORMS}

    run(story)


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[Json]:
    async for line in response.content:
        if line.startswith(b"data:"):
            yield json.loads(line[5:])


def test_who_listens_is_acknowledged_first_and_told_of_what_it_follows() -> None:
    async def story(client: Client) -> None:
        wanted = {"resourceSubscriptions": [NOTES_URI, "demo://none"], "toolsListChanged": True}
        async with client.request("subscriptions/listen", {"notifications": wanted}) as response:
            events = _events(response)
            first = await anext(events)
            assert first["method"] == "notifications/subscriptions/acknowledged"
            meta = {f"{PREFIX}subscriptionId": 1}
            assert first["params"] == {"_meta": meta, "notifications": {"resourceSubscriptions": [NOTES_URI]}}
            await client.call("remember", arguments={"text": "more"})
            second = await anext(events)
            assert second["method"] == "notifications/resources/updated"
            assert second["params"] == {"_meta": meta, "uri": NOTES_URI}
        read = (await client.ask("resources/read", {"uri": NOTES_URI}))["result"]
        assert read["contents"][0]["text"].endswith("\nmore")

    run(story)


def test_an_open_subscription_ends_with_a_result_when_the_server_does() -> None:
    async def main() -> list[Json]:
        running = await serve.start(Settings.for_proxy("http://127.0.0.1/mcp", port=0), lambda *_: sample_app())
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WAIT_S)) as http:
            client = Client(http, f"{running.url}/mcp")
            async with client.request("subscriptions/listen", {"notifications": {}}) as response:
                events = _events(response)
                seen = [await anext(events)]
                await running.close(grace_s=WAIT_S)
                return seen + [event async for event in events]

    seen = asyncio.run(main())
    assert seen[0]["params"]["notifications"] == {}
    meta = {f"{PREFIX}subscriptionId": 1}
    assert [event.get("result") for event in seen[1:]] == [{"resultType": "complete", "_meta": meta}]


def test_the_built_in_client_without_sessions_is_asked_in_rounds_and_takes_no_session() -> None:
    async def story(client: Client) -> None:
        modern = ModernClient(client.http, client.url, as_user)
        greeted = await modern.ask("tools/call", {"name": "greet", "arguments": {}})
        assert greeted["content"] == [{"type": "text", "text": "Good day, Gerard!"}]
        assert [one["method"] for one in modern.asked] == ["elicitation/create"]
        running = await serve.start(SETTINGS, lambda *_: session_server.sample_app())
        try:
            with pytest.raises(StrangeAnswer):
                await ModernClient(client.http, f"{running.url}/mcp", as_user).ask("server/discover", {})
        finally:
            await running.close()

    run(story)


def test_the_built_in_client_accepts_nothing_of_another_revision() -> None:
    async def story(client: Client) -> None:
        with pytest.raises((StrangeAnswer, KeyError)):
            await WireClient(client.http, client.url, "2025-11-25").open()

    run(story)
