"""A session client before a scripted stateless backend: its discovery, its answers, its questions, its stream."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from tests.broker.http1_world import within
from tests.broker.modern_world import REVISION
from tests.broker.scripted_backend import DONE, Asked, Handler, Json, Reply, World, world

LISTEN = "subscriptions/listen"
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
CHANGED = "notifications/tools/list_changed"
INPUTS: Json = {"elicitation": {"form": {}}, "sampling": {}, "roots": {}}
FORM: Json = {"mode": "form", "message": "Who?", "requestedSchema": {"type": "object", "properties": {}}}


def crossing(**settings: Any) -> AbstractAsyncContextManager[World]:
    """A world whose backend is stateless, for clients with sessions."""
    return world(backend={"revision": REVISION, **settings.pop("backend", {})}, **settings)


def discovery(offers: Json | None = None, *versions: str) -> Json:
    """A `server/discover` result."""
    return {
        "resultType": "complete",
        "supportedVersions": list(versions or (REVISION,)),
        "capabilities": {"tools": {}} if offers is None else offers,
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "scripted", "version": "1"}},
    }


def completes(**members: Any) -> Handler:
    """Answer with a complete result."""

    async def answer(asked: Asked) -> None:
        await asked.result({"resultType": "complete", "ttlMs": 0, "cacheScope": "private", **members})

    return answer


class Rounds:
    """Ask in the first rounds, then complete with DONE; what was sent is kept."""

    def __init__(self, *rounds: Json, state: str | None = "state") -> None:
        self.rounds = list(rounds)
        self.state = {} if state is None else {"requestState": state}
        self.sent: list[Json] = []

    async def __call__(self, asked: Asked) -> None:
        self.sent.append(asked.message["params"])
        if self.rounds:
            asks = {"inputRequests": self.rounds.pop(0)}
            await asked.result({"resultType": "input_required", **asks, **self.state})
        else:
            await asked.result({"resultType": "complete", **DONE})


class Listened:
    """The backend's side of `subscriptions/listen`: acknowledges, and announces on the newest stream."""

    def __init__(self) -> None:
        self.streams: list[Asked] = []

    async def __call__(self, asked: Asked) -> None:
        await asked.stream()
        wanted = asked.message["params"]["notifications"]
        await asked.event({"method": ACKNOWLEDGED, "params": {"notifications": wanted}})
        self.streams.append(asked)

    async def announce(self, method: str = CHANGED) -> None:
        await self.streams[-1].event({"method": method})


async def greeted(here: World, offers: Json | None = None, **options: Any) -> Reply:
    """The backend is discovered, the client has its session; `options` are those of `Client.open`."""
    here.backend.on("server/discover", completes(**discovery(offers)))
    return await here.client.open(**options)


async def standing(here: World) -> Reply:
    """The client's GET stream, once the broker listens."""
    stream = await here.client.send("GET", Accept="text/event-stream")
    await within(here.backend.next(LISTEN))
    return stream
