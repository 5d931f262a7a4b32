"""The sections `policy` and `hooks`: rules on who may do what, and hooks of the operator's own.

Invariants: a rule that cannot be used is refused with its name, its place and what to write instead; a webhook goes to
a configured https address, or to this machine.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from broker.settings_section import Secret, Section, address_parts

Effect = Literal["allow", "deny"]

_USE = r"^[A-Za-z_][\w.-]*(:[A-Za-z_]\w*)?$"


class PolicyRule(Section):
    """One rule: an expression in CEL that allows or denies where it is true."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="What reports call it.")
    allow: str | None = Field(default=None, min_length=1, description="Allowed where this CEL expression is true.")
    deny: str | None = Field(default=None, min_length=1, description="Denied where it is true, whatever allows.")

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if (self.allow is None) == (self.deny is None):
            raise ValueError(f"rule {self.name}: expected either `allow` or `deny`")
        from broker.rules.language import WrongRule, compiled

        try:
            compiled(self.text)
        except WrongRule as error:
            raise ValueError(f"rule {self.name}: {self.effect}: {error}") from None
        return self

    @property
    def effect(self) -> Effect:
        """What it does where it is true."""
        return "deny" if self.allow is None else "allow"

    @property
    def text(self) -> str:
        """Its expression."""
        return self.allow or self.deny or ""


class Policy(Section):
    """Who may do what: of all servers, or of one."""

    default: Effect | None = Field(
        default=None, description="What becomes of what no rule is true of; absent: `allow`, or what is so for all."
    )
    rules: tuple[PolicyRule, ...] = Field(default=(), description="The rules; their order means nothing.")


class HookSlot(Section):
    """Messages that a webhook judges."""

    part: Literal["params", "notification", "result", "error"] = Field(
        default="params", description="Of requests, notifications, results or errors."
    )
    methods: str = Field(default="tools/call", min_length=1, max_length=128, description="A glob of methods.")
    toward: Literal["client", "server"] | None = Field(
        default=None, description="Who reads it; absent: the server, or of results and errors the client."
    )
    members: tuple[str, ...] | None = Field(default=None, description="The members that are shown; absent: all.")


class OwnHook(Section):
    """A hook of the operator's own: a Python class, or an address that is asked."""

    use: str = Field(default="", description="A class as package.module:Name, or an entry point of `dragoman.hooks`.")
    options: dict[str, Any] = Field(default={}, description="Of a class: what it is made with.")
    webhook: str = Field(default="", description="Instead of `use`: the https address that is asked.")
    secret: Secret | None = Field(
        default=None, description="Of a webhook: key of its signature: text | env:VAR | file:PATH, 16 bytes or more."
    )
    slots: tuple[HookSlot, ...] = Field(default=(), description="Of a webhook: what it judges; absent: calls of tools.")
    max_bytes: int = Field(
        default=1_048_576, ge=1_024, le=16_777_216, description="Of a webhook: longest body sent and taken."
    )
    timeout_s: float = Field(default=5.0, ge=0.01, le=60.0, description="A verdict that takes longer is a refusal.")

    @field_validator("use")
    @classmethod
    def _importable(cls, value: str) -> str:
        if value and not re.fullmatch(_USE, value):
            raise ValueError("expected package.module:Name, or the name of an entry point")
        return value

    @field_validator("webhook")
    @classmethod
    def _guarded(cls, value: str) -> str:
        if not value:
            return value
        expected = "expected an https:// URL, or an http:// URL of this machine by its address"
        parts = address_parts(value, expected)
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_here(parts.hostname or "")):
            raise ValueError(expected)
        if parts.username is not None or parts.fragment or any(ord(char) <= 0x20 for char in value):
            raise ValueError("expected a URL without user, fragment and spaces")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.use) == bool(self.webhook):
            raise ValueError("expected either `use` or `webhook`")
        if self.use and (self.secret is not None or self.slots):
            raise ValueError("only a webhook has secret and slots")
        if self.webhook and self.options:
            raise ValueError("only a class has options")
        if self.webhook and self.secret is None:
            raise ValueError("a webhook needs a secret, which signs what is sent")
        if self.secret is not None and len(self.secret.get_secret_value().encode()) < 16:
            raise ValueError("secret: expected 16 bytes or more")
        return self


def check_together(everywhere: Policy, named: Iterable[tuple[str, Policy]]) -> None:
    """Refuse rules of one server that share a name with another rule it has, or are too many.

    Raises:
        ValueError: with the server and the rule.
    """
    from broker.rules import MAX_RULES

    for server, policy in (("", Policy()), *named):
        names = [rule.name for rule in (*everywhere.rules, *policy.rules)]
        twice = next((name for name in names if names.count(name) > 1), None)
        where = f"servers.{server}.policy" if server else "policy"
        if twice is not None:
            raise ValueError(f"{where}: two rules are named {twice}")
        if len(names) > MAX_RULES:
            raise ValueError(f"{where}: more than {MAX_RULES} rules")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
