"""Runs the hooks of a slot in order, and fails closed.

Members a hook declared are opened strictly before it sees them (depth, nodes, duplicates), so that what was judged is
what is sent. A synchronous hook costs no task; the first one that awaits turns the rest of the chain into a coroutine.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Sequence
from typing import Any
from weakref import WeakSet

import msgspec
from msgspec import Raw

from broker.hooks.base import PASS, Body, Caller, CallInfo, Deny, Drop, Glance, Hook, Pass, Pattern, Replace, Verdict
from broker.hooks.inner import QUESTIONS
from broker.hooks.passed import Passed
from protocol_versions import jsonrpc
from protocol_versions.base import Side, Slot
from protocol_versions.jsonrpc import WireLimits

Judges = tuple[tuple[Hook, Pattern], ...]

MAX_CACHED_SLOTS = 512
"""Compiled slots kept; all revisions together define about 80."""


class Runner:
    """The hooks of one backend, compiled per slot."""

    def __init__(self, hooks: Sequence[Hook], limits: WireLimits) -> None:
        self.limits = limits
        self.gates: WeakSet[Any] = WeakSet()
        """The gates that judge by these hooks."""
        self.generation = 0
        """Counts the changes of policy; open calls that began under another one are reviewed, see `broker.gate`."""
        self._install(hooks)

    def replace(self, hooks: Sequence[Hook]) -> None:
        """Judge by these from now on. A message that is being judged is judged to the end by those it began with."""
        self.generation += 1
        self._install(hooks)

    def review(self, info: CallInfo) -> Deny | None:
        """The first refusal of a call that is open, by the hooks there are now."""
        for hook in self.hooks:
            try:
                verdict = hook.review(info)
            except Exception as error:
                return _failed(hook, error)
            if verdict is not None:
                return verdict
        return None

    def _install(self, hooks: Sequence[Hook]) -> None:
        self.hooks = tuple(hooks)
        self.passed = Passed()
        """Calls that these hooks have let through for all that are alike."""
        self._telling = tuple(hook for hook in self.hooks if type(hook).audience is not Hook.audience)
        self.tells_apart = bool(self._telling)
        """Whether what a caller is shown depends on more than its name."""
        self._glances: dict[tuple[str, str], tuple[Glance, ...] | None] = {}
        self._cache: dict[tuple[str, str, Side], tuple[Slot, Judges] | None] = {}
        self.questions = any(self.wants("params", method, "client") for method in QUESTIONS)
        """Whether any hook judges what servers ask; what travels inside results stays unopened otherwise."""
        self.answers = any(self.wants("result", method, "server") for method in QUESTIONS)
        """Whether any hook judges what clients answer."""
        for gate in tuple(self.gates):
            gate.hooks_changed()

    def audience(self, caller: Caller) -> str:
        """Which of one caller's credentials may share answers."""
        return "/".join(hook.audience(caller) for hook in self._telling)

    def wants(self, part: str, method: str, toward: Side) -> bool:
        """True if any hook covers the slot; the common answer, no, costs one look-up."""
        return bool(self.hooks) and self._find(part, method, toward) is not None

    def judge(self, part: str, method: str, toward: Side, body: Body, info: CallInfo) -> Verdict | Awaitable[Verdict]:
        """The verdict of all hooks: Replace carries on to the next, anything else but Pass ends the chain."""
        found = self._find(part, method, toward)
        if found is None:
            return PASS
        slot, hooks = found
        return self._chain(slot, hooks, body, info, None)

    def lasting(self, method: str, info: CallInfo) -> bool:
        """Whether a request that all hooks have passed stands for all that are alike: see `Hook.lasting`."""
        found = self._find("params", method, "server")
        return found is None or all(hook.lasting(found[0], info) for hook, _ in found[1])

    def glances(self, part: str, method: str) -> tuple[Glance, ...] | None:
        """The looks of all hooks at a message for the client, each once; None: it has to be judged.

        Where no hook covers the slot, there are none.
        """
        key = part, method
        if key in self._glances:
            return self._glances[key]
        found = self._find(part, method, "client")
        looks = [] if found is None else [hook.glances(found[0]) for hook, _ in found[1]]
        each = None if None in looks else tuple(dict.fromkeys(look for few in looks if few for look in few))
        if len(self._glances) < MAX_CACHED_SLOTS:
            self._glances[key] = each
        return each

    def _chain(
        self,
        slot: Slot,
        hooks: Judges,
        body: Body,
        info: CallInfo,
        replaced: Replace | None,
    ) -> Verdict | Awaitable[Verdict]:
        for index, (hook, pattern) in enumerate(hooks):
            try:
                opened(body, pattern.members if pattern.members is not None else tuple(body), self.limits)
                verdict = hook.judge(slot, body, info)
            except Exception as error:
                return _failed(hook, error)
            if verdict is PASS:
                continue
            if inspect.isawaitable(verdict):
                return self._rest(slot, hooks, index, verdict, body, info, replaced)
            if isinstance(verdict, Replace):
                body, replaced = verdict.body, _both(replaced, verdict)
            elif not isinstance(verdict, Pass):
                return verdict if isinstance(verdict, Deny | Drop) else _failed(hook, None)
        return PASS if replaced is None else self._ended(slot, replaced, info)

    def _ended(self, slot: Slot, replaced: Replace, info: CallInfo) -> Verdict:
        """What was replaced, unless a hook that judges again refuses it: what is sent has to be what was judged."""
        body = replaced.body
        found = self._find(slot.part, slot.method, slot.toward) if slot.part == "params" else None
        for hook, pattern in found[1] if found is not None else ():
            if not hook.again:
                continue
            try:
                opened(body, pattern.members if pattern.members is not None else tuple(body), self.limits)
                verdict = hook.judge(slot, body, info)
            except Exception as error:
                return _failed(hook, error)
            if isinstance(verdict, Replace):
                body = verdict.body
            elif not isinstance(verdict, Pass):
                return verdict if isinstance(verdict, Deny | Drop) else _failed(hook, None)
        return Replace(body, replaced.headers)

    async def _rest(
        self,
        slot: Slot,
        hooks: Judges,
        index: int,
        pending: Awaitable[Verdict],
        body: Body,
        info: CallInfo,
        replaced: Replace | None,
    ) -> Verdict:
        try:
            verdict = await pending
        except Exception as error:
            return _failed(hooks[index][0], error)
        if isinstance(verdict, Replace):
            body, replaced = verdict.body, _both(replaced, verdict)
        elif not isinstance(verdict, Pass):
            return verdict if isinstance(verdict, Deny | Drop) else _failed(hooks[index][0], None)
        after = self._chain(slot, hooks[index + 1 :], body, info, replaced)
        return await after if inspect.isawaitable(after) else after

    def _find(self, part: str, method: str, toward: Side) -> tuple[Slot, Judges] | None:
        key = (part, method, toward)
        if key in self._cache:
            return self._cache[key]
        slot = Slot(part, method, toward)  # type: ignore[arg-type]
        hooks = tuple(
            (hook, pattern)
            for hook in self.hooks
            for pattern in [next((each for each in hook.slots if each.covers(slot)), None)]
            if pattern is not None
        )
        found = (slot, hooks) if hooks else None
        if len(self._cache) < MAX_CACHED_SLOTS:
            self._cache[key] = found
        return found


def _both(before: Replace | None, after: Replace) -> Replace:
    """What two hooks have made of a message: the body of the later one, the headers of both."""
    return after if before is None or not before.headers else Replace(after.body, before.headers + after.headers)


def opened(body: Body, names: tuple[str, ...], limits: WireLimits) -> None:
    """Open these members of a body as strict trees, in place.

    Raises:
        Refused: one of them breaks a limit or holds a duplicate member.
    """
    for name in names:
        value = body.get(name)
        if type(value) is Raw:
            body[name] = jsonrpc.open_value(value, limits)
        elif type(value) in (dict, list):
            # Opened a level deep by a Change: re-read as one strict tree.
            body[name] = jsonrpc.open_value(msgspec.json.encode(value), limits)


def _failed(hook: Hook, error: Exception | None) -> Deny:
    reason = type(error).__name__ if error is not None else "no-verdict"
    return Deny(-32603, "The request was refused by policy", f"hook-failed:{type(hook).__name__}:{reason}")
