"""Names at every door: what hides tools, prompts, resources and templates asks its one question here.

Listing, calling, getting, reading, completing and subscribing ask the same of the same names, so that what is hidden in
one place is not found in another. A name that is hidden and a name that does not exist get the same answer from the
broker: where a kind may be hidden, the backend's own answer that there is no such thing is not given on
(`broker.hooks.absence`). The name that is asked about is the one the backend is sent, or has sent.

Results of tools, prompts and reads lose the resources they link to or hold that are hidden (`broker.hooks.linked`).

What stays: a backend that accepts subscriptions to anything, or completes an unknown prompt with nothing, does so for
what does not exist, and the broker still refuses what it hides.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from broker.hooks.absence import absent_error, absent_result, tool_may_be_absent
from broker.hooks.base import PASS, Body, CallInfo, Deny, Glance, Hook, Pattern, Replace, Verdict
from broker.hooks.linked import CONTENTS, HOLDERS, MENTIONS, without_hidden
from protocol_versions.base import Slot

Kind = str  # tools, prompts, resources, templates
KINDS: tuple[Kind, ...] = ("tools", "prompts", "resources", "templates")

LISTS = {
    "tools/list": ("tools", "tools", "name"),
    "prompts/list": ("prompts", "prompts", "name"),
    "resources/list": ("resources", "resources", "uri"),
    "resources/templates/list": ("resourceTemplates", "templates", "uriTemplate"),
}
TARGETS = {
    "tools/call": ("tools", "name"),
    "prompts/get": ("prompts", "name"),
    "resources/read": ("resources", "uri"),
    "resources/subscribe": ("resources", "uri"),
    "resources/unsubscribe": ("resources", "uri"),
}
LISTEN = "subscriptions/listen"
COMPLETE = "completion/complete"
UPDATED = "notifications/resources/updated"
_SAID = ("code", "message")
_ABSENT = {
    "tools": (-32602, "Unknown tool"),
    "prompts": (-32602, "Unknown prompt"),
    "resources": (-32002, "Resource not found"),
    "templates": (-32602, "Unknown resource template"),
}
_FILTERED = "filtered"


def makes_task(_info: CallInfo, body: Body) -> bool:
    """Whether the result of a tool is a task."""
    return "task" in body


def absent(kind: Kind, reason: str = _FILTERED) -> Deny:
    """The answer for what does not exist; `reason` is for the operator alone."""
    code, message = _ABSENT[kind]
    return Deny(code, message, reason)


def no_reference(reason: str = _FILTERED) -> Deny:
    """The same of prompts, resources and templates: an error of a backend does not say which it was about."""
    return Deny(-32602, "Unknown reference", reason)


def slots_of(active: Set[Kind]) -> tuple[Pattern, ...]:
    """The messages in which names of these kinds can be seen or used."""
    slots = [
        Pattern("result", method, "client", (member,)) for method, (member, kind, _) in LISTS.items() if kind in active
    ]
    slots += [
        Pattern("params", method, "server", (member,))
        for method, (kind, member) in TARGETS.items()
        if kind in active or (kind == "resources" and "templates" in active)
    ]
    slots += [Pattern("error", slot.methods, "client", _SAID) for slot in slots if slot.part == "params"]
    if "tools" in active:
        slots.append(Pattern("result", "tools/call", "client", ("isError",)))
    if "resources" in active:  # of two patterns for a slot, the first holds
        slots += [Pattern("result", method, "client", ()) for method in HOLDERS]
    if active & {"prompts", "templates", "resources"}:
        slots.append(Pattern("params", COMPLETE, "server", ("ref",)))
        slots.append(Pattern("error", COMPLETE, "client", _SAID))
    if active & {"resources", "templates"}:
        slots.append(Pattern("notification", UPDATED, "client", ("uri",)))
        slots.append(Pattern("params", LISTEN, "server", ("notifications",)))
    return tuple(slots)


class HiddenNames(Hook):
    """Base of what hides names. `active` are the kinds of which some may be hidden."""

    def __init__(self, active: Set[Kind]) -> None:
        self.slots = slots_of(active)
        self._tools = "tools" in active
        self._links = "resources" in active

    def hides(self, kind: Kind, name: Any, method: str, info: CallInfo) -> str:
        """Why this name may not be seen, or used by this method, by this caller; empty if it may.

        `method` is that of the request that uses the name; of a name that is listed, that of the list.
        """
        raise NotImplementedError

    def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict:
        """Lists lose what is hidden; requests for it are answered as for what does not exist."""
        method = slot.method
        if slot.part == "error":
            return _missing(method, info.target, body)
        if slot.part == "result":
            return self._said(method, body, info) if method in HOLDERS else self._listed(method, body, info)
        if slot.part == "notification":
            why = self.hides("resources", body.get("uri"), method, info)
            return Deny(-32002, "hidden", why) if why else PASS
        if method == LISTEN:
            return self._listen(body, info)
        if method == COMPLETE:
            return self._completion(body.get("ref"), info)
        kind, member = TARGETS[method]
        why = self.hides(kind, body.get(member), method, info)
        return absent(kind, why) if why else PASS

    def glances(self, slot: Slot) -> tuple[Glance, ...] | None:
        """Of results, it matters whether a tool is absent and whether a resource is mentioned."""
        if slot.part != "result" or HOLDERS.get(slot.method, CONTENTS) == CONTENTS:
            return None
        absence = (tool_may_be_absent,) if slot.method == "tools/call" and self._tools else ()
        return (*absence, MENTIONS[slot.method]) if self._links else absence

    def hides_link(self, uri: Any, info: CallInfo) -> bool:
        """Whether a resource that a result links to or holds is hidden from its reader."""
        return bool(self.hides("resources", uri, "resources/read", info))

    def _said(self, method: str, body: Body, info: CallInfo) -> Verdict:
        """What a tool or a prompt says, without what of it is a hidden resource."""
        if method == "tools/call" and self._tools and absent_result("tools", info.target, body):
            return absent("tools")
        return without_hidden(body, HOLDERS[method], lambda uri: self.hides_link(uri, info)) if self._links else PASS

    def review(self, info: CallInfo) -> Deny | None:
        """Whether what a request is about may not be used by its caller."""
        if info.method not in TARGETS:
            return None
        kind, _ = TARGETS[info.method]
        why = self.hides(kind, info.target, info.method, info)
        return absent(kind, why) if why else None

    def _listed(self, method: str, body: Body, info: CallInfo) -> Verdict:
        member, kind, key = LISTS[method]
        items = body.get(member)
        if not isinstance(items, list):
            return PASS
        shown = [item for item in items if isinstance(item, dict) and not self.hides(kind, item.get(key), method, info)]
        return PASS if len(shown) == len(items) else Replace({**body, member: shown})

    def _listen(self, body: Body, info: CallInfo) -> Verdict:
        """A subscription is opened without the URIs that are hidden, as it is without those that do not exist."""
        wanted = body.get("notifications")
        if not isinstance(wanted, dict) or not isinstance(uris := wanted.get("resourceSubscriptions"), list):
            return PASS
        shown = [uri for uri in uris if not self.hides("resources", uri, "resources/subscribe", info)]
        kept = {**wanted, "resourceSubscriptions": shown}
        return PASS if len(shown) == len(uris) else Replace({**body, "notifications": kept})

    def _completion(self, ref: Any, info: CallInfo) -> Verdict:
        kind, name = "", None
        if isinstance(ref, dict) and ref.get("type") == "ref/prompt":
            kind, name = "prompts", ref.get("name")
        elif isinstance(ref, dict) and ref.get("type") == "ref/resource":
            name = ref.get("uri")
            # "The URI or URI template of the resource" (ResourceReference): each is judged where it is listed.
            kind = "templates" if isinstance(name, str) and "{" in name else "resources"
        why = self.hides(kind, name, COMPLETE, info) if kind else _FILTERED
        return no_reference(why) if why else PASS


def _missing(method: str, name: str | None, body: Body) -> Verdict:
    """A backend's error that says there is no such thing becomes the broker's own."""
    if method != COMPLETE:
        kind, _ = TARGETS[method]
        return absent(kind) if absent_error(kind, name, body) else PASS
    return no_reference() if any(absent_error(kind, name, body) for kind in ("prompts", "resources")) else PASS
