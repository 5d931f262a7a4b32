"""One client connection: with the deadlines and the cap that aiohttp's does not have.

Invariant: a connection is idle for a bounded time, sending a request's head for a bounded time, or being answered;
and what cannot be parsed, or what broke here, is answered without quoting anybody.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import web
from aiohttp.web_server import Server

from broker import telemetry
from broker.addresses import counted_as
from broker.edge import Refusal
from broker.serve_short import ShortConnection, peer_of
from broker.short_way import Heads
from broker.writes import Writes

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest

    from broker.audit.log import AuditLog
    from broker.settings import Limits

_BROKEN_REQUEST: Final = Refusal(400, "framing", "Bad Request: this is not an HTTP/1.1 request", -32700)
_OUR_FAULT: Final = Refusal(500, "internal", "Internal error", -32603)


class Door:
    """What all connections of one listener share: limits and count, the heads they know, their writes."""

    __slots__ = ("addresses", "audit", "heads", "limits", "loop", "open", "writes")

    def __init__(self, limits: Limits, loop: asyncio.AbstractEventLoop, audit: AuditLog | None = None) -> None:
        self.audit = audit
        self.limits = limits
        self.loop = loop
        self.open = 0
        self.addresses: Counter[str] = Counter()
        self.heads = Heads()
        self.writes = Writes()

    def has_room(self, peer: str) -> bool:
        """Whether one connection more may come; of one that may not, the operator is told."""
        if self.open >= self.limits.connections:
            reason = "connections"
            telemetry.note("refused", reason="connections")
        elif self.addresses[counted_as(peer)] >= self.limits.connections_per_address:
            reason = "connections-of-address"
            telemetry.note("refused", reason="connections-of-address")
        else:
            return True
        if self.audit is not None:
            self.audit.refused(reason, peer=peer)
        return False

    def refused(self, reason: str, connection: ShortConnection, *, status: int = 0) -> None:
        """Write into the audit log that something came to nothing before there was a request."""
        if self.audit is not None:
            self.audit.refused(reason, peer=connection.peer, status=status)


class Connection(ShortConnection):
    """A connection with a deadline for each request's head and a cap on how many there are."""

    __slots__ = ("_address", "_counted", "_door", "_head_timer")

    def __init__(self, manager: Server, door: Door, **kwargs: Any) -> None:
        super().__init__(manager, door.heads, door.writes, **kwargs)
        self._door = door
        self._counted = False
        self._head_timer: asyncio.TimerHandle | None = None

    def count(self, peer: str) -> None:
        """It is one of those that are open, from this address."""
        self._counted, self._address = True, counted_as(peer)
        self._door.open += 1
        self._door.addresses[self._address] += 1

    def uncount(self) -> None:
        """It is not, or no more."""
        if self._counted:
            self._counted, door = False, self._door
            door.open -= 1
            door.addresses[self._address] -= 1
            if not door.addresses[self._address]:
                del door.addresses[self._address]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        door = self._door
        if not self._counted:
            peer = peer_of(transport)
            if not door.has_room(peer):
                cast("asyncio.Transport", transport).abort()
                self._manager = None  # connection_lost has nothing to undo
                return
            self.count(peer)
        super().connection_made(transport)
        self._head_timer = door.loop.call_later(door.limits.head_receipt_s, self._too_slow)

    def feed(self, data: bytes) -> None:
        """Give bytes to aiohttp; a head that begins has to end in time."""
        before = self._request_count
        super().feed(data)
        if self._request_count != before:
            self.taken()
        elif self._head_timer is None and self._waiter is not None and not self._waiter.done():
            # Bytes came and no request is being answered: a head has begun.
            self._head_timer = self._door.loop.call_later(self._door.limits.head_receipt_s, self._too_slow)

    def taken(self) -> None:
        """A head is complete."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def connection_lost(self, exc: BaseException | None) -> None:
        self.taken()
        self.uncount()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 (aiohttp's text, which may quote the request)
    ) -> web.StreamResponse:
        """A frozen answer: what could not be parsed, or what broke here, is not shown to the peer."""
        if status == 500:
            telemetry.log("error", "internal error", kind=type(exc).__name__, where=_where(exc))
        else:
            telemetry.audit("refused", reason="framing")
            self._door.refused("framing", self, status=status)
        refusal = _OUR_FAULT if status == 500 else _BROKEN_REQUEST
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun: it can only be cut off")
        response = refusal.response()
        response.force_close()
        return response

    def _too_slow(self) -> None:
        self._head_timer = None
        telemetry.note("refused", reason="head-receipt")
        self._door.refused("head-receipt", self)
        if self.transport is not None:
            self.transport.abort()


class Unsigned(web.Request):
    """A request whose answer does not name the software behind it, whatever kind of answer it is.

    "An origin server SHOULD NOT generate a Server header field containing needlessly fine-grained detail" (RFC 9110
    10.2.4). aiohttp writes its own name and versions into every head; this hook is called with every head, just before
    it is sent, also for what could not be parsed.
    """

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        await super()._prepare_hook(response)
        response.headers.pop("Server", None)


def _where(exc: BaseException | None) -> str:
    """File and line where an exception was raised, without its text, which may quote a peer."""
    trace = None if exc is None else exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
