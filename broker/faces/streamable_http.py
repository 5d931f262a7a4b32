"""The Streamable HTTP face of one virtual server: POST, GET, DELETE on one endpoint.

Follows basic/transports of 2025-03-26, 2025-06-18 and 2025-11-25; 2024-11-05 is tolerated on the same endpoint (no
batch, no priming, no version header required). Invariants: a JSON-RPC error that answers a request of a live session
travels in HTTP 200, because SDK clients give up the whole connection on any other status; a client that vanishes has
not cancelled anything; a session of somebody else looks like one that does not exist.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from msgspec import UNSET

from broker import edge
from broker.faces.classify import MODERN
from broker.faces.context import FaceContext
from broker.faces.legacy_sse import LegacySse
from broker.faces.opening import greeted, open_relay
from broker.faces.short_call import SessionHead, ShortCall
from broker.faces.standing import stand
from broker.faces.stateless import StatelessFace
from broker.faces.stateless_short import BareCall
from broker.faces.whole import answer
from broker.faces.writer import write_stream
from broker.identity import Principal
from broker.negotiate import client_revision
from broker.outbox import Exchange
from broker.serve_connection import Connection
from broker.sessions import Session, TooManySessions
from protocol_versions import by_id, jsonrpc
from protocol_versions.jsonrpc import Frame
from translators import tree

SESSION = "Mcp-Session-Id"
VERSION = "MCP-Protocol-Version"


class StreamableHttp:
    """Handlers of one endpoint; everything it shares with other endpoints is in `context`."""

    def __init__(self, context: FaceContext) -> None:
        self.context = context
        context.post = self.post
        self.modern = StatelessFace(context)
        self.pair: LegacySse

    async def post(self, request: web.Request) -> web.StreamResponse:
        """A message, or on a 2025-03-26 session a batch."""
        context = self.context
        connection = request.protocol
        if type(connection) is Connection and connection.handed is not None:
            return await self._handed(request, connection)
        principal = context.admit(request) or await context.admitted(request)
        if type(principal) is not Principal:  # isinstance would ask an abstract base class
            return principal  # type: ignore[return-value]
        accept = request.headers.get("Accept")
        if accept not in context.good_accepts and not context.accepts_both(accept):
            return context.deny(request, 406, "Not Acceptable: accept application/json and text/event-stream", "accept")
        content = request.content
        # Nearly every body has come with its head; two coroutines less than asking for it.
        body = content.read_nowait(-1) if content.is_eof() else await context.read(request)
        if type(body) is not bytes:
            return body  # type: ignore[return-value]
        session = self._find(request, principal)
        try:
            decoded = jsonrpc.decode_strict(body, context.wire)
        except jsonrpc.Refused as refusal:
            return self._unreadable(request, session, refusal)
        if context.admission.per_method and (lacking := context.lacking(request, principal, decoded)) is not None:
            return lacking
        # The body decides its era; within a session, one that cannot hold a modern envelope is not looked at twice.
        if session is None or b"protocolVersion" in body or request.headers.get(VERSION) in MODERN:
            found = await self.modern.sort(request, principal, decoded, body)
            if found is not None:
                return found
        if type(decoded) is Frame:
            if decoded.method == "initialize" and decoded.id is not UNSET:
                self._prove(request, body)
                return await self._initialize(request, principal, decoded)
            if session is None:
                return self._no_session(request)
            if context.foreign_version(request, session):
                return context.deny(request, 400, "Bad Request: unsupported MCP-Protocol-Version", "version-header")
            self._prove(request, body, session)
            return await self._message(request, session, [decoded], batch=False)
        if session is None:
            return self._no_session(request)
        return await self._batch(request, session, decoded)  # type: ignore[arg-type]

    async def expect(self, request: web.Request) -> web.StreamResponse | None:
        """`Expect: 100-continue`: the door and the credential come before the body is asked for."""
        if request.headers.get("Expect", "").lower() != "100-continue":
            return self.context.deny(request, 417, "Expectation Failed", "expect")
        principal = await self.context.admitted(request)
        if isinstance(principal, web.Response):
            return principal
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # The status line was not the answer's own: the counters start anew (as aiohttp's default handler does).
        request.writer.output_size = 0
        return None

    async def get(self, request: web.Request) -> web.StreamResponse:
        """The standing stream, or the rest of a stream that broke off."""
        context = self.context
        principal = await context.admitted(request)
        if isinstance(principal, web.Response):
            return principal
        if self.modern.owns(request):
            return self.modern.post_only(request)
        if self.pair.owns(request):
            return await self.pair.get(request)
        if "text/event-stream" not in request.headers.get("Accept", "") and not _wild(request):
            return context.deny(request, 406, "Not Acceptable: accept text/event-stream", "accept")
        session = self._find(request, principal)
        if session is None:
            return self._no_session(request)
        if context.foreign_version(request, session):
            return context.deny(request, 400, "Bad Request: unsupported MCP-Protocol-Version", "version-header")
        return await stand(request, session, context, self._headers(session))

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """The client ends its session."""
        context = self.context
        principal = await context.admitted(request)
        if isinstance(principal, web.Response):
            return principal
        if self.modern.owns(request):
            return self.modern.post_only(request)
        session = self._find(request, principal)
        if session is None:
            return self._no_session(request)
        context.sessions.end(session, "deleted")
        return web.Response(status=200)

    async def options(self, request: web.Request) -> web.StreamResponse:
        """CORS preflight: answered before any credential, only for listed pages."""
        refusal = edge.check_request(request, self.context.door)
        if refusal is not None:
            return self.context.deny(request, refusal.status, refusal.message, refusal.reason)
        return edge.preflight(request, self.context.door)

    # ---- messages -------------------------------------------------------------------------------------------------

    async def _initialize(self, request: web.Request, principal: Principal, frame: Frame) -> web.StreamResponse:
        try:
            with self.context.sessions.place(principal.id):
                return await self._open(request, principal, frame)
        except TooManySessions:
            return self.context.deny(request, 429, "Too Many Requests: session limit reached", "sessions", frame.id)

    async def _open(self, request: web.Request, principal: Principal, frame: Frame) -> web.StreamResponse:
        context, peer = self.context, self.context.address(request)
        params: dict[str, Any] = frame.params if frame.params is not UNSET else {}
        revision = client_revision(tree.deep(params.get("protocolVersion")), context.served)
        stateless = await context.stateless()
        relay, exchange = await greeted(open_relay(context, principal, revision, stateless=stateless, peer=peer), frame)
        if await context.has_left_sessions(relay, stateless=stateless):
            stateless = True
            frame.params = dict(relay.talk.peers.asked)
            relay, exchange = await greeted(open_relay(context, principal, revision, stateless=True, peer=peer), frame)
        if relay.talk.phase != "open":
            relay.close()
            return self._answer(exchange, {})
        context.greeted(stateless=stateless)
        session = Session(principal.id, revision, relay, context.wheel.clock())
        context.sessions.add(session)
        return self._answer(exchange, self._headers(session))

    async def _message(
        self, request: web.Request, session: Session, frames: list[Frame], *, batch: bool
    ) -> web.StreamResponse:
        context = self.context
        outbox = session.outbox
        expects = 0
        for frame in frames:
            if frame.method is not UNSET and frame.id is not UNSET:
                expects += 1
        exchange = outbox.open(expects, batch=batch)
        for frame in frames:
            session.relay.client_frame(exchange.id, frame)
        if exchange.body is None and exchange.stream is None:
            context.patience.watch(exchange, outbox)
            try:
                await exchange.pending()
            except asyncio.CancelledError:
                exchange.abandon()
                raise
            finally:
                context.patience.forget(exchange)
        return await self._answered(request, session, exchange)

    async def _handed(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        """Answer a request whose call is under way since it was seen on the short way."""
        call, connection.handed = connection.handed, None
        if type(call) is BareCall:
            return await self.modern.handed(request, connection, call)
        assert type(call) is ShortCall
        connection.prove(request, request.content.read_nowait(-1))
        return await self._answered(request, call.session, call.exchange)

    def _prove(self, request: web.Request, body: bytes, session: Session | None = None) -> None:
        """Tell the connection what was read; the head of a session's message is known from then on."""
        context, connection = self.context, request.protocol
        if type(connection) is not Connection:
            return
        known = session is not None and context.knows_heads and request.headers.get(VERSION) not in MODERN
        head = SessionHead(context, session, request.headers) if session is not None and known else None
        connection.prove(request, body, head)

    async def _answered(self, request: web.Request, session: Session, exchange: Exchange) -> web.StreamResponse:
        context = self.context
        if exchange.stream is not None:
            return await write_stream(request, exchange.stream, context, self._headers(session))
        if exchange.body and exchange.status == 200 and not context.door.cross_origins:
            whole = answer(request, session.head, exchange.body)
            if whole is not None:
                return whole
        return self._answer(exchange, self._headers(session))

    async def _batch(
        self, request: web.Request, session: Session, elements: list[Frame | jsonrpc.Refused]
    ) -> web.StreamResponse:
        context = self.context
        if not by_id(session.revision).traits.batching:
            return context.deny(request, 400, "Invalid Request: batches are not part of this revision", "batch")
        frames = [element for element in elements if isinstance(element, Frame)]
        if any(frame.method == "initialize" for frame in frames):
            return context.deny(request, 400, "Invalid Request: initialize cannot be in a batch", "batch-initialize")
        asks = any(frame.method is not UNSET and frame.id is not UNSET for frame in frames)
        answers = any(frame.method is UNSET for frame in frames)
        if asks and answers:
            return context.deny(request, 400, "Invalid Request: requests and responses in one batch", "batch-mixed")
        broken = [element for element in elements if isinstance(element, jsonrpc.Refused)]
        if not broken:
            return await self._message(request, session, frames, batch=asks)
        exchange_frames = frames if asks else []
        outbox = session.outbox
        exchange = outbox.open(len(broken) + sum(frame.id is not UNSET for frame in exchange_frames), batch=True)
        for element in broken:
            context.audit(request, element.reason, 200)
            reply = jsonrpc.error_response(UNSET if element.id is None else element.id, element.code, element.message)
            outbox.send(exchange.id, jsonrpc.encode(reply), final=True, error=True)
        for frame in frames:
            session.relay.client_frame(exchange.id, frame)
        await exchange.decided()
        return await self._answered(request, session, exchange)

    # ---- answers --------------------------------------------------------------------------------------------------

    def _find(self, request: web.Request, principal: Principal) -> Session | None:
        session_id = request.headers.get(SESSION)
        found = self.context.sessions.find(session_id, principal.id) if session_id else None
        if found is not None:
            found.relay.speaker.who = principal
            if self.context.quotas.by_address:
                found.relay.speaker.address = self.context.address(request)
        return found

    def _no_session(self, request: web.Request) -> web.Response:
        if SESSION in request.headers:
            return self.context.deny(request, 404, "Not Found: unknown session", "session-unknown")
        return self.context.deny(request, 400, "Bad Request: Mcp-Session-Id is required", "session-missing")

    def _unreadable(self, request: web.Request, session: Session | None, refusal: jsonrpc.Refused) -> web.Response:
        context = self.context
        status = 413 if refusal.reason == "too-large" else 400
        if refusal.id is not None and session is not None and request.headers.get(VERSION) not in MODERN:
            # A single request whose id could be read: its error must not cost the client its connection.
            status = 200
        frame_id = UNSET if refusal.id is None else refusal.id
        return context.deny(request, status, refusal.message, refusal.reason, frame_id, code=refusal.code)

    @staticmethod
    def _headers(session: Session) -> dict[str, str]:
        return {SESSION: session.id}

    @staticmethod
    def _answer(exchange: Exchange, headers: dict[str, str]) -> web.Response:
        if exchange.status == 202 or not exchange.body:
            return web.Response(status=exchange.status, headers=headers)
        headers["Content-Type"] = "application/json"
        return web.Response(body=exchange.body, status=exchange.status, headers=headers)


def _wild(request: web.Request) -> bool:
    """`*/*` accepts everything; a missing Accept header does too (RFC 9110 12.5.1)."""
    accept = request.headers.get("Accept")
    return accept is None or "*/*" in accept
