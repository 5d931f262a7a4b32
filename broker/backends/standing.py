"""The backend's standing GET stream: opened again when it ends, with growing delays, resumed where it has event ids.

Follows basic/transports of 2025-03-26 to 2025-11-25 (listening for messages from the server). A backend that answers
405 has no such stream, and is not asked again in this session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import UNSET

from broker import sse
from broker.backends.http1_types import BackendFailure, Ticket
from broker.backends.legs import DEFAULT_RETRY_S, RETRY_S

if TYPE_CHECKING:
    from broker.backends.streamable_http import BackendSession


class StandingLeg:
    """The backend's GET stream: opened again when it ends, with growing delays, resumed where it has event ids."""

    __slots__ = (
        "_delay_s",
        "_failures",
        "_parser",
        "_session",
        "_status",
        "_stood",
        "_stopped",
        "_ticket",
        "_timer",
        "_told",
    )

    FIRST_DELAY_S = 0.5
    MAX_DELAY_S = 30.0

    def __init__(self, session: BackendSession) -> None:
        self._session = session
        self._parser = sse.Parser(session.limits.backend_body)
        self._ticket: Ticket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._delay_s = DEFAULT_RETRY_S
        self._failures = 0
        self._status = 0
        self._stopped = False
        self._told = False
        self._stood = False

    @property
    def refused(self) -> bool:
        """True once the backend has said that it has no such stream."""
        return self._stopped or self._status not in (0, 200)

    def start(self) -> None:
        """Open it, or open it again."""
        self._timer = None
        self._status = 0
        if not self._stopped:
            last = self._parser.last_event_id
            self._parser = sse.Parser(self._session.limits.backend_body)
            self._parser.last_event_id = last
            self._ticket = self._session.get(self, last)

    def stop(self) -> None:
        """Close it for good."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._ticket is not None:
            self._ticket.abort()

    def pause(self) -> None:
        """Stop reading: the client does not keep up."""
        if self._ticket is not None:
            self._ticket.pause()

    def resume(self) -> None:
        """Read on."""
        if self._ticket is not None:
            self._ticket.resume()

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """200 with an event stream is a stream; 405 says there is none."""
        self._status = status
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        usable = status == 200 and kind == "text/event-stream"
        if usable and self._stood and not self._parser.last_event_id:
            self._session.owner.backend_gap()
        if status == 200 and not usable:
            self._status = 415
        if usable:
            self._stood = True
            self._failures = 0
        self._tell(usable)

    def body(self, data: bytes) -> None:
        """Messages that belong to no call."""
        if self._status != 200 or self._stopped:
            return
        try:
            events = self._parser.feed(data)
        except sse.TooLarge as error:
            events = error.events
            self._session.owner.backend_violation("event-too-large")
            if self._ticket is not None:
                self._ticket.abort()
        for event in events:
            if event.retry_ms is not None:
                self._delay_s = min(max(event.retry_ms / 1000, RETRY_S[0]), RETRY_S[1])
            if not event.data or event.name != "message":
                continue
            for frame in self._session.frames(event.data):
                if frame.method is UNSET:
                    self._session.owner.backend_violation("answer-on-standing-stream")
                else:
                    self._session.notified(0, frame)
                if self._stopped:
                    return

    def done(self) -> None:
        """The stream ended: open it again unless the backend has none or has lost the session."""
        if self._stopped:
            return
        if self._status in (400, 404) and self._stood and self._session.session_id is not None:
            # Only a stream that once stood tells of a lost session: some servers answer 404 where 405 is meant.
            self._stopped = True
            self._session.owner.backend_lost(0, b"", self._session.session_id)
        elif self._status == 200:
            self._again(self._delay_s)
        elif self._status >= 500 or self._status == 409:
            self._backoff()
        else:
            self._stopped = True

    def failed(self, failure: BackendFailure) -> None:  # noqa: ARG002
        """The connection broke."""
        if not self._stopped:
            self._tell(False)
            self._backoff()

    def _backoff(self) -> None:
        self._failures += 1
        self._again(min(self.FIRST_DELAY_S * 2 ** min(self._failures, 10), self.MAX_DELAY_S))

    def _again(self, delay_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay_s, self.start)

    def _tell(self, usable: bool) -> None:
        if not self._told:
            self._told = True
            self._session.owner.backend_stream(usable)
