"""Newline-delimited messages out of a byte stream, each no longer than allowed.

Follows basic/transports (stdio) of every revision. Sans-IO. Invariant: a line that is too long is passed over to its
end and reported once; nothing of it is kept, and the next line is read as if it had not been there.
"""

from __future__ import annotations

from collections.abc import Callable


class Lines:
    """Splits a stream. `max_bytes` of one line; `too_long()` is told of each that has more."""

    __slots__ = ("_kept", "_max", "_skipping", "_too_long")

    def __init__(self, max_bytes: int, too_long: Callable[[], None]) -> None:
        self._kept = bytearray()
        self._max = max_bytes
        self._skipping = False
        self._too_long = too_long

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now, without their ends; blank ones are left out."""
        *complete, rest = data.split(b"\n")
        found: list[bytes] = []
        for part in complete:
            line = self._line(part)
            if line:
                found.append(line)
        self._keep(rest)
        return found

    def end(self) -> bytes:
        """What stood after the last end of line; a message that was not ended is none."""
        rest, self._kept = bytes(self._kept), bytearray()
        return rest.strip()

    def _line(self, part: bytes) -> bytes:
        if self._skipping:
            self._skipping = False
            return b""
        if len(self._kept) + len(part) > self._max:
            self._kept.clear()
            self._too_long()
            return b""
        if not self._kept:
            return part.strip()
        self._kept += part
        line = bytes(self._kept).strip()
        self._kept.clear()
        return line

    def _keep(self, part: bytes) -> None:
        if self._skipping or not part:
            return
        if len(self._kept) + len(part) > self._max:
            self._kept.clear()
            self._skipping = True
            self._too_long()
        else:
            self._kept += part
