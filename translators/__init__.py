"""Translate Model Context Protocol messages between any two revisions.

`translate()` is the public face: dependency-light (msgspec only), no I/O, no clock, safe for other gateways.
"""

from __future__ import annotations

import importlib
import itertools
import pkgutil
from typing import TYPE_CHECKING, Any

from translators.change import Step
from translators.context import Context
from translators.loss import Loss, Noted

if TYPE_CHECKING:
    from protocol_versions.base import Part, Side
    from translators.translation import Translation

__all__ = ["STEPS", "Context", "Loss", "Noted", "Step", "translate"]


def _discover() -> tuple[Step, ...]:
    """Every module named `v<older>__v<newer>`, in order; they must form one chain."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__) if "__v" in info.name)
    steps = tuple(importlib.import_module(f"{__name__}.{name}").STEP for name in names)
    for before, after in itertools.pairwise(steps):
        if before.newer.id != after.older.id:
            raise ImportError(f"steps do not form a chain: {before.name} then {after.name}")
    return steps


STEPS: tuple[Step, ...] = _discover()


def translate(
    body: dict[str, Any] | bytes,
    *,
    method: str,
    part: Part,
    client: str,
    server: str,
    toward: Side | None = None,
    context: Context | None = None,
) -> Translation:
    """The body as its reader's revision spells it, with what was lost; see `translators.translation.translate`."""
    from translators.translation import translate as run

    return run(body, method=method, part=part, client=client, server=server, toward=toward, context=context)
