"""The stateless face of one virtual server: requests that stand alone (2026-07-28), each on its own POST.

Follows basic/transports/streamable-http and basic/patterns of 2026-07-28. Invariants: statuses exactly as the page
mandates; the answer is one JSON object, or a stream that always ends with the response; no event ids, no session ids;
the client's going is the cancellation.
"""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web
from msgspec import UNSET

from broker.faces.classify import MODERN, SESSION_ID, VERSION_HEADER, Modern, Refusal, classify
from broker.faces.context import FaceContext
from broker.faces.stateless_call import StatelessCall
from broker.faces.stateless_entry import away, session_key
from broker.faces.stateless_fit import params_of, unfit
from broker.faces.stateless_params import declared
from broker.faces.stateless_quota import Entry, entered
from broker.faces.stateless_short import DISCOVER, HEAD, BareCall, BareHead, knowable
from broker.faces.whole import answer
from broker.faces.writer import write_stream
from broker.identity import Principal
from broker.serve_connection import Connection
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame

ALLOW: Final = {"Allow": "POST, OPTIONS"}


class StatelessFace:
    """The modern half of one endpoint."""

    def __init__(self, context: FaceContext) -> None:
        self.context = context
        self.relay = context.stateless_relay()

    def owns(self, request: web.Request) -> bool:
        """True if a GET or DELETE cannot be a session client's."""
        modern = SESSION_ID not in request.headers and request.headers.get(VERSION_HEADER) in MODERN
        return modern or not self.context.served

    def post_only(self, request: web.Request) -> web.Response:
        """The answer to GET and DELETE, which this revision does not have."""
        response = self.context.deny(request, 405, "Method Not Allowed: this endpoint takes POST", "method")
        response.headers.update(ALLOW)
        return response

    async def sort(
        self, request: web.Request, principal: Principal, decoded: Frame | list[Frame | jsonrpc.Refused], body: bytes
    ) -> web.StreamResponse | None:
        """The answer to a message that is modern or refused as none; None for one of the session revisions."""
        context = self.context
        if isinstance(decoded, list):
            if not self.owns(request):
                return None
            return context.deny(request, 400, "Invalid Request: batches are not part of this revision", "batch")
        verdict = classify(decoded, request.headers, context.revisions)
        if isinstance(verdict, Modern):
            self._prove(request, principal, verdict, body)
            return await self._post(request, principal, verdict, decoded)
        if isinstance(verdict, Refusal):
            return self._refuse(request, verdict, decoded, principal)
        if verdict == "notification":  # this revision has none that a client POSTs, and no backend waits for one
            context.watch.note(context.name, "dropped", reason="client-notification")
            return web.Response(status=202)
        return None

    def _refuse(self, request: web.Request, refusal: Refusal, frame: Frame, principal: Principal) -> web.Response:
        self.context.audit(request, refusal.reason, refusal.status, principal)
        return refuse(refusal, frame.id if frame.method is not UNSET else UNSET)

    async def _post(
        self, request: web.Request, principal: Principal, modern: Modern, frame: Frame
    ) -> web.StreamResponse:
        """One request, whose envelope and standard headers are in order."""
        context, relay = self.context, self.relay
        if context.watch.tapping:
            context.watch.frame("client", "in", context.name, frame)
        key = relay.discovery_key(principal, declared(modern.meta, principal)[0]) if modern.method == DISCOVER else None
        kept = relay.discoveries.fresh(key, context.wheel.clock()) if key is not None else None
        if kept is not None:
            return self._whole(request, 200, jsonrpc.encode(jsonrpc.response(_id(frame), kept)))
        tool = modern.target if modern.method == "tools/call" else None
        bridged = not await context.stateless(client=True, tool=tool)
        given = params_of(request.headers)
        refusal = away(context) if bridged else None
        if refusal is not None and key is not None:
            kept = relay.discoveries.stale(key, context.wheel.clock())
            if kept is not None:
                return self._whole(request, 200, jsonrpc.encode(jsonrpc.response(_id(frame), kept)))
        if refusal is None:
            refusal = unfit(context, relay.listening, request.headers, principal, modern, given=given, bridged=bridged)
        peer = context.address(request)
        entry = refusal or entered(context, principal, peer, modern, bridged=bridged)
        if type(entry) is not Entry:
            return self._refuse(request, entry, frame, principal)  # type: ignore[arg-type]
        call = relay.begin(
            peer=peer,
            modern=modern,
            client_id=_id(frame),
            caller=principal,
            round=entry.round,
            param_headers=given,
            bridged=entry.bridged,
            session_key=session_key(context, request.headers, modern) if entry.bridged else "",
            ticket=entry.ticket,
        )
        try:
            call.start(entry.inner)
        except Exception as error:
            relay.bug(call, error)
        return await self._answered(request, call)

    async def handed(self, request: web.Request, connection: Connection, short: BareCall) -> web.StreamResponse:
        """Answer a request whose call is under way since it was seen on the short way."""
        connection.prove(request, request.content.read_nowait(-1))
        return await self._answered(request, short.call)

    def _prove(self, request: web.Request, principal: Principal, modern: Modern, body: bytes) -> None:
        """Tell the connection what was read; the head of an ordinary request is known from then on."""
        connection = request.protocol
        if type(connection) is Connection:
            known = self.context.knows_heads and knowable(modern, request.headers)
            connection.prove(
                request, body, BareHead(self.context, self.relay, principal, request.headers) if known else None
            )

    async def _answered(self, request: web.Request, call: StatelessCall) -> web.StreamResponse:
        """Wait for a call's answer; however this ends, nothing of the call is left behind."""
        context, exchange = self.context, call.exchange
        try:
            if exchange.body is None and exchange.stream is None:
                context.patience.watch(exchange, self.relay.outbox)
                try:
                    await exchange.decided()
                finally:
                    context.patience.forget(exchange)
            if exchange.stream is not None:
                return await write_stream(request, exchange.stream, context, {})
        finally:
            self.relay.leave(call)
            if call.fault:
                context.report(request, call.fault, exchange.status, call.who)
        assert exchange.body is not None
        return self._whole(request, exchange.status, exchange.body)

    def _whole(self, request: web.Request, status: int, body: bytes) -> web.StreamResponse:
        if status == 200 and not self.context.door.cross_origins:
            whole = answer(request, HEAD, body)
            if whole is not None:
                return whole
        return web.Response(status=status, body=body, content_type="application/json")


def refuse(refusal: Refusal, frame_id: Any) -> web.Response:
    """The answer to a request that is not served."""
    data = {"origin": "broker", "reason": refusal.reason, **refusal.data}
    reply = jsonrpc.error_response(frame_id, refusal.code, refusal.message, data)
    response = web.Response(status=refusal.status, body=jsonrpc.encode(reply), content_type="application/json")
    wait_ms = refusal.data.get("retryAfterMs")
    if wait_ms is not None:
        response.headers["Retry-After"] = str(-(-wait_ms // 1_000))
    return response


def _id(frame: Frame) -> int | str:
    assert frame.id is not UNSET
    return frame.id
