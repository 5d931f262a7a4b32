"""Allow and deny tools, prompts, resources and templates by name, for every caller alike.

Which doors that concerns, and how what is hidden looks like what does not exist, is in `broker.hooks.names`. Matching
is byte-exact and case-sensitive, on the name the backend is sent.
"""

from __future__ import annotations

import fnmatch
import re
from typing import Any

import msgspec

from broker.hooks.base import Caller, CallInfo
from broker.hooks.names import LISTS, TARGETS, HiddenNames, Kind
from protocol_versions.base import Slot


class Rule(msgspec.Struct, frozen=True):
    """Globs of one kind: denied names are hidden; if any are allowed, only those are shown."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class FilterNames(HiddenNames):
    """The gate. `rules` maps a kind (tools, prompts, resources, templates) to its Rule."""

    def __init__(self, rules: dict[Kind, Rule]) -> None:
        self._allow = {kind: _compile(rule.allow) for kind, rule in rules.items()}
        self._deny = {kind: _compile(rule.deny) for kind, rule in rules.items()}
        super().__init__({kind for kind, rule in rules.items() if rule.allow or rule.deny})

    def visible(self, kind: Kind, name: Any) -> bool:
        """True if this name may be seen and used."""
        if not isinstance(name, str):
            return False
        deny, allow = self._deny.get(kind), self._allow.get(kind)
        if deny is not None and deny.fullmatch(name):
            return False
        return allow is None or allow.fullmatch(name) is not None

    def hides(self, kind: Kind, name: Any, method: str, info: CallInfo) -> str:  # noqa: ARG002
        """The same for every method and every caller."""
        return "" if self.visible(kind, name) else "filtered"

    def shown(self, method: str, caller: Caller) -> Any:  # noqa: ARG002
        """The kind's globs."""
        kind = LISTS[method][1]
        found = self._allow.get(kind), self._deny.get(kind)
        return None if found == (None, None) else found

    def lasting(self, slot: Slot, info: CallInfo) -> bool:  # noqa: ARG002
        """What may be used may be used again: globs do not change."""
        return slot.method in TARGETS


def _compile(globs: tuple[str, ...]) -> re.Pattern[str] | None:
    # fnmatch translates to expressions without nested repetition; names are matched whole.
    return re.compile("|".join(fnmatch.translate(glob) for glob in globs)) if globs else None
