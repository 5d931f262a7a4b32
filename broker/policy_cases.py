"""What the rules of a configuration say of one call: for `dragoman policy test` and `dragoman policy explain`.

Decided by the hook that judges messages (`broker.hooks.policy`), so that a case says what a client will meet.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, Self

import msgspec
from pydantic import Field, ValidationError, model_validator

from broker.hooks.base import Caller, CallInfo, Deny
from broker.hooks.memory import Memory
from broker.hooks.names import COMPLETE, TARGETS
from broker.hooks.policy import SINGULAR, Policy
from broker.rules.build import rule_set
from broker.rules.ruleset import Annotations, Ask
from broker.settings import Settings
from broker.settings_file import SettingsError, problems_of, read
from broker.settings_section import Section
from protocol_versions.base import Slot

USES: Final = {"tool": "tools/call", "prompt": "prompts/get", "resource": "resources/read", "template": ""}
_PLURAL: Final = {one: many for many, one in SINGULAR.items()}


class Case(Section):
    """Who asks for what, and what should become of it."""

    server: str = Field(description="The server as the configuration names it.")
    principal: str = Field(default="local", description="The caller, such as `key:alice`.")
    credential: str = Field(default="", description="How it is known; absent: by the part of `principal` before `:`.")
    claims: dict[str, Any] = {}
    scopes: tuple[str, ...] = ()
    client_name: str = ""
    client_version: str = ""
    client_revision: str = "2025-11-25"
    backend_revision: str = "2025-11-25"
    tool: str | None = None
    prompt: str | None = None
    resource: str | None = None
    template: str | None = None
    method: str = Field(default="", description="Absent: the one that uses the tool, prompt or resource.")
    arguments: dict[str, Any] = {}
    annotations: dict[str, Any] = {}
    expect: Literal["allow", "deny"] = "allow"
    rule: str | None = Field(default=None, description="The rule that should decide; `default` if none.")
    listed: bool | None = Field(default=None, description="Whether it should be in lists.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        things = [getattr(self, kind) for kind in USES if getattr(self, kind) is not None]
        if len(things) > 1 or (not things and not self.method):
            raise ValueError("expected one of tool, prompt, resource and template, or a method")
        return self

    @property
    def kind(self) -> str:
        """The kind of thing; empty for a method alone."""
        return next((kind for kind in USES if getattr(self, kind) is not None), "")

    @property
    def name(self) -> str:
        """Its name or URI."""
        return str(getattr(self, self.kind)) if self.kind else ""

    @property
    def caller(self) -> Caller:
        """Who asks."""
        credential = self.credential or self.principal.partition(":")[0]
        return Caller(
            self.principal, credential, self.claims, frozenset(self.scopes), None, self.client_name,
            self.client_version, self.client_revision, self.backend_revision,
        )  # fmt: skip

    def __str__(self) -> str:
        """The case in a few words."""
        what = f"{self.kind} {self.name}".strip()
        return ", ".join(part for part in (self.server, self.principal, self.method, what) if part)


class Cases(Section):
    """A file of cases."""

    config: str = Field(default="", description="The configuration, beside this file; or say --config.")
    cases: tuple[Case, ...] = Field(min_length=1)


class Found(msgspec.Struct, frozen=True):
    """What becomes of a case. `reason` is that of the audit; `values` are all rules: name, effect and value."""

    allowed: bool
    listed: bool
    reason: str
    answer: str
    values: tuple[tuple[str, str, bool | str], ...]

    @property
    def rule(self) -> str:
        """The rule that decided, or `default`."""
        head, _, name = self.reason.partition(":")
        return name or head.removeprefix("policy-")


def load(path: Path) -> Cases:
    """The cases of a file.

    Raises:
        SettingsError: with one line per problem.
    """
    try:
        return Cases.model_validate(read(path))
    except ValidationError as error:
        raise SettingsError([f"{path}: {line}" for line in problems_of(error)]) from None


def found(case: Case, settings: Settings) -> Found:
    """What the configuration makes of a case.

    Raises:
        SettingsError: it has no such server.
    """
    backend = settings.servers.get(case.server)
    if backend is None:
        raise SettingsError([f"there is no server {case.server}; expected one of {', '.join(settings.servers)}"])
    rules = rule_set(
        (*settings.policy.rules, *backend.policy.rules),
        default=backend.policy.default or settings.policy.default or "allow",
        backend=case.server,
    )
    memory = Memory()
    if case.annotations and case.tool is not None:
        memory.annotations[case.tool] = Annotations(msgspec.json.encode(case.annotations), case.annotations)
    hook = Policy(rules, memory)
    method = case.method or USES[case.kind]
    info = CallInfo(method, case.name or None, case.principal, case.server, 1, case.caller)
    hidden = hook.hides(_PLURAL[case.kind], case.name, "", info) if case.kind else ""
    refusal = _refusal(hook, case, method, info, hidden)
    ask = Ask(method or "resources/read", case.kind, case.name)
    first = rules.decide(ask, case.caller, memory.annotations.get(case.name, Annotations()))
    reason = rules.settle(first, ask, case.caller, case.arguments).reason if refusal is None else refusal.reason
    values = rules.explain(ask, case.caller, case.arguments, memory.annotations.get(case.name, Annotations()))
    return Found(
        allowed=refusal is None,
        listed=not hidden,
        reason=reason,
        answer="" if refusal is None else f"{refusal.code} {refusal.message}",
        values=tuple((rule.name, rule.effect, value) for rule, value in values),
    )


def _refusal(hook: Policy, case: Case, method: str, info: CallInfo, hidden: str) -> Deny | None:
    if not method:
        return Deny(-32602, "Unknown reference", hidden) if hidden else None
    body: dict[str, Any] = {"arguments": dict(case.arguments)}
    if method == COMPLETE:
        kind = "ref/prompt" if case.prompt is not None else "ref/resource"
        body = {"ref": {"type": kind, "name" if case.prompt is not None else "uri": case.name}}
    elif method in TARGETS:
        body[TARGETS[method][1]] = case.name
    verdict = hook.judge(Slot("params", method, "server"), body, info)
    return verdict if isinstance(verdict, Deny) else None
