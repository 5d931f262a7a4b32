"""Quotas: rules that count calls by caller, address, server or tool, and refuse what is too much.

A rule covers the requests that its globs match, and keeps a count for each combination of what it is `per`. A request
is admitted if every rule that covers it allows one more; only then is it counted, so that what is refused costs
nothing. What is at once is held by a `Ticket` until the call is over, whoever still waits for it. Invariants: all
servers of a broker share the counts, so that no caller gets more by way of several sessions, revisions, transports or
servers; nothing a client says of itself is part of a key; what is kept is bounded.

Loads neither a library of settings nor one of limits.
"""

from __future__ import annotations

import fnmatch
import itertools
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal
from weakref import WeakSet

import msgspec

from broker.addresses import counted_as

if TYPE_CHECKING:
    from broker.quotas.store import Store

Per = Literal["principal", "address", "server", "tool"]

MAX_SHAPES: Final = 4_096
"""Pairs of method and tool whose rules are remembered; servers have a few hundred tools at most."""

MAX_RETRIES: Final = 16_384
"""States of suspended calls that are known to have been brought back once: those of 2,000 parked calls, eight times."""

BUSY_RETRY_S: Final = 1.0
"""What is told of the wait for a call to end, which nobody knows: calls of models take seconds."""

WHOLE: Final = "calls_per_principal"
STREAMS: Final = "streams_per_principal"
"""The limits without any configuration."""

UNCOUNTED: Final = frozenset(("server/discover", "ping"))
"""Methods that `*` does not mean: a client that cannot discover takes the server for one of another era."""

Key = tuple[Any, ...]


class Rule(msgspec.Struct, frozen=True):
    """One limit: of a `rate` (as the library reads it), or of how many there are at once (`concurrent`, 0: any)."""

    name: str
    per: tuple[Per, ...] = ("principal",)
    rate: Any = None
    concurrent: int = 0
    servers: tuple[str, ...] = ("*",)
    methods: tuple[str, ...] = ("*",)
    tools: tuple[str, ...] = ("*",)
    principals: tuple[str, ...] = ("*",)

    def covers(self, method: str, tool: str) -> bool:
        """Whether a request of this method counts; `tool` is empty for what is no call of one."""
        methods = [glob for glob in self.methods if glob != "*" or method not in UNCOUNTED]
        return _any(methods, method) and (self.tools == ("*",) or (bool(tool) and _any(self.tools, tool)))


class Over(msgspec.Struct, frozen=True):
    """A request is too much: `reason` is `rate`, `concurrency` or `streams`, `rule` the name of the limit."""

    reason: str
    rule: str
    retry_after_s: float


class Ticket:
    """What a call holds while it is open: a place in each count of these keys."""

    __slots__ = ("_key", "_more", "_running")

    def __init__(self, running: dict[Key, int], key: Key, more: Sequence[Key] = ()) -> None:
        self._running = running
        self._key: Key | None = key
        self._more = more
        running[key] = running.get(key, 0) + 1
        for each in more:
            running[each] = running.get(each, 0) + 1

    def also(self, key: Key) -> None:
        """Hold a place in this count too."""
        self._more = (*self._more, key)
        self._running[key] = self._running.get(key, 0) + 1

    def leave(self) -> None:
        """The call is over. Harmless when repeated."""
        key, self._key, running = self._key, None, self._running
        while key is not None:
            left = running[key] - 1
            if left:
                running[key] = left
            else:
                del running[key]
            key, self._more = (self._more[0], self._more[1:]) if self._more else (None, ())


class Quotas:
    """What all servers of one broker count together. `at_once`: open calls of one caller; 0: any number.

    `streams`: its open streams that belong to no call; 0: any number.
    """

    def __init__(self, rules: tuple[Rule, ...], store: Store | None, *, at_once: int, streams: int = 0) -> None:
        self.store = store
        self.running: dict[Key, int] = {}
        self.streams = streams
        self._at_once = at_once
        self._fresh = itertools.count(1)
        self._numbers: dict[tuple[str, tuple[Per, ...]], int] = {}
        self._servers: WeakSet[ServerQuotas] = WeakSet()
        self.rules: list[tuple[int, Rule]] = []
        """Each with the number that its counts are kept by; 0 is that of the limit without any configuration."""
        self._number(rules)

    def of(self, server: str) -> ServerQuotas:
        """Those of one server."""
        found = ServerQuotas(self, server)
        self._servers.add(found)
        return found

    def replace(self, rules: tuple[Rule, ...], store: Store | None) -> None:
        """Count by these rules from now on. A rule that counts the same by the same name goes on with its counts.

        A call that is open counts where it was counted when it began.
        """
        self.store = store
        self._number(rules)
        for server in self._servers:
            server.look_up()

    def _number(self, rules: tuple[Rule, ...]) -> None:
        before = self._numbers
        self._numbers = {
            (rule.name, rule.per): before.get((rule.name, rule.per)) or next(self._fresh) for rule in rules
        }
        whole = [(0, _whole(self._at_once))] if self._at_once else []
        self.rules = [*whole, *((self._numbers[rule.name, rule.per], rule) for rule in rules)]


class ServerQuotas:
    """The quotas as one server's faces ask for them."""

    __slots__ = ("__weakref__", "_all", "_brought", "_found", "_rules", "_server", "by_address", "by_tool", "plain")

    def __init__(self, quotas: Quotas, server: str) -> None:
        self._all = quotas
        self._server = server
        self._brought: OrderedDict[str, None] = OrderedDict()
        self.look_up()

    def look_up(self) -> None:
        """Find out which rules are this server's."""
        self._rules = [(number, rule) for number, rule in self._all.rules if _any(rule.servers, self._server)]
        self.by_tool = any("tool" in rule.per or rule.tools != ("*",) for _, rule in self._rules)
        """Whether the name of a tool has to be looked up."""
        self.by_address = any("address" in rule.per for _, rule in self._rules)
        self._found: dict[tuple[str, str], list[tuple[int, Rule]]] = {}
        alone = self._rules[0][1] if len(self._rules) == 1 else None
        self.plain = alone.concurrent if alone is not None and alone == _whole(alone.concurrent) else 0
        """The limit that holds without any configuration, if it is the only one; else 0."""

    def admit(
        self, principal: str, address: str, method: str, tool: str = "", *, counted: bool = True
    ) -> Ticket | Over | None:
        """What a request holds while it is open, None for nothing, or why it is refused.

        `counted`: whether it counts where rates are counted; how many there are at once counts in any case. A request
        of nobody (an empty `principal`: its credential was refused) counts for its address alone.
        """
        if self.plain:
            return self.hold(principal, method)
        address = counted_as(address) if self.by_address else ""
        keys: list[Key] = []
        rates: list[tuple[Any, str]] = []
        running, store, worst = self._all.running, self._all.store, None
        for number, rule in self._covering(method, tool):
            if rule.principals != ("*",) and not _any(rule.principals, principal):
                continue
            if not principal and "address" not in rule.per:
                continue
            key = self._key(rule, number, principal, address, tool)
            if rule.concurrent:
                if running.get(key, 0) >= rule.concurrent:
                    return Over("concurrency", rule.name, BUSY_RETRY_S)
                keys.append(key)
            if rule.rate is not None and store is not None and counted:
                text = "\0".join(map(str, key))
                wait = store.wait_s(rule.rate, text)
                if wait and (worst is None or wait > worst.retry_after_s):
                    worst = Over("rate", rule.name, wait)
                rates.append((rule.rate, text))
        if worst is not None:
            return worst
        for rate, text in rates:
            store.count(rate, text)  # type: ignore[union-attr]
        return Ticket(running, keys[0], keys[1:]) if keys else None

    def hold(self, principal: str, method: str) -> Ticket | Over | None:
        """As `admit`, where nothing but the limit without configuration holds (`plain`)."""
        if not principal or method in UNCOUNTED:
            return None
        running, key = self._all.running, (0, principal)
        if running.get(key, 0) >= self.plain:
            return self.over
        return Ticket(running, key)

    @property
    def running(self) -> dict[Key, int]:
        """How many there are at once."""
        return self._all.running

    @property
    def over(self) -> Over:
        """What is said of one too many where nothing but the limit without configuration holds."""
        return Over("concurrency", WHOLE, BUSY_RETRY_S)

    def leave(self, key: Key) -> None:
        """One place is free again."""
        running = self._all.running
        left = running[key] - 1
        if left:
            running[key] = left
        else:
            del running[key]

    def stream(self, principal: str, call: Ticket | None = None) -> Ticket | Over:
        """What an open stream of a caller holds, beside what its `call` does, if it is one; a refusal leaves that."""
        running, key, most = self._all.running, (STREAMS, principal), self._all.streams
        if most and running.get(key, 0) >= most:
            if call is not None:
                call.leave()
            return Over("streams", STREAMS, BUSY_RETRY_S)
        if call is None:
            return Ticket(running, key)
        call.also(key)
        return call

    def first_time(self, state: str) -> bool:
        """True once for each state of a suspended call: its retry is no new call, its repetitions are."""
        if state in self._brought:
            return False
        self._brought[state] = None
        if len(self._brought) > MAX_RETRIES:
            self._brought.popitem(last=False)
        return True

    def _covering(self, method: str, tool: str) -> list[tuple[int, Rule]]:
        found = self._found.get((method, tool))
        if found is None:
            found = [(number, rule) for number, rule in self._rules if rule.covers(method, tool)]
            if len(self._found) < MAX_SHAPES:
                self._found[method, tool] = found
        return found

    def _key(self, rule: Rule, number: int, principal: str, address: str, tool: str) -> Key:
        if rule.per == ("principal",):
            return (number, principal)
        said = (("principal", principal), ("address", address), ("server", self._server), ("tool", tool))
        return (number, *(value for each, value in said if each in rule.per))  # the tool last: it may hold anything


def _whole(at_once: int) -> Rule:
    """The limit that holds without any configuration."""
    return Rule(WHOLE, concurrent=at_once)


def _any(globs: Any, text: str) -> bool:
    return any(glob == "*" or fnmatch.fnmatchcase(text, glob) for glob in globs)
