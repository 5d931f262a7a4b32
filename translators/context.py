"""What an operation may know besides the body it rewrites: the call, the facts, and what earlier bodies stashed."""

from __future__ import annotations

from typing import Any

import msgspec

from translators.loss import Loss, Noted


class Context(msgspec.Struct, kw_only=True):
    """Keyed per call: the same object accompanies a request and its answer.

    `request` holds the request's parameters as the *writer of the answer* received them (top-level members may still
    be `msgspec.Raw`); `facts` what the broker learned of the backend (`tools`: name -> definition as the backend
    wrote it); `stash` what a Change keeps between request and answer, under the Change's name.
    """

    method: str = ""
    request: dict[str, Any] | None = None
    facts: dict[str, Any] = {}
    stash: dict[str, Any] = {}
    losses: list[Noted] = []

    def note(self, path: str, loss: Loss, change: str = "") -> None:
        """Record that an operation acted and what it lost."""
        self.losses.append(Noted(change=change, path=path, loss=loss))
