"""The rules of one server: what they decide on a caller and a thing, once for all calls that are alike.

A decision is made in two steps. What does not depend on a call's arguments is decided first and kept: that is what a
list shows, and all that most calls need. Rules that look at `arguments` are left open then, and settled with the call.

    any rule is an error        denied
    a `deny` rule is true       denied
    an `allow` rule is true     allowed
    none is true                the default

Invariants: the order of rules means nothing; every rule is looked at, so that an error is never covered by another
rule; the cache is bounded and holds nothing that depends on arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, Literal

import msgspec

from broker.hooks.base import Caller
from broker.rules.language import Expression, activation

MAX_KEPT: Final = 8_192
"""Decisions kept; a caller of a server with 100 tools has about 100."""

Effect = Literal["allow", "deny"]

PLUMBING: Final = frozenset(
    (
        "initialize", "ping", "server/discover", "tools/list", "prompts/list", "resources/list",
        "resources/templates/list", "subscriptions/listen", "notifications/initialized", "notifications/cancelled",
        "notifications/progress", "notifications/roots/list_changed",
    )
)  # fmt: skip
"""What has to pass before anything can be used; the default is not for these, a `deny` rule is."""


class Rule(msgspec.Struct, frozen=True):
    """One rule: its name, what it does where it is true, and its expression."""

    name: str
    effect: Effect
    expression: Expression


class Ask(msgspec.Struct, frozen=True):
    """What is asked for: a method, and the kind (`tool`, `prompt`, `resource`, `template`) and name it is about."""

    method: str
    kind: str = ""
    name: str = ""


class Decision(msgspec.Struct, frozen=True):
    """What was decided, and why: `policy:NAME`, `policy-error:NAME` or `policy-default`.

    `open` are the rules that need the arguments of a call.
    """

    allowed: bool
    reason: str
    open: tuple[Rule, ...] = ()

    @property
    def hidden(self) -> bool:
        """True if no arguments could make it allowed."""
        return not self.allowed and not any(rule.effect == "allow" for rule in self.open)


_SIMPLE: Final = {
    "principal": "principal",
    "credential": "kind",
    "scopes": "scopes",
    "client.name": "client_name",
    "client.version": "client_version",
    "client.revision": "client_revision",
    "backend.revision": "backend_revision",
}
"""What is told of callers, and the member it is in; claims are apart."""


_LATER: Final = frozenset(("name", "annotations", "arguments"))
"""Variables of what is not known while a list is."""

_ASKED: Final = ("method", "kind", "name")


class Annotations(msgspec.Struct, frozen=True):
    """What a server says of a tool: as text, to tell it from others, and opened."""

    text: bytes = b""
    values: Mapping[str, Any] = {}


UNKNOWN: Final = Annotations()


class RuleSet:
    """The rules of one server and its default."""

    def __init__(self, rules: Sequence[Rule], *, default: Effect, backend: str) -> None:
        self.rules = tuple(rules)
        self.default = default
        self.backend = backend
        self.mentioned = frozenset(name for rule in rules for name in rule.expression.variables)
        members = [member for name, member in _SIMPLE.items() if name in self.mentioned]
        self._facts: Callable[[Caller], Any] = attrgetter(*members) if members else lambda _caller: None
        self._by_claims = "claims" in self.mentioned
        self._kept: dict[tuple[Any, ...], tuple[Decision, Any]] = {}

    def decide(self, ask: Ask, caller: Caller, annotations: Annotations = UNKNOWN) -> Decision:
        """What is decided without arguments; `annotations` are those of the tool, if they are known."""
        claims = caller.claims if self._by_claims and caller.claims else None
        # Claims are told apart by their identity, and kept with the decision, so that none takes another's place.
        key = (ask, id(claims), annotations.text, self._facts(caller))
        found = self._kept.get(key)
        if found is not None:
            return found[0]
        decision = self._decide(ask, caller, annotations)
        if len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = decision, claims
        return decision

    def settle(
        self,
        decision: Decision,
        ask: Ask,
        caller: Caller,
        arguments: Mapping[str, Any],
        annotations: Annotations = UNKNOWN,
    ) -> Decision:
        """What is decided in the end, with the arguments of a call."""
        if not decision.open:
            return decision
        names = frozenset(name for rule in decision.open for name in rule.expression.variables)
        values = self._values(names, ask, caller, annotations, arguments)
        allowed, reason = decision.allowed, decision.reason
        for rule in sorted(decision.open, key=lambda rule: rule.effect == "allow"):
            value = rule.expression.value(values)
            if type(value) is str:
                return Decision(False, f"policy-error:{rule.name}")
            if value and rule.effect == "deny":
                return Decision(False, f"policy:{rule.name}")
            if value and not (allowed and reason.startswith("policy:")):
                allowed, reason = True, f"policy:{rule.name}"
        return Decision(allowed, reason)

    def explain(
        self,
        ask: Ask,
        caller: Caller,
        arguments: Mapping[str, Any] | None = None,
        annotations: Annotations = UNKNOWN,
    ) -> Iterator[tuple[Rule, bool | str]]:
        """Every rule with its value: true, false, or the text of an error."""
        values = self._values(self.mentioned, ask, caller, annotations, arguments)
        for rule in self.rules:
            yield rule, rule.expression.value(values)

    def may_deny(self, **known: str) -> bool:
        """True unless these variables alone (`kind`, `name`, `method`) say that no `deny` rule will ever be true."""
        values = activation({**known, "backend.name": self.backend})
        found = ((rule.effect, rule.expression.value(values)) for rule in self.rules)
        # What cannot be told yet is a text, and might be an error in the end, which denies whatever the rule is for.
        return any(type(value) is str or (value and effect == "deny") for effect, value in found)

    def bearing(self, ask: Ask, caller: Caller) -> Any:
        """What may come of these rules for a caller of things whose names are not known; None if nothing can.

        Two sets decide the same for the caller if it is equal: rules that are false whatever the name is count for
        nothing, and neither do their names and their order.
        """
        values = self._values(self.mentioned - _LATER, ask, caller, UNKNOWN)
        found = set()
        for rule in self.rules:
            value = rule.expression.value(values)
            if value is True and rule.effect == "deny":
                return "denied"
            if value:  # true, or a text while it cannot be told yet
                found.add((rule.effect, "" if value is True else rule.expression.text))
        allows = self.default == "allow" or ask.method in PLUMBING
        if allows:
            found.discard(("allow", ""))
        return (allows, frozenset(found)) if found or not allows else None

    def _decide(self, ask: Ask, caller: Caller, annotations: Annotations) -> Decision:
        values = self._values(self.mentioned, ask, caller, annotations)
        denied = allowed = ""
        left = []
        for rule in self.rules:
            value = rule.expression.value(values)
            if type(value) is str:
                if "arguments" not in rule.expression.variables:
                    return Decision(False, f"policy-error:{rule.name}")
                left.append(rule)  # an error may be one of the missing arguments alone
            elif value and rule.effect == "deny":
                denied = denied or f"policy:{rule.name}"
            elif value:
                allowed = allowed or f"policy:{rule.name}"
        if denied:
            return Decision(False, denied)
        by_default = self.default == "allow" or ask.method in PLUMBING
        return Decision(bool(allowed) or by_default, allowed or "policy-default", tuple(left))

    def _values(
        self, names: frozenset[str], ask: Ask, caller: Caller, annotations: Annotations, arguments: Any = None
    ) -> Any:
        """What expressions that mention these variables are evaluated with; None: without arguments."""
        values: dict[str, Any] = {}
        for name in names:  # what no rule mentions would only be converted for the engine
            if (member := _SIMPLE.get(name)) is not None:
                values[name] = getattr(caller, member)
            elif name in _ASKED:
                values[name] = getattr(ask, name)
        if "backend.name" in names:
            values["backend.name"] = self.backend
        if "scopes" in values:
            values["scopes"] = sorted(caller.scopes)
        if "claims" in names:
            values["claims"] = dict(caller.claims)
        if "annotations" in names:
            values["annotations"] = annotations.values
        if arguments is not None:
            values["arguments"] = arguments
        return activation(values)
