"""A client of 2026-07-28 before a scripted session server: its standing streams, its questions, its answers."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from broker import telemetry
from tests.broker.http1_world import within
from tests.broker.modern_world import ask, envelope
from tests.broker.scripted_backend import Asked, Json, Reply, ScriptedBackend, World, world

FORM: Json = {"message": "Who?", "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}}}
SAMPLE: Json = {"messages": [{"role": "user", "content": {"type": "text", "text": "Hi"}}], "maxTokens": 5}
INPUTS: Json = {"elicitation": {"form": {}}, "sampling": {}, "roots": {}}
ADA: Json = {"action": "accept", "content": {"name": "ada"}}
BOB: Json = {"action": "accept", "content": {"name": "bob"}}
ROOTS: Json = {"roots": [{"uri": "file:///work"}]}

Tool = Callable[[Asked], Awaitable[None]]


def bridging(**settings: Any) -> AbstractAsyncContextManager[World]:
    """A world whose backend knows sessions alone, which the broker finds out."""
    return world(**settings)


def text(value: Any) -> Json:
    """A tool's result that says a value."""
    return {"content": [{"type": "text", "text": json.dumps(value)}]}


def said(reply: Reply) -> Any:
    """The value of such a result."""
    return json.loads(reply.json["result"]["content"][0]["text"])


def streamed(result: Json) -> Tool:
    """Answer with one event, as servers do that can ask."""

    async def answer(asked: Asked) -> None:
        await asked.stream()
        await asked.event({"id": asked.id, "result": result})
        await asked.end()

    return answer


class Server:
    """What the scripted backend needs to ask: a standing stream per session, and the answers by session and id."""

    def __init__(self, here: World, *, tool: Tool | None = None, stands: bool = True) -> None:
        self.backend: ScriptedBackend = here.backend
        self.streams: dict[str, Asked] = {}
        self.answers: dict[tuple[str, Any], Json] = {}
        self._numbers = itertools.count()
        self._changed = asyncio.Event()
        if stands:
            self.backend.on("GET", self._stand)
        self.backend.on("answer", self._take)
        self.backend.on("ping", streamed({}))
        if tool is not None:
            self.backend.on("tools/call", tool)

    async def _stand(self, asked: Asked) -> None:
        await asked.stream()
        await asked.chunk(b"retry: 10\n\n")
        self.streams[asked.headers["mcp-session-id"]] = asked
        self._changed.set()

    async def _take(self, asked: Asked) -> None:
        self.answers[asked.headers["mcp-session-id"], asked.message["id"]] = asked.message
        self._changed.set()
        await asked.reply(202)

    async def until(self, true: Callable[[], bool]) -> None:
        """Until a condition holds that a stream or an answer changes."""

        async def reached() -> None:
            while not true():
                self._changed.clear()
                await self._changed.wait()

        await within(reached())

    async def standing(self, session: str = "backend-1") -> Asked:
        """The standing stream of a session."""
        await self.until(lambda: session in self.streams)
        return self.streams[session]

    async def send(self, asked: Asked, message: Json, *, where: str = "post") -> None:
        """A message on a call's own stream, or on its session's standing one."""
        stream = asked if where == "post" else await self.standing(asked.headers["mcp-session-id"])
        await stream.event(message)

    async def answer(self, asked: Asked, number: Any) -> Json:
        """What was answered to the question with this id in the session of a call."""
        key = (asked.headers["mcp-session-id"], number)
        await self.until(lambda: key in self.answers)
        return self.answers.pop(key)

    async def ask(
        self,
        asked: Asked,
        params: Json | None = None,
        *,
        id: Any = None,  # noqa: A002
        method: str = "elicitation/create",
        where: str = "post",
    ) -> Json:
        """Ask during a call, under an id of the server's own, the first of which is 0; the answer."""
        number = next(self._numbers) if id is None else id
        message: Json = {"id": number, "method": method}
        await self.send(asked, message if params is None else {**message, "params": params}, where=where)
        return await self.answer(asked, number)


def asking(server: Callable[[], Server], *, where: str = "post", rounds: int = 1) -> Tool:
    """A tool that asks for a form in every round, and says what it was answered."""

    async def tool(asked: Asked) -> None:
        await asked.stream()
        told = []
        for _ in range(rounds):
            answer = await server().ask(asked, FORM, where=where)
            told.append(answer.get("result", answer.get("error")))
        await asked.event({"id": asked.id, "result": text(told)})
        await asked.end()

    return tool


def serving(here: World, *, where: str = "post", rounds: int = 1, stands: bool = True) -> Server:
    """A server whose tool asks."""
    server = Server(here, stands=stands)
    here.backend.on("tools/call", asking(lambda: server, where=where, rounds=rounds))
    return server


async def final(reply: Reply) -> Json:
    """The answer of a request, whole or as the next event of a stream."""
    found: Json = await reply.message() if reply.streams else reply.json
    return found


async def begin(here: World, capabilities: Json | None = None, **more: Any) -> Reply:
    """A call of a client that can be asked everything; `more` as for `ask`."""
    more.setdefault("meta", envelope(INPUTS if capabilities is None else capabilities))
    return await ask(more.pop("client", here.client), **more)


async def again(here: World, before: Reply, answers: Json, **more: Any) -> Reply:
    """The retry of a call, with these answers."""
    params = {"name": "x", "arguments": {}, **more.pop("params", {})}
    state = before.json["result"]["requestState"]
    return await begin(here, params={**params, "inputResponses": answers, "requestState": state}, **more)


def asked_for(reply: Reply) -> Json:
    """The questions of an interim result."""
    result = reply.json["result"]
    assert result["resultType"] == "input_required", result
    found: Json = result["inputRequests"]
    return found


def answers_to(reply: Reply, answer: Json = ADA) -> Json:
    """The same answer to every question."""
    return dict.fromkeys(asked_for(reply), answer)


def audited(reason: str) -> int:
    """How many refused inputs of that reason were written into the audit so far."""
    return telemetry.counts["refused", "default", "", reason]
