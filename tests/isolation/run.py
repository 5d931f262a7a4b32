"""One run: a broker, a server, many callers; and the judgement of what they were told against what the server did."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import resource
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from broker.app import POOLS, create_app
from broker.audit.recovery import read_line
from broker.audit.verify import verify
from broker.metering.meter import Meter
from broker.serve import start
from broker.settings import Settings
from tests.isolation.backend import Backend
from tests.isolation.caller import WAIT_S, Caller, Told

SOCKETS = 800
"""Connections of all clients at once: fewer than wait for `accept` while the loop is busy (1,024)."""

FILES = 20_000
"""Descriptors the full size needs at most: every connection has both its ends in this process."""

NOBODY = "no: "
"""How the server notes an answer that is none."""

GATE_S = 60.0
"""How long calls wait for each other at most."""


class Report(msgspec.Struct):
    """What a run found; `problems` is empty if every caller was told its own, once."""

    callers: int
    calls: int
    kills: int
    seconds: float
    outcomes: dict[str, int]
    most_sessions: int
    most_parked: int
    problems: list[str]


class Gate:
    """Lets everybody through once all have come, so that all calls are suspended at once."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.opened = asyncio.Event()

    async def __call__(self) -> None:
        """Wait for the others."""
        self.left -= 1
        if self.left <= 0:
            self.opened.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATE_S):
                await self.opened.wait()


def guards(audit: Path) -> dict[str, Any]:
    """Settings by which every call is judged and written down."""
    rule = {"name": "hidden", "deny": "name.startsWith('hidden')"}
    return {"audit": {"file": {"path": str(audit)}}, "policy": {"rules": [rule]}}


async def run(callers: int, calls: int, *, seed: int, kills: int = 0, audit: Path | None = None) -> Report:
    """`callers` with `calls` each at once; with `kills`, the server is killed that often while they are served.

    With a file for the audit log, rules and a filter judge every call as well, none of which they refuse.
    """
    began = time.monotonic()
    backend = Backend()
    await backend.start()
    keys = {f"caller-{number}": f"dgm_{seed}_{number}" for number in range(callers)}
    settings = Settings.for_proxy(
        f"http://127.0.0.1:{backend.port}/mcp",
        port=0,
        keys={name: hashlib.sha256(key.encode()).hexdigest() for name, key in keys.items()},
        log={"level": "error"},
        **({} if audit is None else guards(audit)),
        backend={} if audit is None else {"filter": {"tools": {"deny": ["hidden*"]}}},
        limits={"head_receipt_s": WAIT_S},  # its clients share a loop with it, and write when they have their turn
    )
    pools: list[Any] = []
    meter = None if audit is None else Meter()

    def create(settings: Settings, port: int) -> Any:
        app = create_app(settings, port=port, meter=meter)
        pools.extend(app[POOLS].values())
        return app

    broker = await start(settings, create)
    pool = pools[0]
    peak = {"parked": 0}
    gate = Gate(callers * calls)
    sockets = asyncio.Semaphore(SOCKETS)
    crowd = asyncio.Semaphore(max(callers // 8, 1) if kills else callers)

    async def opened() -> None:
        await gate()
        peak["parked"] = max(peak["parked"], pool._everybody.parked)

    done = 0
    passed = asyncio.Event()

    async def one(caller: Caller, number: int) -> Told:
        nonlocal done
        told = await caller.call(number, _through if kills else opened)
        done += 1
        passed.set()
        return told

    async def group(caller: Caller) -> list[Told]:
        """All calls of one caller at once; where the server is killed, not all callers, so that some see it alive."""
        async with crowd:
            return list(await asyncio.gather(*(one(caller, number) for number in range(calls))))

    async def killer() -> None:
        for kill in range(kills):
            while done < callers * calls * kill // (kills + 1) + 1:
                passed.clear()
                await passed.wait()
            await backend.kill()
            await backend.start()

    try:
        people = [
            Caller(broker.port, name, key, seed * 1_000 + number, backend.up, sockets)
            for number, (name, key) in enumerate(keys.items())
        ]
        killing = asyncio.ensure_future(killer())
        history = [told for group_of_one in await asyncio.gather(*map(group, people)) for told in group_of_one]
        await killing
        problems = judge(history, backend, killed=bool(kills))
        problems += await leftovers(pool, sum(told.outcome == "left" for told in history))
    finally:
        await broker.close()
        await backend.kill()
    if audit is not None and meter is not None:
        problems += written(audit, meter)
    return Report(
        callers=callers,
        calls=callers * calls,
        kills=kills,
        seconds=time.monotonic() - began,
        outcomes=dict(Counter(told.outcome for told in history)),
        most_sessions=backend.most_sessions,
        most_parked=peak["parked"],
        problems=problems,
    )


def written(audit: Path, meter: Meter) -> list[str]:
    """What is wrong with the lines of the run, or differs from what was counted."""
    found = verify([audit])
    outcomes = sum(line.metadata.event_code == "outcome" for line in map(read_line, audit.read_bytes().splitlines()))
    meter.settle()
    counted = sum(count for labels, count in meter.calls.values.items() if labels[4] not in ("denied", "resumed"))
    problems = [str(problem) for problem in found.problems] + [f"{call}: no outcome" for call in found.open]
    if outcomes > counted:
        problems.append(f"{outcomes} outcomes were written, {counted} calls counted")
    return problems


async def _through() -> None:
    """Nobody waits: the server is killed while calls are in every state."""


def judge(history: list[Told], backend: Backend, *, killed: bool) -> list[str]:
    """Every breach of: own answers only, at most one run, no success without one, no lie about what happened."""
    problems = [f"{told.nonce} ({told.plan}): {problem}" for told in history for problem in told.problems]
    for told in history:
        where, ran = f"{told.nonce} ({told.plan})", backend.ran[told.nonce]
        heard = backend.told.get(told.nonce, [])
        if told.outcome != "answered":  # the broker may have said that nobody answers
            heard = [value for value in heard if not value.startswith(NOBODY)]
        if ran > 1:
            problems.append(f"{where}: ran {ran} times")
        if heard != told.answers[: len(heard)]:
            problems.append(f"{where}: the server was told {heard}, the client said {told.answers}")
        if told.outcome == "answered":
            expected = {"nonce": told.nonce, "answers": told.answers}
            if told.result != expected or ran != 1 or heard != told.answers:
                problems.append(f"{where}: told {told.result} after {ran} runs, expected {expected}")
        elif told.outcome not in _allowed(told, killed=killed):
            problems.append(f"{where}: {told.outcome}")
    return problems


def _allowed(told: Told, *, killed: bool) -> set[str]:
    """How a call may end without an answer."""
    allowed = {"left"} if told.plan == "early" else set()
    if told.plan in ("late", "one gone"):
        allowed.add("error: invalid_request_state")  # whoever left was the only one there, and cancelled it
    if killed:
        allowed |= {"unknown", "error: invalid_request_state"}  # its state went with the server
    return allowed


async def leftovers(pool: Any, left: int) -> list[str]:
    """What the broker still holds when every client has its answer or has gone.

    A client that left when its questions were on their way may come back for them, so that such a call stays.
    """
    for _ in range(100):
        if not pool.legs and pool._everybody.parked <= left:
            return []
        await asyncio.sleep(0.05)
    return [f"left behind: {len(pool.legs)} requests, {pool._everybody.parked} suspended calls"]


def raise_files() -> None:
    """As many descriptors as the system allows, up to what the full size needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
