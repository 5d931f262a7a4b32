"""Trees of JSON as they may be written down: without configured secrets, without what some members hold.

Invariants: a secret is found wherever it stands in a text or a name; what was a secret stays one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from typing import Any, Final

HIDDEN: Final = "[redacted]"
SHORTEST_SECRET: Final = 6
"""A shorter text would blank out half of what is written, and protects nothing."""


class Redacting:
    """`members` are the names, in small letters, whose values are not written; `instead(name, value)` stands there."""

    __slots__ = ("_instead", "_members", "_secrets")

    def __init__(
        self,
        members: Set[str],
        secrets: Iterable[str] = (),
        instead: Callable[[str, Any], str] = lambda _name, _value: HIDDEN,
    ) -> None:
        self._members = members
        self._instead = instead
        self._secrets: list[str] = []
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Redact these as well from now on."""
        known = {*self._secrets, *(text for text in secrets if len(text) >= SHORTEST_SECRET)}
        self._secrets = sorted(known, key=len, reverse=True)

    def clean(self, node: Any) -> Any:
        """The same tree, redacted."""
        if isinstance(node, str):
            for secret in self._secrets:
                if secret in node:
                    node = node.replace(secret, HIDDEN)
            return node
        if isinstance(node, dict):
            return {
                self.clean(key): self._instead(key, value) if key.lower() in self._members else self.clean(value)
                for key, value in node.items()
            }
        if isinstance(node, list):
            return [self.clean(item) for item in node]
        return node
