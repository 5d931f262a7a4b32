"""What an earlier process left in the file: the head of its lines, a torn last one, calls without an outcome.

Invariants: at most `SCAN_BYTES` are read; a torn line is put aside whole before the file is shortened; lines that are
whole are never touched, also where an earlier one was changed (`dragoman audit verify` finds those).
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

import msgspec

from broker.audit.chain import NOTHING, sealed

SCAN_BYTES: Final = 256 * 1024 * 1024
"""Of the last file; four times the size at which it is rotated by default."""


class _User(msgspec.Struct, frozen=True):
    uid: str = ""
    type: str = ""


class _Actor(msgspec.Struct, frozen=True):
    user: _User = _User()


class _Service(msgspec.Struct, frozen=True):
    name: str = ""


class _Api(msgspec.Struct, frozen=True):
    operation: str = ""
    service: _Service = _Service()


class _Resource(msgspec.Struct, frozen=True):
    name: str = ""


class _Metadata(msgspec.Struct, frozen=True):
    event_code: str
    sequence: int = 0
    uid: str = ""
    correlation_uid: str = ""


class _Unmapped(msgspec.Struct, frozen=True):
    prev: str
    hash: str
    open: list[str] = []
    after: str = ""
    count: int = 0
    sink: str = ""
    torn_bytes: int = 0


class Seen(msgspec.Struct, frozen=True):
    """What is read of a line."""

    metadata: _Metadata
    unmapped: _Unmapped
    actor: _Actor = _Actor()
    api: _Api = _Api()
    resources: list[_Resource] = []


read_line = msgspec.json.Decoder(Seen).decode


class Torn(msgspec.Struct, frozen=True):
    """A last line that was not written whole."""

    size: int
    sha256: str


class Left(msgspec.Struct):
    """What was found. `open`: the lines of calls without an outcome, by the call; None where only its id is known."""

    head: str = NOTHING
    torn: Torn | None = None
    open: dict[str, Seen | None] = {}
    all: bool = True


def look(path: Path, *, scan_bytes: int = SCAN_BYTES) -> Left:
    """Read the file, and put a torn last line aside.

    Raises:
        OSError: it cannot be read or shortened.
    """
    left = Left()
    if not path.exists() or not path.stat().st_size:
        before = renamed(path)
        return look(before[-1], scan_bytes=scan_bytes) if before else left
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - scan_bytes)
        left.all = start == 0
        file.seek(start)
        if start:
            file.readline()
        good = file.tell()
        for line in file:
            seen = _seen(line)
            if seen is not None:
                good += len(line)
                left.head = seen.unmapped.hash
                _count(left, seen)
            elif line.endswith(b"\n"):
                good += len(line)  # whole, but changed: not ours to take away
            else:
                break
        file.seek(good)
        rest = file.read()
        if rest:
            left.torn = Torn(len(rest), hashlib.sha256(rest).hexdigest())
            _put_aside(path.with_name(path.name + ".torn"), rest)
            file.truncate(good)
            os.fsync(file.fileno())
    return left


def renamed(path: Path) -> list[Path]:
    """The files this one was before, oldest first."""
    return sorted(path.parent.glob(f"{path.stem}-*{path.suffix}"), key=lambda each: each.stat().st_mtime_ns)


def _seen(line: bytes) -> Seen | None:
    if not line.endswith(b"\n") or sealed(line[:-1]) is None:
        return None
    try:
        return read_line(line)
    except (msgspec.DecodeError, UnicodeError):
        return None


def _count(left: Left, seen: Seen) -> None:
    call, event = seen.metadata.correlation_uid, seen.metadata.event_code
    if event == "admitted":
        left.open[call] = seen
    elif event in ("outcome", "lost"):
        left.open.pop(call, None)
    elif event == "rotated":
        left.open = dict.fromkeys(seen.unmapped.open)


def _put_aside(path: Path, rest: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        os.write(descriptor, rest + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
