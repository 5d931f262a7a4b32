"""The parts of a message that no table names: free values, schemas, texts and documents, within the message's bounds.

Trees are never changed in place: a subtree in which nothing was found is the same object afterwards. Every string is
looked through, every integer long enough to be a number of a card, and the names of members too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from broker.hooks import sanitise_places as places
from broker.hooks.sanitise_leaf import (
    DenyError,
    DropError,
    Part,
    Plan,
    closed_blob,
    opened_blob,
    replaced,
    strictest,
    united,
)
from broker.hooks.sanitise_paths import States
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import WireLimits

GONE: Final = object()
"""In place of a value: it is left out."""

SHORT: Final = 16
"""Characters of a fixed value that may be one of the protocol's own words: `resource_link` has 13."""

_NOT_BASE64: Final = re.compile(r"[^A-Za-z0-9+/=_\s-]")


class Bounds(msgspec.Struct, frozen=True):
    """What is looked through in one message at most. `text` in characters, base64 counted once more when decoded."""

    text: int = 32 * 1024 * 1024  # half of what a backend may send: base64 is counted twice
    leaves: int = 200_000  # values of one document that the strict decoder takes
    nested: int = 3  # JSON in a string in JSON in a string
    time_s: float = 2.0  # the longest a message may hold back those behind it


class Leaves:
    """The leaves of one message. `spent` counts what was done, by action and name."""

    def __init__(
        self, plan: Plan, target: str | None, bounds: Bounds, limits: WireLimits, clock: Callable[[], float]
    ) -> None:
        self.plan = plan
        self.spent: Counter[tuple[str, str]] = Counter()
        self._target = target
        self._bounds = bounds
        self._limits = limits
        self._clock = clock
        self._due = clock() + bounds.time_s
        self._text = self._leaves = self._nested = 0

    def data(self, value: Any, name: str, states: States) -> Any:
        """A value of free form: members that must go are left out one by one."""
        if states and (ends := self.plan.paths.ends(states)):
            return self.named(name, value, ends, free=True)
        kind = type(value)
        if kind is str:
            try:
                return self.leaf(value, name)
            except DropError:
                return GONE
        if kind is int and (value >= places.MIN_NUMBER or value <= -places.MIN_NUMBER):
            text = str(value)
            try:
                new = self.leaf(text, name)
            except DropError:
                return GONE
            return value if new is text else new
        self.count(0, 1)
        if kind is dict:
            return self._free(value, states)
        if kind is not list:
            return value
        items = [self.data(item, "", self.step(states, index)) for index, item in enumerate(value)]
        if all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return [item for item in items if item is not GONE]

    def _free(self, tree: dict[str, Any], states: States) -> dict[str, Any]:
        found: dict[str, Any] = {}
        changed = False
        for name, value in tree.items():
            told = self.name(name)
            new = GONE if told is None else self.data(value, name, self.step(states, name))
            changed |= new is not value or told is not name
            if new is not GONE and told is not None:
                found[told if told is name else _unlike(told, tree, found)] = new
        return found if changed else tree

    def name(self, name: str) -> str | None:
        """A member's name as it may be read; None if the member must go."""
        if self.plan.known_clean(name):
            return name
        try:
            told = self.leaf(name)
        except DropError:
            return None
        if told is name:
            self.plan.remember_clean(name)
        return told

    def schema(self, value: Any, states: States) -> Any:
        """A JSON Schema: what people read may change, what decides or names may not."""
        if states and self.plan.paths.ends(states):
            raise DropError
        if type(value) is list:
            items = [self.schema(item, self.step(states, index)) for index, item in enumerate(value)]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        if type(value) is not dict:
            return self.fixed(value)
        self.count(0, 1)
        changed: dict[str, Any] = {}
        for word, inner in value.items():
            following = self.step(states, word)
            new = self._word(word, inner, following)
            if new is not inner:
                changed[word] = new
        if not changed:
            return value
        return {word: new for word, old in value.items() if (new := changed.get(word, old)) is not GONE}

    def _word(self, word: str, value: Any, states: States) -> Any:
        self.fixed(word)
        if states and (ends := self.plan.paths.ends(states)):
            return self.named(word, value, ends)
        if word in places.SCHEMA_MAPS and type(value) is dict:
            for name in value:
                self.fixed(name)
            inner = {name: self.schema(each, self.step(states, name)) for name, each in value.items()}
            return inner if any(inner[name] is not value[name] for name in value) else value
        if word in places.SCHEMA_INSIDE:
            return self.schema(value, states)
        return self.data(value, word, states) if word in places.SCHEMA_TEXTS else self.fixed(value)

    def fixed(self, value: Any) -> Any:
        """A value that stays as it is, or takes what holds it with it."""
        kind = type(value)
        if kind is str:
            self.count(len(value), 1)
            # What a caller named itself tells it nothing.
            if value != self._target and not self.plan.known_clean(value):
                parts = self.plan.parts(value, self.check)
                if parts:
                    self._refuse(strictest(parts))
                if len(value) <= SHORT:
                    self.plan.remember_clean(value)
        elif kind is dict:
            self.count(0, 1)
            for name, inner in value.items():
                self.fixed(name)
                self.fixed(inner)
        elif kind is list:
            self.count(0, 1)
            for inner in value:
                self.fixed(inner)
        return value

    def leaf(self, text: str, name: str = "", across: Sequence[Part] = (), *, stays: bool = False) -> str:
        """A text as it may be read. `across`: parts of what its neighbours hold too. `stays`: it cannot be left out."""
        self.count(len(text), 1)
        parts = united(self.plan.parts(text, self.check, key=name), across)
        if (parts or self.plan.paths.start) and text.lstrip()[:1] in ("{", "["):
            nested = self._json(text)
            if nested is not None and nested is not text:
                text = nested
                parts = self.plan.parts(text, self.check, key=name)
        if not parts:
            return text
        worst = strictest(parts)
        if worst.action == "deny" or (worst.action == "drop" and not stays):
            self._refuse(worst)
        for part in parts:
            self.spent[part.action, part.name] += 1
        return replaced(self.plan, text, parts)

    def _json(self, text: str) -> str | None:
        """A text that is JSON, as it may be read; None if it is none. Paths begin in it anew."""
        try:
            tree = jsonrpc.open_value(text.encode("utf-8", "replace"), self._limits)
        except jsonrpc.Refused:
            return None
        self._nested += 1
        if self._nested > self._bounds.nested:
            raise DenyError("nested")
        new = self.data(tree, "", self.plan.paths.start)
        self._nested -= 1
        return text if new is tree or new is GONE else written(new, text)

    def base64(self, encoded: str, mime: Any) -> str:
        """A document in base64 as it may be read."""
        if _NOT_BASE64.search(encoded):
            self.fixed(encoded)  # no reader decodes it, so it is read as it stands
            return encoded
        self.count(len(encoded), 1)
        closed = self.plan.parts(encoded, self.check, encoded=True)
        if closed:
            self._refuse(strictest(closed))
        opened = opened_blob(encoded, mime if type(mime) is str else "")
        if opened is None:
            return encoded
        new = self.leaf(opened[0])
        return encoded if new is opened[0] else closed_blob(new, opened[1])

    def named(self, name: str, value: Any, ends: list[int], *, free: bool = False) -> Any:
        """A value that a path names, whatever it is."""
        action, label = self.plan.at_path(ends)
        self.count(0, 1)
        if action == "deny":
            raise DenyError(label)
        self.spent[action, label] += 1
        if action == "drop" and free:
            return GONE
        if not free:
            bound = name in places.FIXED or name in places.PROTOCOL or name in places.SCHEMAS or not name
            if action == "drop" and name in places.OPTIONAL:
                return GONE
            if action == "drop" or (bound and type(value) in (dict, list)) or name in places.FIXED:
                raise DropError
            if type(value) in (dict, list):
                return GONE
        text = value if type(value) is str else msgspec.json.encode(value, order="sorted").decode()
        return self.plan.instead("redact" if action == "mask" and type(value) in (dict, list) else action, label, text)

    def _refuse(self, part: Part) -> None:
        """Nothing may stand in its place here."""
        if part.action == "deny":
            raise DenyError(part.name)
        self.spent["drop", part.name] += 1
        raise DropError

    def step(self, states: States, key: str | int) -> States:
        """Where the paths are after one more member or item."""
        return self.plan.paths.step(states, key) if states else states

    def count(self, text: int, leaves: int) -> None:
        """Keep the bounds."""
        self._text += text
        self._leaves += leaves
        if self._text > self._bounds.text or self._leaves > self._bounds.leaves:
            raise DenyError("too-large")
        self.check()

    def check(self) -> None:
        """Keep the time."""
        if self._clock() > self._due:
            raise DenyError("too-slow")


def written(tree: Any, like: str) -> str:
    """The JSON of a tree, on lines of its own if the text it takes the place of was."""
    text = msgspec.json.encode(tree)
    return (msgspec.json.format(text, indent=2) if "\n" in like else text).decode()


def _unlike(name: str, *taken: dict[str, Any]) -> str:
    """A name that no other member has."""
    number, found = 1, name
    while any(found in each for each in taken):
        number += 1
        found = f"{name} ({number})"
    return found
