"""Sanitise by clearance: what a caller may not see is taken out of everything a backend says to it.

    results, errors, notifications and questions, in every revision, before they are translated
    which leaves          `sanitise_visit`, `sanitise_free`, by the tables of `sanitise_places`
    what is looked for    `sanitise_detect` (expressions of RE2), `sanitise_paths` (places)
    in which spellings    `sanitise_text` (folded, escapes undone), and base64 that holds text
    what becomes of it    `sanitise_leaf`: mask, hash, redact, drop or deny, by the rules and the caller's level

Whatever cannot be decided is not let through: a hook that raises, a bound that is reached, a value that cannot be read.
What this does not find: what is split over several messages or members, homoglyphs, compressed or encrypted data,
media, base64 within other text, and what a server that means to get past it encodes in its own way.
"""

from __future__ import annotations

import asyncio
import fnmatch
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from broker.hooks.base import PASS, Body, Caller, CallInfo, Deny, Hook, Pattern, Replace, Verdict
from broker.hooks.clearance import Clearance
from broker.hooks.runner import opened
from broker.hooks.sanitise_detect import Detector
from broker.hooks.sanitise_free import Bounds
from broker.hooks.sanitise_leaf import ACTIONS, Action, DenyError, Plan
from broker.hooks.sanitise_paths import Path
from broker.hooks.sanitise_schemas import Schemas
from broker.hooks.sanitise_text import TooManyFindingsError
from broker.hooks.sanitise_visit import TWIN, Visit
from protocol_versions.base import Part, Slot
from protocol_versions.jsonrpc import DEFAULT_LIMITS, WireLimits

ASIDE_BYTES: Final = 32 * 1024
"""Messages above this are looked through in a thread: at 5 MB/s for small leaves, 32 KiB hold the loop up for 7 ms."""

MAX_PLANS: Final = 256
"""Plans kept: one for each level and each choice of rules that some method and tool has."""

WITHHELD: Final = "The message was withheld by policy"

Note = Callable[[CallInfo, str, str], None]
"""Told of what was done: the call, the message's method, and `ACTION:NAME`, which quotes nothing."""

_LIST: Final = Slot("result", "tools/list", "client")
_CALL: Final = Slot("result", "tools/call", "client")
_PARTS: Final[tuple[Part, ...]] = ("result", "error", "notification", "params")


class Rule(msgspec.Struct, frozen=True):
    """What is looked for, where, and what becomes of it: an action for each level, lowest level first.

    `methods` and `targets` are globs: of the message's method, and of the tool, prompt or URI its call is about.
    """

    actions: tuple[Action, ...]
    detectors: tuple[Detector, ...] = ()
    paths: tuple[Path, ...] = ()
    name: str = "field"
    methods: tuple[str, ...] = ("*",)
    targets: tuple[str, ...] = ("*",)


class Sanitise(Hook):
    """The hook of one backend. `key` makes hashes that only who has it can make; absent: one of this process.

    `before` is the hook whose place it takes, if there was one: hashes by a key of this process stay what they were, as
    do the schemas that were listed.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        clearance: Clearance,
        *,
        bounds: Bounds | None = None,
        key: bytes | None = None,
        limits: WireLimits = DEFAULT_LIMITS,
        note: Note | None = None,
        clock: Callable[[], float] = time.monotonic,
        before: Sanitise | None = None,
    ) -> None:
        self._rules = tuple(rules)
        self._clearance = clearance
        self._bounds = bounds or Bounds()
        self._own_key: bytes = secrets.token_bytes(32) if before is None else before._own_key
        self._key = key or self._own_key
        self._limits = limits
        self._note = note
        self._clock = clock
        self._plans: dict[tuple[int, tuple[int, ...]], Plan | None] = {}
        globs = dict.fromkeys(glob for rule in rules for glob in rule.methods)
        # No member is opened for us: whether one is, depends on the caller.
        self.slots = tuple(Pattern(part, glob, "client", ()) for glob in globs for part in _PARTS)
        self.schemas: Schemas = Schemas() if before is None else before.schemas
        calls = [rule for rule in self._rules if _fits(_CALL.method, rule.methods)]
        self._changing = {level for rule in calls for level, action in enumerate(rule.actions) if action != "allow"}
        """The levels of callers whose results of tools may be changed, and then have to fit the schemas of a list."""
        if self._changing:
            self.slots = (*self.slots, Pattern("result", _LIST.method, "client", ()))

    def does(self, other: Sanitise) -> bool:
        """True if it does what the other one does."""
        mine, theirs = ((each._rules, each._clearance, each._bounds, each._key) for each in (self, other))
        return mine == theirs

    def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict | Awaitable[Verdict]:
        """The message as this caller may see it."""
        plan = self._plan(slot, info)
        if plan is None:
            if slot == _LIST and self._clearance.level_of(info.caller) in self._changing:
                opened(body, ("tools",), self._limits)
                self.schemas.learn(body.get("tools"))
            return PASS
        if sum(len(value) for value in body.values() if type(value) is Raw) > ASIDE_BYTES:
            return self._aside(plan, slot, body, info)
        return self._told(slot, info, *self._sanitised(plan, slot, body, info))

    def shown(self, method: str, caller: Caller) -> Any:
        """The rules for a list, and what each makes of it at the caller's level."""
        level = self._clearance.level_of(caller)
        rules = [self._rules[number] for number in self._chosen(level, method, "")]
        found = tuple((rule.actions[level], rule.detectors, rule.paths, rule.name) for rule in rules)
        return (found, self._bounds, self._key) if found else None

    def audience(self, caller: Caller) -> str:
        """The caller's level: what was made for another is not shown to it."""
        return self._clearance.levels[self._clearance.level_of(caller)]

    async def _aside(self, plan: Plan, slot: Slot, body: Body, info: CallInfo) -> Verdict:
        return self._told(slot, info, *await asyncio.to_thread(self._sanitised, plan, slot, body, info))

    def _sanitised(self, plan: Plan, slot: Slot, body: Body, info: CallInfo) -> tuple[Verdict, dict[str, int]]:
        opened(body, tuple(body), self._limits)
        if slot == _LIST:
            self.schemas.learn(body.get("tools"))
        visit = Visit(plan, slot, info.target, self._bounds, self._limits, self._clock)
        try:
            new = visit.body(body)
        except DenyError as error:
            return Deny(-32603, WITHHELD, f"sanitised:{error}"), {}
        except TooManyFindingsError:
            return Deny(-32603, WITHHELD, "sanitised:too-many"), {}
        if slot == _CALL and new is not body and not self._fits(info.target, body, new):
            return Deny(-32603, WITHHELD, "sanitised:output-schema"), {}
        spent = {f"{action}:{name}": count for (action, name), count in visit.leaves.spent.items()}
        return (PASS if new is body else Replace(new)), spent

    def _fits(self, tool: str | None, before: Body, after: Body) -> bool:
        """Whether structured content that was changed is still what the tool says that it is."""
        if TWIN not in before or before.get("isError") is True or after.get(TWIN) is before[TWIN]:
            return True
        return self.schemas.fits(tool, before[TWIN], after.get(TWIN))

    def _told(self, slot: Slot, info: CallInfo, verdict: Verdict, spent: dict[str, int]) -> Verdict:
        if self._note is not None:
            for what in spent:
                self._note(info, slot.method, what)
        return verdict

    def _plan(self, slot: Slot, info: CallInfo) -> Plan | None:
        """What the rules for this message make of the caller's level; None if there is nothing to look for."""
        level = self._clearance.level_of(info.caller)
        chosen = self._chosen(level, slot.method, info.target or "")
        key = level, chosen
        if key in self._plans:
            return self._plans[key]
        plan = self._compiled(level, chosen) if chosen else None
        if len(self._plans) < MAX_PLANS:
            self._plans[key] = plan
        return plan

    def _chosen(self, level: int, method: str, target: str) -> tuple[int, ...]:
        return tuple(
            number
            for number, rule in enumerate(self._rules)
            if rule.actions[level] != "allow" and _fits(method, rule.methods) and _fits(target, rule.targets)
        )

    def _compiled(self, level: int, chosen: tuple[int, ...]) -> Plan:
        detectors: dict[Detector, Action] = {}
        paths: list[tuple[Path, Action, str]] = []
        for number in chosen:
            rule = self._rules[number]
            action = rule.actions[level]
            for detector in rule.detectors:
                detectors[detector] = max(action, detectors.get(detector, action), key=ACTIONS.index)
            paths += [(path, action, rule.name) for path in rule.paths]
        return Plan(tuple(detectors.items()), paths, self._key)


def _fits(text: str, globs: tuple[str, ...]) -> bool:
    return any(glob == "*" or fnmatch.fnmatchcase(text, glob) for glob in globs)
