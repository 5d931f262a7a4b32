"""Credentials that were withdrawn before their time: a file of the operator's, looked at again and again.

One a line: the `jti` of a token, SHA-256 of the token in hex, or a caller's id (`token:ISSUER SUBJECT`,
`certificate:NAME`, `key:NAME`) for everything of that caller; lines that begin with `#` are comments. What is revoked
while the broker runs is held in memory until the file has it, or until the end of the tokens it concerns, if that was
said. Invariants: a file that cannot be read revokes what it revoked before; what is held is bounded, and nothing that
was revoked is given up for what comes.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from broker import telemetry
from broker.identity.principal import Principal

MAX_BYTES: Final = 16 * 1024 * 1024
"""Of the file; a quarter of a million digests."""

LEEWAY_S: Final = 60.0
"""For how much longer a revocation is held than its tokens last: the most that clocks may be configured to differ."""


class Full(Exception):  # noqa: N818 (an outcome, as the caller reads it)
    """There is no room for more revocations, and nothing was revoked."""


class File(msgspec.Struct, frozen=True):
    """The file as it was read: when it was changed, its size and place, and what it revokes."""

    path: Path
    state: tuple[int, ...]
    lines: frozenset[str]


class Revoked:
    """What is revoked. Without a file, nothing. `most` entries are held besides; `wall`: seconds since the epoch."""

    def __init__(self, path: Path | None, most: int = 100_000, wall: Callable[[], float] = time.time) -> None:
        """Raises ValueError for a file that cannot be read."""
        self._most = most
        self._wall = wall
        self._added: dict[str, float] = {}  # and when it may be forgotten, seconds since the epoch
        self._file: File | None = None
        self._lines: frozenset[str] = frozenset()
        self.adopt(self.prepare(path))

    def prepare(self, path: Path | None) -> File | None:
        """A file to go on with; the one that is there, if it is that. Raises ValueError if it cannot be read."""
        if path is None or (self._file is not None and self._file.path == path):
            return None if path is None else self._file
        try:
            return _read(path)
        except (OSError, ValueError) as error:
            raise ValueError(f"revoked: {path} cannot be read as UTF-8 text of at most {MAX_BYTES} bytes") from error

    def adopt(self, file: File | None) -> None:
        """Revoke what this file does, in place of the last one; what was revoked here stays so."""
        self._file = file
        self._lines = frozenset() if file is None else file.lines
        self._added = {each: until for each, until in self._added.items() if each not in self._lines}

    def __bool__(self) -> bool:
        return bool(self._lines or self._added)

    @property
    def watched(self) -> bool:
        """True if there is a file that may change."""
        return self._file is not None

    def add(self, entries: list[str], until: float = math.inf) -> bool:
        """Revoke these, at once; True if they are in the file as well, so that a restart does not forget them.

        `until` is when all that they concern has ended by itself, in seconds since the epoch.

        Raises:
            Full: so many are held already.
        """
        new = [each for each in entries if each not in self._lines]
        text = "".join(f"\n{each}" for each in new) + "\n"
        held = sum(each not in self._added for each in new)
        if len(self._added) + held > self._most:
            self._forget()
            held = sum(each not in self._added for each in new)
        file = self._file
        if len(self._added) + held > self._most or (file is not None and _size(file) + len(text.encode()) > MAX_BYTES):
            raise Full
        self._added.update({each: max(until, self._added.get(each, until)) for each in new})
        if file is None:
            return False
        try:
            with file.path.open("a", encoding="utf-8") as writing:
                writing.write(text)
        except OSError:
            telemetry.audit("revocations-not-written", reason="file", path=str(file.path))
            return False
        return True

    def look(self) -> bool:
        """Read the file if it has changed; True if it had."""
        file = self._file
        if file is None:
            return False
        try:
            if _state(file.path) == file.state:
                return False
            self.adopt(_read(file.path))
        except (OSError, ValueError):
            telemetry.audit("revocations-not-read", reason="file", path=str(file.path))
            return False
        telemetry.log("info", "revocations read", entries=len(self._lines))
        return True

    def covers(self, principal: Principal) -> bool:
        """True if this credential, or everything of its caller, was withdrawn."""
        if not self:
            return False
        token_id = principal.claims.get("jti")
        names = [name for name in (principal.id, principal.credential, token_id) if name and isinstance(name, str)]
        return any(name in self._lines or name in self._added for name in names)

    def _forget(self) -> None:
        now = self._wall() - LEEWAY_S
        self._added = {each: until for each, until in self._added.items() if now < until}


def _state(path: Path) -> tuple[int, ...]:
    found = os.stat(path)
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _size(file: File) -> int:
    try:
        return file.path.stat().st_size
    except OSError:
        return 0  # that it cannot be written is found out then


def _read(path: Path) -> File:
    state = _state(path)
    if state[1] > MAX_BYTES:
        raise ValueError(path)
    text = path.read_text(encoding="utf-8")
    return File(path, state, frozenset(line for each in text.splitlines() if (line := each.strip()) and line[0] != "#"))
