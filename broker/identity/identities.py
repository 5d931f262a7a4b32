"""Whose credentials are taken, and what is known of those that were shown: one for all servers of a broker.

Invariants: a token is not believed beyond its end, nor a credential once it is revoked, or once the configuration that
trusted it has been replaced by one that does not.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from broker.identity.asked import Asked
from broker.identity.fetching import fetcher
from broker.identity.issuer import Issuer, Pace
from broker.identity.principal import Principal
from broker.identity.revoked import Revoked

if TYPE_CHECKING:
    from broker.identity.certificates import Certificates
    from broker.identity.tokens import Rules
    from broker.settings import Settings

    Trusted = dict[str, tuple[Issuer, Rules]]

MAX_RENEWED: Final = 100_000
"""Callers whose newest credential is remembered; those who came first are forgotten, and their expired calls end."""


class Identities:
    """What all servers of one broker share: issuers, verified tokens, certificates, revocations.

    `wall` gives seconds since the epoch, `clock` monotonic ones.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Raises ValueError for files that cannot be used."""
        self.settings = settings
        self.wall = wall
        self.revoked = Revoked(settings.revoked, settings.limits.revocations, lambda: self.wall())
        self.issuers: Trusted = {}
        self.audiences: dict[str, frozenset[str]] = {}
        self._newest: dict[str, float] = {}  # the latest end of a caller's credentials, by its id
        self._known: OrderedDict[tuple[str, str], Principal] = OrderedDict()
        self.asked = Asked(self)
        self.asking = False
        """Whether any issuer is asked about tokens."""
        self.certificates: Certificates | None = None
        self.shown: Callable[[], None] = lambda: None
        """Told of every credential that is found good, where it may be good no more later."""
        if settings.tls is not None and settings.tls.client_ca is not None:
            from broker.identity.certificates import Certificates

            self.certificates = Certificates(settings.tls)
        self.clock = clock
        self._replaced = False
        self.adopt(settings, self.prepare(settings))

    def prepare(self, settings: Settings) -> Trusted:
        """The issuers of these settings; those whose entry is what it was are the same ones.

        Raises:
            ValueError: the authorities of one cannot be read.
        """
        if not settings.issuers:
            return {}
        from broker.identity.tokens import Rules

        limits = settings.limits
        pace = Pace(limits.issuer_refresh_s, limits.issuer_retry_s, limits.issuer_stale_s)
        found: Trusted = {}
        for each in settings.issuers:
            if each in self.settings.issuers and each.issuer in self.issuers:
                found[each.issuer] = self.issuers[each.issuer]
                continue
            fetch = fetcher(max_bytes=limits.issuer_bytes, timeout_s=limits.issuer_answer_s, ca_file=each.ca_bundle)
            issuer = Issuer(each.issuer, jwks_uri=each.jwks_uri, fetch=fetch, pace=pace, clock=self.clock)
            rules = Rules(each.issuer, frozenset(each.algorithms), each.principal_claim, limits.token_leeway_s)
            issuer.introspection = self.asked.introspection(each, issuer, limits)
            found[each.issuer] = issuer, rules
        return found

    def adopt(self, settings: Settings, trusted: Trusted) -> list[Issuer]:
        """Name callers by these settings from now on; the issuers that nobody asks any more.

        Keys and issuers that are gone, or are others now, are good no more for what was opened with them.
        """
        before = self.settings
        gone = [issuer for issuer, _ in self.issuers.values() if (issuer not in [one for one, _ in trusted.values()])]
        self._replaced = self._replaced or (before.keys, before.issuers) != (settings.keys, settings.issuers)
        self.settings, self.issuers = settings, trusted
        self.audiences = {each.issuer: frozenset(each.audiences) for each in settings.issuers}
        self.asking = self.asked.adopt(settings, trusted)
        self._known.clear()  # what was verified was verified by the rules of before
        return gone

    def recall(self, server: str, digest: str) -> Principal | None:
        """The caller of a token that was verified before, for this server."""
        found = self._known.get((server, digest))
        if found is not None and not self.good(found):
            del self._known[server, digest]
            return None
        if found is not None:
            self.seen(found)
        return found

    def seen(self, principal: Principal) -> None:
        """A credential was shown and is good: from now on it is looked whether it still is."""
        if principal.expires_at is not None:
            newest = self._newest
            newest[principal.id] = max(newest.pop(principal.id, 0.0), principal.expires_at)
            if len(newest) > MAX_RENEWED:
                del newest[next(iter(newest))]
        self.shown()

    def renewed(self, principal: Principal) -> bool:
        """True if the caller of an expired credential has shown another since, which still is good."""
        leeway = self.settings.limits.token_leeway_s
        return self.wall() < self._newest.get(principal.id, 0.0) + leeway and not self.revoked.covers(principal)

    def remember(self, server: str, principal: Principal) -> None:
        """A token was verified; the one verified longest ago of too many is forgotten."""
        most = self.settings.limits.tokens_known
        while self._known and len(self._known) >= most:
            self._known.popitem(last=False)
        if most:
            self._known[server, principal.credential] = principal

    def good(self, principal: Principal) -> bool:
        """True if a credential that was good is good still, as far as can be known without asking anybody."""
        return not self.lapsed(principal) and not (self.asking and not self.asked.vouched(principal))

    def lapsed(self, principal: Principal) -> str:
        """Why a credential that was good is good no more: `expired`, `revoked` or `unchecked`; empty if it is."""
        end = principal.expires_at
        if end is not None and self.wall() >= end + self.settings.limits.token_leeway_s:
            return "expired"
        if self._replaced and self._gone(principal):
            return "revoked"
        if self.revoked and self.revoked.covers(principal):
            return "revoked"
        return self.asked.ended(principal) if self.asking else ""

    def _gone(self, principal: Principal) -> bool:
        """True if the configuration that named this caller has been replaced by one that does not."""
        if principal.kind == "token":
            _, rules = self.issuers.get(str(principal.claims.get("iss")), (None, None))
            return rules is not principal.rules
        if principal.kind != "key":
            return False
        key = self.settings.keys.get(principal.id.removeprefix("key:"))
        return key is None or key.sha256 != principal.credential or frozenset(key.scopes) != principal.scopes

    @property
    def keeps_tokens(self) -> bool:
        """True if a server is shown tokens in exchange for its callers'."""
        return any(each.exchanges for each in self.settings.servers.values())

    @property
    def lapses(self) -> bool:
        """True if a credential that is good may be good no more later."""
        settings = self.settings
        known = settings.revoked is not None or settings.status.admin_key is not None
        return bool(known or self._replaced or self.issuers or self.certificates is not None)

    async def close(self) -> None:
        """Nobody asks any more."""
        for issuer, _ in self.issuers.values():
            await issuer.close()
