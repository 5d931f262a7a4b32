"""What the tests of the audit log share: lines as trees, a log on a sink of memory, clocks that are told."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from broker.audit.log import AuditLog
from broker.audit.redact import Redactor
from broker.audit.trail import Trail
from broker.hooks.base import Caller
from protocol_versions.jsonrpc import Frame

Json = dict[str, Any]
ALICE = Caller("key:alice", "key", client_name="desk", client_version="2", client_revision="2025-06-18")


def admitted(trail: Trail, number: int, frame: Frame, caller: Caller = ALICE) -> bool:
    """Whether a call may be sent, where there is no loop and so every turn is over at once."""
    said: list[bool] = []
    trail.admit(number, frame, caller, lambda _, written: said.append(written), None)
    (may,) = said
    return may


class Memory:
    """A sink that keeps what is written. `broken` makes it fail, `room` after so many lines."""

    name = "memory"
    whole = False

    def __init__(self) -> None:
        self.text = b""
        self.broken = False
        self.closed = False

    def write(self, lines: bytes) -> None:
        if self.broken:
            raise OSError(28, "No space left on device")
        self.text += lines

    def close(self) -> None:
        self.closed = True

    @property
    def lines(self) -> list[Json]:
        return [json.loads(line) for line in self.text.splitlines()]


class Clocks:
    """A wall clock and a monotonic one; both stand until they are moved."""

    def __init__(self) -> None:
        self.wall = 1_700_000_000.0
        self.now = 100.0

    def log(self, *sinks: Any, process: str = "p1", **options: Any) -> AuditLog:
        """A log on these clocks."""
        redactor = options.pop("redactor", None) or Redactor()
        return AuditLog(
            sinks,
            process=process,
            redactor=redactor,
            clock_ns=lambda: int(self.wall * 1e9),
            monotonic=lambda: self.now,
            **options,
        )


def call(method: str = "tools/call", /, **params: Any) -> Frame:
    """A request as it goes to a server."""
    return Frame(id=7, method=method, params=params or {"name": "x"})


def events(lines: list[Json]) -> list[str]:
    """What each line is."""
    return [line["metadata"]["event_code"] for line in lines]


def read(path: Path) -> list[Json]:
    """The lines of a file."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def members(line: Json) -> set[str]:
    """The paths of all members of a line, as the table of fields spells them."""

    def walk(node: Any, path: str) -> set[str]:
        if isinstance(node, dict):
            return set(itertools.chain.from_iterable(walk(value, f"{path}.{name}") for name, value in node.items()))
        if isinstance(node, list) and node and isinstance(node[0], dict):
            return set(itertools.chain.from_iterable(walk(each, f"{path}[]") for each in node))
        return {path[1:]}

    return walk(line, "")
