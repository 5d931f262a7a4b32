"""Arguments as they may be written: without configured secrets, without the values of members that hold such.

Invariants: what is not JSON is not written; the text is cut after it was redacted, never before, so that no half of a
secret is left; only a bounded piece of large arguments is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

HIDDEN: Final = "[redacted]"
SHORTEST_SECRET: Final = 6
"""A shorter text would blank out half the log and protects nothing."""

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


class Redactor:
    """`members` are hidden besides MEMBERS, and `secrets` wherever they stand."""

    __slots__ = ("_members", "_secrets")

    def __init__(self, members: Iterable[str] = (), secrets: Iterable[str] = ()) -> None:
        self._members = MEMBERS | {name.lower() for name in members}
        self._secrets: list[str] = []
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Redact these as well from now on; what was a secret before stays one."""
        known = {*self._secrets, *(text for text in secrets if len(text) >= SHORTEST_SECRET)}
        self._secrets = sorted(known, key=len, reverse=True)

    def text(self, value: Any, most: int) -> tuple[str, int]:
        """JSON of a value, redacted and cut to `most` bytes, and how many bytes were cut."""
        raw = bytes(value) if isinstance(value, msgspec.Raw) else msgspec.json.encode(value)
        if len(raw) > LARGEST:
            return "", len(raw)
        try:
            clean = msgspec.json.encode(self._clean(msgspec.json.decode(raw)))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return "", len(raw)
        return clean[:most].decode("utf-8", "ignore"), max(0, len(clean) - most)

    def _clean(self, node: Any) -> Any:
        if isinstance(node, str):
            for secret in self._secrets:
                if secret in node:
                    node = node.replace(secret, HIDDEN)
            return node
        if isinstance(node, dict):
            return {
                self._clean(key): HIDDEN if key.lower() in self._members else self._clean(value)
                for key, value in node.items()
            }
        if isinstance(node, list):
            return [self._clean(item) for item in node]
        return node
