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
        if path is not None:
            try:
                self._read()
            except (OSError, ValueError) as error:
                raise ValueError(
                    f"revoked: {path} cannot be read as UTF-8 text of at most {MAX_BYTES} bytes"
                ) from error

    def __bool__(self) -> bool:
        return bool(self._lines)

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
        lines = self._lines
        if not lines:
            return False
        token_id = principal.claims.get("jti")
        return (
            principal.id in lines
            or (bool(principal.credential) and principal.credential in lines)
            or (isinstance(token_id, str) and token_id in lines)
        )

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
        self._state = state
