"""One SSE stream towards a client: its queue, its event ids and what can be replayed of it.

Follows basic/transports of the session revisions: ids are `<stream>-<n>`, unique in the session; an event is replayed
only on the stream it belonged to; readers that do not know priming events never see one. Writers push bytes from
callbacks; one coroutine, the HTTP handler, takes all that waits in a single write.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from broker import sse

if TYPE_CHECKING:
    from broker.quotas.quotas import Ticket

RETRY_MS = 1_000
"""The reconnection delay suggested to clients; the SDKs' own default is 1 s."""


class History:
    """The last events of a stream, bounded in number and bytes."""

    __slots__ = ("_bytes", "_events", "_max_bytes", "_max_events", "dropped")

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._events: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._max_events = max_events
        self._max_bytes = max_bytes
        self.dropped = 0

    def add(self, number: int, event: bytes) -> None:
        """Keep one encoded event."""
        self._events.append((number, event))
        self._bytes += len(event)
        while self._events and (len(self._events) > self._max_events or self._bytes > self._max_bytes):
            lost, data = self._events.popleft()
            self._bytes -= len(data)
            self.dropped = lost

    def after(self, number: int) -> list[bytes] | None:
        """The events that followed event `number`; None if some of them are no longer kept."""
        if number < self.dropped:
            return None
        return [event for at, event in self._events if at > number]


class Stream:
    """A stream of one session. `resumable` gives its events ids, `priming` starts it with an empty event."""

    __slots__ = (
        "_history", "_opening", "_queue", "_relieve", "_waiter", "attached", "done_at", "ended", "full", "holder",
        "key", "number", "pressure", "queued", "resumable", "ticket",
    )  # fmt: skip

    def __init__(self, key: str, *, resumable: bool, priming: bool, max_events: int, max_bytes: int) -> None:
        self.key = key
        self.resumable = resumable and max_events > 0
        self.number = 0
        self.ended = False
        self.attached = False
        self.done_at: float | None = None
        self.pressure = False
        self.full = False
        """Whether its reader is so far behind that it is told nothing but answers."""
        self.queued = 0
        self.holder = 0
        self.ticket: Ticket | None = None
        """Its place among its caller's streams, if it stands for itself."""
        self._queue: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self._relieve: Callable[[], None] | None = None
        self._opening = sse.opening(key) if self.resumable else b""
        self._history = History(max_events, max_bytes) if self.resumable else None
        if priming and self.resumable:
            self._push(sse.priming(f"{key}-0", RETRY_MS))

    def send(self, data: bytes, *, identified: bool = True) -> None:
        """Queue one message. An error answer is sent without an id: TypeScript SDK 1.25 resumes after one with."""
        if self._history is None:
            self._push(sse.encode(data))
            return
        self.number += 1
        event = sse.numbered(self._opening, self.number, data)
        self._history.add(self.number, event)
        self._push(event if identified else sse.encode(data))

    def push(self, event: bytes) -> None:
        """Queue an event that is written already."""
        self._push(event)

    def comment(self) -> None:
        """Queue a keep-alive if nothing else waits."""
        if self.attached and not self._queue:
            self._push(sse.comment("keepalive"))

    def end(self) -> None:
        """No further message will come."""
        self.ended = True
        self._wake()

    def take(self) -> bytes:
        """All that waits, as one piece; empty if nothing does."""
        if not self._queue:
            return b""
        data = self._queue[0] if len(self._queue) == 1 else b"".join(self._queue)
        self._queue.clear()
        self.queued = 0
        self.full = False
        if self._relieve is not None:
            relieve, self._relieve = self._relieve, None
            relieve()
        return data

    async def wait(self) -> None:
        """Until there is something to take or the stream has ended."""
        if self._queue or self.ended:
            return
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        finally:
            if self._waiter is waiter:  # else another handler has taken the stream over and waits by now
                self._waiter = None

    def attach(self) -> int:
        """A handler starts writing this stream; the number it gets back tells it later whether it still holds it."""
        self.attached = True
        self.holder += 1
        self._wake()
        return self.holder

    def detach(self, holder: int) -> None:
        """A handler stops; what was not written stays in the history only."""
        if holder != self.holder:
            return
        self.attached = False
        self.take()

    def let_go(self) -> None:
        """Whoever writes this stream stops; its client may take it up again."""
        holder = self.attach()
        self.detach(holder)

    def replay(self, number: int) -> bool:
        """Queue again what followed event `number`; False if part of it is gone or was never sent."""
        if self._history is None or number > self.number:
            return False
        missed = self._history.after(number)
        if missed is None:
            return False
        self.take()
        for event in missed:
            self._queue_up(event)
        return True

    @property
    def behind(self) -> int:
        """Bytes that wait beside the newest message, which a reader that keeps up has not had time to take."""
        return self.queued - len(self._queue[-1]) if self._queue else 0

    def when_relieved(self, call: Callable[[], None]) -> None:
        """Call back once when the queue was taken."""
        self._relieve = call

    def _push(self, data: bytes) -> None:
        if not self.attached and self.holder:
            return  # nobody reads: only the history keeps it
        self._queue_up(data)

    def _queue_up(self, data: bytes) -> None:
        self._queue.append(data)
        self.queued += len(data)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
