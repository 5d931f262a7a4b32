"""The HTTP+SSE pair of 2024-11-05 towards clients: a GET stream that is the session, and POSTs to the address it names.

Follows basic/transports (HTTP with SSE) of 2024-11-05 and (backwards compatibility) of its successors. Invariants: the
first event names the address, relative, because clients insist on the origin they know; a POST is answered 202 and its
answer comes on the stream, and 400 if it is none that could be answered there; the end of the stream is the end of the
session; a session of somebody else looks like one that does not exist.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from aiohttp import web

from broker import sse
from broker.faces.context import FaceContext, refuse
from broker.faces.one_client import OneClient
from broker.faces.writer import write_stream
from broker.identity import Principal
from broker.quotas.quotas import Over
from broker.relay import Relay
from broker.sessions import TooManySessions
from broker.streams import Stream

SESSION: Final = "session_id"
"""The member of the address's query; SDK servers use this name or `sessionId`."""

_STREAMABLE: Final = ("Mcp-Session-Id", "MCP-Protocol-Version", "Last-Event-ID")
"""Headers that no client of the pair sends: on a shared address they tell the two transports apart."""


class Pair:
    """One client's stream, and who serves it."""

    __slots__ = ("client", "principal", "stream")

    def __init__(self, principal: Principal, stream: Stream) -> None:
        self.principal = principal
        self.stream = stream
        self.client: OneClient | None = None


class LegacySse:
    """The pair of one virtual server. `messages` is the path that messages are posted to."""

    def __init__(self, context: FaceContext, messages: str) -> None:
        self.context = context
        self._messages = messages
        self._pairs: dict[str, Pair] = {}

    def __len__(self) -> int:
        """How many sessions there are."""
        return len(self._pairs)

    def busy(self) -> int:
        """How many calls are open, over all sessions."""
        return sum(len(relay.outbox.exchanges) for relay in self.relays())

    @staticmethod
    def owns(request: web.Request) -> bool:
        """True if a GET on a shared address is that of a client of the pair."""
        wants = "text/event-stream" in request.headers.get("Accept", "")
        return wants and not any(name in request.headers for name in _STREAMABLE)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """A session: its stream is open until one side closes it."""
        context = self.context
        principal = await context.admitted(request)
        if not isinstance(principal, Principal):
            return principal
        if not context.served:
            return context.deny(request, 404, "Not Found: no revision with this transport is served", "transport")
        ticket = context.quotas.stream(principal.id)
        if isinstance(ticket, Over):
            return context.too_many(request, ticket)
        try:
            with context.sessions.place(principal.id):
                return await self._serve(request, principal)
        except TooManySessions:
            return context.deny(request, 429, "Too Many Requests: session limit reached", "sessions")
        finally:
            ticket.leave()

    async def _serve(self, request: web.Request, principal: Principal) -> web.StreamResponse:
        context = self.context
        key = secrets.token_urlsafe(24)
        stream = Stream(f"s{next(context.numbers):x}", resumable=False, priming=False, max_events=0, max_bytes=0)
        pair = Pair(principal, stream)
        limit = context.settings.limits.result_bytes

        def write(message: bytes) -> None:
            if stream.ended:
                return
            stream.send(message)
            if stream.queued > limit:  # nothing can be replayed here: a reader that is so far behind has to begin anew
                stream.end()

        pair.client = OneClient(context, principal, write, stateless=False, peer=context.address(request))
        self._pairs[key] = pair
        stream.push(sse.encode(f"{self._messages}?{SESSION}={key}".encode(), name="endpoint"))
        try:
            return await write_stream(request, stream, context, {})
        finally:
            del self._pairs[key]
            pair.client.close()

    async def post(self, request: web.Request) -> web.StreamResponse:
        """One message of a session."""
        context = self.context
        principal = await context.admitted(request)
        if not isinstance(principal, Principal):
            return principal
        body = await context.read(request)
        if not isinstance(body, bytes):
            return body
        pair = self._pairs.get(request.query.get(SESSION, ""))
        if pair is None or pair.principal.id != principal.id or pair.client is None:
            return context.deny(request, 404, "Not Found: unknown session", "session-unknown")
        if context.admission.per_method:
            lacking = context.lacking_for_body(request, principal, body)
            if lacking is not None:
                return lacking
        pair.principal = principal
        pair.client.speaks(principal, context.address(request))
        error = pair.client.line(body)
        # SDK servers answer 400 as well; an error with an id is on the stream, where its request is waited for.
        return refuse(400, error) if error else web.Response(status=202, text="Accepted")

    async def no_post(self, request: web.Request) -> web.StreamResponse:
        """A POST on the stream's address: 405 is what makes newer clients fall back to the pair."""
        principal = await self.context.admitted(request)
        if not isinstance(principal, Principal):
            return principal
        response = self.context.deny(request, 405, "Method Not Allowed: this is an event stream", "method")
        response.headers["Allow"] = "GET, OPTIONS"
        return response

    def end_lapsed(self, lapsed: Callable[[Principal], str]) -> None:
        """End the sessions of credentials that are good no more; `lapsed` says why one is not, or nothing."""
        for pair in list(self._pairs.values()):
            why = lapsed(pair.principal)
            if why:
                if pair.client is not None:
                    pair.client.close(why)  # while its stream can still tell what became of its calls
                pair.stream.end()

    def callers(self) -> list[Principal]:
        """Those of all sessions."""
        return [pair.principal for pair in self._pairs.values()]

    def relays(self) -> list[Relay]:
        """Those of all sessions."""
        relays = [pair.client.relay for pair in self._pairs.values() if pair.client is not None]
        return [relay for relay in relays if relay is not None]

    def close(self) -> None:
        """The broker stops: every stream ends."""
        for pair in list(self._pairs.values()):
            pair.stream.end()
