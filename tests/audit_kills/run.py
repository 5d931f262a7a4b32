"""One run: brokers are started, called and killed; then every call the server ran is looked for in the audit log."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from broker.audit.recovery import read_line, renamed
from broker.audit.verify import verify
from tests.audit_kills.peers import Client, Server

LATEST_S = 0.25
"""After its first call a broker lives so long at most."""

START_S = 60.0
"""How long a broker may take to listen, on a busy machine."""

ROTATE = 256 * 1024
"""Bytes of one audit file: small, so that brokers are killed while files are renamed too."""


class Report(msgspec.Struct):
    """What a run found; `problems` is empty if the log tells every call that the server ran."""

    fsync: str
    kills: int
    seconds: float
    ran: int
    answered: int
    admitted: int
    outcomes: int
    lost: int
    torn: int
    files: int
    lines: int
    problems: list[str]


class Nursery:
    """The process that brokers are made of."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Nursery:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.audit_kills.nursery",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def ask(self, command: str) -> str:
        """One command and its answer."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(command.encode() + b"\n")
        async with asyncio.timeout(START_S):
            answer = (await stdout.readline()).decode().strip()
        if not answer:
            raise RuntimeError(f"the nursery ended at: {command}")
        return answer

    async def start(self, config: Path) -> tuple[int, int]:
        """A broker: its process and its port."""
        process, port = map(int, (await self.ask(f"start {config}")).split())
        if not port:
            raise RuntimeError("a broker did not start")
        return process, port


async def run(folder: Path, kills: int, *, seed: int, fsync: str = "interval", clients: int = 2) -> Report:
    """Kill so many brokers; `clients` of each era before a server of each era call while they live."""
    began = time.monotonic()
    server = Server(seed)
    await server.start()
    trail, config = folder / "audit.jsonl", folder / "dragoman.json"
    config.write_text(json.dumps(_settings(server.port, trail, fsync)), encoding="utf-8")
    seeded = random.Random(seed)
    numbers = itertools.count(1)
    nonces = (f"nonce-{number}" for number in numbers)
    answered = 0
    async with Nursery() as nursery:
        for _ in range(kills):
            process, port = await nursery.start(config)
            people = [
                Client(port, f"/servers/{name}/mcp", stateless=stateless)
                for name in ("session", "stateless")
                for stateless in (False, True)
                for _ in range(clients)
            ]
            first = asyncio.Event()
            calling = asyncio.gather(*(client.call_until_gone(nonces, first) for client in people))
            async with asyncio.timeout(START_S):
                await first.wait()
            await asyncio.sleep(seeded.random() * LATEST_S)
            await nursery.ask(f"kill {process}")
            await calling
            answered += sum(client.answered for client in people)
        # The last of the dead is told of by the next one.
        process, _ = await nursery.start(config)
        await nursery.ask(f"stop {process}")
    server.close()
    return judge(server.ran, trail, fsync=fsync, kills=kills, answered=answered, seconds=time.monotonic() - began)


def judge(ran: Counter[str], trail: Path, *, fsync: str, kills: int, answered: int, seconds: float) -> Report:
    """What the log says of the calls that ran."""
    files = [*renamed(trail), trail]
    found = verify(files)
    problems = [str(problem) for problem in found.problems]
    admitted: dict[str, str] = {}
    ended: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    torn = 0
    for line in _lines(files):
        seen = read_line(line)
        event, call = seen.metadata.event_code, seen.metadata.correlation_uid
        kinds[event] += 1
        torn += bool(seen.unmapped.torn_bytes)
        if event == "admitted" and seen.api.operation == "tools/call":
            nonce = seen.resources[0].name
            if nonce in admitted:
                problems.append(f"{nonce} was admitted twice")
            admitted[nonce] = call
        elif event in ("outcome", "lost"):
            ended[call] += 1
    problems += [f"{nonce} ran {count} times" for nonce, count in ran.items() if count > 1]
    problems += [f"{nonce} ran and was not admitted" for nonce in ran if nonce not in admitted]
    for nonce, call in admitted.items():
        if ended[call] != 1:
            problems.append(f"{nonce} was admitted and ended {ended[call]} times")
    problems += [f"call {call} has no end" for call in found.open]
    if kinds["started"] != kills + 1 or kinds["stopped"] != 1:
        problems.append(f"{kinds['started']} processes began and {kinds['stopped']} ended, of {kills + 1}")
    return Report(
        fsync=fsync,
        kills=kills,
        seconds=round(seconds, 1),
        ran=len(ran),
        answered=answered,
        admitted=len(admitted),
        outcomes=kinds["outcome"],
        lost=kinds["lost"],
        torn=torn,
        files=len(files),
        lines=found.lines,
        problems=problems,
    )


def _lines(files: Iterable[Path]) -> Iterable[bytes]:
    for path in files:
        yield from path.read_bytes().splitlines(keepends=True)


def _settings(port: int, trail: Path, fsync: str) -> dict[str, object]:
    url = f"http://127.0.0.1:{port}/mcp"
    return {
        "port": 0,
        "servers": {
            "session": {"url": url, "revision": "2025-11-25"},
            "stateless": {"url": url, "revision": "2026-07-28"},
        },
        "audit": {"file": {"path": str(trail), "fsync": fsync, "rotate_bytes": ROTATE}},
    }
