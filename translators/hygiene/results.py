"""Results that readers parse more strictly than the schema asks."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from protocol_versions.base import Slot
from translators import tree
from translators.change import Change, answer, ask, result
from translators.context import Context
from translators.ops import KEEP, REMOVE, Loss, Op, each, fill, remember
from translators.structured import content_with_structured
from translators.tree import Body

MAX_COMPLETIONS = 100  # "Maximum 100 items per response", server/utilities/completion.mdx in every revision


def _empty(body: Body, _ctx: Context) -> bool:
    extra = [name for name in body if name != "_meta"]
    for name in extra:
        del body[name]
    return bool(extra)


_EMPTIED = Op(kind="empty", path="", loss=Loss.COSMETIC, route=(), act=_empty)

SESSION_RESULTS = (
    Change(
        name="empty results",
        spec="npm 1.0.4 to 1.25.1 reject any member but _meta in an empty result",
        rows=("T1",),
        down=dict.fromkeys(
            (
                result("ping"),
                answer("ping"),
                result("logging/setLevel"),
                result("resources/subscribe"),
                result("resources/unsubscribe"),
            ),
            (_EMPTIED,),
        ),
    ),
)


def _present(body: Body, _ctx: Context) -> Any:
    content = body.get("content")
    absent = content is None or (type(content) is Raw and bytes(content) == b"null")
    # A task stands in for the result between two peers that know tasks, a question between two without sessions.
    if not absent or "task" in body:
        return KEEP
    return [] if tree.deep(body.get("resultType")) in (None, "complete") else KEEP  # looked at, so not opened


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _text_of_odd_structure(body: Body, ctx: Context) -> Any:
    return KEEP if _is_object(tree.member(body, "structuredContent")) else content_with_structured(body, ctx)


def _only_object(value: Any, _ctx: Context) -> Any:
    return KEEP if _is_object(value) else REMOVE


def _at_most_100(completion: Any, _ctx: Context) -> Any:
    values = completion.get("values") if isinstance(completion, dict) else None
    if not isinstance(values, list) or len(values) <= MAX_COMPLETIONS:
        return KEEP
    return {"total": len(values), **completion, "values": values[:MAX_COMPLETIONS], "hasMore": True}


ASKED_WITH_TOOLS = "one block answers a question without tools"


def _whether_tools_are_offered(body: Body, ctx: Context) -> None:
    ctx.stash[ASKED_WITH_TOOLS] = "tools" in body


def _one_block(content: Any, ctx: Context) -> Any:
    with_tools = ctx.stash.pop(ASKED_WITH_TOOLS, True)
    return content[0] if isinstance(content, list) and len(content) == 1 and not with_tools else KEEP


def _with_ttl(task: Any, _ctx: Context) -> Any:
    return {**task, "ttl": None} if isinstance(task, dict) and "taskId" in task and "ttl" not in task else KEEP


def _ttl_of_result(body: Body, _ctx: Context) -> Any:
    return KEEP if "ttl" in body or "taskId" not in body else None


def _is_token(value: Any, _ctx: Context) -> Any:
    return KEEP if isinstance(value, str | int) and not isinstance(value, bool) else REMOVE


def _names_task(value: Any, _ctx: Context) -> Any:
    return KEEP if isinstance(value, dict) and isinstance(value.get("taskId"), str) else REMOVE


_RESULTS_WITH_META = (
    "tools/call",
    "tools/list",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
)
_META = (
    each("_meta.progressToken", _is_token, Loss.COSMETIC),
    each("_meta.`io.modelcontextprotocol/related-task`", _names_task, Loss.COSMETIC),
)


def _task_slots() -> dict[Slot, tuple[Op, ...]]:
    slots: dict[Slot, tuple[Op, ...]] = {}
    for make in (result, answer):
        for method in ("tasks/get", "tasks/cancel"):
            slots[make(method)] = (fill("ttl", _ttl_of_result),)
        slots[make("tasks/list")] = (each("tasks[]", _with_ttl, Loss.NONE),)
    slots[result("tools/call")] = (each("task", _with_ttl, Loss.NONE),)
    return slots


RESULTS = (
    Change(
        name="content is present",
        spec="pypi 1.1.3 to 1.26.0, npm 1.0.4 to 1.11.0 reject a tool result without content; all reject null",
        rows=("T26",),
        down={result("tools/call"): (msgspec.structs.replace(fill("content", _present), unless="content"),)},
    ),
    Change(
        name="at most 100 completions",
        spec="npm 1.0.4 to 1.25.1 reject more",
        rows=("T28", "N16", "N36"),
        down={result("completion/complete"): (each("completion", _at_most_100, Loss.DEGRADED),)},
    ),
    Change(
        name=ASKED_WITH_TOOLS,
        spec="npm 1.25.1 and pypi 1.26.0 servers reject a list unless they sent tools",
        rows=("C28",),
        down={
            ask("sampling/createMessage"): (remember(_whether_tools_are_offered),),
            answer("sampling/createMessage"): (each("content", _one_block, Loss.NONE),),
        },
    ),
    Change(
        name="ttl of a task",
        spec="pypi 1.26.0 leaves out a null ttl, and then pypi and npm 1.25.1 reject the task",
        rows=("T15",),
        down=_task_slots(),
    ),
    Change(
        name="kinds of _meta values",
        spec="npm 1.25.1 rejects a result whose progressToken or related-task is of another kind",
        rows=("T20",),
        down={result(method): _META for method in _RESULTS_WITH_META},
    ),
)

OBJECTS = (
    Change(
        name="structured content is an object",
        spec="pypi 1.12.4 and 1.26.0, npm 1.15.0 and 1.25.1 reject any other value",
        rows=("T9",),
        down={
            result("tools/call"): (
                fill("content", _text_of_odd_structure, Loss.CARRIED, given=("structuredContent",)),
                each("structuredContent", _only_object, Loss.CARRIED),
            )
        },
    ),
)
"""For readers whose revision types structured content as an object."""
