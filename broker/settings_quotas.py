"""Quotas and proxies, as the configuration says them.

Invariants: a rule limits something; a rate is one that the library of limits understands; nobody's word on a client's
address counts but that of proxies named by network.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from broker.addresses import Addresses
from broker.quotas.quotas import Quotas as Counts
from broker.quotas.quotas import Rule
from broker.settings_section import Section

if TYPE_CHECKING:
    from broker.quotas.store import Store

Glob = Annotated[str, Field(min_length=1, max_length=512)]
Globs = Annotated[tuple[Glob, ...], Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]

MAX_RATE = 100_000
"""Requests of one window; beyond that nothing is limited."""

DAY_S = 86_400


class QuotaRule(Section):
    """One limit, of a rate, of how many there are at once, or of both."""

    name: Name = Field(description="How errors and the log name it.")
    rate: str = Field(default="", description="Requests in a time: 10/second, 600/minute, 5000 per 12 hours.")
    concurrent: int = Field(default=0, ge=0, le=1_000_000, description="Calls that are open at once; 0: any number.")
    per: tuple[Literal["principal", "address", "server", "tool"], ...] = Field(
        default=("principal",),
        description="What is counted by itself: each combination of these; an empty list counts all together.",
    )
    servers: Globs = Field(default=("*",), description="Globs of the servers it is about.")
    methods: Globs = Field(
        default=("*",), description="Globs of methods; `*` leaves out `ping` and `server/discover`, which cost nothing."
    )
    tools: Globs = Field(default=("*",), description="Globs of tools; other than `*`: calls of those alone.")
    principals: Globs = Field(default=("*",), description="Globs of callers: key:NAME, token:ISSUER SUBJECT, local.")

    @field_validator("rate")
    @classmethod
    def _readable(cls, value: str) -> str:
        if not value:
            return value
        from broker.quotas.store import read_rate

        try:
            rate = read_rate(value)
        except ValueError:
            raise ValueError("expected a rate such as 10/second or 600 per 5 minutes") from None
        if not 1 <= rate.amount <= MAX_RATE or rate.get_expiry() > DAY_S:
            raise ValueError(f"expected 1 to {MAX_RATE} in at most a day")
        return value

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if not self.rate and not self.concurrent:
            raise ValueError("expected a rate, a number of concurrent calls, or both")
        if len(set(self.per)) != len(self.per):
            raise ValueError("per: something is there twice")
        return self


class Quotas(Section):
    """How much callers may have."""

    rules: tuple[QuotaRule, ...] = Field(default=(), description="The limits; a request has to be within all of them.")
    remembered: int = Field(
        default=1_000_000,
        ge=1_000,
        le=100_000_000,
        description="Requests that rates remember, of 40 bytes each; with as many, all that comes counts together.",
    )

    @field_validator("rules")
    @classmethod
    def _different(cls, value: tuple[QuotaRule, ...]) -> tuple[QuotaRule, ...]:
        if len({rule.name for rule in value}) != len(value):
            raise ValueError("two rules have the same name")
        return value

    def counts(self, limits: Any, clock: Any) -> Counts:
        """What counts by these rules; `clock` gives seconds of the monotonic clock."""
        at_once, streams = limits.calls_per_principal, limits.streams_per_principal
        return Counts(self._made(), self._store(clock), at_once=at_once, streams=streams)

    def change(self, counts: Counts, before: Quotas, clock: Any) -> None:
        """Let `counts` count by these rules from now on. What rates remember is forgotten if it is as much no more."""
        kept = counts.store is not None and self.remembered == before.remembered
        counts.replace(self._made(), counts.store if kept else self._store(clock))

    def _made(self) -> tuple[Rule, ...]:
        return tuple(self._rule(each) for each in self.rules)

    def _store(self, clock: Any) -> Store | None:
        if not any(each.rate for each in self.rules):
            return None
        from broker.quotas.store import Memory

        return Memory(self.remembered, clock)

    @staticmethod
    def _rule(section: QuotaRule) -> Rule:
        rate = None
        if section.rate:
            from broker.quotas.store import read_rate

            rate = read_rate(section.rate)
        members = ("name", "per", "concurrent", "servers", "methods", "tools", "principals")
        return Rule(rate=rate, **{member: getattr(section, member) for member in members})


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError("expected an address or a network, such as 10.0.0.0/8") from None


class Forwarded(Section):
    """Proxies before the broker, whose word on a client's address counts."""

    trusted: tuple[str, ...] = Field(min_length=1, description="Networks of the proxies: 10.0.0.0/8, ::1.")
    header: Literal["X-Forwarded-For", "Forwarded", "X-Real-IP"] = Field(
        default="X-Forwarded-For", description="The one header in which they say it."
    )

    @field_validator("trusted")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_network(each) for each in value)

    def addresses(self) -> Addresses:
        """What reads the header."""
        return Addresses(self.header, tuple(ipaddress.ip_network(each) for each in self.trusted))
