"""The doors of `policy_world` with pipes on either side: clients of `dragoman stdio`, servers that are commands."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from broker.faces.one_client import OneClient
from broker.hooks.memory import Memory
from broker.hooks.policy import Policy
from broker.rules.ruleset import RuleSet
from broker.settings import Settings
from broker.stdio_configured import Configured
from broker.stdio_served import Served
from broker.wheel import Wheel
from tests.broker.http1_world import within
from tests.broker.modern_world import REVISION, envelope
from tests.broker.pipe_world import SERVER
from tests.broker.policy_world import KEYS, SHAS, TOOLS, Doors
from tests.broker.scripted_backend import Json, World, world


class PipeClient:
    """One client of a broker on a pipe: lines in, lines out."""

    def __init__(self, served: Served, revision: str) -> None:
        self.served = served
        self.revision = revision
        self._lines: asyncio.Queue[Any] = asyncio.Queue()
        self.face = OneClient(served.context, served.principal, lambda text: self._lines.put_nowait(json.loads(text)))

    def line(self, message: Any) -> None:
        """One line of the client: a message, or a batch."""
        self.face.line(json.dumps(message).encode())

    async def said(self) -> Any:
        """The next line that is no notification."""
        while True:
            message = await within(self._lines.get())
            if isinstance(message, list) or "id" in message:
                return message

    async def ask(self, number: int, method: str, params: Json) -> Json:
        """One request and its answer."""
        if self.revision == REVISION:
            params = {**params, "_meta": {**envelope(), **params.get("_meta", {})}}
        self.line({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        answer: Json = await self.said()
        assert answer["id"] == number
        return answer

    async def open(self) -> None:
        """The beginning of a session, if it has one."""
        if self.revision == REVISION:
            return
        info = {"name": "raw", "version": "0"}
        asked = {"protocolVersion": self.revision, "capabilities": {}, "clientInfo": info}
        assert (await self.ask(0, "initialize", asked))["result"]["protocolVersion"] == self.revision
        self.line({"jsonrpc": "2.0", "method": "notifications/initialized"})


class CommandDoors(Doors):
    """Over HTTP, before a command; `log` is where its processes write down what they were sent."""

    log: Path

    async def open(self) -> None:
        for name in KEYS:
            client = self.clients[name] = self.here.another()
            if self.client != REVISION:
                assert (await client.open(self.client, **self._key(name))).status == 200

    @property
    def ran(self) -> int:
        return calls_in(self.log)


class PipeDoors(Doors):
    """On pipes, a broker for each caller; before the scripted backend, or before a command that has a `log`."""

    log: Path | None = None

    def __init__(self, here: World, client: str, backend: str) -> None:
        super().__init__(here, client, backend)
        self.pipes: dict[str, PipeClient] = {}

    async def begin(self, section: Json, **more: Any) -> None:
        """Begin a client for each caller, of a broker with this server."""
        for name in KEYS:
            tree = {"servers": {"default": section}, "keys": SHAS, "pipe": {"key": name}, **more}
            served = Configured(Settings.build(tree), "default").build(Wheel())
            pipe = self.pipes[name] = PipeClient(served, self.client)
            await pipe.open()

    async def ask(self, principal: str, method: str, params: Json) -> Json:
        self._number += 1
        return await self.pipes[principal].ask(self._number, method, params)

    async def batch(self, principal: str, calls: list[Json]) -> list[Json]:
        pipe = self.pipes[principal]
        requests = [{"method": "tools/call", "params": call} for call in calls]
        pipe.line([{"jsonrpc": "2.0", "id": number, **each} for number, each in enumerate(requests, 1)])
        answers: list[Json] = await pipe.said()
        return answers

    @property
    def ran(self) -> int:
        return super().ran if self.log is None else calls_in(self.log)

    def judge_by(self, found: RuleSet) -> None:
        for pipe in self.pipes.values():
            pipe.served.context.hooks.replace([Policy(found, Memory())])

    async def close(self) -> None:
        for pipe in self.pipes.values():
            pipe.face.close()
            await within(pipe.served.close())


def calls_in(log: Path) -> int:
    """How many calls the processes of a command have been sent."""
    return sum(line.endswith(" tools/call") for line in log.read_text(encoding="utf-8").splitlines())


def command(backend: str, log: Path) -> Json:
    """A server of that revision that is a command, as a section of the configuration."""
    habits = ["modern"] if backend == REVISION else []
    variables = {"PIPE_SERVER_LOG": str(log), "PIPE_SERVER_TOOLS": " ".join(TOOLS)}
    return {"command": [sys.executable, SERVER, *habits], "env": variables, "revision": backend}


@asynccontextmanager
async def piped_doors(
    front: str, behind: str, client: str, backend: str, folder: Path, *, server: Json | None = None, **sections: Any
) -> AsyncIterator[Doors]:
    """Doors with a pipe in `front`, `behind`, or both; the other side is `http`. `server` is said of the server."""
    log = folder / "server.log"
    log.touch()
    section = {**command(backend, log), **(server or {})}
    if front == "http" and behind == "http":
        async with world(backend={"revision": backend, **(server or {})}, keys=SHAS, **sections) as here:
            plain = Doors(here, client, backend)
            await plain.open()
            yield plain
        return
    if front == "http":
        own = {name: value for name, value in section.items() if name != "command"}
        async with world(command=tuple(section["command"]), backend=own, keys=SHAS, **sections) as here:
            doors = CommandDoors(here, client, backend)
            doors.log = log
            await doors.open()
            yield doors
        return
    async with world(backend={"revision": backend}) as here:
        pipes = PipeDoors(here, client, backend)
        pipes.log = log if behind == "pipe" else None
        try:
            if behind == "http":
                pipes.answer_calls()
                url = f"http://127.0.0.1:{here.backend.port}/mcp"
                section = {"url": url, "revision": backend, **(server or {})}
            await pipes.begin(section, **sections)
            yield pipes
        finally:
            await pipes.close()
