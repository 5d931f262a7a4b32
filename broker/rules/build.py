"""A rule set from what the configuration says of rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from broker.rules.language import compiled
from broker.rules.ruleset import Effect, Rule, RuleSet


class Written(Protocol):
    """A rule as it is written (`broker.settings_policy.PolicyRule`)."""

    @property
    def name(self) -> str: ...
    @property
    def effect(self) -> Effect: ...
    @property
    def text(self) -> str: ...


def rule_set(rules: Iterable[Written], *, default: Effect, backend: str) -> RuleSet:
    """The rules of one server, compiled.

    Raises:
        broker.rules.language.WrongRule: one of them cannot be used.
    """
    made = [Rule(rule.name, rule.effect, compiled(rule.text)) for rule in rules]
    return RuleSet(made, default=default, backend=backend)
