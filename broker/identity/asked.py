"""Tokens about which their issuers are asked: whom to ask, and what of the answers holds for what is open.

While something of a token is open, its issuer is asked again at every look. Invariants: a token that names no issuer is
shown to the one that takes such tokens, and to no other; what is open of one that is taken back ends at the next look;
of one about which nobody can be asked, when `introspection_away_s` have passed since it was good.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from broker.identity.principal import Principal

if TYPE_CHECKING:
    from broker.identity.identities import Identities, Trusted
    from broker.identity.introspection import Introspection
    from broker.identity.issuer import Issuer
    from broker.identity.tokens import Rules
    from broker.settings import Settings
    from broker.settings_identity import Issuer as Section


class Asked:
    """Those of one broker."""

    def __init__(self, identities: Identities) -> None:
        self.opaque: tuple[Issuer, Rules] | None = None
        """Whose tokens are taken that are no JWTs."""
        self._identities = identities
        self._by_issuer: dict[str, Introspection] = {}
        self._good_at: dict[str, float] = {}  # of each token that is open: when it was good last
        self._ended: dict[str, str] = {}

    def introspection(self, section: Section, issuer: Issuer, limits: Any) -> Introspection | None:
        """Where an issuer is asked, if it is.

        Raises:
            ValueError: its authorities cannot be read.
        """
        if section.introspection is None:
            return None
        from broker.backends.tls import client_context
        from broker.identity.introspection import Introspection

        return Introspection(
            section.introspection,
            issuer,
            limits,
            context=client_context(ca_file=section.ca_bundle),
            clock=self._identities.clock,
            wall=lambda: self._identities.wall(),
        )

    def adopt(self, settings: Settings, trusted: Trusted) -> bool:
        """Ask these from now on; False if none of them is to be asked."""
        asks = {name: issuer.introspection for name, (issuer, _) in trusted.items()}
        self._by_issuer = {name: found for name, found in asks.items() if found is not None}
        takes = (each for each in settings.issuers if each.introspection is not None and each.introspection.opaque)
        self.opaque = next((trusted[each.issuer] for each in takes), None)
        return bool(self._by_issuer)

    def vouched(self, principal: Principal) -> bool:
        """True if nobody is asked about a token, or what its caller was named by is still believed."""
        asks = self._asks(principal)
        said = None if asks is None else asks.known(principal.credential)
        return asks is None or (said is not None and said.claims is not None and said.number == principal.answer)

    def ended(self, principal: Principal) -> str:
        """Why what is open of a token may not go on, as far as its issuer has been asked."""
        why = self._ended.get(principal.credential, "") if self._ended else ""
        return "" if why and self.vouched(principal) else why

    async def look(self, callers: Iterable[Principal], found: Callable[[], object]) -> None:
        """Ask again about the tokens that these have shown, who have something open; `found`: some are good no more."""
        asking: dict[Introspection, dict[str, str]] = {}
        for who in callers:
            asks = self._asks(who)
            if asks is not None and who.proof is not None:
                asking.setdefault(asks, {})[who.credential] = who.proof.token
        now = self._identities.clock()
        self._good_at = {each: self._good_at.get(each, now) for tokens in asking.values() for each in tokens}
        self._ended = {each: why for each, why in self._ended.items() if each in self._good_at}
        await asyncio.gather(*(self._look(asks, tokens, found) for asks, tokens in asking.items()))

    async def _look(self, asks: Introspection, tokens: dict[str, str], found: Callable[[], object]) -> None:
        limits, clock = self._identities.settings.limits, self._identities.clock
        # Some at a time: whoever comes with a token that nothing is known of has to get a turn as well.
        left = iter(tokens.items())
        while some := list(itertools.islice(left, limits.introspections)):
            answers = await asyncio.gather(*(asks.again(token, digest) for digest, token in some))
            now = clock()
            for (digest, _), said in zip(some, answers, strict=True):
                if said.claims is not None:
                    self._good_at[digest] = now
                if said.claims is None and not said.away:
                    self._ended[digest] = "revoked"
                else:
                    self._ended.pop(digest, None)
            for digest in tokens:  # also those whose turn does not come because the issuer is slow
                if now - self._good_at[digest] >= limits.introspection_away_s:
                    self._ended.setdefault(digest, "unchecked")
            if self._ended:
                found()

    def _asks(self, principal: Principal) -> Introspection | None:
        return None if principal.rules is None else self._by_issuer.get(principal.rules.issuer)
