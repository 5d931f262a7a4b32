"""`dragoman audit verify`: whether a trail is as it was written, and where it is not.

What is found, by line: a changed byte (the line's own hash), a line removed, put in or moved (`prev`, or the sequence
of its process), a line that is none; against a head that was kept elsewhere, that the end was cut off. Files that were
rotated are given oldest first and read as one trail.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from broker.audit.chain import NOTHING, sealed
from broker.audit.recovery import Seen, read_line

MOST: Final = 20
"""Problems that are listed; one changed line makes two at most, a moved one four."""

LONGEST: Final = 4 * 1024 * 1024
"""Bytes of a line that are read at once; the longest the broker writes has below 100,000."""


class Problem(msgspec.Struct, frozen=True):
    """Something is not as it was written, at a line of a file, counted from 1 (0: the whole)."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


class Found(msgspec.Struct):
    """What a trail is. `open`: calls without an outcome; `missing`: lines that a gap declares.

    `begins` is the hash before its first line, which is that of an earlier file unless it is NOTHING.
    """

    lines: int = 0
    head: str = NOTHING
    begins: str = NOTHING
    problems: list[Problem] = []
    open: dict[str, None] = {}
    missing: int = 0
    processes: int = 0

    def wrong(self, file: Path, line: int, what: str) -> None:
        """One problem more."""
        if len(self.problems) < MOST:
            self.problems.append(Problem(str(file), line, what))


def verify(files: Iterable[Path], head: str | None = None) -> Found:
    """Read the files, oldest first. With `head`, a line of this hash must be among them.

    Raises:
        OSError: a file cannot be read.
    """
    found = Found()
    seen_head = head is None
    last: Path | None = None
    sequence: dict[str, int] = {}
    for path in files:
        last = path
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST):
                number += 1
                _line(found, sequence, path, number, line)
                seen_head = seen_head or found.head == head
    if not seen_head and last is not None:
        found.wrong(last, 0, "no line has the head that was kept: the end was cut off, or the trail is another one")
    return found


def _line(found: Found, sequence: dict[str, int], path: Path, number: int, line: bytes) -> None:
    first = found.lines == 0
    found.lines += 1
    if not line.endswith(b"\n"):
        found.wrong(path, number, "the line is not whole")
        return
    digest = sealed(line[:-1])
    try:
        seen = read_line(line)
    except (msgspec.DecodeError, UnicodeError):
        found.wrong(path, number, "this is no audit line")
        found.head = digest or ""
        sequence.clear()
        return
    if digest is None:
        found.wrong(path, number, "the line was changed: its hash is not that of its bytes")
    if first:
        found.begins = seen.unmapped.prev
    elif found.head and seen.unmapped.prev != found.head and not _declared(found, seen):
        found.wrong(path, number, "the line before it is not the one it was written after")
    process, _, _ = seen.metadata.uid.rpartition("-")
    before = sequence.get(process)
    now = seen.metadata.sequence
    if before is not None and now != before + 1 and not (seen.metadata.event_code == "gap" and now > before):
        found.wrong(path, number, f"its number is {now}, and the one before it in its process {before}")
    sequence[process] = now
    # What a changed line says of itself is what the next one was written after.
    found.head = digest or seen.unmapped.hash
    _count(found, seen)


def _declared(found: Found, seen: Seen) -> bool:
    """True for a line after which a failing sink goes on: it says how many are missing, and after which."""
    return seen.metadata.event_code == "gap" and seen.unmapped.after == found.head and seen.unmapped.count > 0


def _count(found: Found, seen: Seen) -> None:
    event, call = seen.metadata.event_code, seen.metadata.correlation_uid
    if event == "admitted":
        found.open[call] = None
    elif event in ("outcome", "lost"):
        found.open.pop(call, None)
    elif event == "gap":
        found.missing += seen.unmapped.count
    elif event == "started":
        found.processes += 1


def head_of(path: Path) -> tuple[str, int]:
    """The hash of the last whole line of a file, and its number.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has no whole line with a hash of its own.
    """
    head, number = "", 0
    with path.open("rb") as file:
        for count, line in enumerate(file, 1):
            if line.endswith(b"\n"):
                head, number = sealed(line[:-1]) or "", count
    if not head:
        raise ValueError(f"{path} does not end in an audit line")
    return head, number
