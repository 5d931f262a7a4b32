"""Tasks left the core protocol for an extension of other shapes; neither is handed to the other's readers.

Follows changelog major 6. A receiver processes a request without `task` normally, so removing the wish changes nothing
else. What an older peer turned into a task all the same must not pass for a result. Down there is nothing to do here:
a handle of the extension is a `resultType` of its own.
"""

from __future__ import annotations

from typing import Any

from protocol_versions.base import Slot
from translators import tree
from translators.change import Actions, Change, answer, ask, params, refuse, result, swallow
from translators.context import Context
from translators.errors import INTERNAL_ERROR, METHOD_NOT_FOUND
from translators.ops import Loss, drop, refuse_if, when
from translators.tree import Body
from translators.v2025_11_25__v2026_07_28.fields_meta import NOTED, SHARED_REQUESTS

LOG = "2026-07-28/changelog.mdx"
RELATED_TASK = "io.modelcontextprotocol/related-task"
IMMEDIATE_RESPONSE = "io.modelcontextprotocol/model-immediate-response"
TASK_METHODS = ("tasks/get", "tasks/result", "tasks/list", "tasks/cancel")
ASKED_AS_TASKS = ("sampling/createMessage", "elicitation/create")


def _is_task(value: Any, _ctx: Context) -> bool:
    return isinstance(value, dict) and "taskId" in value


def _needs_task(tool: Body, _ctx: Context) -> bool:
    execution = tree.whole(tool, "execution")
    return isinstance(execution, dict) and execution.get("taskSupport") == "required"


_UNRELATED = drop(f"_meta.`{RELATED_TASK}`", Loss.COSMETIC)
_PLAIN = drop("task", Loss.DEGRADED)
_NEVER_A_RESULT = refuse_if(
    "task",
    _is_task,
    INTERNAL_ERROR,
    "task-not-awaited",
    "The request was turned into a task, which the other side's protocol revision does not support",
)
_REFUSED = refuse(METHOD_NOT_FOUND, "tasks-removed", "The other side's protocol revision has no such tasks")
_WITHOUT_EXECUTION = (
    when("tools[]", _needs_task, drop("execution", Loss.DEGRADED)),
    drop("tools[].execution", Loss.COSMETIC),
)


def _up() -> Actions:
    actions: dict[Slot, Any] = dict.fromkeys((*map(params, SHARED_REQUESTS), *NOTED, ask("roots/list")), (_UNRELATED,))
    actions |= dict.fromkeys(map(result, SHARED_REQUESTS), (_UNRELATED,))
    actions[params("tools/call")] = (_PLAIN, _UNRELATED)
    actions[result("tools/call")] = (
        _NEVER_A_RESULT,
        _UNRELATED,
        drop(f"_meta.`{IMMEDIATE_RESPONSE}`", Loss.COSMETIC),
    )
    actions[result("tools/list")] = (*_WITHOUT_EXECUTION, _UNRELATED)
    actions[ask("sampling/createMessage")] = (_PLAIN, *_WITHOUT_EXECUTION)
    actions[ask("elicitation/create")] = (_PLAIN,)
    actions[answer("sampling/createMessage")] = (_NEVER_A_RESULT, _UNRELATED)
    actions[answer("elicitation/create")] = (_NEVER_A_RESULT,)
    for toward in ("client", "server"):
        actions |= {Slot("params", method, toward): _REFUSED for method in TASK_METHODS}
        actions[Slot("notification", "notifications/tasks/status", toward)] = swallow("tasks-removed")
    return actions


TASKS_MOVED = Change(
    name="tasks moved to an extension",
    spec=f"{LOG} major 6",
    rows=("N20", "N28", "N34"),
    up=_up(),
)
