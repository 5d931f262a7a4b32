"""A client on a pipe before a server on a pipe, in one loop: lines in, lines out, and the processes between."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from broker.backends.child import Command
from broker.backends.hidden import NOTHING
from broker.backends.session_policy import SessionPolicy
from broker.backends.stdio_reach import StdioReach
from broker.context import CLIENT_INFO, ServerContext
from broker.faces.one_client import OneClient
from broker.hooks.base import Hook
from broker.hooks.runner import Runner
from broker.identity.principal import LOCAL
from broker.limit_values import DEFAULTS, wire_of
from broker.seal import Seal
from broker.watch import Watch
from broker.wheel import Wheel
from protocol_versions import REVISIONS
from tests.broker.http1_world import within

Json = dict[str, Any]
SERVER = str(Path(__file__).with_name("pipe_server.py"))
PREFIX = "io.modelcontextprotocol/"


class Reports:
    """What was noted: (kind, method, reason)."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str, str]] = []

    def note(self, kind: str, *, backend: str, method: str, reason: str, pair: str) -> None:
        self.notes.append((kind, method, reason))

    def loss(self, **_lost: str) -> None: ...


class PipeWorld:
    """`log` is the file the server's processes write to; `said` are the messages the client was sent."""

    def __init__(self, folder: Path, habits: tuple[str, ...], hooks: tuple[Hook, ...], **options: Any) -> None:
        self.log = folder / "server.log"
        self.reports = Reports()
        self.violations: list[str] = []
        self.stderr: list[str] = []
        self.said: list[Json] = []
        self._changed = asyncio.Event()
        limits = msgspec.structs.replace(DEFAULTS, **options.pop("limits", {}))
        revision, audit = options.pop("revision", "auto"), options.pop("audit", None)
        hidden = options.pop("hidden", NOTHING)
        wheel = Wheel()
        variables = {"PIPE_SERVER_LOG": str(self.log), **options.pop("env", {})}
        self.reach = StdioReach(
            Command((sys.executable, SERVER, *habits), variables, **options),
            wire_of(limits),
            CLIENT_INFO,
            wheel,
            limits=limits,
            log=lambda line, _dropped: self.stderr.append(line),
            violation=self.violations.append,
            hidden=hidden,
        )
        self.context = ServerContext(
            "pipe",
            reach=self.reach,
            revision=revision,
            face="mirror",
            compare_lists=True,
            bridge=SessionPolicy.defaults(limits),
            revisions=tuple(each.id for each in REVISIONS),
            limits=limits,
            wheel=wheel,
            hooks=Runner(hooks, wire_of(limits)),
            watch=Watch(self.reports, None, limits.stream_queue_bytes, audit),
            wire=wire_of(limits),
            seal=Seal(),
        )
        self.face = OneClient(self.context, LOCAL, self._write)

    def _write(self, message: bytes) -> None:
        assert b"\n" not in message
        self.said.append(json.loads(message))
        self._changed.set()

    def send(self, message: Json | bytes) -> None:
        """One line of the client."""
        self.face.line(message if isinstance(message, bytes) else json.dumps({"jsonrpc": "2.0", **message}).encode())

    async def until(self, found: Any) -> Json:
        """The first message for which `found` is true."""

        async def reached() -> Json:
            while True:
                for message in self.said:
                    if found(message):
                        return message
                self._changed.clear()
                await self._changed.wait()

        return await within(reached())

    async def answer(self, number: int | str) -> Json:
        """The answer to that request."""
        return await self.until(lambda message: message.get("id") == number and "method" not in message)

    async def ask(self, number: int, method: str, params: Json | None = None) -> Json:
        """One request and its answer."""
        self.send({"id": number, "method": method, "params": params or {}})
        return await self.answer(number)

    async def open(self, revision: str = "2025-11-25", capabilities: Json | None = None) -> Json:
        """`initialize` and `initialized`."""
        info = {"name": "client", "version": "1"}
        params = {"protocolVersion": revision, "capabilities": capabilities or {}, "clientInfo": info}
        answer = await self.ask(0, "initialize", params)
        self.send({"method": "notifications/initialized"})
        return answer

    async def modern(self, number: int, method: str, params: Json | None = None, **meta: Any) -> Json:
        """One request that stands alone, and its answer."""
        envelope = {f"{PREFIX}protocolVersion": "2026-07-28", f"{PREFIX}clientCapabilities": {}, **meta}
        return await self.ask(number, method, {**(params or {}), "_meta": envelope})

    def processes(self, word: str = "start") -> list[int]:
        """The ids of the server's processes that wrote this word."""
        if not self.log.exists():
            return []
        words = (line.split(" ", 1) for line in self.log.read_text(encoding="utf-8").splitlines())
        return [int(pid) for pid, text in words if text == word]

    async def gone(self, pid: int) -> None:
        """Until a process is no more."""

        await settled(lambda: not alive(pid))


async def settled(done: Callable[[], bool]) -> None:
    """Until something is so that only another process can bring about, of which nobody here is told."""

    for _ in range(1_000):
        if done():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to be")


def alive(pid: int) -> bool:
    """True while a process runs; one that nobody has waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@asynccontextmanager
async def pipe(folder: Path, *habits: str, hooks: tuple[Hook, ...] = (), **options: Any) -> AsyncIterator[PipeWorld]:
    """Both pipes; afterwards no process is left."""
    here = PipeWorld(folder, habits, hooks, **options)
    try:
        yield here
    finally:
        here.face.close()
        await here.reach.close()
        here.context.wheel.close()
        for pid in [*here.processes(), *here.processes("grandchild")]:
            await here.gone(pid)
