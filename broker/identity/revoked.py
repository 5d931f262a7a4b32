"""Credentials that were withdrawn before their time: a file of the operator's, looked at again and again.

One a line: the `jti` of a token, SHA-256 of the token in hex, or a caller's id (`token:ISSUER SUBJECT`,
`certificate:NAME`, `key:NAME`) for everything of that caller; lines that begin with `#` are comments. Invariant: a file
that cannot be read revokes what it revoked before.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from broker import telemetry
from broker.identity.principal import Principal

MAX_BYTES: Final = 16 * 1024 * 1024
"""Of the file; a quarter of a million digests."""


class Revoked:
    """What is revoked. Without a file, nothing."""

    def __init__(self, path: Path | None) -> None:
        """Raises ValueError for a file that cannot be read."""
        self._path = path
        self._state: tuple[int, ...] | None = None
        self._lines: frozenset[str] = frozenset()
        self._added: dict[str, None] = {}
        if path is not None:
            try:
                self._read()
            except (OSError, ValueError) as error:
                raise ValueError(
                    f"revoked: {path} cannot be read as UTF-8 text of at most {MAX_BYTES} bytes"
                ) from error

    def __bool__(self) -> bool:
        return bool(self._lines or self._added)

    @property
    def watched(self) -> bool:
        """True if there is a file that may change."""
        return self._path is not None

    def add(self, entries: list[str]) -> bool:
        """Revoke these, at once; True if they are in the file as well, so that a restart does not forget them."""
        new = [each for each in entries if each not in self._lines]
        self._added.update(dict.fromkeys(new))
        if self._path is None:
            return False
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("".join(f"\n{each}" for each in new) + "\n")
        except OSError:
            telemetry.audit("revocations-not-written", reason="file", path=str(self._path))
            return False
        return True

    def look(self) -> bool:
        """Read the file if it has changed; True if it had."""
        if self._path is None:
            return False
        try:
            if self._now() == self._state:
                return False
            self._read()
        except (OSError, ValueError):
            telemetry.audit("revocations-not-read", reason="file", path=str(self._path))
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

    def _now(self) -> tuple[int, ...]:
        assert self._path is not None
        found = os.stat(self._path)
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def _read(self) -> None:
        assert self._path is not None
        state = self._now()
        if state[1] > MAX_BYTES:
            raise ValueError(self._path)
        text = self._path.read_text(encoding="utf-8")
        self._lines = frozenset(line for each in text.splitlines() if (line := each.strip()) and line[0] != "#")
        self._added = {each: None for each in self._added if each not in self._lines}  # the file has the rest now
        self._state = state
