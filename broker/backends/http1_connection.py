"""One keep-alive connection: writes one request at a time and reads its answer with llhttp.

RFC 9112 (framing) and RFC 9110 section 15.2 (interim answers). llhttp runs strict: bare line feeds, folded or
conflicting fields and control characters are refused by it; what it leaves open is refused here. Invariants:
a connection goes back to the pool only after an answer whose end was certain and after which nothing
followed; no exception leaves a protocol callback; bytes that are not body are bounded.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

import httptools

from broker.backends.http1_call import OVER, Call, blame
from broker.backends.http1_rules import Refused, body_rules, is_interim, read_fields
from broker.wheel import Handle

if TYPE_CHECKING:
    from broker.backends.http1_pool import DirectPool, Lane

# A body above this is written in such pieces, as the transport drains; asyncio's own high-water mark is 64
# KiB.
WRITE_PIECE_BYTES: Final = 256 * 1024
# Up to here one copy of head and body into one buffer is cheaper than two entries in the transport's queue.
JOIN_BYTES: Final = 64 * 1024


class Connection(asyncio.Protocol):
    """A connection of one pool; `call` is the exchange under way, None while idle."""

    __slots__ = (
        "_alarm", "_body_bytes", "_cap", "_closing", "_complete", "_fields", "_first", "_framed", "_headers",
        "_interim", "_keep", "_parser", "_plain", "_quiet", "_refusal", "_rest", "_status", "_transport", "_writable",
        "call", "expires_at", "lane", "opened", "pool", "retired", "reused",
    )  # fmt: skip

    def __init__(self, pool: DirectPool, lane: Lane) -> None:
        self.pool = pool
        self.lane = lane
        self.call: Call | None = None
        self.reused = False
        self.opened = False
        self.retired = False
        self.expires_at = 0.0
        self._alarm: Handle | None = None
        self._closing = False
        self._writable = True
        self._rest: memoryview | None = None
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        # About the answer under way; `_expect` clears all of it.
        self._fields: list[tuple[bytes, bytes]] = []
        self._headers: dict[str, str] = {}
        self._body_bytes = self._interim = self._status = 0
        self._quiet = 0  # bytes since the last body byte: heads, chunk sizes and extensions, trailers
        self._first = self._plain = self._complete = self._keep = self._framed = False
        self._cap: int | None = None
        self._refusal: Refused | None = None

    @property
    def usable(self) -> bool:
        """Whether a request may be written now."""
        return not self._closing and self._transport is not None and not self._transport.is_closing()

    def start(self, call: Call, head: bytes, now: float) -> None:
        """Write the request of `call`; `head` is the constant part of its head, `now` the wheel's time."""
        transport = self._transport
        assert transport is not None
        self.call = call
        body = call.body
        if call.method == b"POST":
            head = b"%b%bcontent-length: %d\r\n\r\n" % (head, call.headers, len(body))
        else:
            head = b"%b%b\r\n" % (head, call.headers)
            body = b""
        call.sent(self, now)
        if call.paused:
            # Not at once: uvloop starts to read after `connection_made`, from where this may be called.
            asyncio.get_running_loop().call_soon(self._pause_if_wanted)
        if len(body) <= JOIN_BYTES:
            self.pool.writes.add(transport, head + body)
        else:
            transport.write(head)
            self._rest = memoryview(body)
            self._write_rest()

    def pause(self) -> None:
        """Stop reading."""
        if self._transport is not None and self.usable:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None and self.usable:
            self._transport.resume_reading()

    def wake_by(self, deadline: float) -> None:
        """See `Carrier`. An alarm set by an earlier call is kept: it wakes early and is set again."""
        alarm = self._alarm
        if alarm is None or alarm.deadline > deadline:
            self._silence()
            self._alarm = self.pool.wheel.add(deadline, self._ring)

    def drop(self) -> None:
        """Close at once, whatever is under way; the call, if any, has been told already."""
        self.call = None
        self._rest = None
        self._closing = True
        self._silence()
        if self._transport is not None:
            self._transport.abort()
        self.pool.retire(self)

    def close(self) -> None:
        """Close an idle connection in good order (TLS says goodbye)."""
        self._closing = True
        self._silence()
        if self._transport is not None:
            self._transport.close()
        self.pool.retire(self)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpResponseParser(self)
        self.pool.made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._parser = None
        self._ended(clean=exc is None)
        self.pool.lost(self)

    def eof_received(self) -> bool | None:
        self._ended(clean=True)
        return None  # the transport closes: a backend that half-closes is gone

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._write_rest()

    def data_received(self, data: bytes) -> None:
        call = self.call
        if call is None:
            # Nothing was asked: what this says must never be taken for the next call's answer.
            self.drop()
            return
        self._quiet += len(data)
        if not self._first:
            self._first = True
            self._plain = data.startswith(b"HTTP/1.1 ")
        try:
            self._parser.feed_data(data)  # type: ignore[union-attr]
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._complete:
                refused = self._refusal or Refused("protocol", f"not HTTP/1.1: {error}")
                call.fail(refused.reason, refused.detail)
                return
            self._keep = False  # trailing bytes: the answer stands, the connection does not
        if self.call is not call:
            return  # ended from within a callback
        if self._complete:
            self._finished(call)
        elif self._quiet > self.pool.limits.max_head_bytes:
            call.fail("protocol", "too many bytes outside the body")
        elif self._status:
            call.last_read = call.wheel.clock()
            call.watch()

    # llhttp's callbacks

    def on_message_begin(self) -> None:
        if self._complete:
            raise Refused("protocol", "bytes after the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))  # trailers land here too, and are never looked at

    def on_headers_complete(self) -> None:
        call, parser = self.call, self._parser
        if call is None or parser is None:
            raise Refused("aborted", "the call is over")
        status = parser.get_status_code()
        version = "1.1" if self._plain else parser.get_http_version()
        limits = self.pool.limits
        try:
            if version not in ("1.1", "1.0"):
                raise Refused("protocol", "not HTTP/1.1")
            headers = read_fields(self._fields, limits, self._quiet)
            if is_interim(status, self._interim, limits):
                self._interim += 1
                self._plain = False  # tells of the first line only
                self._fields.clear()
                return
            self._cap, self._framed = body_rules(status, version, headers, limits, call.max_body)
        except Refused as refused:
            raise self._refuse(refused) from None
        self._status = status
        self._headers = headers
        try:
            call.head(status, headers)
        except Exception as error:
            self._sink_raised(call, error)

    def on_body(self, data: bytes) -> None:
        call = self.call
        if call is None:
            return
        self._quiet = 0
        self._body_bytes += len(data)
        if self._cap is not None and self._body_bytes > self._cap:
            raise self._refuse(Refused("too-large", "the body exceeds the cap"))
        try:
            call.sink.body(data)
        except Exception as error:
            self._sink_raised(call, error)

    def on_message_complete(self) -> None:
        if self._status:
            self._complete = True
            self._keep = self._parser.should_keep_alive()  # type: ignore[union-attr]

    # Within

    def _ring(self) -> None:
        self._alarm = None
        if self.call is not None:
            self.call.woken()

    def _silence(self) -> None:
        if self._alarm is not None:
            self.pool.wheel.cancel(self._alarm)
            self._alarm = None

    def _expect(self) -> None:
        """Make ready for the next answer."""
        self._fields = []
        self._body_bytes = self._interim = self._status = 0
        self._quiet = 0
        self._first = self._plain = self._complete = self._keep = self._framed = False
        self._cap = None
        self._refusal = None

    def _refuse(self, refused: Refused) -> Refused:
        self._refusal = refused
        return refused

    def _sink_raised(self, call: Call, error: Exception) -> None:
        blame(call.sink, error)
        call.fail("aborted", "the receiver of the answer raised")

    def _pause_if_wanted(self) -> None:
        if self.call is not None and self.call.paused:
            self.pause()

    def _finished(self, call: Call) -> None:
        transport = self._transport
        assert transport is not None
        # A backend that answered before it had read the whole request may never read the rest.
        sent = self._rest is None and (len(call.body) <= JOIN_BYTES or not transport.get_write_buffer_size())
        self.call = None
        if self._keep and sent and not self._closing:
            if call.paused:
                transport.resume_reading()
            hint = self._headers.get("keep-alive")
            self._expect()
            self.pool.release(self, hint)
        else:
            self.drop()
        call.finish()

    def _ended(self, *, clean: bool) -> None:
        """The backend closed (or broke) the connection."""
        self._closing = True
        self._silence()
        self._rest = None
        call, self.call = self.call, None
        self.pool.retire(self)
        if call is None or call.phase == OVER:
            return
        if clean and self._status and not self._framed:
            call.finish()
        elif not self._first and self.reused and call.repeatable and not call.repeated:
            self.pool.repeat(call)
        else:
            call.fail("closed", "the backend closed the connection before the answer was complete")

    def _write_rest(self) -> None:
        while self._rest is not None and self._writable and self._transport is not None and self.usable:
            piece = self._rest[:WRITE_PIECE_BYTES]
            self._rest = self._rest[WRITE_PIECE_BYTES:] or None
            self._transport.write(piece)
