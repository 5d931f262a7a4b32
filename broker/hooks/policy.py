"""The rules of a server at every door: who may see, use and say what.

Names are hidden as `broker.hooks.names` says; a rule that denies a name hides it in lists, and at every other door it
looks like what does not exist. A rule that denies only some arguments, or only one method, refuses that plainly, since
the thing itself is there to be seen. What names nothing is judged by its method.

    asked for                                  judged as
    an item of a list, a call, a get, a read   the method that uses it: tools/call, prompts/get, resources/read
    subscribe, unsubscribe, a URI to listen to that, and resources/subscribe
    an announced update                        that
    a resource within a result                 resources/read, unless only the default denies it
    a completion                               that of its prompt, resource or template, and completion/complete
    a task                                     its method, and the tool it came from
    a notification of the server               its method, or the list it is about
    a question of the server                   its method; of the tools it offers a model, those that are hidden go
    any other request or notification          its method

Invariants: a name is judged as it is sent, and a URI also as a server may read it (`broker.rules.spelling`); what has
no plain name does not exist; where rules look at arguments, what was judged is what is sent.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec

from broker.hooks.base import PASS, Body, Caller, CallInfo, Deny, Glance, Pattern, Replace, Verdict
from broker.hooks.inner import QUESTIONS
from broker.hooks.memory import MAX_NAME, Memory
from broker.hooks.names import (
    COMPLETE,
    KINDS,
    LISTEN,
    LISTS,
    TARGETS,
    UPDATED,
    HiddenNames,
    Kind,
    absent,
    makes_task,
)  # fmt: skip
from broker.rules.ruleset import PLUMBING, UNKNOWN, Annotations, Ask, RuleSet
from broker.rules.spelling import climbs, plain
from protocol_versions.base import Slot

SINGULAR: Final = {"tools": "tool", "prompts": "prompt", "resources": "resource", "templates": "template"}
_USES: Final = {
    "tools": "tools/call",
    "prompts": "prompts/get",
    "resources": "resources/read",
    "templates": "resources/read",
}
_COMPLETED: Final = {"prompts", "resources", "templates"}
_TAKE_ARGUMENTS: Final = ("tools", "prompts")
_DOORS: Final = {
    "resources/subscribe": "resources/subscribe",
    "resources/unsubscribe": "resources/subscribe",
    UPDATED: "resources/subscribe",
    COMPLETE: COMPLETE,
}
_HEARD: Final = {
    "notifications/tools/list_changed": "tools/list",
    "notifications/prompts/list_changed": "prompts/list",
    "notifications/resources/list_changed": "resources/list",
}
_SAMPLING: Final = "sampling/createMessage"
_TASKS: Final = "tasks/"
_REFUSED: Final = "The request was refused by policy"


class Policy(HiddenNames):
    """The rules as a hook, first in order."""

    again = True  # what later hooks replaced is judged once more

    def __init__(self, rules: RuleSet, memory: Memory) -> None:
        self.rules = rules
        self.memory = memory
        strict = rules.default == "deny"
        self._active = {kind for kind in KINDS if strict or rules.may_deny(kind=SINGULAR[kind])}
        self._methods = strict or rules.may_deny(kind="", name="")
        self._reads_arguments = "arguments" in rules.mentioned
        self._reads_annotations = "annotations" in rules.mentioned
        super().__init__(self._active)
        self.slots = (*map(self._widened, self.slots), *self._further())

    def _widened(self, pattern: Pattern) -> Pattern:
        members = pattern.members or ()
        if pattern.part == "params" and pattern.methods in ("tools/call", "prompts/get") and self._reads_arguments:
            members = (*members, "arguments")
        elif pattern.part == "result" and pattern.methods == "tools/call":
            members = (*members, "task")
        return msgspec.structs.replace(pattern, members=members)

    def _further(self) -> list[Pattern]:
        found = []
        tools = "tools" in self._active
        if tools:
            found += [Pattern("params", f"{_TASKS}*", "server", ("taskId",))]
            found += [Pattern("result", f"{_TASKS}list", "client", ("tasks",))]
        if self._methods:
            found += [Pattern("params", "*", "server", ()), Pattern("notification", "*", "server", ())]
        if self.rules.may_deny(kind="", name=""):
            found.append(Pattern("notification", "*", "client", ()))
        for method in sorted(QUESTIONS):
            offers = tools and method == _SAMPLING
            if offers or self.rules.may_deny(kind="", name="", method=method):
                found.append(Pattern("params", method, "client", ("tools",) if offers else ()))
        return found

    def shown(self, method: str, caller: Caller) -> Any:
        """What the rules may make of the list for this caller, of the things in it and of the list itself."""
        kind = LISTS[method][1]
        things = self.rules.bearing(Ask(_USES[kind], SINGULAR[kind]), caller)
        whole = self.rules.bearing(Ask(method), caller)
        return None if things is None and whole is None else (things, whole)

    # ---- names ------------------------------------------------------------------------------------------------------

    def hides(self, kind: Kind, name: Any, method: str, info: CallInfo) -> str:
        """Why this caller may not see the thing, or use it by this method."""
        if kind not in self._active:
            return ""
        if not isinstance(name, str) or len(name) > MAX_NAME or not name.isprintable():
            return "policy-name"
        why = self._barred(kind, _USES[kind], name, info.caller)
        door = _DOORS.get(method)
        return why or ("" if door is None else self._barred(kind, door, name, info.caller))

    def hides_link(self, uri: Any, info: CallInfo) -> bool:
        """As everywhere, but for the default: it is for what callers ask for, and tools make resources of their own."""
        why = self.hides("resources", uri, "resources/read", info)
        if why != "policy-default":
            return bool(why)
        found = self.rules.decide(Ask("resources/read", "resource", _spelled(uri)[0]), info.caller)
        return not found.allowed and found.reason != why

    def _barred(self, kind: Kind, method: str, name: str, caller: Caller) -> str:
        known = self._annotations(name) if kind == "tools" else UNKNOWN
        found = self.rules.decide(Ask(method, SINGULAR[kind], name), caller, known)
        if found.hidden if kind in _TAKE_ARGUMENTS else not found.allowed:
            return found.reason
        if kind != "resources":
            return ""
        other, elsewhere = _spelled(name)
        if other != name:
            # Rules that allow may name a URI as it is written; one that leads elsewhere has to be allowed there too.
            found = self.rules.decide(Ask(method, SINGULAR[kind], other), caller)
            if not found.allowed and (elsewhere or found.reason != "policy-default"):
                return found.reason
        return ""

    def _annotations(self, name: str) -> Annotations:
        return self.memory.annotations.get(name, UNKNOWN) if self._reads_annotations else UNKNOWN

    # ---- messages ---------------------------------------------------------------------------------------------------

    def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict:
        """The verdict of the rules."""
        method = slot.method
        if method in TARGETS and slot.part == "params":
            return self._named(method, body, info)
        if slot.toward == "client" and slot.part == "params":
            return self._question(method, body, info)
        if slot.part == "result":
            if method == f"{_TASKS}list":
                return self._tasks_listed(body, info)
            if method == "tools/list" and self._reads_annotations:
                self.memory.learn(body.get("tools"))
            elif method == "tools/call":
                self.memory.remember(body.get("task"), info)
            return super().judge(slot, body, info)
        if slot.part == "notification" and slot.toward == "client":
            return self._told(slot, body, info)
        if slot.toward == "client":
            return super().judge(slot, body, info)
        if method == COMPLETE:
            return super().judge(slot, body, info) if self._active & _COMPLETED else PASS
        why = self._barred_method(method, info.caller)
        if why:
            return _no_method(method, why)
        if method.startswith(_TASKS):
            return self._task(body.get("taskId"), info)
        return super().judge(slot, body, info) if method == LISTEN and "resources" in self._active else PASS

    def lasting(self, slot: Slot, info: CallInfo) -> bool:
        """Unless rules look at more than the caller, the method and the name."""
        if self._reads_annotations or slot.method not in TARGETS:
            return False
        kind, _ = TARGETS[slot.method]
        if not self._reads_arguments or kind not in _TAKE_ARGUMENTS or kind not in self._active:
            return True
        return not self.rules.decide(Ask(slot.method, SINGULAR[kind], info.target or ""), info.caller).open

    def glances(self, slot: Slot) -> tuple[Glance, ...] | None:
        """A result that makes a task is remembered."""
        found = super().glances(slot)
        return None if found is None else (*found, makes_task)

    def review(self, info: CallInfo) -> Deny | None:
        """Whether a call that was let through would be refused now, whatever its arguments; None if it would not."""
        if info.method in TARGETS:
            kind, _ = TARGETS[info.method]
            why = self.hides(kind, info.target, info.method, info)
        else:
            why = "" if info.method == COMPLETE else self._barred_method(info.method, info.caller)
        return Deny(-32603, _REFUSED, why) if why else None

    def _named(self, method: str, body: Body, info: CallInfo) -> Verdict:
        kind, member = TARGETS[method]
        name = body.get(member)
        why = self.hides(kind, name, method, info)
        if why:
            return absent(kind, why)
        if not self._reads_arguments or kind not in _TAKE_ARGUMENTS or kind not in self._active:
            return PASS
        known = self._annotations(name) if kind == "tools" else UNKNOWN  # type: ignore[arg-type]
        ask = Ask(method, SINGULAR[kind], name)  # type: ignore[arg-type]
        found = self.rules.decide(ask, info.caller, known)
        if not found.open:
            return PASS
        arguments = body.get("arguments")
        if arguments is not None and not isinstance(arguments, dict):
            return Deny(-32602, _REFUSED, "policy-arguments")
        found = self.rules.settle(found, ask, info.caller, arguments or {}, known)
        return PASS if found.allowed else Deny(-32603, _REFUSED, found.reason)

    def _told(self, slot: Slot, body: Body, info: CallInfo) -> Verdict:
        """A notification for the client: of a list it may read, or a resource, or of the method itself."""
        if slot.method == UPDATED and "resources" in self._active:
            verdict = super().judge(slot, body, info)
            if verdict is not PASS:
                return verdict
        found = self.rules.decide(Ask(_HEARD.get(slot.method, slot.method)), info.caller)
        denied = not found.allowed and found.reason != "policy-default"
        return Deny(-32603, _REFUSED, found.reason) if denied else PASS

    def _barred_method(self, method: str, caller: Caller) -> str:
        if not self._methods:
            return ""
        found = self.rules.decide(Ask(method), caller)
        return "" if found.allowed else found.reason

    def _question(self, method: str, body: Body, info: CallInfo) -> Verdict:
        if self.rules.may_deny(kind="", name="", method=method):
            found = self.rules.decide(Ask(method), info.caller)
            # The default is for what callers ask for.
            if not found.allowed and found.reason != "policy-default":
                return Deny(-32603, _REFUSED, found.reason)
        offered = body.get("tools")
        if method != _SAMPLING or not isinstance(offered, list):
            return PASS
        kept = [
            tool for tool in offered if isinstance(tool, dict) and not self.hides("tools", tool.get("name"), "", info)
        ]
        return PASS if len(kept) == len(offered) else Replace({**body, "tools": kept})

    # ---- tasks ------------------------------------------------------------------------------------------------------

    def _task(self, task_id: Any, info: CallInfo) -> Verdict:
        why = self._of_hidden_tool(task_id, info)
        return Deny(-32602, "Unknown task", why) if why else PASS

    def _tasks_listed(self, body: Body, info: CallInfo) -> Verdict:
        tasks = body.get("tasks")
        if not isinstance(tasks, list):
            return PASS
        kept = [task for task in tasks if isinstance(task, dict) and not self._of_hidden_tool(task.get("taskId"), info)]
        return PASS if len(kept) == len(tasks) else Replace({**body, "tasks": kept})

    def _of_hidden_tool(self, task_id: Any, info: CallInfo) -> str:
        tool = self.memory.tasks.get((info.principal, task_id)) if isinstance(task_id, str) else None
        return "" if tool is None else self.hides("tools", tool, "", info)


def _no_method(method: str, why: str) -> Deny:
    return Deny(-32603, _REFUSED, why) if method in PLUMBING else Deny(-32601, "Method not found", why)


@lru_cache(maxsize=4_096)
def _spelled(uri: str) -> tuple[str, bool]:
    return plain(uri), climbs(uri)
