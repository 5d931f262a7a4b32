"""Rules as tests write them: `deny NAME: EXPRESSION` by line, and callers with what matters of them."""

from __future__ import annotations

from typing import Any

from broker.hooks.base import Caller, CallInfo
from broker.hooks.memory import Memory
from broker.hooks.policy import Policy
from broker.hooks.runner import Runner
from broker.rules.language import compiled
from broker.rules.ruleset import Effect, Rule, RuleSet
from protocol_versions.jsonrpc import DEFAULT_LIMITS

ANN = Caller(principal="ann", kind="token", claims={"tenant": "a"}, scopes=frozenset({"read", "write"}))
BOB = Caller(principal="bob", kind="key", claims={"tenant": "b"}, scopes=frozenset({"read"}))
NOBODY = Caller(principal="", kind="anonymous")


def rules(*lines: str, default: Effect = "allow", backend: str = "files") -> RuleSet:
    """A rule set of lines `deny EXPRESSION`; the rules are named r1, r2 and so on."""
    made = []
    for number, line in enumerate(lines, 1):
        effect, _, text = line.partition(" ")
        assert effect in ("allow", "deny")
        made.append(Rule(f"r{number}", effect, compiled(text)))  # type: ignore[arg-type]
    return RuleSet(made, default=default, backend=backend)


def policy(*lines: str, default: Effect = "allow", memory: Memory | None = None) -> Policy:
    return Policy(rules(*lines, default=default), memory or Memory())


def judging(*lines: str, default: Effect = "allow") -> Runner:
    return Runner([policy(*lines, default=default)], DEFAULT_LIMITS)


def info(method: str, caller: Caller = ANN, target: str | None = None) -> CallInfo:
    return CallInfo(method, target, caller.principal, "files", 1, caller)


def section(*lines: str, default: Effect | None = None) -> dict[str, Any]:
    """The same as a section of the configuration."""
    made = [{"name": f"r{n}", line.partition(" ")[0]: line.partition(" ")[2]} for n, line in enumerate(lines, 1)]
    return {"rules": made, **({"default": default} if default else {})}
