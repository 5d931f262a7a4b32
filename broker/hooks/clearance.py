"""How much a caller may see: the highest level that any grant gives for what its credential proves.

Levels are ordered by configuration. What a client says of itself counts for nothing here, and a caller that no grant
names has the default, which is the lowest level unless it is said otherwise.
"""

from __future__ import annotations

import fnmatch
from typing import Any

import msgspec

from broker.hooks.base import Caller


class Grant(msgspec.Struct, frozen=True):
    """Whoever fits every condition has at least `level`, an index of the levels.

    `principals` and `kinds` are globs of which one must fit; `claims` name a claim (a path of names by dots leads into
    objects) and the values of which it must be or hold one; `scopes` must all be there.
    """

    level: int
    principals: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    claims: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    scopes: tuple[str, ...] = ()

    def fits(self, caller: Caller) -> bool:
        """True if the caller meets every condition."""
        return (
            _any_fits(caller.principal, self.principals)
            and _any_fits(caller.kind, self.kinds)
            and caller.scopes.issuperset(self.scopes)
            and all(_claims(caller, name, values) for name, values in self.claims)
        )


class Clearance(msgspec.Struct, frozen=True):
    """The levels' names, lowest first, the level of those whom no grant names, and the grants."""

    levels: tuple[str, ...]
    default: int = 0
    grants: tuple[Grant, ...] = ()

    def level_of(self, caller: Caller) -> int:
        """The caller's level, an index of the levels."""
        level = self.default
        for grant in self.grants:
            if grant.level > level and grant.fits(caller):
                level = grant.level
        return level


def _any_fits(text: str, globs: tuple[str, ...]) -> bool:
    return not globs or any(fnmatch.fnmatchcase(text, glob) for glob in globs)


def _claims(caller: Caller, name: str, values: tuple[Any, ...]) -> bool:
    found = claim_of(caller, name)
    held = found if isinstance(found, list | tuple | set | frozenset) else (found,)
    return any(type(each) is type(value) and each == value for each in held for value in values)


def claim_of(caller: Caller, name: str) -> Any:
    """A claim by its name, or by names with dots that lead into objects; None if there is none."""
    if name in caller.claims:
        return caller.claims[name]
    value: Any = caller.claims
    for part in name.split("."):
        if not hasattr(value, "get"):
            return None
        value = value.get(part)
    return value
