"""What every result says about itself: whether it is one, and how long it may be kept.

Follows changelog major 8 and minor 5; basic/patterns/mrtr.mdx, server/utilities/caching.mdx. Invariant: a result that
is no result (a question, the handle of a task) never reaches a session client, whose SDK would read it as an empty
success (npm 1.15 to 1.25).
"""

from __future__ import annotations

from typing import Any

from translators import tree
from translators.change import Change, result, slots
from translators.context import Context
from translators.errors import INTERNAL_ERROR, Refused
from translators.ops import KEEP, REMOVE, Loss, drop, each, fill
from translators.tree import Body
from translators.v2025_11_25__v2026_07_28.fields_meta import SHARED_REQUESTS

LOG = "2026-07-28/changelog.mdx"
COMPLETE = "complete"
INPUT_REQUIRED = "input_required"
TASK = "task"

_REFUSALS = {
    INPUT_REQUIRED: (
        "input-not-bridged",
        "The server needs input in a way the client's protocol revision cannot express",
    ),
    TASK: (
        "task-not-awaited",
        "The server turned the request into a task, which the client's protocol revision cannot express",
    ),
}
_UNKNOWN = ("result-type-unsupported", "unsupported result type")


def _complete_only(kind: Any, _ctx: Context) -> Any:
    """Absence means "complete"; anything else is no result in the older revision."""
    if kind == COMPLETE:
        return REMOVE
    reason, message = _REFUSALS.get(kind, _UNKNOWN) if isinstance(kind, str) else _UNKNOWN
    raise Refused(INTERNAL_ERROR, message, reason=reason)


def _complete(body: Body, _ctx: Context) -> Any:
    """Also over what an older server wrote there, to which the word meant nothing."""
    return KEEP if tree.member(body, "resultType") == COMPLETE else COMPLETE


RESULT_TYPE = Change(
    name="type of result",
    spec=f"{LOG} major 8",
    rows=("N8", "N35"),
    up=slots(SHARED_REQUESTS, result, fill("resultType", _complete, Loss.NONE)),
    down=slots(SHARED_REQUESTS, result, each("resultType", _complete_only, Loss.NONE)),
)

CACHEABLE = ("tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read")


def _at_once(body: Body, _ctx: Context) -> Any:
    """Stale at once: an older server makes no promise, and `0` in another spelling is none either."""
    ttl = tree.member(body, "ttlMs")
    return KEEP if type(ttl) is int and ttl == 0 else 0


def _private(body: Body, _ctx: Context) -> Any:
    return KEEP if tree.member(body, "cacheScope") == "private" else "private"


CACHE_HINTS = Change(
    name="cache hints",
    spec=f"{LOG} minor 5",
    rows=("N13", "N35"),
    up=slots(CACHEABLE, result, fill("ttlMs", _at_once, Loss.NONE), fill("cacheScope", _private, Loss.NONE)),
    down=slots(CACHEABLE, result, drop("ttlMs", Loss.COSMETIC), drop("cacheScope", Loss.COSMETIC)),
)
