"""A backend behind Streamable HTTP: its connection pool, and the deadlines of what is sent over it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broker.backends.base import Legs, Observer, Owner, SessionBackend, StatelessOwner
from broker.backends.http1_types import Pool
from broker.backends.stateless_http import StatelessLegs
from broker.backends.streamable_http import BackendSession, Deadlines
from broker.era_probe import Prober
from broker.era_signs import Verdict
from protocol_versions.jsonrpc import WireLimits


class HttpReach:
    """One URL. `patient` are the deadlines of sessions whose calls may wait for people."""

    def __init__(
        self,
        url: str,
        pool: Pool,
        wire: WireLimits,
        client_info: Mapping[str, Any],
        *,
        deadlines: Deadlines,
        patient: Deadlines,
    ) -> None:
        self.identity = url
        self.pool = pool
        self._wire = wire
        self._deadlines = deadlines
        self._patient = patient
        self._prober = Prober(pool, client_info)

    greets_first = False

    def session(self, owner: Owner, *, patient: bool = False) -> SessionBackend:
        """A session over POST, GET and DELETE."""
        return BackendSession(self.pool, owner, self._patient if patient else self._deadlines, self._wire)

    def legs(self, owner: StatelessOwner, *, observer: Observer | None = None) -> Legs:
        """Stateless requests, a POST each."""
        return StatelessLegs(self.pool, owner, self._deadlines, self._wire, observer=observer)

    async def verdict(self) -> Verdict:
        """What one `server/discover` shows."""
        return await self._prober()

    async def close(self) -> None:
        """Every connection ends."""
        await self.pool.close()
