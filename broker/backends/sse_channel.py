"""The HTTP+SSE pair of 2024-11-05 as a channel: one GET stream, and POSTs to the address its first event names.

Follows basic/transports (HTTP with SSE) of 2024-11-05. Invariants: messages are posted to the origin of the stream and
nowhere else; a POST is over with its status, its answer comes on the stream; when the stream ends, the session has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from broker import sse
from broker.backends.base import ChannelOwner
from broker.backends.http1_types import BackendFailure, Pool, Ticket
from broker.backends.legs import REASONS
from broker.backends.streamable_http import Deadlines
from broker.era_signs import speaks_for_no_server

ENDPOINT: Final = "endpoint"
MAX_WAITING: Final = 256
"""Messages that wait for the address; a client sends one, `initialize`."""

GET: Final = b"accept: text/event-stream\r\ncache-control: no-store\r\n"
POST: Final = b"content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
NOT_RUN: Final = (400, 401, 403, 404, 405, 406, 413, 415)
"""Statuses that say that a message was not taken."""


class SseChannel:
    """One session's pair. `pool_for(url)` gives connections to the address the server names.

    `max_bytes` is the longest event, `max_waiting_bytes` what may wait together for that address.
    """

    def __init__(
        self,
        url: str,
        pool: Pool,
        pool_for: Callable[[str], Pool],
        owner: ChannelOwner,
        deadlines: Deadlines,
        *,
        max_bytes: int,
        max_waiting_bytes: int,
    ) -> None:
        self._url = url
        self._pool_for = pool_for
        self._owner = owner
        self._deadlines = deadlines
        self._parser = sse.Parser(max_bytes)
        self._posts: Pool | None = None
        self._waiting: list[tuple[bytes, int, bytes]] = []
        self._waiting_bytes = 0
        self._max_waiting_bytes = max_waiting_bytes
        self._status = 0
        self._over = False
        self._ticket: Ticket = pool.send(b"GET", GET, b"", self, timeouts=deadlines.stream)

    @property
    def over(self) -> bool:
        """True once the stream has ended, by whoever's doing: nothing is posted any more."""
        return self._over

    def write(self, line: bytes, call: int = 0, head: bytes = b"") -> bool:
        """Post one message, at once or as soon as the address is known."""
        if self._over:
            return False
        if self._posts is None:
            size = len(line) + len(head)
            if len(self._waiting) >= MAX_WAITING or self._waiting_bytes + size > self._max_waiting_bytes:
                return False
            self._waiting.append((line, call, head))
            self._waiting_bytes += size
        else:
            self._posts.send(b"POST", POST + head, line, PostSink(self, call), timeouts=self._deadlines.short)
        return True

    def pause(self) -> None:
        """Stop reading the stream."""
        self._ticket.pause()

    def resume(self) -> None:
        """Read on."""
        self._ticket.resume()

    def end(self) -> None:
        """Close the stream, which ends the session; the owner hears nothing more."""
        self._over = True
        self._ticket.abort()

    def refused(self, call: int, reason: str, *, ran: bool) -> None:
        """A POST did not get through."""
        if self._over:
            return
        if call:
            self._owner.channel_refused(call, reason, "unknown" if ran else "no")
        else:
            self._owner.channel_violation("notification-refused")

    # ---- the stream (broker.backends.http1_types.Sink) ---------------------------------------------------------------

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """200 with an event stream, or nothing will come."""
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        self._status = status if status != 200 or kind == "text/event-stream" else 415

    def body(self, data: bytes) -> None:
        """Events: the address first, then messages."""
        if self._status != 200 or self._over:
            return
        try:
            events = self._parser.feed(data)
        except sse.TooLarge as error:
            events = error.events
            self._owner.channel_violation("event-too-large")
        for event in events:
            if self._over:
                return
            if event.name == ENDPOINT and self._posts is None:
                self._found(event.data.decode("utf-8", "replace").strip())
            elif event.name == "message" and event.data:
                self._owner.channel_line(event.data)

    def done(self) -> None:
        """The stream has ended."""
        self._lost("backend-closed" if self._status == 200 else "backend-status")

    def failed(self, failure: BackendFailure) -> None:
        """The stream broke."""
        self._lost(REASONS.get(failure.reason, "backend-closed"))

    def _found(self, address: str) -> None:
        from urllib.parse import urljoin, urlsplit  # only the pair needs it

        try:
            target = urljoin(self._url, address)
            if urlsplit(target)[:2] != urlsplit(self._url)[:2]:
                self._owner.channel_violation("endpoint-elsewhere")
                self._lost("backend-garbage")
                return
            self._posts = self._pool_for(target)
        except ValueError:  # of `urljoin` too: it takes addresses apart that have brackets
            self._lost("backend-garbage")
            return
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        for line, call, extra in waiting:
            self.write(line, call, extra)

    def _lost(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        self._ticket.abort()
        self._owner.channel_ended(reason)

    def take_pool(self) -> Pool | None:
        """The connections for posts, to be closed by whoever ends the channel."""
        pool, self._posts = self._posts, None
        return pool


class PostSink:
    """One POST: its status is all it says."""

    __slots__ = ("_call", "_channel", "_status")

    def __init__(self, channel: SseChannel, call: int) -> None:
        self._channel = channel
        self._call = call
        self._status = 0

    def head(self, status: int, headers: Mapping[str, str]) -> None:  # noqa: ARG002
        """Remember the status."""
        self._status = status

    def body(self, data: bytes) -> None:
        """SDK servers say "Accepted"."""

    def done(self) -> None:
        """Taken, or refused."""
        if self._status >= 400:
            reason = "backend-unauthorized" if self._status in (401, 403) else "backend-status"
            self._channel.refused(self._call, reason, ran=self._status not in NOT_RUN)

    def failed(self, failure: BackendFailure) -> None:
        """The connection failed."""
        self._channel.refused(self._call, REASONS.get(failure.reason, "backend-closed"), ran=failure.executed != "no")


class EndpointProbe:
    """Whether a GET is answered by the pair's first event; `found` is told, None where no server answered."""

    def __init__(self, found: Callable[[bool | None], None]) -> None:
        self._found = found
        self._parser = sse.Parser(4_096)
        self._usable = False

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Only a stream can begin with that event."""
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        self._usable = status == 200 and kind == "text/event-stream"
        if not self._usable:
            self._found(None if speaks_for_no_server(status) else False)

    def body(self, data: bytes) -> None:
        """The first event tells."""
        try:
            events = self._parser.feed(data)
        except sse.TooLarge:
            self._found(False)
            return
        for event in events:
            if event.data or event.name == ENDPOINT:
                self._found(event.name == ENDPOINT)
                return

    def done(self) -> None:
        """There was none."""
        self._found(False)

    def failed(self, failure: BackendFailure) -> None:
        """A stream that stands and is silent is not the pair's; anything else is no answer."""
        silent = self._usable and failure.reason in ("idle-timeout", "total-timeout")
        self._found(False if silent else None)
