"""How lines hold together: each carries the hash of the one before it, and its own.

    line   {... "prev": HASH OF THE LINE BEFORE, "hash": SHA-256 of this line without the member `hash`}}

Invariants: a changed byte is found in its own line; a line that was removed, put in or moved breaks `prev`; that the
last lines were cut off is found against a head that was kept elsewhere.
"""

from __future__ import annotations

import hashlib
from typing import Final

NOTHING: Final = "0" * 64
"""`prev` of the first line of all."""

_sha256: Final = hashlib.sha256
_BEFORE: Final = b',"hash":"'
_AFTER: Final = b'"}}'
TAIL: Final = len(_BEFORE) + 64 + len(_AFTER)
"""Bytes at the end of a line that its hash does not cover, without the line's end."""


class Chain:
    """The lines of one process, as they are written."""

    __slots__ = ("head_bytes",)

    def __init__(self, head: str = NOTHING) -> None:
        self.head_bytes = head.encode()

    @property
    def head(self) -> str:
        """The hash of the last line."""
        return self.head_bytes.decode()

    def seal(self, body: bytes) -> bytes:
        """A whole line of a body that ends in `"prev":"HEAD"}}`; it is the head from now on."""
        return self.close(body[:-2])

    def close(self, body: bytes) -> bytes:
        """The same of a body that ends in `"prev":"HEAD"`."""
        head = self.head_bytes = _sha256(body + b"}}").hexdigest().encode()
        return b'%b,"hash":"%b"}}\n' % (body, head)


def sealed(line: bytes) -> str | None:
    """The hash of a line without its end; None if it has none, or it is not that of its bytes."""
    tail = line[-TAIL:]
    if not (tail.startswith(_BEFORE) and tail.endswith(_AFTER)):
        return None
    claimed = tail[len(_BEFORE) : -len(_AFTER)]
    real = hashlib.sha256(line[:-TAIL] + b"}}").hexdigest()
    return real if claimed == real.encode() else None
