"""Arguments as they may be written: without configured secrets, without the values of members that hold such.

Invariants: what is not JSON is not written; the text is cut after it was redacted, never before, so that no half of a
secret is left; only a bounded piece of large arguments is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from broker.redacting import Redacting

LARGEST: Final = 1024 * 1024
"""Bytes of arguments that are redacted at all; of larger ones their size is written."""

MEMBERS: Final = frozenset(
    (
        "access_token", "api_key", "apikey", "authorization", "client_secret", "cookie", "credential", "credentials",
        "id_token", "passphrase", "passwd", "password", "private_key", "pwd", "refresh_token", "secret", "set-cookie",
        "token",
    )
)  # fmt: skip
"""Members whose values are never written, whatever they are; compared without case."""


class Redactor(Redacting):
    """`members` are hidden besides MEMBERS, and `secrets` wherever they stand."""

    __slots__ = ()

    def __init__(self, members: Iterable[str] = (), secrets: Iterable[str] = ()) -> None:
        super().__init__(MEMBERS | {name.lower() for name in members}, secrets)

    def text(self, value: Any, most: int) -> tuple[str, int]:
        """JSON of a value, redacted and cut to `most` bytes, and how many bytes were cut."""
        raw = bytes(value) if isinstance(value, msgspec.Raw) else msgspec.json.encode(value)
        if len(raw) > LARGEST:
            return "", len(raw)
        try:
            clean = msgspec.json.encode(self.clean(msgspec.json.decode(raw)))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return "", len(raw)
        return clean[:most].decode("utf-8", "ignore"), max(0, len(clean) - most)
