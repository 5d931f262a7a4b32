"""A client connection on which requests with a known head go the short way; see `broker.short_way`.

    state      bytes that come                                             what is kept
    idle       a whole request with a known head: asked                    -
    idle       a known head alone: the rest is waited for, for a moment    _begun
    idle       anything else: aiohttp's, until a handler proves what it was  _trial
    calling    wait behind the call                                        _held

Invariants: the short way is taken only while aiohttp's parser stands between two requests, which only a handler's proof
restores; nothing overtakes the answer of a call; what waits is bounded, in bytes and in time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

from broker.short_way import Call, Heads, Taker, proved
from broker.writes import Writes

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest

HELD_BYTES: Final = 64 * 1024
"""What waits for a call's end, or a head for its body, at most: asyncio's and aiohttp's high-water mark."""

TRIAL_BYTES: Final = 16 * 1024
"""Longest request kept until its handler says what it was; the first ones of a session have a few hundred bytes."""

JOIN_BYTES: Final = 32 * 1024
"""Up to here one copy of head and body into one buffer is cheaper than two entries in the transport's queue."""

BODY_S: Final = 0.05
"""How long a body is waited for that did not come with its head, before the usual way gets both and sets its deadline.
Python's HTTP clients send the two one right after the other."""


def peer_of(transport: asyncio.BaseTransport) -> str:
    """The address at the other end; empty where there is none."""
    name = transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) else ""


class ShortConnection(RequestHandler):
    """aiohttp's connection, with a short way past its parser, its request objects and its tasks.

    `handed` is a call that began on the short way and has to be answered by the handler of its request.
    """

    __slots__ = (
        "_begun", "_begun_timer", "_call", "_heads", "_held", "_leaving", "_peer", "_request", "_sound", "_trial",
        "_writes", "handed",
    )  # fmt: skip

    def __init__(self, manager: Server, heads: Heads, writes: Writes, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self.handed: Call | None = None
        self._heads = heads
        self._writes = writes
        self._call: Call | None = None
        self._request = b""  # that call's bytes
        self._held = b""
        self._leaving = False  # closes when the call is answered
        self._begun = b""
        self._begun_timer: asyncio.TimerHandle | None = None
        self._peer = ""
        self._sound = True  # the parser was given whole requests and not a byte more
        self._trial = b""  # what it was given since that was last known

    @property
    def answering(self) -> bool:
        """True while a POST is answered; standing GET streams have no end to wait for."""
        request = self._current_request
        return self._call is not None or (request is not None and request.method == "POST")

    @property
    def peer(self) -> str:
        """The client's address; empty where there is none."""
        if not self._peer and self.transport is not None:
            self._peer = peer_of(self.transport)
        return self._peer

    # ---- what comes -----------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._call is not None:
            self._hold(data)
            return
        if self._begun:
            data, self._begun = self._begun + data, b""
        if self._sound:
            if not self._short(data):
                self._usual(data)
            return
        if self._trial:  # a head that came alone, and its body
            self._trial = self._trial + data if len(self._trial) <= TRIAL_BYTES else b""
        self.feed(data)

    def feed(self, data: bytes) -> None:
        """Give bytes to aiohttp."""
        super().data_received(data)

    def taken(self) -> None:
        """A request came whole and is on the short way."""

    def connection_lost(self, exc: BaseException | None) -> None:
        self._done_waiting()
        for call in (self._call, self.handed):
            if call is not None:
                call.gone()
        super().connection_lost(exc)

    def close(self) -> None:
        """Close when what is being answered is answered."""
        if self._call is None:
            super().close()
        else:
            self._leaving = True

    # ---- what a call and the handlers say ---------------------------------------------------------------------------

    def prove(self, request: BaseRequest, body: bytes, taker: Taker | None = None) -> None:
        """The handler of a request tells what was read; `taker` is what others of the same head stand for."""
        trial, self._trial = self._trial, b""
        if trial and proved(trial, request._message, body):
            self._sound = True
            if taker is not None:
                self._heads.remember(trial, taker)

    def answer(self, head: bytes, body: bytes) -> None:
        """Write the whole answer of the call; the connection is free again once its reader keeps up."""
        transport = self.transport
        if transport is not None and not transport.is_closing():
            if len(body) <= JOIN_BYTES:
                self._writes.add(transport, head + body)
            else:
                transport.writelines((head, body))
        if not self._paused:
            self._free()

    def resume_writing(self) -> None:
        """The reader keeps up: an answer that was too much for it is as good as sent."""
        super().resume_writing()
        if self._call is not None:
            self._free()

    def _free(self) -> None:
        self._request = b""
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._held or self._leaving:
            self._loop.call_soon(self._go_on)  # not at once: whoever answers is not done yet
        else:
            self._call = None

    def hand_over(self) -> None:
        """Let the call's request go the usual way after all; its handler finds the call in `handed`."""
        self.handed, self._call = self._call, None
        held, self._held = self._held, b""
        self._sound, self._trial = False, b"" if held else self._request
        self.feed(self._request + held)
        self._read_on()
        if self._leaving:
            super().close()

    # ---- within ---------------------------------------------------------------------------------------------------

    def _short(self, data: bytes) -> bool:
        """Take a request at once, if its head is known and nothing stands before it."""
        waiter, transport = self._waiter, self.transport
        if waiter is None or waiter.done() or transport is None:
            return False
        known = self._heads.find(data)
        # An answer that still waits for a slow reader is aiohttp's to watch.
        if known is None or transport.get_write_buffer_size():
            return False
        taker, body, missing = known
        if missing:
            return self._wait(data)
        try:
            call = taker.take(self, body)
        except Exception:
            return False  # nothing has happened yet: the usual way comes upon the same, and tells of it
        if call is None:
            return False
        self._done_waiting()
        self.taken()
        self._call, self._request = call, data
        call.begin()
        return True

    def _usual(self, data: bytes) -> None:
        self._done_waiting()
        # Only a message can prove anything; a standing GET would keep its bytes as long as it stands.
        self._sound, self._trial = not data, data if data[:5] == b"POST " and len(data) <= TRIAL_BYTES else b""
        self.feed(data)

    def _wait(self, data: bytes) -> bool:
        if len(data) > HELD_BYTES:
            return False
        self._begun = data
        if self._begun_timer is None:
            self._begun_timer = self._loop.call_later(BODY_S, self._too_late)
        return True

    def _too_late(self) -> None:
        data, self._begun = self._begun, b""
        self._usual(data)

    def _done_waiting(self) -> None:
        if self._begun_timer is not None:
            self._begun_timer.cancel()
            self._begun_timer = None

    def _hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) > HELD_BYTES and self.transport is not None:
            self.transport.pause_reading()

    def _read_on(self) -> None:
        if self.transport is not None and not (self._buffer_paused or self._reading_paused):
            self.transport.resume_reading()

    def _go_on(self) -> None:
        self._call = None
        held, self._held = self._held, b""
        transport = self.transport
        if transport is None:
            return
        if self._leaving:
            super().close()
            transport.close()
            return
        self._read_on()
        self.data_received(held)

    def _process_keepalive(self) -> None:
        if self._call is not None:  # which is not idle, whatever aiohttp sees
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()
