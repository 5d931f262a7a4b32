"""A window of load: closed loops on open sessions, between readings of the target's CPU and the backend's
counts.

The invariant: handshakes and warm-up calls lie outside the window, every call sent in it is awaited in it,
and only correct answers count as calls.
"""

from __future__ import annotations

import asyncio
import secrets
import time

import msgspec

from benchmarks.bare import client
from benchmarks.client import Connection, HarnessError, Session, connect, exchange
from benchmarks.processes import Meter
from benchmarks.wire import Stats
from benchmarks.workloads import Gather, Workload, written_ns

WARM_CALLS = 3
DRAIN_SECONDS = 15.0  # for answers still under way at the end; then they count as failed
SETTLE_SECONDS = 0.005  # lets the target finish what it does after its last write


class Target(msgspec.Struct):
    """Where a load goes: the broker, the pass-through, or the backend itself (no meter).

    Its callers show `keys`, in turn, if there are any.
    """

    name: str
    port: int
    path: str
    meter: Meter | None
    keys: tuple[str, ...] = ()

    def client(self, revision: str, number: int) -> Session:
        """The client of this number; nothing is sent yet."""
        return client(self.port, self.path, revision, self.keys[number % len(self.keys)] if self.keys else "")


class Window(msgspec.Struct):
    """What one window gave. `requests` and `connections` are the backend's counts in it."""

    calls: int = 0
    wrong: int = 0
    failed: int = 0
    events: int = 0
    seconds: float = 0.0
    cpu_ns: int = 0
    requests: int = 0
    connections: int = 0
    latencies_ns: list[int] = []
    first_events_ns: list[int] = []
    delays_ns: list[int] = []
    negotiated: str = ""

    @property
    def sent(self) -> int:
        return self.calls + self.wrong + self.failed


class Control:
    """The side connection on which the backend's counters are read."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connection: Connection | None = None

    async def stats(self) -> Stats:
        """The backend's counters now."""
        if self.connection is None or not self.connection.open:
            self.connection = await connect(self.port)
        _, messages = await exchange(self.connection, b"GET /stats HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        return msgspec.json.decode(messages[0], type=Stats)


class Caller:
    """A closed loop on one session: the next call leaves when the last answer has been checked."""

    def __init__(self, session: Session, workload: Workload, window: Window) -> None:
        self.session = session
        self.connection = session.connection
        self.workload = workload
        self.accepts = workload.accepts
        self.revision = session.negotiated
        self.window = window
        self.prefix = secrets.token_hex(4)
        self.number = 0
        self.mark = ""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def begin(self, until_ns: int) -> None:
        """Start calling; `done` resolves after the answer that comes in after `until_ns`."""
        self.until_ns = until_ns
        self.connection.reader = self
        if self.connection.open:
            self._next()
        else:
            self.lost()

    def _next(self) -> None:
        self.number += 1
        self.mark = f"{self.prefix}-{self.number}"
        self.messages: list[bytes] = []
        self.arrivals: list[int] = []
        body = self.workload.body(self.number, self.mark)
        self.sent_ns = time.perf_counter_ns()
        self.connection.send(self.session.post(body))

    def message(self, data: bytes) -> None:
        self.messages.append(data)
        if self.workload.events:
            self.arrivals.append(time.perf_counter_ns())

    def complete(self, status: int) -> None:
        now = time.perf_counter_ns()
        window = self.window
        if status == 200 and self.accepts(self.messages, self.number, self.mark, self.revision):
            window.calls += 1
            window.latencies_ns.append(now - self.sent_ns)
            if self.workload.events:
                self._count_events()
        else:
            window.wrong += 1
        if now >= self.until_ns:
            self._finish()
        elif self.connection.open:
            self._next()

    def _count_events(self) -> None:
        window = self.window
        window.events += self.workload.events
        window.first_events_ns.append(self.arrivals[0] - self.sent_ns)
        for data, arrived in zip(self.messages, self.arrivals, strict=True):
            written = written_ns(data)
            if written is not None:
                window.delays_ns.append(arrived - written)

    def lost(self) -> None:
        """The connection died under a call: the loop ends."""
        if not self.done.done():
            self.window.failed += 1
            self._finish()

    def _finish(self) -> None:
        self.connection.reader = None
        if not self.done.done():
            self.done.set_result(None)


async def opened(target: Target, revision: str, count: int) -> list[Session]:
    """Sessions with their handshakes done."""
    sessions = [target.client(revision, number) for number in range(count)]
    try:
        await asyncio.gather(*(session.open() for session in sessions))
    except BaseException:
        for session in sessions:
            session.connection.close()
        raise
    return sessions


async def warm(session: Session, workload: Workload, calls: int = WARM_CALLS) -> None:
    """A few calls whose answers must be right.

    Raises:
        HarnessError: an answer was wrong; carries its beginning.
    """
    for number in range(1, calls + 1):
        mark = f"warm-{secrets.token_hex(4)}"
        status, messages = await session.ask(workload.body(number, mark))
        if status != 200 or not workload.accepts(messages, number, mark, session.negotiated):
            shown = b" ".join(messages)[:300]
            raise HarnessError(f"port {session.port}: call {mark} answered {status} {shown!r}")


async def window(
    target: Target, control: Control, workload: Workload, revision: str, concurrency: int, seconds: float
) -> Window:
    """Open sessions, warm them, then measure closed loops on all of them for `seconds`.

    The first warm-up call of all sessions is under way at once, so that connection pools are as wide as the load.
    """
    sessions = await opened(target, revision, concurrency)
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            await asyncio.gather(*(warm(session, Gather(concurrency), calls=1) for session in sessions))
            await asyncio.gather(*(warm(session, workload) for session in sessions))
        return await measured(target, control, workload, sessions, seconds)
    finally:
        await asyncio.gather(*(session.end() for session in sessions))


async def measured(
    target: Target, control: Control | None, workload: Workload, sessions: list[Session], seconds: float
) -> Window:
    """Closed loops on open, warm sessions for `seconds`; without a control the backend's counts stay 0."""
    result = Window(negotiated=sessions[0].negotiated)
    callers = [Caller(session, workload, result) for session in sessions]
    await asyncio.sleep(SETTLE_SECONDS)
    before = await control.stats() if control else Stats()
    cpu_before = target.meter.read_ns() if target.meter else 0
    began = time.perf_counter_ns()
    until = began + int(seconds * 1e9)
    for caller in callers:
        caller.begin(until)
    await asyncio.wait([caller.done for caller in callers], timeout=seconds + DRAIN_SECONDS)
    result.seconds = (time.perf_counter_ns() - began) / 1e9
    for caller in callers:
        if not caller.done.done():
            caller.lost()
            caller.connection.close()
    await asyncio.sleep(SETTLE_SECONDS)
    result.cpu_ns = (target.meter.read_ns() if target.meter else 0) - cpu_before
    after = await control.stats() if control else before
    result.requests = after.requests - before.requests
    result.connections = after.connections - before.connections
    return result
