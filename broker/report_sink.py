"""Collects what a server answers to one request of a report: the head, and the one response it holds.

Invariant: a stream need not end for its response to be read; no text of the server is kept but that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from msgspec import UNSET

from broker import sse
from broker.backends.http1 import BackendFailure, Ticket
from broker.backends.legs import REASONS
from broker.era_signs import answer_in
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame

WHY: Final = {
    "backend-not-started": "the command cannot be started",
    "backend-closed": "the server ended before it answered",
    "backend-connect": "the server cannot be reached",
    "backend-unauthorized": "the server refused the credentials",
    "backend-credential": "the broker gets no credential for the server",
    "backend-sign-in": "the server wants a person to sign in: run `dragoman login` with its address",
}
"""Why a server could not be asked, by the reasons of the broker's errors."""


class CannotAsk(RuntimeError):  # noqa: N818 - an outcome, named as the caller reads it
    """The server could not be asked; the text is for the operator."""


class Sink:
    """One exchange. `headed` is set with its head or failure, `frame` with the response to `number`, None for none."""

    def __init__(self, number: int) -> None:
        self.frame: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()
        self.headed = asyncio.Event()
        self.ticket: Ticket | None = None
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self._number = number
        self._chunks: list[bytes] = []
        self._parser: sse.Parser | None = None

    @property
    def streams(self) -> bool:
        """True once the answer has begun as an event stream."""
        return self._parser is not None

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Remember it."""
        self.status, self.headers = status, headers
        self.headed.set()
        if headers.get("content-type", "").partition(";")[0].strip().lower() == "text/event-stream":
            self._parser = sse.Parser()

    def body(self, data: bytes) -> None:
        """A piece of the answer."""
        if self._parser is None:
            self._chunks.append(data)
            return
        try:
            events = self._parser.feed(data)
        except sse.TooLarge as error:
            events = error.events
            self._settle(None)
        for event in events:
            frame = answer_in(event)
            if frame is not None and (frame.id == self._number or frame.error is not UNSET):
                self._settle(frame)
                if self.ticket is not None:
                    self.ticket.abort()

    def done(self) -> None:
        """The whole answer is there."""
        if not self._chunks:
            self._settle(None)
            return
        try:
            frame = jsonrpc.decode_backend(b"".join(self._chunks))
        except jsonrpc.Refused:
            self._settle(None)
            return
        self._settle(frame if frame.method is UNSET else None)

    def failed(self, failure: BackendFailure) -> None:
        """There is no answer."""
        self.headed.set()
        if not self.frame.done():
            known = WHY.get(REASONS.get(failure.reason, "")) if failure.reason in ("sign-in", "credential") else None
            self.frame.set_exception(CannotAsk(known or f"the server cannot be reached ({failure.reason})"))
            self.frame.exception()  # a deletion's failure is nobody's

    def _settle(self, frame: Frame | None) -> None:
        if not self.frame.done():
            self.frame.set_result(frame)
