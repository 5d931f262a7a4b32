"""What rules remember of a server when they change: whose tasks there are, and how its tools are annotated."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from broker.hooks.base import CallInfo
from broker.rules.ruleset import Annotations

MAX_NAME: Final = 8_192
"""Characters of a name or URI that is judged; longer ones are nothing that exists."""

MAX_TASKS: Final = 4_096
"""Tasks of which is remembered whose and of which tool they are."""

MAX_TOOLS: Final = 4_096
MAX_ANNOTATIONS: Final = 4_096
"""Tools whose annotations are remembered, and bytes of those of one tool; servers of both SDKs send below 200."""


class Memory:
    """One server's. `tasks`: (principal, task) -> tool; `annotations`: tool -> what was said of it last."""

    def __init__(self) -> None:
        self.tasks: dict[tuple[str, str], str] = {}
        self.annotations: dict[str, Annotations] = {}

    def remember(self, task: Any, info: CallInfo) -> None:
        """A call of a tool has become this task, if it is one."""
        task_id = task.get("taskId") if isinstance(task, dict) else None
        if isinstance(task_id, str) and info.target is not None:
            if len(self.tasks) >= MAX_TASKS:
                del self.tasks[next(iter(self.tasks))]
            self.tasks[info.principal, task_id] = info.target

    def learn(self, tools: Any) -> None:
        """A list of tools, with their annotations."""
        kept = self.annotations
        for tool in tools if isinstance(tools, list) else ():
            name, said = (tool.get("name"), tool.get("annotations")) if isinstance(tool, dict) else (None, None)
            if not isinstance(name, str) or len(name) > MAX_NAME:
                continue
            text = msgspec.json.encode(said, order="sorted") if isinstance(said, dict) else b""
            if not isinstance(said, dict) or len(text) > MAX_ANNOTATIONS:
                kept.pop(name, None)
                continue
            if len(kept) >= MAX_TOOLS and name not in kept:
                del kept[next(iter(kept))]
            kept[name] = Annotations(text, said)
