"""Allow and deny tools, prompts, resources and templates by name: one gate for every door.

Listing, calling, getting, reading, completing and subscribing ask the same question of the same names, so that what is
hidden in one place is not found in another. A name that is filtered away and a name that does not exist get the same
answer from the broker: with a filter on a kind, the backend's own answer that there is no such thing is not given on
(`broker.hooks.absence`). Matching is byte-exact and case-sensitive, on the name the backend is sent.

What stays: a backend that accepts subscriptions to anything, or completes an unknown prompt with nothing, does so for
what does not exist, and the broker still refuses what it hides.
"""

from __future__ import annotations

import fnmatch
import re
from typing import Any

import msgspec

from broker.hooks.absence import absent_error, absent_result
from broker.hooks.base import PASS, Body, CallInfo, Deny, Hook, Pattern, Replace, Verdict
from protocol_versions.base import Slot

Kind = str  # tools, prompts, resources, templates

_LISTS = {
    "tools/list": ("tools", "tools", "name"),
    "prompts/list": ("prompts", "prompts", "name"),
    "resources/list": ("resources", "resources", "uri"),
    "resources/templates/list": ("resourceTemplates", "templates", "uriTemplate"),
}
_TARGETS = {
    "tools/call": ("tools", "name"),
    "prompts/get": ("prompts", "name"),
    "resources/read": ("resources", "uri"),
    "resources/subscribe": ("resources", "uri"),
    "resources/unsubscribe": ("resources", "uri"),
}
_LISTEN = "subscriptions/listen"
_COMPLETE = "completion/complete"
_SAID = ("code", "message")
_ABSENT = {
    "tools": (-32602, "Unknown tool"),
    "prompts": (-32602, "Unknown prompt"),
    "resources": (-32002, "Resource not found"),
    "templates": (-32602, "Unknown resource template"),
}


_NO_REFERENCE = Deny(-32602, "Unknown reference", "filtered")
"""Of prompts, resources and templates alike: an error of a backend does not say which it was about."""


class Rule(msgspec.Struct, frozen=True):
    """Globs of one kind: denied names are hidden; if any are allowed, only those are shown."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class FilterNames(Hook):
    """The gate. `rules` maps a kind (tools, prompts, resources, templates) to its Rule."""

    def __init__(self, rules: dict[Kind, Rule]) -> None:
        self._allow = {kind: _compile(rule.allow) for kind, rule in rules.items()}
        self._deny = {kind: _compile(rule.deny) for kind, rule in rules.items()}
        active = {kind for kind, rule in rules.items() if rule.allow or rule.deny}
        slots = [
            Pattern("result", method, "client", (member,))
            for method, (member, kind, _) in _LISTS.items()
            if kind in active
        ]
        slots += [
            Pattern("params", method, "server", (member,))
            for method, (kind, member) in _TARGETS.items()
            if kind in active or (kind == "resources" and "templates" in active)
        ]
        slots += [Pattern("error", slot.methods, "client", _SAID) for slot in slots if slot.part == "params"]
        if "tools" in active:
            slots.append(Pattern("result", "tools/call", "client", ("isError",)))
        if active & {"prompts", "templates", "resources"}:
            slots.append(Pattern("params", _COMPLETE, "server", ("ref",)))
            slots.append(Pattern("error", _COMPLETE, "client", _SAID))
        if active & {"resources", "templates"}:
            slots.append(Pattern("notification", "notifications/resources/updated", "client", ("uri",)))
            slots.append(Pattern("params", _LISTEN, "server", ("notifications",)))
        self.slots = tuple(slots)

    def visible(self, kind: Kind, name: Any) -> bool:
        """True if this name may be seen and used."""
        if not isinstance(name, str):
            return False
        deny, allow = self._deny.get(kind), self._allow.get(kind)
        if deny is not None and deny.fullmatch(name):
            return False
        return allow is None or allow.fullmatch(name) is not None

    def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict:
        """Lists lose what is hidden; requests for it are answered as for what does not exist."""
        if slot.part == "error":
            return _missing(slot.method, info.target, body)
        if slot.method == "tools/call" and slot.part == "result":
            return _absent("tools") if absent_result("tools", info.target, body) else PASS
        if slot.part == "result":
            member, kind, key = _LISTS[slot.method]
            items = body.get(member)
            if not isinstance(items, list):
                return PASS
            shown = [item for item in items if isinstance(item, dict) and self.visible(kind, item.get(key))]
            return PASS if len(shown) == len(items) else Replace({**body, member: shown})
        if slot.part == "notification":
            return PASS if self.visible("resources", body.get("uri")) else Deny(-32002, "hidden", "filtered")
        if slot.method == _LISTEN:
            return self._listen(body)
        if slot.method == _COMPLETE:
            return self._completion(body.get("ref"))
        kind, member = _TARGETS[slot.method]
        return PASS if self.visible(kind, body.get(member)) else _absent(kind)

    def _listen(self, body: Body) -> Verdict:
        """A subscription is opened without the URIs that are hidden, as it is without those that do not exist."""
        wanted = body.get("notifications")
        if not isinstance(wanted, dict) or not isinstance(uris := wanted.get("resourceSubscriptions"), list):
            return PASS
        shown = [uri for uri in uris if self.visible("resources", uri)]
        kept = {**wanted, "resourceSubscriptions": shown}
        return PASS if len(shown) == len(uris) else Replace({**body, "notifications": kept})

    def _completion(self, ref: Any) -> Verdict:
        kind, name = "", None
        if isinstance(ref, dict) and ref.get("type") == "ref/prompt":
            kind, name = "prompts", ref.get("name")
        elif isinstance(ref, dict) and ref.get("type") == "ref/resource":
            name = ref.get("uri")
            # "The URI or URI template of the resource" (ResourceReference): each is judged where it is listed.
            kind = "templates" if isinstance(name, str) and "{" in name else "resources"
        return PASS if kind and self.visible(kind, name) else _NO_REFERENCE


def _missing(method: str, name: str | None, body: Body) -> Verdict:
    """A backend's error that says there is no such thing becomes the filter's own."""
    if method != _COMPLETE:
        kind, _ = _TARGETS[method]
        return _absent(kind) if absent_error(kind, name, body) else PASS
    return _NO_REFERENCE if any(absent_error(kind, name, body) for kind in ("prompts", "resources")) else PASS


def _absent(kind: Kind) -> Deny:
    code, message = _ABSENT[kind]
    return Deny(code, message, "filtered")


def _compile(globs: tuple[str, ...]) -> re.Pattern[str] | None:
    # fnmatch translates to expressions without nested repetition; names are matched whole.
    return re.compile("|".join(fnmatch.translate(glob) for glob in globs)) if globs else None
