"""Questions of the server: requests of their own, or entries of an interim result.

Follows changelog major 7 and minor 11; basic/patterns/mrtr.mdx, client/elicitation.mdx. The body of a question is the
same in both; as an entry of `inputRequests`, or of the `inputResponses` that answer it, it has no metadata. Which call
a question belongs to is for the conversation to say. An `elicitationId` is the conversation's own: it stands in the
Context's stash under its name (or a function that makes one) before a question goes down, and after one went up.
"""

from __future__ import annotations

import hashlib
from typing import Any

from translators import tree
from translators.change import Change, answer, ask, notification, params, slots, swallow
from translators.context import Context
from translators.ops import KEEP, REMOVE, Loss, drop, each, fill
from translators.tree import Body

LOG = "2026-07-28/changelog.mdx"
RETRIED = ("tools/call", "prompts/get", "resources/read")
"""Requests that an interim result may answer."""
ELICITATION_ID = "elicitationId"
"""The member, and the key of the Context's stash."""

ROUND_TRIPS = Change(
    name="questions in interim results",
    spec=f"{LOG} major 7",
    rows=("N19", "N39", "N40"),
    up={
        ask("sampling/createMessage"): (drop("_meta", Loss.DEGRADED),),
        ask("elicitation/create"): (drop("_meta", Loss.DEGRADED),),
        ask("roots/list"): (drop("_meta.progressToken", Loss.COSMETIC),),
        answer("elicitation/create"): (drop("_meta", Loss.DEGRADED),),
        answer("roots/list"): (drop("_meta", Loss.DEGRADED),),
    },
)

RETRIES = Change(
    name="answers that come with a retry",
    spec=f"{LOG} major 7",
    rows=("N15", "N77"),
    emulates="conversation",
    # They belong to a suspended call; without one they have no reader.
    down=slots(RETRIED, params, drop("inputResponses", Loss.DEGRADED), drop("requestState", Loss.DEGRADED)),
)


def _set_aside(given: Any, ctx: Context) -> Any:
    ctx.stash[ELICITATION_ID] = given
    return REMOVE


def _identified(body: Body, ctx: Context) -> Any:
    """The id the conversation chose; without a conversation one that is the same whenever the URL is."""
    if tree.member(body, "mode") != "url" or ELICITATION_ID in body:
        return KEEP
    chosen = ctx.stash.get(ELICITATION_ID)
    if callable(chosen):
        chosen = ctx.stash[ELICITATION_ID] = chosen()
    if isinstance(chosen, str):
        return chosen
    url = str(tree.whole(body, "url"))
    return hashlib.blake2b(url.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


ELICITATION_IDS = Change(
    name="ids of elicitations by URL",
    spec=f"{LOG} minor 11",
    rows=("N38",),
    up={
        ask("elicitation/create"): (each(ELICITATION_ID, _set_aside, Loss.STASHED),),
    },
    down={ask("elicitation/create"): (fill(ELICITATION_ID, _identified, Loss.NONE, given=("url",)),)},
)

ELICITATION_COMPLETE = Change(
    name="completion of elicitations by URL",
    spec=f"{LOG} minor 11",
    rows=("N27",),
    emulates="conversation",
    up={notification("notifications/elicitation/complete"): swallow("elicitation-completion-removed")},
)
