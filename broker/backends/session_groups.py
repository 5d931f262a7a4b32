"""Which sessions belong together: those of one caller, with one set of declared capabilities.

A session's capabilities never change and servers list tools by them, so that a request may only use a session that
declared exactly what the request declares; a wider one would ask for what this request cannot answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from translators.handshake import INPUTS
from translators.stateless_client import Memory
from translators.v2025_11_25__v2026_07_28.fields_capabilities import session_client_capabilities

if TYPE_CHECKING:
    from broker.backends.pooled_session import PooledSession

MAX_READ = 256
"""Spellings of capabilities that are remembered; every client program has one."""

_INPUTS = frozenset(INPUTS)

Key = tuple[str, str, bytes]
"""Caller, what the operator's key says, the declared capabilities in one spelling."""


def may_ask(capabilities: dict[str, Any]) -> bool:
    """True if these capabilities of a client let a server ask it anything."""
    return not _INPUTS.isdisjoint(capabilities)


class Declared(msgspec.Struct, frozen=True):
    """What a session declares, and the one spelling of it. `asks`: it lets the server ask."""

    capabilities: dict[str, Any]
    spelled: bytes
    asks: bool


def declaring(capabilities: dict[str, Any]) -> Declared:
    """A session that declares these capabilities."""
    spelled = msgspec.json.encode(capabilities, order="sorted")
    return Declared(capabilities, spelled, may_ask(capabilities))


NOTHING = declaring({})


class Group(msgspec.Struct):
    """The sessions of one key; the first one has the lists."""

    key: Key
    capabilities: dict[str, Any]
    asks: bool
    memory: Memory
    sessions: list[PooledSession] = []


class Groups:
    """All groups of one backend."""

    __slots__ = ("_by_key", "_read")

    def __init__(self) -> None:
        self._by_key: dict[Key, Group] = {}
        self._read: dict[tuple[bytes, bool], Declared] = {}

    def read(self, told: bytes, *, mute: bool) -> Declared:
        """What a session for this request declares: for a backend that can ask nobody (`mute`), nothing to be asked."""
        found = self._read.get((told, mute))
        if found is None:
            capabilities = session_client_capabilities(msgspec.json.decode(told))
            found = declaring(silent(capabilities) if mute else capabilities)
            if len(self._read) < MAX_READ:
                self._read[told, mute] = found
        return found

    def get(self, principal: str, own: str, declared: Declared) -> Group:
        """The group of a caller, with what was declared."""
        key = (principal, own, declared.spelled)
        group = self._by_key.get(key)
        if group is None:
            group = self._by_key[key] = Group(key, declared.capabilities, declared.asks, Memory())
        return group

    def keep(self, group: Group) -> None:
        """A group has a session."""
        self._by_key[group.key] = group

    def drop(self, group: Group) -> None:
        """A group without sessions has nothing that is worth keeping."""
        if self._by_key.get(group.key) is group:
            del self._by_key[group.key]

    def __len__(self) -> int:
        return len(self._by_key)


def silent(capabilities: dict[str, Any]) -> dict[str, Any]:
    """The capabilities of a client that cannot be asked anything."""
    return {name: value for name, value in capabilities.items() if name not in INPUTS}
