"""What an operation may know besides the body it rewrites: the call, the facts, and what earlier bodies stashed."""

from __future__ import annotations

from typing import Any

import msgspec

from translators.loss import Loss, Noted


class Context(msgspec.Struct, kw_only=True):
    """Keyed per call: the same object accompanies a request and its answer.

    `request` holds the request's parameters as the *writer of the answer* received them (top-level members may still
    be `msgspec.Raw`); None when unknown. `facts` is what the broker learned of the two peers: `tools` (name ->
    definition as the backend wrote it), `client_capabilities` (the object the client declared) and `mirrors` (its
    requests repeat arguments in headers). An operation that misses a fact leaves the message alone. `stash` is what a
    Change keeps between request and answer, under its name.
    """

    method: str = ""
    request: dict[str, Any] | None = None
    facts: dict[str, Any] = {}
    stash: dict[str, Any] = {}
    losses: list[Noted] = []

    def note(self, path: str, loss: Loss, change: str = "") -> None:
        """Record that an operation acted and what it lost."""
        self.losses.append(Noted(change=change, path=path, loss=loss))
