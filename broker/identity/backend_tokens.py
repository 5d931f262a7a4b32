"""Access tokens that the broker gets for a server by itself: its own, or one for each caller by exchange.

Follows RFC 6749 section 4.4 (client credentials), RFC 8693 (token exchange), RFC 8707 (the resource is always named),
and basic/authorization, where a server's tokens are never those its client showed. Invariants: a caller's token goes to
the configured issuer and nowhere else; a token is one caller's, and used for no other; the issuer is asked for each by
one request at a time; a request that has no token is not sent.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from broker import telemetry
from broker.backends.credentialed import CredentialedPool
from broker.backends.hidden import NOTHING, Hidden
from broker.identity.principal import Principal
from broker.identity.token_source import NoTokenError, Source

if TYPE_CHECKING:
    from broker.backends.http1_types import Pool, Sink, Ticket, Timeouts
    from broker.settings_token import BackendToken

RENEW_BEFORE_S: Final = 30.0
"""A token is renewed this long before it ends, or a quarter of its life: clocks differ, and a request takes time."""

AGAIN_S: Final = 5.0
"""After a failure the issuer is not asked again for so long."""

MAX_CALLERS: Final = 4_096
"""Callers whose tokens are kept, as many as access tokens are known."""


def supplied(
    server: str,
    pool: Pool,
    pool_for: Callable[[str], Pool],
    name: str,
    section: BackendToken,
    limits: Any,
    monotonic: Callable[[], float],
    hidden: Hidden = NOTHING,
) -> tuple[Pool, Callable[[str], Pool], Callers]:
    """The pools of a server with the broker's own token, which is also for what is asked on nobody's behalf, and those
    of its callers.

    Raises:
        ValueError: authorities cannot be read.
    """
    source = Source(section, server, limits, clock=time.time, monotonic=monotonic)
    own = KeptToken(source, name, hidden=hidden)

    def supplied_for(url: str) -> Pool:
        return CredentialedPool(pool_for(url), own)

    return CredentialedPool(pool, own, owns=True), supplied_for, Callers(pool, source, name, hidden)


class KeptToken:
    """`broker.backends.credentialed.Credentials`: a token that is renewed before it ends; `who`, whose it is."""

    def __init__(self, source: Source, name: str, who: Principal | None = None, *, hidden: Hidden = NOTHING) -> None:
        self.line = b""
        self.renew_at = 0.0
        self.clock = source.clock
        self.who = who
        self.hidden = hidden
        self._source = source
        self._name = name
        self._expires_at = 0.0
        self._failed: tuple[float, str] | None = None
        self._flight: asyncio.Task[None] | None = None

    async def renew(self) -> None:
        """Get a token if the one that is there ends soon. Raises NoTokenError if there is none that is good."""
        if self.clock() < self.renew_at:
            return
        failed = self._failed
        if failed is None or self.clock() >= failed[0]:
            if self._flight is None:
                self._flight = asyncio.get_running_loop().create_task(self._renew())
            # Whoever gives up waiting does not end it for the others.
            await asyncio.shield(self._flight)
            failed = self._failed
        if self.clock() >= self._expires_at:
            raise NoTokenError(failed[1] if failed is not None else "token-expired")

    async def answer(self, status: int, challenge: str, refused: bytes, sendings: int) -> bool:  # noqa: ARG002
        """A token that the server does not take may have been revoked: another one is tried, once."""
        if self.line and self.line != refused:
            return True
        if status != 401 or sendings > 1:
            return False
        self.renew_at = self._expires_at = 0.0
        await self.renew()
        return self.line != refused

    async def close(self) -> None:
        """End what is under way."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait([self._flight])

    async def _renew(self) -> None:
        try:
            got = await self._source.ask(self._subject())
        except NoTokenError as error:
            self._fail(str(error))
        except Exception as error:  # a bug of ours must not leave requests waiting, nor let them go without a token
            self._fail(f"internal:{type(error).__name__}")
        else:
            self._failed = None
            now, end = self.clock(), got.expires_at
            if self.who is not None and self.who.expires_at is not None:
                end = min(end, self.who.expires_at)  # what was got for a token is not good for longer than that
            self.line = b"authorization: Bearer %b\r\n" % got.token.encode("ascii")
            if self.hidden is not NOTHING:
                self.hidden.renewed(got.token)
            self._expires_at = end
            self.renew_at = end - min(RENEW_BEFORE_S, (end - now) / 4)
        finally:
            self._flight = None

    def _subject(self) -> str | None:
        if self._source.section.grant == "client-credentials" or self.who is None:
            return None
        if self.who.proof is None:
            raise NoTokenError("caller-without-token")
        return self.who.proof.token

    def _fail(self, reason: str) -> None:
        self._failed = self.clock() + AGAIN_S, reason
        principal = "" if self.who is None else self.who.id
        telemetry.audit("no-backend-token", reason=reason, principal=principal, backend=self._name)


class Callers:
    """The pools of one server, each with the token of one caller; the one used longest ago of too many is dropped."""

    def __init__(self, pool: Pool, source: Source, name: str, hidden: Hidden = NOTHING) -> None:
        self._pool = pool
        self._hidden = hidden
        # Not of callers, but as long as one of their sessions is there: its answers may hold any of their tokens.
        self._apart: WeakValueDictionary[str, Hidden] = WeakValueDictionary()
        self._source = source
        self._name = name
        self._pools: OrderedDict[str, tuple[CredentialedPool, KeptToken]] = OrderedDict()
        self._leaving: set[asyncio.Task[None]] = set()

    def of(self, who: Callable[[], Principal], own: Pool) -> Pool:
        """A pool whose requests are sent for whoever it is then; `own`, where all are shown the broker's own token."""
        return _CallerPool(self, who) if self._source.section.grant == "token-exchange" else own

    def for_caller(self, who: Principal) -> CredentialedPool:
        """The pool of a caller, who may have renewed its own token."""
        found = self._pools.get(who.id)
        if found is None:
            if len(self._pools) >= MAX_CALLERS:
                _, (_, oldest) = self._pools.popitem(last=False)
                self._end(oldest)
            token = KeptToken(self._source, self._name, who, hidden=self.hidden(who))
            found = self._pools[who.id] = CredentialedPool(self._pool, token), token
        else:
            self._pools.move_to_end(who.id)
            found[1].who = who
        return found[0]

    def hidden(self, who: Principal) -> Hidden:
        """What is to be hidden of what is said to a caller."""
        if self._hidden is NOTHING or self._source.section.grant != "token-exchange":
            return self._hidden
        found = self._apart.get(who.id)
        if found is None:
            found = self._apart[who.id] = self._hidden.apart()
        return found

    def _end(self, token: KeptToken) -> None:
        task = asyncio.get_running_loop().create_task(token.close())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """End what is under way; the connections are another's."""
        for pool, token in self._pools.values():
            for call in list(pool.held):
                call.abort()
            await token.close()
        await asyncio.gather(*self._leaving)
        await self._source.close()


class _CallerPool:
    """`Pool`, for whoever `who` says when something is sent."""

    def __init__(self, callers: Callers, who: Callable[[], Principal]) -> None:
        self._callers = callers
        self._who = who

    def send(
        self, method: bytes, headers: bytes, body: bytes, sink: Sink, *, timeouts: Timeouts, **options: Any
    ) -> Ticket:
        """See `Pool`."""
        pool = self._callers.for_caller(self._who())
        return pool.send(method, headers, body, sink, timeouts=timeouts, **options)

    async def close(self) -> None:
        """The callers' own end is all there is."""
