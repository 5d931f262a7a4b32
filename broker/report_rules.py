"""What the operator's filter, rules and scopes leave of a server for one caller, before any call.

Asked of the hooks that judge messages, so that a report says what the caller will meet. Hooks of the operator's own and
what is sanitised are judged when there is a message; of them nothing is said here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from broker.hooks.base import Caller, CallInfo, Deny, Hook
from broker.hooks.names import COMPLETE, TARGETS, HiddenNames, Kind
from broker.hooks.policy import SINGULAR, Policy
from broker.identity.scopes import Needed
from broker.rules.ruleset import Annotations, Ask
from protocol_versions.base import Slot
from translators.tree import Body

_USES: Final = {"tools": "tools/call", "prompts": "prompts/get"}
_UNNAMED: Final = {*TARGETS, COMPLETE}
"""Methods that are judged by what they name: of these, the entries tell."""


class Judgement:
    """What is hidden from and refused to one caller of one server; without hooks and scopes, nothing."""

    def __init__(
        self,
        hooks: Sequence[Hook] = (),
        caller: Caller = Caller("local", "local"),  # noqa: B008 (frozen)
        *,
        server: str = "",
        needed: Needed | None = None,
    ) -> None:
        self._hooks = [hook for hook in hooks if isinstance(hook, HiddenNames)]
        self._caller = caller
        self._server = server
        self._needed = needed or Needed()

    @property
    def caller(self) -> str:
        """Whose rules these are; empty if there are none."""
        return self._caller.principal if self._rules() or self._needed.every else ""

    def learn(self, tools: Sequence[Body]) -> None:
        """What the server says of its tools, for rules that look at it."""
        for hook in self._rules():
            hook.judge(Slot("result", "tools/list", "client"), {"tools": list(tools)}, self._info("tools/list"))

    def hidden(self, kind: Kind, name: str) -> str:
        """Why the caller may not see this; empty if it may."""
        for hook in self._hooks:
            why = hook.hides(kind, name, "", self._info(_USES.get(kind, "resources/read"), name))
            if why:
                return _said("hidden", why)
        return ""

    def called(self, kind: Kind, name: str) -> tuple[str, ...]:
        """What is to be said of calls of something the caller may see."""
        found = []
        for hook in self._rules() if kind in _USES else ():
            ask = Ask(_USES[kind], SINGULAR[kind], name)
            known = hook.memory.annotations.get(name, Annotations()) if kind == "tools" else Annotations()
            looking = hook.rules.decide(ask, self._caller, known).open
            if looking:
                found.append(f"calls are judged by their arguments ({', '.join(rule.name for rule in looking)})")
        return tuple(found)

    def refused(self, method: str, *, client: bool = True) -> str:
        """Why the caller may not use a method, or the server (not `client`) may not ask by it; empty if it may."""
        lacking = self._needed.of(method) - self._caller.scopes if client else frozenset()
        if lacking:
            return f"needs the scopes {', '.join(sorted(lacking))}"
        for hook in self._rules() if method not in _UNNAMED else ():
            slot = Slot("params", method, "server" if client else "client")
            verdict = hook.judge(slot, {}, self._info(method))
            if isinstance(verdict, Deny):
                return _said("refused", verdict.reason)
        return ""

    def _rules(self) -> list[Policy]:
        return [hook for hook in self._hooks if isinstance(hook, Policy)]

    def _info(self, method: str, target: str | None = None) -> CallInfo:
        return CallInfo(method, target, self._caller.principal, self._server, 1, self._caller)


def _said(what: str, reason: str) -> str:
    """What happens and by whose word, as the audit log names it."""
    head, _, rule = reason.partition(":")
    if head == "filtered":
        return f"{what} by the operator's filter"
    if head == "policy-default":
        return f"{what} because no rule allows it"
    if head == "policy-error":
        return f"{what} because rule {rule} cannot be decided"
    return f"{what} by rule {rule}" if rule else f"{what} by policy ({head})"
