"""Asks an issuer whether a token is good now, and keeps what it says for a moment: RFC 7662.

    an answer is                       for                          until it is asked again
    that a token is good               `introspection_fresh_s`      and never beyond the token's end
    that it is not                     `introspection_refused_s`
    none, or none that can be read     AGAIN_S                      nobody gets in meanwhile

Invariants: one question at a time for each token, whoever waits; no more than `introspections` at once; whoever waits
is answered within `issuer_answer_s`; nothing is asked but the configured address, or one on the issuer's own host; what
is kept is bounded, and guesses push out guesses alone.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from broker import telemetry
from broker.identity.client_auth import shown
from broker.identity.fetching import Asking, NotFetched, is_fetchable
from protocol_versions.strict import Refused, load

if TYPE_CHECKING:
    from broker.identity.issuer import Issuer
    from broker.settings_identity import Introspection as Section

AGAIN_S: Final = 1.0
"""After a failure nobody asks about the same token sooner."""


class Said(msgspec.Struct, frozen=True):
    """What an issuer said of a token: `claims` of one that is good, else `reason`. `until`: of the monotonic clock.

    `number` is another one whenever something else is said of the token; `away`: nothing was said.
    """

    claims: Mapping[str, Any] | None
    reason: str
    until: float
    number: int = 0
    away: bool = False

    def __repr__(self) -> str:
        """Without what is said of a person."""
        return f"<Said {self.reason or 'good'}>"


class Introspection:
    """The questions to one issuer. `clock` gives monotonic seconds, `wall` those since the epoch."""

    def __init__(
        self,
        section: Section,
        issuer: Issuer,
        limits: Any,
        *,
        context: ssl.SSLContext,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._section = section
        self._issuer = issuer
        self._limits = limits
        self._clock = clock
        self._wall = wall
        self._numbers = itertools.count(1)
        self._good: OrderedDict[str, Said] = OrderedDict()
        self._bad: OrderedDict[str, Said] = OrderedDict()
        self._flights: dict[str, asyncio.Task[Said]] = {}
        self._turn = asyncio.Semaphore(limits.introspections)
        self._failing = False
        self._asking = Asking(
            context,
            max_bytes=limits.issuer_bytes,
            timeout_s=limits.issuer_answer_s,
            kept=limits.introspections,
        )

    def known(self, digest: str) -> Said | None:
        """What was said of a token and holds still."""
        said = self._good.get(digest) or self._bad.get(digest)
        return said if said is not None and self._clock() < said.until else None

    async def ask(self, token: str, digest: str) -> Said:
        """What the issuer says; of failures, the one that keeps others from asking for a moment."""
        known = self.known(digest)
        if known is not None:
            return known
        limits = self._limits
        if digest not in self._flights and len(self._flights) >= limits.introspections + limits.introspections_waiting:
            return Said(None, "issuer-busy", 0.0, away=True)
        return await self.again(token, digest)

    async def again(self, token: str, digest: str) -> Said:
        """As `ask`, whatever was said before and however many wait: of tokens for which something is open."""
        flight = self._flights.get(digest)
        if flight is None:
            flight = self._flights[digest] = asyncio.get_running_loop().create_task(self._answer(token, digest))
        await asyncio.wait([flight])  # which whoever gives up waiting does not end for the others
        return Said(None, "issuer-gone", 0.0, away=True) if flight.cancelled() else flight.result()

    async def close(self) -> None:
        """Nobody asks any more."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await self._asking.close()

    # ---- one question -----------------------------------------------------------------------------------------------

    async def _answer(self, token: str, digest: str) -> Said:
        asked_at = self._clock()
        try:
            async with asyncio.timeout(self._limits.issuer_answer_s), self._turn:
                said = self._read(await self._exchange(token), asked_at)
        except NotFetched as error:
            said = self._failed(error.reason)
        except TimeoutError:
            said = self._failed("issuer-unreachable")
        except Exception as error:  # a bug of ours must not leave callers waiting, and lets nobody in
            said = self._failed(f"internal:{type(error).__name__}")
        else:
            self._failing = False
        finally:
            del self._flights[digest]
        return self._kept(digest, said)

    async def _exchange(self, token: str) -> bytes:
        form = {"token": token, "token_type_hint": "access_token"}
        headers = shown(self._section, form)
        address = self._section.endpoint or await self._discovered()
        status, body = await self._asking.exchange("POST", address, form=form, headers=headers)
        if status != 200:  # 401 and 403 too: it is the broker whom the issuer does not know, and not the caller
            raise NotFetched("issuer-status", status)
        return body

    async def _discovered(self) -> str:
        address = (await self._issuer.metadata()).get("introspection_endpoint")
        if not isinstance(address, str) or not is_fetchable(address):
            raise NotFetched("issuer-no-introspection")
        if urlsplit(address).netloc.lower() != urlsplit(self._issuer.name).netloc.lower():
            raise NotFetched("issuer-introspection-elsewhere")  # `endpoint` in the configuration allows it
        return address

    def _read(self, body: bytes, asked_at: float) -> Said:
        try:
            tree = load(body)
        except Refused:
            raise NotFetched("issuer-garbage") from None
        active = tree.pop("active", None) if isinstance(tree, dict) else None
        if type(active) is not bool:
            raise NotFetched("issuer-garbage")
        limits = self._limits
        if not active:
            return Said(None, "token-inactive", asked_at + limits.introspection_refused_s)
        ends, left = tree.get("exp"), limits.introspection_fresh_s
        if isinstance(ends, int | float):
            left = min(left, ends + limits.token_leeway_s - self._wall())
        return Said(tree, "", asked_at + left)

    def _failed(self, reason: str) -> Said:
        if not self._failing:  # once for each time that it is away; each request that is refused has its own line
            self._failing = True
            telemetry.audit("issuer-not-asked", reason=reason, issuer=self._issuer.name)
        return Said(None, reason, self._clock() + AGAIN_S, away=True)

    def _kept(self, digest: str, said: Said) -> Said:
        """Keep what was said."""
        before = self._good.pop(digest, None)
        self._bad.pop(digest, None)
        if said.away and before is not None and self._clock() < before.until:
            self._good[digest] = before  # what was said still holds
            return said
        same = before is not None and before.claims == said.claims
        number = before.number if before is not None and same else next(self._numbers)
        said = msgspec.structs.replace(said, number=number)
        kept = self._bad if said.claims is None else self._good
        most = self._limits.tokens_known
        while kept and len(kept) >= most:
            kept.popitem(last=False)
        if most:
            kept[digest] = said
        return said
