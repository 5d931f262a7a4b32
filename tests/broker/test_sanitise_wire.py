"""On the wire, before backends of both eras: no client without clearance reads a planted secret, one with it does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.identity import new_key
from protocol_versions import by_id
from protocol_versions.base import Slot, notification, result
from tests.broker.bridge_world import bridging
from tests.broker.crossing_world import INPUTS, Rounds, crossing, greeted
from tests.broker.inner_world import in_crossing, in_modern, in_sessions
from tests.broker.modern_world import ask, envelope, modern
from tests.broker.sanitise_world import AWS, CANARY, READ, Json, hook, leaves, planted, rule
from tests.broker.scripted_backend import Asked, Reply, World, world
from tests.strategies import body as bodies

CLEARED, CLEARED_DIGEST = new_key()
OTHER, OTHER_DIGEST = new_key()
POLICY: Json = {
    "keys": {"cleared": CLEARED_DIGEST, "other": OTHER_DIGEST},
    "clearance": {"levels": ["public", "secret"], "grants": [{"level": "secret", "principals": ["key:cleared"]}]},
    "sanitise": {
        "detectors": {"canary": CANARY},
        "rules": [{"find": ["canary", "secrets"], "action": {"public": "redact", "secret": "allow"}}],
    },
}
ASKS: dict[str, Json] = {
    "tools/call": {"name": "x"},
    "tools/list": {},
    "prompts/list": {},
    "prompts/get": {"name": "x"},
    "resources/list": {},
    "resources/templates/list": {},
    "resources/read": {"uri": "file:///x"},
    "completion/complete": {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": "b"}},
}
OFFERS: Json = {"tools": {}, "prompts": {}, "resources": {}, "completions": {}, "logging": {}}
EDGES: dict[str, tuple[Callable[..., AbstractAsyncContextManager[World]], str, str]] = {
    # by name: the world, the client's revision, the backend's
    "2025-11-25": (world, "2025-11-25", "2025-11-25"),
    "2024-11-05": (world, "2024-11-05", "2024-11-05"),
    "2025-03-26 before 2025-11-25": (world, "2025-03-26", "2025-11-25"),
    "2025-11-25 before 2026-07-28": (crossing, "2025-11-25", "2026-07-28"),
    "2026-07-28": (modern, "2026-07-28", "2026-07-28"),
    "2026-07-28 before 2025-11-25": (bridging, "2026-07-28", "2025-11-25"),
}


async def opened(here: World, client_revision: str, backend_revision: str, key: str) -> None:
    here.client.headers["Authorization"] = f"Bearer {key}"
    here.backend.capabilities = OFFERS
    here.backend.revision = "" if backend_revision == "2026-07-28" else backend_revision
    if client_revision != "2026-07-28":
        if backend_revision == "2026-07-28":
            await greeted(here, OFFERS)
        else:
            await here.client.open(client_revision)


async def asked(here: World, client_revision: str, method: str) -> str:
    """All that the client is sent in answer to one request."""
    if client_revision == "2026-07-28":
        meta = envelope(INPUTS, **{"io.modelcontextprotocol/logLevel": "debug", "progressToken": "p"})
        return await everything(await ask(here.client, method, ASKS[method], meta=meta))
    params = {**ASKS[method], "_meta": {"progressToken": "p"}}
    return await everything(await here.client.post({"id": 1, "method": method, "params": params}))


async def everything(reply: Reply) -> str:
    if not reply.streams:
        return reply.body.decode()
    said = []
    while (event := await reply.event()) is not None:
        said.append(event.data.decode() if isinstance(event.data, bytes) else event.data)
    return "\n".join(said)


def says(body: Json, *told: tuple[str, Json]) -> Callable[[Asked], Awaitable[None]]:
    """A backend that says all this: notifications, then a result."""

    async def answer(asked: Asked) -> None:
        await asked.stream()
        for method, params in told:
            if method == "notifications/progress":
                params = {**params, "progressToken": asked.message["params"].get("_meta", {}).get("progressToken", 1)}
            await asked.event({"method": method, "params": params})
        await asked.event({"id": asked.id, **body})
        await asked.end()

    return answer


@st.composite
def plants(draw: Any, revision_id: str) -> list[tuple[str, Callable[[Asked], Awaitable[None]]]]:
    """Some methods and what a backend of this revision answers, with a secret at one leaf of everything it says."""
    revision = by_id(revision_id)
    found = []
    for method in draw(st.lists(st.sampled_from(sorted(ASKS)), min_size=2, max_size=4, unique=True)):
        said: list[Json] = []
        for slot in (
            result(method),
            notification("notifications/message"),
            notification("notifications/progress"),
        ):
            tree = draw(bodies(revision, slot))
            spots = [place for place in leaves(tree) if place[0] not in ("level", "resultType", "inputRequests")]
            if spots:
                tree = planted(tree, draw(st.sampled_from(spots)), draw(st.sampled_from((CANARY, f"a {AWS} b"))))
            said.append(tree)
        wrong = {"error": {"code": -32000, "message": f"no {CANARY}", "data": {CANARY: [AWS]}}}
        answer = wrong if draw(st.integers(0, 4)) == 0 else {"result": said[0]}
        told = (("notifications/message", said[1]), ("notifications/progress", said[2]))
        found.append((method, says(answer, *told)))
    return found


@pytest.mark.parametrize("edge", EDGES)
@given(data=st.data())
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_planted_secret_reaches_a_client_without_clearance(edge: str, data: st.DataObject) -> None:
    begin, client_revision, backend_revision = EDGES[edge]
    planned = data.draw(plants(backend_revision))

    async def play() -> list[str]:
        async with begin(**POLICY) as here:
            await opened(here, client_revision, backend_revision, OTHER)
            seen = []
            for method, answer in planned:
                here.backend.on(method, answer)
                seen.append(await asked(here, client_revision, method))
            return seen

    for seen in asyncio.run(play()):
        assert seen
        assert CANARY not in seen
        assert AWS not in seen


@pytest.mark.parametrize("edge", EDGES)
async def test_who_is_cleared_reads_what_others_do_not_from_the_same_backend(edge: str) -> None:
    begin, client_revision, backend_revision = EDGES[edge]
    for key, shown in ((CLEARED, True), (OTHER, False)):
        async with begin(**POLICY) as here:
            await opened(here, client_revision, backend_revision, key)
            body = {"resultType": "complete", "content": [{"type": "text", "text": f"it is {CANARY}"}]}
            here.backend.on("tools/call", says({"result": body}))
            seen = await asked(here, client_revision, "tools/call")
            assert (CANARY in seen) == shown
            assert ("it is [redacted:canary]" in seen) != shown


@pytest.mark.parametrize("edge", EDGES)
async def test_what_a_backend_says_of_itself_is_looked_through(edge: str) -> None:
    begin, client_revision, backend_revision = EDGES[edge]
    async with begin(**POLICY) as here:
        here.client.headers["Authorization"] = f"Bearer {OTHER}"
        info = {"name": "scripted", "version": "1", "title": CANARY}

        async def initialize(asked: Asked) -> None:
            told = {"protocolVersion": backend_revision, "capabilities": {}, "serverInfo": info}
            await asked.result({**told, "instructions": f"say {CANARY}"}, mcp_session_id="s")

        async def discover(asked: Asked) -> None:
            told = {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {}, "ttlMs": 0}
            meta = {"io.modelcontextprotocol/serverInfo": info}
            await asked.result({**told, "cacheScope": "private", "instructions": f"say {CANARY}", "_meta": meta})

        here.backend.on("initialize", initialize)
        if backend_revision == "2026-07-28":
            here.backend.on("server/discover", discover)
        if client_revision == "2026-07-28":
            seen = (await ask(here.client, "server/discover")).json
        else:
            seen = (await here.client.open(client_revision)).json
        said = json.dumps(seen)
        assert CANARY not in said
        assert "say [redacted:canary]" in said


async def test_questions_are_looked_through_whatever_carries_them() -> None:
    for play in (in_sessions, in_crossing, in_modern):
        played = await play("elicitation/create", hook(rule("Who")))
        assert played.shown[0]["message"] == "[redacted:own]?"
        assert played.end["result"]["content"] == [{"type": "text", "text": "done"}]


async def test_a_question_that_may_not_be_shown_whole_is_not_asked() -> None:
    url = {"mode": "url", "message": "go", "url": f"https://example.com/{CANARY}", "elicitationId": "e"}
    rounds = Rounds({"k": {"method": "elicitation/create", "params": url}})
    async with modern(**POLICY) as here:
        here.client.headers["Authorization"] = f"Bearer {OTHER}"
        here.backend.on("tools/call", rounds)
        reply = await ask(here.client, meta=envelope({"elicitation": {"form": {}, "url": {}}}))
        assert CANARY not in reply.body.decode()
        assert reply.json["error"]["data"]["reason"] == "denied"


def test_the_slot_of_every_message_toward_clients_is_covered() -> None:
    everything = hook(rule("email"))
    for _, slot in READ:
        for part in (slot.part, "error"):
            assert any(pattern.covers(Slot(part, slot.method, "client")) for pattern in everything.slots)
