"""Tasks exist between two 2025-11-25 peers only; toward anyone else they are neither declared nor shown.

Follows changelog major 9 and basic/utilities/tasks.mdx. A receiver that did not declare tasks processes a request
normally and ignores `task`, so removing it changes nothing but the wish. A task created all the same must never pass
for a result: SDK clients read `{"task": ...}` as a successful empty one (npm 1.15 to 1.25).
"""

from __future__ import annotations

from typing import Any

from protocol_versions.base import Slot
from translators import tree
from translators.change import (
    Actions,
    Change,
    answer,
    ask,
    notification,
    params,
    refuse,
    result,
    swallow,
)
from translators.context import Context
from translators.errors import INTERNAL_ERROR, METHOD_NOT_FOUND
from translators.ops import KEEP, Loss, drop, each, fill, refuse_if, swallow_if, when
from translators.tree import Body

LOG = "2025-11-25/changelog.mdx"
RELATED_TASK = "io.modelcontextprotocol/related-task"
IMMEDIATE_RESPONSE = "io.modelcontextprotocol/model-immediate-response"
NAME = "tasks"

TASK_METHODS = ("tasks/get", "tasks/result", "tasks/list", "tasks/cancel")
ASKS = ("sampling/createMessage", "elicitation/create")
"""Server requests that may be run as a task of the client, or belong to a task of the server."""


def _is_task(value: Any, _ctx: Context) -> bool:
    return isinstance(value, dict) and "taskId" in value


def _needs_task(tool: Body, _ctx: Context) -> bool:
    execution = tree.whole(tool, "execution")
    return isinstance(execution, dict) and execution.get("taskSupport") == "required"


def _set_aside(meta: Body, ctx: Context) -> Body:
    """Keep the task a question belongs to: the specification wants it on the answer again."""
    ctx.stash[NAME] = meta[RELATED_TASK]
    return {key: value for key, value in meta.items() if key != RELATED_TASK}


def _with_related_task(body: Body, ctx: Context) -> Any:
    if NAME not in ctx.stash:
        return KEEP
    meta = tree.whole(body, "_meta")
    return {**(meta if isinstance(meta, dict) else {}), RELATED_TASK: ctx.stash.pop(NAME)}


_WITHOUT_TASK = (drop(f"_meta.`{RELATED_TASK}`", Loss.COSMETIC),)
_RESULT_WITHOUT_TASK = (*_WITHOUT_TASK, drop(f"_meta.`{IMMEDIATE_RESPONSE}`", Loss.COSMETIC))
_NEVER_A_RESULT = refuse_if(
    "task",
    _is_task,
    INTERNAL_ERROR,
    "task-not-awaited",
    "The request was turned into a task, which the other side's protocol revision does not support",
)
_RESTORED = fill("_meta", _with_related_task, Loss.NONE)
_REFUSED = refuse(METHOD_NOT_FOUND, "tasks-unsupported", "The other side's protocol revision does not support tasks")
_PLAIN = (drop("task", Loss.DEGRADED),)


def _down() -> Actions:
    actions: dict[Slot, Any] = {
        params("initialize"): (drop("capabilities.tasks", Loss.DEGRADED),),
        result("initialize"): (drop("capabilities.tasks", Loss.DEGRADED),),
        result("tools/list"): (
            when("tools[]", _needs_task, drop("execution", Loss.DEGRADED)),
            drop("tools[].execution", Loss.COSMETIC),
        ),
        params("tools/call"): _PLAIN,
        result("tools/call"): (_NEVER_A_RESULT, *_RESULT_WITHOUT_TASK),
        ask("roots/list"): _WITHOUT_TASK,
    }
    for method in ASKS:
        actions[ask(method)] = (
            *_PLAIN,
            each("_meta", _set_aside, Loss.STASHED, having=(RELATED_TASK,)),
        )
        actions[answer(method)] = (_NEVER_A_RESULT, *_RESULT_WITHOUT_TASK, _RESTORED)
    for toward in ("client", "server"):
        for method in ("notifications/progress", "notifications/cancelled"):
            actions[Slot("notification", method, toward)] = _WITHOUT_TASK
        for method in TASK_METHODS:
            actions[Slot("params", method, toward)] = _REFUSED
        actions[Slot("notification", "notifications/tasks/status", toward)] = swallow("tasks-unsupported")
    actions[notification("notifications/message")] = _WITHOUT_TASK
    return actions


TASKS = Change(
    name=NAME,
    spec=f"{LOG} major 9",
    rows=("C3", "C4", "C5", "C6", "C7", "C8", "C9", "T2", "T3"),
    down=_down(),
    up={
        params("initialize"): (drop("capabilities.tasks", Loss.DEGRADED),),
        result("initialize"): (drop("capabilities.tasks", Loss.DEGRADED),),
        params("tools/call"): _PLAIN,
        **{ask(method): _PLAIN for method in ASKS},
        **{answer(method): (_RESTORED,) for method in ASKS},
    },
)


def _names_no_request(body: Body, _ctx: Context) -> bool:
    return "requestId" not in body


CANCELLED_TASK = Change(
    name="cancelled without a request",
    spec="2025-11-25/basic/utilities/cancellation.mdx",
    rows=("C10",),
    down={
        notification("notifications/cancelled", toward): (swallow_if(_names_no_request, "cancelled-without-request"),)
        for toward in ("client", "server")
    },
)
