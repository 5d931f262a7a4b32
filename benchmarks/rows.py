"""The table of the run as data: the loads put on the targets, the figures read from them, their gates and
targets.

The invariant: an enforced gate is a ratio of CPU, a size, or an exact count, never a latency or rate (they
flap).
"""

from __future__ import annotations

from typing import Final

import msgspec

from benchmarks.facts import STATELESS
from benchmarks.figures import CALLS, CPU_CALL, CPU_EVENT, EVENT_DELAY, EVENTS, FIRST_EVENT, P50, P99, Figure
from benchmarks.workloads import Big, Echo, Measure, Stream, ToolList, Workload


class Load(msgspec.Struct, frozen=True):
    """A kind of call by clients of one revision, in front of a backend of another, so many at a time.

    No byte pass-through joins a session client to a stateless backend, or a stateless client to one with sessions.
    Beside a broker that does, the pass-through and the direct call have the newest stateful backend (`beside`), or a
    client of the backend's own revision (`client_beside`).
    """

    name: str
    workload: Workload
    client: str
    backend: str
    concurrency: int

    @property
    def beside(self) -> str:
        """The revision of the backend behind the other targets."""
        return NEWEST if self.backend == STATELESS else self.backend

    @property
    def client_beside(self) -> str:
        """The revision of the clients of the other targets."""
        return self.backend if self.client == STATELESS else self.client


class Row(msgspec.Struct, frozen=True):
    """One figure of a load. `gate` and `target` bound the broker's ratio to the pass-through of the round."""

    name: str
    title: str
    load: str
    figure: Figure
    gate: float | None = None
    target: float | None = None
    enforced: bool = False


class Limit(msgspec.Struct, frozen=True):
    """A figure with a procedure of its own; gate and target bound the figure, or (`relative`) its ratio."""

    name: str
    title: str
    unit: str
    gate: float
    target: float
    enforced: bool = False
    relative: bool = False


ECHO: Final = Echo("echo")
OLDEST, SECOND, MIDDLE, NEWEST = "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"

LOADS: Final = (
    Load("small-older", ECHO, OLDEST, NEWEST, 16),
    Load("small-newer", ECHO, NEWEST, MIDDLE, 16),
    Load("small-equal", ECHO, NEWEST, NEWEST, 16),
    Load("small-64", ECHO, OLDEST, NEWEST, 64),
    Load("small-1", ECHO, OLDEST, NEWEST, 1),
    Load("structured", Measure(), SECOND, NEWEST, 16),
    Load("list", ToolList(), SECOND, NEWEST, 16),
    Load("list-equal", ToolList(), NEWEST, NEWEST, 16),
    Load("list-fresh", ToolList(fresh=True), NEWEST, NEWEST, 16),
    Load("big", Big(), MIDDLE, NEWEST, 4),
    Load("sse-call", Echo("echo_sse"), MIDDLE, NEWEST, 16),
    Load("sse-spaced", Stream(events=300, gap_ms=2), MIDDLE, NEWEST, 16),
    Load("sse-burst", Stream(events=1000, gap_ms=0), MIDDLE, NEWEST, 1),
    Load("sse-first", Stream(events=10, gap_ms=5), MIDDLE, NEWEST, 1),
    Load("stateless-oldest", ECHO, OLDEST, STATELESS, 16),
    Load("stateless-newest", ECHO, NEWEST, STATELESS, 16),
    Load("stateless-structured", Measure(), SECOND, STATELESS, 16),
    Load("stateless-sse", Echo("echo_sse"), MIDDLE, STATELESS, 16),
    Load("stateless-list", ToolList(), SECOND, STATELESS, 16),
    Load("bridged-oldest", ECHO, STATELESS, OLDEST, 16),
    Load("bridged-newest", ECHO, STATELESS, NEWEST, 16),
    Load("bridged-structured", Measure(), STATELESS, NEWEST, 16),
    Load("bridged-sse", Echo("echo_sse"), STATELESS, NEWEST, 16),
    Load("bridged-list", ToolList(), STATELESS, NEWEST, 16),
)

# Gates and targets: design of the broker, against the bare pass-through in the same run.
ROWS: Final = (
    Row("cpu-older", "CPU per small call, older client", "small-older", CPU_CALL, 0.75, 0.55, True),
    Row("cpu-newer", "CPU per small call, newer client", "small-newer", CPU_CALL, 0.75, 0.55, True),
    Row("cpu-equal", "CPU per small call, same revision", "small-equal", CPU_CALL, 0.70, 0.50, True),
    Row("cpu-structured", "CPU per structured call", "structured", CPU_CALL),
    Row("rate-16", "calls/s", "small-older", CALLS),
    Row("rate-64", "calls/s", "small-64", CALLS, 1.5, 2.0),
    Row("p50-1", "p50 of a call", "small-1", P50, 1.0, 0.85),
    Row("p99-64", "p99 of a call", "small-64", P99, 0.6, 0.4),
    Row("list", "CPU per 93 KB tools/list", "list", CPU_CALL, 1.3, 1.1),
    Row("list-equal", "CPU per 93 KB tools/list, same revision", "list-equal", CPU_CALL, 1.3, 1.1),
    Row("list-fresh", "the same, no two lists equal", "list-fresh", CPU_CALL),
    Row("big", "CPU per 1 MB result", "big", CPU_CALL, 1.4, 1.2),
    Row("sse-call", "CPU per call answered as SSE", "sse-call", CPU_CALL),
    Row("sse-spaced", "CPU per event, 2 ms apart", "sse-spaced", CPU_EVENT, 1.25, 1.05),
    Row("sse-burst", "CPU per event, burst of 1000", "sse-burst", CPU_EVENT, 2.0, 1.6),
    Row("sse-burst-rate", "events/s, burst of 1000", "sse-burst", EVENTS),
    Row("sse-first", "first event", "sse-first", FIRST_EVENT, 1.0, 0.8),
    Row("sse-delay", "delay of an event, 5 ms apart", "sse-first", EVENT_DELAY),
    Row("cpu-stateless-oldest", "CPU per small call, stateless server", "stateless-oldest", CPU_CALL, 0.75, 0.55, True),
    Row("cpu-stateless-newest", "CPU per small call, stateless server", "stateless-newest", CPU_CALL, 0.75, 0.55, True),
    Row("stateless-structured", "CPU per structured call, stateless server", "stateless-structured", CPU_CALL),
    Row("stateless-sse", "CPU per call answered as SSE, stateless server", "stateless-sse", CPU_CALL),
    Row("stateless-list", "CPU per 93 KB tools/list, stateless server", "stateless-list", CPU_CALL, 1.3, 1.1),
    Row("cpu-bridged-oldest", "CPU per small call, stateless client", "bridged-oldest", CPU_CALL, 0.75, 0.55, True),
    Row("cpu-bridged-newest", "CPU per small call, stateless client", "bridged-newest", CPU_CALL, 0.75, 0.55, True),
    Row("bridged-structured", "CPU per structured call, stateless client", "bridged-structured", CPU_CALL),
    Row("bridged-sse", "CPU per call answered as SSE, stateless client", "bridged-sse", CPU_CALL),
    Row("bridged-list", "CPU per 93 KB tools/list, stateless client", "bridged-list", CPU_CALL, 1.3, 1.1),
)

REQUESTS: Final = Limit("requests", "backend requests per call", "", 1, 1, enforced=True)
CONNECTIONS: Final = Limit("connections", "new backend connections per call", "", 0, 0, enforced=True)
MEMORY: Final = Limit("memory", "memory per held session", "KB", 36, 28, enforced=True)
MEMORY_STREAM: Final = Limit("memory-stream", "the same, a backend stream each", "KB", 48, 40, enforced=True)
MEMORY_STATELESS: Final = Limit("memory-stateless", "the same, stateless server", "KB", 36, 28, enforced=True)
MEMORY_PARKED: Final = Limit("memory-parked", "memory per parked call, stateless client", "KB", 20, 12, enforced=True)
IDLE: Final = Limit("idle", "idle size", "MB", 60, 45)
COLD_START: Final = Limit("cold-start", "exec to first initialize answered", "ms", 1.4, 1.15, relative=True)
LIMITS: Final = (REQUESTS, CONNECTIONS, MEMORY, MEMORY_STREAM, MEMORY_STATELESS, MEMORY_PARKED, IDLE, COLD_START)
