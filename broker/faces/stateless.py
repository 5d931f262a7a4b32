"""The stateless face of one virtual server: requests that stand alone (2026-07-28), each on its own POST.

Follows basic/transports/streamable-http and basic/patterns of 2026-07-28. Invariants: statuses exactly as the page
mandates; the answer is one JSON object, or a stream that always ends with the response; no event ids, no session ids;
the client's going is the cancellation.
"""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web
from msgspec import UNSET

from broker.faces.classify import (
    CLIENT_CAPABILITIES,
    MODERN,
    SESSION_ID,
    VERSION_HEADER,
    Modern,
    Refusal,
    classify,
    mismatch,
)
from broker.faces.context import FaceContext
from broker.faces.stateless_call import ParamHeaders, StatelessCall
from broker.faces.stateless_entry import BAD_STATE, away, opened_state, session_key
from broker.faces.stateless_listen import LISTEN
from broker.faces.stateless_params import STATE, declared
from broker.faces.stateless_relay import StatelessRelay
from broker.faces.whole import answer
from broker.faces.writer import write_stream
from broker.identity import Principal
from broker.seal import NotOpened
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.mirrored import Annotations, Unreadable, agrees

DISCOVER: Final = "server/discover"
ALLOW: Final = {"Allow": "POST, OPTIONS"}
PARAM: Final = "mcp-param-"
_HEAD: Final = b"Content-Type: application/json\r\n"

TOO_MANY: Final = Refusal(
    429, jsonrpc.INTERNAL_ERROR, "Too Many Requests: subscription limit reached", "subscriptions"
)  # fmt: skip


MAX_CAPABILITIES: Final = 16 * 1024
"""Bytes of capabilities that a session is opened with; those of SDK clients are below 200."""

TOO_CAPABLE: Final = Refusal(
    400, jsonrpc.INVALID_PARAMS, "Invalid params: clientCapabilities is too large", "capabilities"
)  # fmt: skip


class StatelessFace:
    """The modern half of one endpoint."""

    def __init__(self, context: FaceContext) -> None:
        self.context = context
        self.relay = StatelessRelay(context)

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
        self, request: web.Request, principal: Principal, decoded: Frame | list[Frame | jsonrpc.Refused]
    ) -> web.StreamResponse | None:
        """The answer to a message that is modern or refused as none; None for one of the session revisions."""
        context = self.context
        if isinstance(decoded, list):
            if not self.owns(request):
                return None
            return context.deny(request, 400, "Invalid Request: batches are not part of this revision", "batch")
        verdict = classify(decoded, request.headers, context.revisions)
        if isinstance(verdict, Modern):
            return await self._post(request, principal, verdict, decoded)
        if isinstance(verdict, Refusal):
            return self._refuse(request, verdict, decoded, principal)
        if verdict == "notification":  # this revision has none that a client POSTs, and no backend waits for one
            context.watch.note(context.name, "dropped", reason="client-notification")
            return web.Response(status=202)
        return None

    def _refuse(self, request: web.Request, refusal: Refusal, frame: Frame, principal: Principal) -> web.Response:
        self.context.audit(request, refusal.reason, refusal.status, principal.id)
        return refuse(refusal, frame.id if frame.method is not UNSET else UNSET)

    async def _post(
        self, request: web.Request, principal: Principal, modern: Modern, frame: Frame
    ) -> web.StreamResponse:
        """One request, whose envelope and standard headers are in order."""
        context, relay = self.context, self.relay
        if context.watch.tapping:
            context.watch.frame("client", "in", context.name, frame)
        key = (principal.id, bytes(declared(modern.meta, principal)[0])) if modern.method == DISCOVER else None
        kept = relay.discoveries.fresh(key, context.wheel.clock()) if key is not None else None
        if kept is not None:
            return self._whole(request, 200, jsonrpc.encode(jsonrpc.response(_id(frame), kept)))
        tool = modern.target if modern.method == "tools/call" else None
        bridged = not await context.stateless(client=True, tool=tool)
        refusal = away(context) if bridged else None
        if refusal is not None and key is not None:
            kept = relay.discoveries.stale(key, context.wheel.clock())
            if kept is not None:
                return self._whole(request, 200, jsonrpc.encode(jsonrpc.response(_id(frame), kept)))
        if refusal is None:
            refusal = self._unfit(request, principal, modern, bridged=bridged)
        inner, rounds = None, 0
        if refusal is None and STATE in modern.params:
            try:
                inner, rounds, bridged = opened_state(context, principal, modern, bridged=bridged)
            except NotOpened:
                refusal = BAD_STATE
        if refusal is not None:
            return self._refuse(request, refusal, frame, principal)
        call = relay.begin(
            modern=modern,
            client_id=_id(frame),
            caller=principal,
            round=rounds + 1,
            param_headers=_params(request),
            bridged=bridged,
            session_key=session_key(context, request.headers, modern) if bridged else "",
        )
        return await self._answered(request, call, inner)

    async def _answered(self, request: web.Request, call: StatelessCall, inner: bytes | None) -> web.StreamResponse:
        """Carry a call out; however this ends, nothing of the call is left behind."""
        context, exchange = self.context, call.exchange
        try:
            call.start(inner)
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
                context.audit(request, call.fault, exchange.status, call.principal)
        assert exchange.body is not None
        return self._whole(request, exchange.status, exchange.body)

    def _whole(self, request: web.Request, status: int, body: bytes) -> web.StreamResponse:
        if status == 200 and not self.context.door.cross_origins:
            whole = answer(request, _HEAD, body)
            if whole is not None:
                return whole
        return web.Response(status=status, body=body, content_type="application/json")

    def _unfit(self, request: web.Request, principal: Principal, modern: Modern, *, bridged: bool) -> Refusal | None:
        """The refusal of a request that says too much, or something else in its headers than in its body."""
        if bridged and len(modern.meta[CLIENT_CAPABILITIES]) > MAX_CAPABILITIES:
            return TOO_CAPABLE
        if modern.method == LISTEN and self.relay.listening[principal.id] >= self.context.max_streams:
            return TOO_MANY
        return self._parameters(request, principal, modern)

    def _parameters(self, request: web.Request, principal: Principal, modern: Modern) -> Refusal | None:
        """The refusal if a Mcp-Param header of a tool that is known differs from the body."""
        if modern.method != "tools/call" or modern.target is None:
            return None
        for name, value in _params(request):
            if not value.isprintable():
                return mismatch(name)
        known: Annotations = self.context.facts(principal).mirrored(modern.target)
        arguments = tree.deep(modern.params.get("arguments")) if known else None
        for path, name in known.items():
            text = request.headers.get(f"Mcp-Param-{name}")
            value = _at(arguments, path)
            try:
                if (text is None) != (value is None) or (text is not None and not agrees(text, value)):
                    return mismatch(f"Mcp-Param-{name}")
            except Unreadable:
                return mismatch(f"Mcp-Param-{name}")
        return None


def refuse(refusal: Refusal, frame_id: Any) -> web.Response:
    """The answer to a request that is not served."""
    data = {"origin": "broker", "reason": refusal.reason, **refusal.data}
    reply = jsonrpc.error_response(frame_id, refusal.code, refusal.message, data)
    return web.Response(status=refusal.status, body=jsonrpc.encode(reply), content_type="application/json")


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _params(request: web.Request) -> ParamHeaders:
    """The Mcp-Param headers of a request; what no schema is known of is passed on as it came (RFC 9110 5.1)."""
    return tuple((name, value) for name, value in request.headers.items() if name[: len(PARAM)].lower() == PARAM)


def _id(frame: Frame) -> int | str:
    assert frame.id is not UNSET
    return frame.id
