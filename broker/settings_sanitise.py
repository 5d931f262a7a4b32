"""The `clearance` and `sanitise` sections: who may see how much, and what is taken out for those who may not.

Invariants: levels are named once, in order; a rule says what becomes of a finding at every level; an expression that
is not one of RE2, a path that is none, and a name of nothing are refused when the file is read.
"""

from __future__ import annotations

import fnmatch
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from broker.hooks.sanitise_free import Bounds
from broker.hooks.sanitise_leaf import Action
from broker.hooks.sanitise_paths import path_of
from broker.settings_section import Secret, Section

_NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
Name = Annotated[str, Field(pattern=_NAME)]
Value = str | int | bool
_DEFAULTS = Bounds()


class Grant(Section):
    """Whoever fits all that is said here has at least this level."""

    level: Name = Field(description="One of `levels`.")
    principals: tuple[str, ...] = Field(default=(), description="Globs of callers' names, such as `key:ops-*`.")
    kinds: tuple[str, ...] = Field(
        default=(), description="Globs of kinds: key, token, certificate, local, anonymous, shared."
    )
    claims: dict[str, Value | tuple[Value, ...]] = Field(
        default={}, description="Claims of a token and the values of which each must be or hold one."
    )
    scopes: tuple[str, ...] = Field(default=(), description="Scopes that must all be there.")

    @model_validator(mode="after")
    def _conditional(self) -> Self:
        if not (self.principals or self.kinds or self.claims or self.scopes):
            raise ValueError("a grant without conditions would be for everybody; use `default`")
        return self


class Clearance(Section):
    """How much a caller may see, by what its credential proves."""

    levels: tuple[Name, ...] = Field(default=("public",), min_length=1, description="Names of levels, lowest first.")
    default: Name | None = Field(default=None, description="The level of callers no grant fits; absent: the lowest.")
    grants: tuple[Grant, ...] = Field(default=(), description="The highest level of the grants that fit counts.")

    @model_validator(mode="after")
    def _known(self) -> Self:
        if len(set(self.levels)) != len(self.levels):
            raise ValueError("a level is there twice")
        for name in (self.default, *(grant.level for grant in self.grants)):
            if name is not None and name not in self.levels:
                raise ValueError(f"{name} is none of the levels {', '.join(self.levels)}")
        return self


class SanitiseRule(Section):
    """What is looked for, where, and what becomes of it."""

    find: tuple[Name, ...] = Field(
        default=(),
        description="Names of `detectors`, or of what is built in: secrets, private-keys, jwt, email, card, iban, "
        "phone, hidden-text, script-links, odd-links, inside-links.",
    )
    paths: tuple[str, ...] = Field(
        default=(), description="Members by path, such as $.structuredContent.user.ssn or $..password."
    )
    action: Action | dict[Name, Action] = Field(
        default="redact",
        description="allow, mask, hash, redact, drop or deny; or one for each level, which holds upwards to the next.",
    )
    name: Name = Field(default="field", description="What stands in the marks of what `paths` found.")
    methods: tuple[str, ...] = Field(default=("*",), min_length=1, description="Globs of methods.")
    targets: tuple[str, ...] = Field(
        default=("*",), min_length=1, description="Globs of the tool, prompt or URI a call is about."
    )
    servers: tuple[str, ...] = Field(default=("*",), min_length=1, description="Globs of servers.")

    @field_validator("paths")
    @classmethod
    def _readable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            path_of(each)
        return value

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not (self.find or self.paths):
            raise ValueError("a rule needs `find` or `paths`")
        if self.action == {}:
            raise ValueError("expected an action for the lowest level at least")
        return self

    def actions(self, levels: tuple[str, ...]) -> tuple[Action, ...]:
        """The action at each level, lowest first.

        Raises:
            ValueError: a level is unknown, or nothing is said of the lowest.
        """
        if not isinstance(self.action, dict):
            return (self.action,) * len(levels)
        unknown = [name for name in self.action if name not in levels]
        if unknown or levels[0] not in self.action:
            raise ValueError(f"`action` names levels of {', '.join(levels)}, {levels[0]} among them")
        found: list[Action] = []
        for level in levels:
            found.append(self.action.get(level) or found[-1])
        return tuple(found)


class SanitiseBounds(Section):
    """What of one message is looked through; one that has more is withheld."""

    text_chars: int = Field(default=_DEFAULTS.text, ge=1024, description="Characters of all its texts.")
    leaves: int = Field(default=_DEFAULTS.leaves, ge=100, description="Values.")
    nested: int = Field(default=_DEFAULTS.nested, ge=0, le=16, description="JSON in texts in JSON in texts.")
    time_s: float = Field(default=_DEFAULTS.time_s, gt=0, le=60, description="Seconds.")


class Sanitise(Section):
    """What is taken out of messages of backends for callers of lower clearance."""

    rules: tuple[SanitiseRule, ...] = Field(default=(), description="All that fit a message hold.")
    detectors: dict[Name, str] = Field(
        default={}, description="NAME: an expression of RE2; its first group, if it has one, is what is found."
    )
    hash_key: Secret | None = Field(
        default=None,
        description="Key of the hashes: text | env:VAR | file:PATH, 16 characters or more; absent: one made at start.",
    )
    bounds: SanitiseBounds = Field(default=SanitiseBounds(), description="What of one message is looked through.")

    def of(self, server: str) -> tuple[SanitiseRule, ...]:
        """The rules of one server."""
        return tuple(rule for rule in self.rules if any(fnmatch.fnmatchcase(server, glob) for glob in rule.servers))

    @field_validator("hash_key")
    @classmethod
    def _long(cls, value: Any) -> Any:
        if value is not None and len(value.get_secret_value()) < 16:
            raise ValueError("expected at least 16 characters")
        return value

    @model_validator(mode="after")
    def _known(self) -> Self:
        if not (self.rules or self.detectors):
            return self
        from broker.hooks.sanitise_detect import SETS, compiled

        for name, pattern in self.detectors.items():
            if name in SETS:
                raise ValueError(f"detector {name} is built in")
            try:
                compiled(pattern)
            except ValueError as error:
                raise ValueError(f"detector {name}: {error}") from None
        for rule in self.rules:
            for name in rule.find:
                if name not in SETS and name not in self.detectors:
                    raise ValueError(f"{name} is none of {', '.join((*SETS, *self.detectors))}")
        return self
