"""Cold start: from exec to the first `initialize` answered, and the size of the process then.

The invariant: the backend is already up, so only the front's own start is timed.
"""

from __future__ import annotations

import asyncio

import msgspec

from benchmarks.client import Session
from benchmarks.processes import Child, rss_bytes

IDLE_SECONDS = 0.3  # after the handshake, before the size is read


class Start(msgspec.Struct):
    """One start."""

    ms: float
    megabytes: float


async def measure(command: str, url: str, revision: str) -> Start:
    """Start a process, shake hands once, read its size, end it.

    Raises:
        HarnessError: it did not come up or refused the handshake.
    """
    child = Child(command, url=url)
    try:
        await child.ready()
        session = Session(child.port, child.path, revision, {})
        await session.open()
        await asyncio.sleep(IDLE_SECONDS)
        megabytes = rss_bytes(child.process.pid) / 1024 / 1024
        await session.end()
        return Start((session.answered_ns - child.began_ns) / 1e6, megabytes)
    finally:
        child.end()
