"""The interleaved run: every round visits every load and every target in turn, the order of targets reversed
each time.

The invariant: a load's figures of one round come from the same backend within seconds of each other, so that
their ratio means something on a busy machine.
"""

from __future__ import annotations

import gc
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from benchmarks import hold, parked, startup
from benchmarks.client import HarnessError
from benchmarks.facts import STATELESS
from benchmarks.load import Control, Target, Window, window
from benchmarks.processes import ASKING_COMMAND, BACKEND_COMMAND, PASSTHROUGH_COMMAND, Child
from benchmarks.rows import (
    COLD_START,
    IDLE,
    MEMORY,
    MEMORY_PARKED,
    MEMORY_STATELESS,
    MEMORY_STREAM,
    MIDDLE,
    NEWEST,
    Load,
)

DIRECT, BASE, BROKER = "direct", "pass-through", "broker"
TARGETS = (DIRECT, BASE, BROKER)


class Options(msgspec.Struct, frozen=True):
    """How long and how much."""

    broker_command: str
    rounds: int = 5
    seconds: float = 1.5
    sessions: tuple[int, int] = (300, 900)  # at the two readings of memory; one caller may hold 1,000
    parked: tuple[int, int] = (200, 800)  # the same, of parked calls
    starts: int = 5


class Results(msgspec.Struct):
    """All that was measured: windows by load and target in round order, procedures by limit and target."""

    windows: dict[str, dict[str, list[Window]]] = {}
    limits: dict[str, dict[str, list[float]]] = {}
    notes: dict[str, list[str]] = {}

    def note(self, name: str, text: str) -> None:
        """Remember why a row is not to be trusted; once."""
        known = self.notes.setdefault(name, [])
        if text not in known:
            known.append(text)


def say(text: str) -> None:
    """Progress, to standard error."""
    print(text, file=sys.stderr, flush=True)


class Bench:
    """The backend and the targets in front of it, for the length of a run."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.results = Results()
        self.backend = Child(BACKEND_COMMAND)
        self.control = Control(self.backend.port)
        self.children: dict[tuple[str, str], Child] = {}

    def command(self, kind: str) -> str:
        """The command of a target."""
        return self.options.broker_command if kind == BROKER else PASSTHROUGH_COMMAND

    def url(self, path: str) -> str:
        """Where the backend serves a path."""
        return f"http://127.0.0.1:{self.backend.port}{path}"

    async def target(self, kind: str, revision: str) -> Target:
        """The target in front of the backend of this revision, started at first use."""
        if kind == DIRECT:
            return Target(kind, self.backend.port, f"/{revision}/mcp", None)
        key = (kind, revision)
        if key not in self.children:
            child = Child(self.command(kind), url=self.url(f"/{revision}/mcp"))
            self.children[key] = child
            await child.ready()
        child = self.children[key]
        return Target(kind, child.port, child.path, child.meter)

    async def loads(self, loads: Iterable[Load]) -> None:
        """All rounds of all loads; a target that fails a load is left out of its later rounds, noted."""
        loads = list(loads)
        out: set[tuple[str, str]] = set()
        for number in range(self.options.rounds if loads else 0):
            say(f"round {number + 1} of {self.options.rounds}: {len(loads)} loads, {len(TARGETS)} targets")
            for load in loads:
                for kind in TARGETS if number % 2 == 0 else reversed(TARGETS):
                    if (kind, load.name) not in out and not await self._visit(load, kind):
                        out.add((kind, load.name))

    async def _visit(self, load: Load, kind: str) -> bool:
        """One window; False when the target failed."""
        gc.collect()
        revision = load.backend if kind == BROKER else load.beside
        try:
            target = await self.target(kind, revision)
            seen = await window(
                target,
                self.control,
                load.workload,
                load.client if kind == BROKER else load.client_beside,
                load.concurrency,
                self.options.seconds,
            )
        except (HarnessError, OSError, TimeoutError) as error:
            child = self.children.get((kind, revision))
            died = f"; {child.obituary()}" if child is not None and child.process.poll() is not None else ""
            self.results.note(load.name, f"{kind}: {type(error).__name__} {error}{died}")
            return False
        self.results.windows.setdefault(load.name, {}).setdefault(kind, []).append(seen)
        if seen.wrong or seen.failed:
            self.results.note(load.name, f"{kind}: wrong or unanswered calls")
        if kind == BROKER and seen.negotiated != load.client:
            self.results.note(load.name, f"{kind}: negotiated {seen.negotiated} with a {load.client} client")
        return True

    async def memory(self, name: str) -> None:
        """Memory per held session of a fresh process, for each target that is a process."""
        changing = name == MEMORY_STREAM.name
        for kind in (BASE, BROKER):
            revision = STATELESS if name == MEMORY_STATELESS.name and kind == BROKER else NEWEST
            path = f"/{revision}/changing/mcp" if changing else f"/{revision}/mcp"
            say(f"{name}: {kind}, {self.options.sessions[1]} sessions")
            child = Child(self.command(kind), url=self.url(path))
            try:
                await child.ready()
                held = await hold.measure(child, self.control, MIDDLE, self.options.sessions)
            except (HarnessError, OSError, TimeoutError) as error:
                self.results.note(name, f"{kind}: {type(error).__name__} {error}")
                continue
            finally:
                child.end()
            self.results.limits.setdefault(name, {}).setdefault(kind, []).append(held.kilobytes)
            wanted = self.options.sessions[1] if changing else 0
            if kind == BROKER and held.backend_streams != wanted:
                self.results.note(name, f"{kind}: {held.backend_streams} backend streams, not {wanted}")

    async def parked(self) -> None:
        """Memory per parked call of a fresh broker; nothing else can park a call."""
        name, counts = MEMORY_PARKED.name, self.options.parked
        say(f"{name}: {BROKER}, {counts[1]} calls of {parked.CALLERS} callers")
        backend = Child(ASKING_COMMAND)
        try:
            await backend.ready()
            with tempfile.TemporaryDirectory() as folder:
                url = f"http://127.0.0.1:{backend.port}/{NEWEST}/mcp"
                command, keys = parked.configured(Path(folder), url, counts[1])
                child = Child(command, parked.PATH)
                try:
                    await child.ready()
                    held = await parked.measure(child, keys, counts)
                finally:
                    child.end()
            self.results.limits.setdefault(name, {}).setdefault(BROKER, []).append(held)
        except (HarnessError, OSError, TimeoutError) as error:
            self.results.note(name, f"{BROKER}: {type(error).__name__} {error}")
        finally:
            backend.end()

    async def starts(self) -> None:
        """Cold start and idle size, targets in turn."""
        for number in range(self.options.starts):
            say(f"{COLD_START.name}: {number + 1} of {self.options.starts}")
            order = (BASE, BROKER) if number % 2 == 0 else (BROKER, BASE)
            for kind in order:
                try:
                    seen = await startup.measure(self.command(kind), self.url(f"/{NEWEST}/mcp"), NEWEST)
                except (HarnessError, OSError, TimeoutError) as error:
                    self.results.note(COLD_START.name, f"{kind}: {type(error).__name__} {error}")
                    continue
                for name, value in ((COLD_START.name, seen.ms), (IDLE.name, seen.megabytes)):
                    self.results.limits.setdefault(name, {}).setdefault(kind, []).append(value)

    async def run(self, loads: Iterable[Load], limits: Iterable[str]) -> Results:
        """The loads, then the procedures of the named limits; all children are ended on the way out."""
        names = set(limits)
        try:
            await self.backend.ready()
            await self.loads(loads)
            for limit in (MEMORY, MEMORY_STREAM, MEMORY_STATELESS):
                if limit.name in names:
                    await self.memory(limit.name)
            if MEMORY_PARKED.name in names:
                await self.parked()
            if names & {COLD_START.name, IDLE.name}:
                await self.starts()
        finally:
            self.backend.end()
            for child in self.children.values():
                child.end()
        return self.results
