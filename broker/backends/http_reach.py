"""A backend at a URL: over Streamable HTTP, or over the HTTP+SSE pair where that is all there is.

Follows basic/transports (backwards compatibility) of 2025-03-26 to 2025-11-25. A server that knows neither stateless
requests nor POSTs to its address is asked once whether a GET begins with the pair's first event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from broker.backends.base import Legs, Observer, Owner, SessionBackend, StatelessOwner, Who
from broker.backends.farewell import Farewells
from broker.backends.hidden import NOTHING, Hidden
from broker.backends.http1_types import Pool
from broker.backends.sse_reach import SseReach
from broker.backends.stateless_http import StatelessLegs
from broker.backends.streamable_http import BackendSession, Deadlines
from broker.era_probe import Prober
from broker.era_signs import NO_POST, Verdict
from broker.wheel import Wheel
from protocol_versions.jsonrpc import WireLimits

if TYPE_CHECKING:
    from broker.identity.backend_tokens import Callers

Transport = Literal["auto", "streamable-http", "sse"]


class HttpReach:
    """One URL. `pool_for(url)` gives connections to another address of the same server."""

    greets_first = False

    def __init__(
        self,
        url: str,
        pool: Pool,
        pool_for: Callable[[str], Pool],
        wire: WireLimits,
        client_info: Mapping[str, Any],
        wheel: Wheel,
        *,
        limits: Any,
        transport: Transport = "auto",
        callers: Callers | None = None,
        hidden: Hidden = NOTHING,
    ) -> None:
        """With `callers`, requests may be sent by the pool of each, and they end with it."""
        self.identity = url
        self.pool = pool
        self.transport = transport
        self._wire = wire
        self._hidden = hidden
        self._deadlines = Deadlines.of(limits)
        self._patient = Deadlines.of(limits, wait_s=limits.park_s)
        self._prober = Prober(pool, client_info)
        self._pair = SseReach(url, pool, pool_for, wire, wheel, limits, hidden)
        self.is_pair = transport == "sse"
        """Whether it is the pair, as far as that was found out."""
        self._looked = transport != "auto"
        self._looking: asyncio.Task[bool] | None = None
        self._farewells = Farewells()
        self._callers = callers

    def session(self, owner: Owner, *, patient: bool = False, who: Who | None = None) -> SessionBackend:
        """A session over POST, GET and DELETE, or over the pair."""
        if self.is_pair:
            return self._pair.session(owner, patient=patient)
        deadlines = self._patient if patient else self._deadlines
        hidden = self._hidden_from(who)()
        return BackendSession(self._pool_of(who), owner, deadlines, self._wire, self._farewells, hidden)

    def legs(self, owner: StatelessOwner, *, observer: Observer | None = None, who: Who | None = None) -> Legs:
        """Stateless requests, a POST each."""
        hidden = self._hidden_from(who)
        return StatelessLegs(self._pool_of(who), owner, self._deadlines, self._wire, observer=observer, hidden=hidden)

    def _pool_of(self, who: Who | None) -> Pool:
        return self.pool if self._callers is None or who is None else self._callers.of(who, self.pool)

    def _hidden_from(self, who: Who | None) -> Callable[[], Hidden]:
        """What is to be hidden from whoever a request is sent for."""
        callers = self._callers
        if callers is None or who is None:
            return lambda: self._hidden
        return lambda: callers.hidden(who())

    async def verdict(self) -> Verdict:
        """What one `server/discover` shows, and if that is nothing, what a GET does."""
        if self.transport == "sse":
            return Verdict(kind="legacy", reason="http+sse")
        found = await self._prober()
        if self.transport == "auto" and found.kind not in ("inconclusive", "auth"):
            # Whoever answers a POST in JSON-RPC is no stream's address, unless all it says is that there is no POST.
            self._take(await self._pair.offered() if found.reason == NO_POST else False)
        return found

    async def settle(self) -> bool:
        """Whether a GET begins with the pair's first event, asked until there is an answer.

        Callers that come while it is being asked share that; one that is cancelled does not end it for the others.
        """
        if self._looked:
            return True
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look())
        return await asyncio.shield(self._looking)

    async def _look(self) -> bool:
        try:
            self._take(await self._pair.offered())
            return self._looked
        finally:
            self._looking = None

    def _take(self, offered: bool | None) -> None:
        if offered is not None:
            self.is_pair = offered
            self._looked = True

    async def close(self) -> None:
        """Every connection ends."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await self._pair.close()
        await self._farewells.wait()
        if self._callers is not None:
            await self._callers.close()
        await self.pool.close()
