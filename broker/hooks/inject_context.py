"""Context that backends are given and clients do not send: arguments, `_meta` members and headers.

    argument   of tools and prompts    is listed no more; a client that sends it all the same is refused, or overruled
    meta       of any request          a client's own member of this name is always replaced
    header     of any request          over HTTP; checked to be one line of visible ASCII

Values are constants, or come from what the caller's credential proves, from what its client says of itself, or from the
request. Every request of a call is given them anew, so that retries have them once; a request that has the very value
already (one that was given it and then moved to another face) is not refused for it. What is missing refuses the
request, unless the rule says that it may be left out. Nothing that was given is ever quoted in an error.
"""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from broker.hooks.base import PASS, Body, Caller, CallInfo, Deny, Hook, Pattern, Replace, Verdict
from broker.hooks.clearance import claim_of
from broker.hooks.inject_schemas import without_property
from protocol_versions.base import Slot

MAX_HEADER: Final = 8 * 1024
"""Bytes of a header's value: nginx and Apache refuse a header line above 8 KiB."""

MISSING: Final = object()
"""There is no such value."""

_VISIBLE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_CALLS: Final = {"tools/call": "tools", "prompts/get": "prompts"}
_LISTS: Final = {"tools/list": "tools", "prompts/list": "prompts"}

_NOT_ACCEPTED: Final = Deny(-32602, "Invalid params: an argument is not accepted", "injected-argument")
_NO_OBJECT: Final = Deny(-32602, "Invalid params: expected an object", "inject-unreadable")


class Source(msgspec.Struct, frozen=True):
    """Where a value comes from. `key`: the value itself, a claim's name, a member of Caller, or one of CallInfo."""

    kind: Literal["value", "claim", "caller", "request"]
    key: Any

    def value(self, info: CallInfo) -> Any:
        """The value for this request, MISSING if there is none."""
        if self.kind == "value":
            return self.key
        found = None
        if self.kind == "claim":
            found = claim_of(info.caller, self.key)
        elif self.kind == "request":
            found = getattr(info, self.key)
        elif self.key == "scopes":
            found = " ".join(sorted(info.caller.scopes))
        else:
            found = getattr(info.caller, self.key)
        return MISSING if found is None or found == "" else found


class Injection(msgspec.Struct, frozen=True):
    """One value and its place. `targets` are globs of tools (or of prompts, by `of`), `methods` globs of methods."""

    place: Literal["argument", "meta", "header"]
    name: str
    source: Source
    of: Literal["tools", "prompts"] = "tools"
    targets: tuple[str, ...] = ("*",)
    methods: tuple[str, ...] = ("*",)
    given: Literal["refuse", "overwrite"] = "refuse"
    missing: Literal["refuse", "omit"] = "refuse"

    def hides(self, kind: str, name: Any) -> bool:
        """True if this tool's or prompt's argument is ours."""
        return self.place == "argument" and self.of == kind and isinstance(name, str) and _fits(name, self.targets)

    def fits(self, method: str, target: str | None) -> bool:
        """True for requests that are given it."""
        if self.place == "argument":
            return self.hides(_CALLS.get(method, ""), target)
        return _fits(method, self.methods) and (self.targets == ("*",) or _fits(target or "", self.targets))


class InjectContext(Hook):
    """The hook of one backend."""

    def __init__(self, injections: Sequence[Injection]) -> None:
        self._injections = tuple(injections)
        slots: list[Pattern] = []
        for method, kind in _CALLS.items():
            if any(each.place == "argument" and each.of == kind for each in injections):
                slots.append(Pattern("params", method, "server", ("arguments", "_meta")))
        slots += [
            Pattern("params", glob, "server", ("_meta",))
            for each in injections
            if each.place != "argument"
            for glob in each.methods
        ]
        for method, kind in _LISTS.items():
            if any(each.place == "argument" and each.of == kind for each in injections):
                slots.append(Pattern("result", method, "client", (kind,)))
        self.slots = tuple(slots)

    def shown(self, method: str, caller: Caller) -> Any:  # noqa: ARG002
        """What is left out of the schemas of a list."""
        kind = _LISTS.get(method)
        return tuple(each for each in self._injections if each.place == "argument" and each.of == kind) or None

    def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict:
        """A request with what it is given; a list without what is given."""
        if slot.part == "result":
            return self._listed(_LISTS[slot.method], body)
        chosen = [each for each in self._injections if each.fits(slot.method, info.target)]
        if not chosen:
            return PASS
        places: dict[str, Any] = {"arguments": body.get("arguments"), "_meta": body.get("_meta")}
        headers: list[tuple[str, str]] = []
        for each in chosen:
            value = each.source.value(info)
            if value is MISSING and each.missing == "refuse":
                return Deny(-32603, "The request was refused by policy", f"inject-missing:{each.name}")
            refusal = (
                _header(headers, each, value)
                if each.place == "header"
                else _member(places, "arguments" if each.place == "argument" else "_meta", each, value)
            )
            if refusal is not None:
                return refusal
        return Replace({**body, **{name: tree for name, tree in places.items() if tree is not None}}, tuple(headers))

    def _listed(self, kind: str, body: Body) -> Verdict:
        items = body.get(kind)
        if not isinstance(items, list):
            return PASS
        shown = [self._shown(kind, item) for item in items]
        same = all(new is old for new, old in zip(shown, items, strict=True))
        return PASS if same else Replace({**body, kind: shown})

    def _shown(self, kind: str, item: Any) -> Any:
        if not isinstance(item, dict):
            return item
        names = {folded(each.name) for each in self._injections if each.hides(kind, item.get("name"))}
        if not names:
            return item
        if kind == "tools":
            schema = without_property(item.get("inputSchema"), lambda name: folded(name) in names)
            return item if schema is item.get("inputSchema") else {**item, "inputSchema": schema}
        told = item.get("arguments")
        if not isinstance(told, list):
            return item
        kept = [each for each in told if not (isinstance(each, dict) and _named(each.get("name"), names))]
        return item if len(kept) == len(told) else {**item, "arguments": kept}


def folded(name: str) -> str:
    """A name as a careless reader tells names apart: not by case, width or composition."""
    return unicodedata.normalize("NFKC", name).casefold()


def _named(name: Any, names: set[str]) -> bool:
    return isinstance(name, str) and folded(name) in names


def _member(places: dict[str, Any], place: str, injection: Injection, value: Any) -> Deny | None:
    """Put a value among the members of a place; the refusal if it cannot be."""
    members = places[place] if places[place] is not None else {}
    if not isinstance(members, dict):
        return _NO_OBJECT
    own = folded(injection.name)
    given = [name for name in members if folded(name) == own]
    if given and place == "arguments" and injection.given == "refuse":
        ours = given == [injection.name] and value is not MISSING and members[injection.name] == value
        if not (ours and type(members[injection.name]) is type(value)):
            return _NOT_ACCEPTED
    kept = {name: member for name, member in members.items() if name not in given} if given else dict(members)
    if value is not MISSING:
        kept[injection.name] = value
    if kept or places[place] is not None:
        places[place] = kept
    return None


def _header(headers: list[tuple[str, str]], injection: Injection, value: Any) -> Deny | None:
    """Add a header; the refusal if its value is none that a header can hold."""
    if value is MISSING:
        return None
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    scalar = isinstance(value, str | int | float)
    if not scalar or len(text) > MAX_HEADER or not _VISIBLE.fullmatch(text):
        return Deny(-32603, "The request was refused by policy", f"inject-header:{injection.name}")
    headers.append((injection.name, text))
    return None


def _fits(text: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(text, glob) for glob in globs)
