"""A backend that changes its era under live sessions: they are moved, and their clients notice a list change at most.

The relay and the client's conversation stay; only the backend's side is replaced. Nothing that may have run is sent
again: the link reopens, replays, and resends what was provably refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from broker.backends.virtual_session import VirtualSession

if TYPE_CHECKING:
    from broker.backends.base import SessionBackend
    from broker.context import ServerContext
    from broker.relay import Relay

Build = Callable[["Relay", bool], "SessionBackend"]


class Migration:
    """Moves the sessions of one virtual server."""

    def __init__(self, context: ServerContext, build: Build) -> None:
        self._context = context
        self._build = build
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, relay: Relay) -> None:
        """Look at the backend again, for one relay whose session could not be opened."""
        task = asyncio.ensure_future(self._move(relay))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _move(self, relay: Relay) -> None:
        before = isinstance(relay.backend, VirtualSession)
        try:
            now = await self._context.era_after_failure(stateless=before)
        except (OSError, TimeoutError):
            now = before
        if relay.backend is None or relay.backend.closed:
            return
        if now != before:
            old = relay.backend
            relay.backend = self._build(relay, now)
            old.close()
        relay.run(relay.link.migrated(changed=now != before))
