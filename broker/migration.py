"""A backend that changes its era under live sessions: they are moved, and their clients notice a list change at most.

The relay and the client's conversation stay; only the backend's side is replaced. Nothing that may have run is sent
again: the link reopens, replays, and resends what was provably refused. A call that was open on the side that is left
ends with an error that says so, because its answer, judged as one of the other era, could pass policy unseen.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from broker.backends.virtual_session import VirtualSession
from translators.link import LOST

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
        self._tasks: dict[asyncio.Task[None], None] = {}

    def start(self, relay: Relay, stateless: bool | None) -> None:
        """Move one relay to that era, or, with None, look at the backend again and move it if that is of another."""
        task = asyncio.ensure_future(self._move(relay, stateless))
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def _move(self, relay: Relay, stateless: bool | None) -> None:
        before = isinstance(relay.backend, VirtualSession)
        now = before
        with contextlib.suppress(OSError, TimeoutError):  # nobody can say: it is believed to be what it was
            now = await self._context.era_after_failure(stateless=before) if stateless is None else stateless
        if relay.backend is None or relay.backend.closed:
            return
        if now != before:
            old = relay.backend
            relay.backend = self._build(relay, now)
            old.close()
            for call in relay.link.left_behind():
                relay.backend_failed(call, LOST, "unknown")
        relay.run(relay.link.migrated(changed=now != before))
