"""`dragoman proxy -- COMMAND` beside `mcp-proxy -- COMMAND`: a server on a pipe, served over Streamable HTTP.

What a front costs: the time from exec to the first `initialize` answered, the process of the server included, and the
CPU time of the front for each small call, without that of the server. mcp-proxy has one process of the server for all
its clients, the broker one for each session. The invariant: a window's sessions are open and its server runs before
anything is counted, and only right answers count.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from benchmarks import mcp_proxy, pipe_server
from benchmarks.client import HarnessError, Session
from benchmarks.load import DRAIN_SECONDS, Target, Window, measured, opened, warm
from benchmarks.mcp_proxy import OTHER
from benchmarks.processes import Child, rss_bytes
from benchmarks.rows import ECHO, NEWEST, Limit

START: Final = Limit("front-start", "exec to first answer over HTTP", "ms", 0.75, 0.5, relative=True)
IDLE: Final = Limit("front-idle", "size after the handshake, over HTTP", "MB", 1, 0.75, relative=True)
CPU: Final = Limit("front-cpu", "CPU per small call over HTTP, 16 sessions", "us", 0.2, 1 / 15, True, relative=True)
CPU_ONE: Final = Limit("front-cpu-1", "the same, one session", "us", 0.2, 1 / 15, relative=True)
LIMITS: Final = (START, IDLE, CPU, CPU_ONE)
CONCURRENCY: Final = {CPU.name: 16, CPU_ONE.name: 1}
WARM_CALLS: Final = 16


def command(kind: str) -> tuple[str, ...]:
    """The argv of a target; `{port}` is to be filled in.

    Raises:
        HarnessError: mcp-proxy cannot be installed.
    """
    server = pipe_server.command(sys.executable)
    listen = ("--host", "127.0.0.1", "--port", "{port}")
    if kind == OTHER:
        return (str(mcp_proxy.program()), *listen, "--log-level", "ERROR", "--", *server)
    return (mcp_proxy.broker(), "proxy", *listen, "--log-level", "error", "--", *server)


def child(kind: str, bytecode: str) -> Child:
    """A target before a server of its own, just started."""
    return Child(command(kind), environment=mcp_proxy.environment(bytecode), without=pipe_server.PATH)


async def start(target: Child) -> tuple[float, float]:
    """Milliseconds to the first answer, and megabytes after it without the server."""
    try:
        await target.ready()
        session = Session(target.port, target.path, NEWEST, {})
        await session.open()
        megabytes = rss_bytes(target.process.pid, pipe_server.PATH) / 1024 / 1024
        await session.end()
        return (session.answered_ns - target.began_ns) / 1e6, megabytes
    finally:
        target.end()


async def cpu(target: Child, concurrency: int, seconds: float) -> float:
    """Microseconds of CPU time of a front for each right answer.

    Raises:
        HarnessError: an answer was wrong, or none came.
    """
    try:
        await target.ready()
        found = await _window(Target(target.command[0], target.port, target.path, target.meter), concurrency, seconds)
    finally:
        target.end()
    if found.wrong or found.failed or not found.calls or found.negotiated != NEWEST:
        raise HarnessError(
            f"{target.command[0]}: {found.wrong + found.failed} wrong of {found.sent} calls, "
            f"negotiated {found.negotiated}"
        )
    return found.cpu_ns / found.calls / 1e3


async def _window(target: Target, concurrency: int, seconds: float) -> Window:
    sessions = await opened(target, NEWEST, concurrency)
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            await asyncio.gather(*(warm(session, ECHO, WARM_CALLS) for session in sessions))
        return await measured(target, None, ECHO, sessions, seconds)
    finally:
        await asyncio.gather(*(session.end() for session in sessions))
