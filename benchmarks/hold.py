"""Memory per held session: a POST connection kept alive and a standing GET stream each, all of them proven
open.

The invariant: the slope between two counts of sessions in one fresh process, and afterwards every session
still answers.
"""

from __future__ import annotations

import asyncio

import msgspec

from benchmarks.client import Connection, HarnessError, Session
from benchmarks.load import Control, warm
from benchmarks.processes import Child, rss_bytes
from benchmarks.workloads import Echo

OPENING = 16  # sessions opened at a time
QUIET_READINGS = 4  # equal readings in a row that count as settled
READING_SECONDS = 0.25
SETTLE_SECONDS = 10.0
STREAMS_SECONDS = 5.0  # a broker may open its backend streams after the client's


class Held(msgspec.Struct):
    """What one process needed; `backend_streams` are those the backend counted with all sessions open."""

    kilobytes: float
    backend_streams: int


async def measure(child: Child, control: Control, revision: str, counts: tuple[int, int]) -> Held:
    """Resident KB per session between `counts[0]` and `counts[1]` held sessions.

    Raises:
        HarnessError: a session or stream was not opened, was lost, or did not answer afterwards.
    """
    sessions: list[Session] = []
    streams: list[Connection] = []
    before = (await control.stats()).open_streams
    try:
        await _grow(child, revision, sessions, streams, counts[0])
        low = await settled(child)
        await _grow(child, revision, sessions, streams, counts[1])
        backend_streams = await _streams(control, before)
        high = await settled(child)
        await _answer(sessions)
        if not all(stream.open for stream in streams):
            raise HarnessError("a held stream was closed")
        return Held((high - low) / 1024 / (counts[1] - counts[0]), backend_streams)
    finally:
        for connection in (*streams, *(session.connection for session in sessions)):
            connection.close()


async def _grow(child: Child, revision: str, sessions: list[Session], streams: list[Connection], count: int) -> None:
    """Open sessions and their streams up to `count`, sixteen at a time."""

    async def one() -> None:
        session = Session(child.port, child.path, revision, {})
        sessions.append(session)
        await session.open()
        streams.append(await session.hold())

    while len(sessions) < count:
        await asyncio.gather(*(one() for _ in range(min(OPENING, count - len(sessions)))))


async def settled(child: Child) -> int:
    """Resident bytes once they stay within one percent for a second, or after ten seconds."""
    readings: list[int] = []
    for _ in range(int(SETTLE_SECONDS / READING_SECONDS)):
        await asyncio.sleep(READING_SECONDS)
        readings.append(rss_bytes(child.process.pid))
        last = readings[-QUIET_READINGS:]
        if len(last) == QUIET_READINGS and max(last) <= min(last) * 1.01:
            break
    return readings[-1]


async def _streams(control: Control, before: int) -> int:
    """The backend's open streams of these sessions, once the count stands still."""
    seen = -1
    for _ in range(int(STREAMS_SECONDS / READING_SECONDS)):
        now = (await control.stats()).open_streams - before
        if now == seen:
            break
        seen = now
        await asyncio.sleep(READING_SECONDS)
    return seen


async def _answer(sessions: list[Session]) -> None:
    """Call every session, sixteen at a time."""
    echo = Echo("echo")
    for start in range(0, len(sessions), OPENING):
        await asyncio.gather(*(warm(session, echo) for session in sessions[start : start + OPENING]))
