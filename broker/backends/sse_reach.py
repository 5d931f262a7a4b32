"""A backend behind the HTTP+SSE pair of 2024-11-05: a stream for each session, and nothing for stateless requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from broker.backends.base import ChannelOwner, Owner, SessionBackend
from broker.backends.channel_session import ChannelSession
from broker.backends.hidden import NOTHING, Hidden
from broker.backends.http1_types import Pool, Timeouts
from broker.backends.sse_channel import GET, EndpointProbe, SseChannel
from broker.backends.streamable_http import Deadlines
from broker.wheel import Wheel
from protocol_versions.jsonrpc import WireLimits

SWEEP_S = 1.0
"""How often waiting calls are looked through."""

PROBE_S = 5.0
"""How long the first event of the pair is waited for; servers send it at once."""


class SseReach:
    """One URL of a stream. Times in seconds; `limits` has the members of `broker.settings_limits.Limits`."""

    def __init__(
        self,
        url: str,
        pool: Pool,
        pool_for: Callable[[str], Pool],
        wire: WireLimits,
        wheel: Wheel,
        limits: Any,
        hidden: Hidden = NOTHING,
    ) -> None:
        self.wire = wire
        self.hidden = hidden
        self.head_s: float = limits.call_head_s
        self.total_s: float = limits.call_total_s
        self.start_s: float = limits.connect_s + limits.start_s
        self.wait_s: float = limits.park_s
        self.sessions: set[Any] = set()
        self._max_waiting_bytes: int = limits.channel_waiting_bytes
        self._url = url
        self._pool = pool
        self._pool_for = pool_for
        self._deadlines = Deadlines.of(limits)
        self._wheel = wheel
        self._channels: set[SseChannel] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._sweeping = False

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return self._wheel.clock()

    def session(self, owner: Owner, *, patient: bool = False) -> SessionBackend:
        """A session, with a stream of its own as soon as it is initialized."""
        session = ChannelSession(self, owner, patient=patient)
        self.sessions.add(session)
        return session

    def spawn(self, owner: ChannelOwner) -> SseChannel:
        """A stream that is opened now."""
        channel = SseChannel(
            self._url,
            self._pool,
            self._pool_for,
            owner,
            self._deadlines,
            max_bytes=self.wire.backend_body,
            max_waiting_bytes=self._max_waiting_bytes,
        )
        self._channels.add(channel)
        if not self._sweeping:
            self._sweeping = True
            self._wheel.add(self.now() + SWEEP_S, self._sweep)
        return channel

    def dismiss(self, channel: SseChannel) -> None:
        """Close a stream that nobody needs any more, and its connections once what was posted is through."""
        channel.end()
        self._channels.discard(channel)
        pool = channel.take_pool()
        if pool is not None:
            task = asyncio.ensure_future(pool.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def offered(self) -> bool | None:
        """True if the URL answers a GET as the pair does; None if it does not answer."""
        found: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()

        def tell(offered: bool | None) -> None:
            if not found.done():
                found.set_result(offered)

        timeouts = Timeouts(connect_s=PROBE_S, head_s=PROBE_S, idle_s=PROBE_S, total_s=PROBE_S)
        ticket = self._pool.send(b"GET", GET, b"", EndpointProbe(tell), timeouts=timeouts)
        try:
            return await found
        finally:
            ticket.abort()

    async def close(self) -> None:
        """Every stream ends."""
        for channel in list(self._channels):
            self.dismiss(channel)
        with suppress(Exception):
            await asyncio.gather(*self._closing)

    def _sweep(self) -> None:
        now = self.now()
        try:
            for session in list(self.sessions):
                session.sweep(now)
            # Not when a stream is lost, which comes from within its own connection's callback.
            for channel in [channel for channel in self._channels if channel.over]:
                self.dismiss(channel)
        finally:  # a fault met at one call leaves the others to the next time
            self._sweeping = bool(self._channels)
            if self._sweeping:
                self._wheel.add(now + SWEEP_S, self._sweep)
