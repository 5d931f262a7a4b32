"""Task ids between two peers that both know tasks (2025-11-25): neither ever sees an id the other chose.

Follows 2025-11-25 basic/utilities/tasks. An id a peer writes is either one the broker showed it, and is turned back
into the original, or one of its own, and is shown to the other peer under a minted one. Minted ids live as long as
the store, which the sessions of one caller share, so that a task outlives the session that made it; an id nobody was
shown maps to nothing the other peer knows.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET

from protocol_versions.base import Side
from translators import tree
from translators.tree import Body

MAX_TASKS = 4_096
"""Task ids remembered per caller and backend; the least recently used are forgotten first."""

RELATED = "io.modelcontextprotocol/related-task"


class TaskIds:
    """Both directions of one caller's task ids at one backend. `mint` gives unguessable strings."""

    def __init__(self, mint: Callable[[], str], limit: int = MAX_TASKS) -> None:
        self._mint = mint
        self._limit = limit
        self._shown: dict[Side, OrderedDict[str, str]] = {"client": OrderedDict(), "server": OrderedDict()}
        self._minted: dict[Side, dict[str, str]] = {"client": {}, "server": {}}

    def swap(self, task_id: str, writer: Side) -> str:
        """What the other peer calls the task that `writer` calls `task_id`."""
        shown = self._shown[writer]
        original = shown.get(task_id)
        if original is not None:
            shown.move_to_end(task_id)
            return original
        reader: Side = "server" if writer == "client" else "client"
        minted = self._minted[reader].get(task_id)
        if minted is None:
            minted = self._minted[reader][task_id] = self._mint()
            self._shown[reader][minted] = task_id
            if len(self._shown[reader]) > self._limit:
                _, forgotten = self._shown[reader].popitem(last=False)
                del self._minted[reader][forgotten]
        return minted

    def rename(self, body: Body | msgspec.UnsetType, writer: Side) -> None:
        """Swap every task id a message may hold, in place: `taskId`, `task`, `tasks[]`, and the related task."""
        if body is UNSET or not body:
            return
        self._at(body, writer)
        if "task" in body:
            self._at(tree.member(body, "task"), writer)
        if "tasks" in body:
            tasks = tree.member(body, "tasks")
            for index, item in enumerate(tasks if isinstance(tasks, list) else ()):
                tasks[index] = item = tree.shallow(item)
                self._at(item, writer)
        if "_meta" in body:
            meta = tree.member(body, "_meta")
            if isinstance(meta, dict) and RELATED in meta:
                self._at(tree.member(meta, RELATED), writer)

    def _at(self, node: Any, writer: Side) -> None:
        if isinstance(node, dict) and "taskId" in node:
            task_id = tree.whole(node, "taskId")
            if isinstance(task_id, str):
                node["taskId"] = self.swap(task_id, writer)
