"""The scopes that one server asks for: for anything, and besides by method. The same at every door."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from broker.settings_backend import Backend

TOO_LITTLE: Final = "Forbidden: the credential lacks a scope that this needs"


class Needed(msgspec.Struct, frozen=True):
    """`always` is needed for anything, `by_method` (a glob and its scopes) besides."""

    always: frozenset[str] = frozenset()
    by_method: tuple[tuple[str, frozenset[str]], ...] = ()

    @classmethod
    def by(cls, backend: Backend) -> Needed:
        """What one backend asks for."""
        methods = tuple((glob, frozenset(scopes)) for glob, scopes in backend.method_scopes.items())
        return cls(frozenset(backend.scopes), methods)

    def of(self, method: str) -> frozenset[str]:
        """All that a method needs (2026-07-28 basic/authorization)."""
        return self.always.union(*(scopes for glob, scopes in self.by_method if fnmatch.fnmatchcase(method, glob)))

    @property
    def every(self) -> frozenset[str]:
        """All scopes that anything here needs."""
        return self.always.union(*(scopes for _, scopes in self.by_method))
