"""What the core reports of its own doing: one note per message that lost something."""

from __future__ import annotations

from translators.context import Context
from translators.loss import Loss
from translators.machine import Effect, Note


def lossy(ctx: Context, method: str) -> list[Effect]:
    """One note of what the operations on a message lost, none if they lost nothing; the context is cleared."""
    if not ctx.losses:
        return []
    losses = [loss for loss in ctx.losses if loss.loss is not Loss.NONE]
    ctx.losses = []
    return [Note("lossy", method, losses=tuple(losses))] if losses else []
