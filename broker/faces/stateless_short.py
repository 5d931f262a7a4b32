"""Requests of 2026-07-28 on the short way: from the bytes of a POST to the relay, and back to the bytes.

See `broker.short_way` for which requests come here. A client program says the same of itself with each request, so that
what was read of one envelope holds for the next with the same bytes. Invariants: what the usual way decides of each
request (its envelope, that headers and body agree, the backend's era) is decided here too, before anything happens;
whatever is refused, retried, discovered, listened to, or not answered by one JSON body goes the usual way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET, Raw
from multidict import CIMultiDict

from broker.faces.classify import SESSION_ID, TARGETS, VERSION_HEADER, Modern, classify
from broker.faces.stateless_entry import away, session_key
from broker.faces.stateless_fit import params_of, unfit
from broker.faces.stateless_listen import LISTEN
from broker.faces.stateless_params import STATE, Envelope, read_envelope
from broker.faces.stateless_quota import admitted
from broker.faces.whole import written
from broker.quotas.quotas import Over
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame

if TYPE_CHECKING:
    from broker.faces.context import FaceContext
    from broker.faces.stateless_call import StatelessCall
    from broker.faces.stateless_relay import StatelessRelay
    from broker.identity import Principal
    from broker.short_way import Handler, Taken

DISCOVER: Final = "server/discover"
HEAD: Final = b"Content-Type: application/json\r\n"
"""The constant lines of an answer's head."""

MAX_ENVELOPE: Final = 2 * 1024
"""Bytes of `_meta` that are remembered for a head; those of SDK clients are below 400."""

_REPEATED: Final = (VERSION_HEADER, "Mcp-Method", "Mcp-Name")


def knowable(modern: Modern, headers: Mapping[str, str]) -> bool:
    """True if other requests of this head may go the short way: an ordinary one, whose arguments no header repeats."""
    return modern.method not in (LISTEN, DISCOVER) and SESSION_ID not in headers and not params_of(headers)


class BareHead:
    """What the head of a request stands for: its caller, and what the headers say that repeat the body."""

    __slots__ = (
        "_context",
        "_envelope",
        "_forwarded",
        "_headers",
        "_located",
        "_meta",
        "_principal",
        "_relay",
        "_seen",
        "_target",
    )

    def __init__(
        self, context: FaceContext, relay: StatelessRelay, principal: Principal, headers: Mapping[str, str]
    ) -> None:
        self._context = context
        self._relay = relay
        self._principal = principal
        names = (*_REPEATED, context.bridge.key_header)
        self._headers = CIMultiDict((name, headers[name]) for name in names if name and name in headers)
        self._forwarded = context.addresses.said(headers)
        self._located = context.quotas.by_address or context.watch.audit is not None
        self._seen: Modern | None = None
        self._envelope: Envelope | None = None  # None for one that is too long to be remembered
        self._meta = self._target = b""

    def take(self, connection: Taken, body: bytes) -> BareCall | None:
        """The call of this body; None if the usual way must look at it."""
        context, relay = self._context, self._relay
        if context.retired:
            return None
        if context.lapses:
            if not context.admission.identities.good(self._principal):
                return None
            context.admission.identities.shown()
        try:
            frame = jsonrpc.decode_strict(body, context.wire)
        except jsonrpc.Refused:
            return None
        if type(frame) is not Frame or frame.method is UNSET or frame.id is UNSET or frame.params is UNSET:
            return None
        modern = self._read(frame)
        if modern is None or STATE in modern.params:
            return None
        tool = modern.target if modern.method == "tools/call" else None
        stateless = context.stateless_now(client=True, tool=tool)
        if stateless is None or (not stateless and away(context) is not None):
            return None
        headers, caller = self._headers, self._principal
        if unfit(context, relay.listening, headers, caller, modern, given=(), bridged=not stateless) is not None:
            return None
        own = session_key(context, headers, modern) if not stateless else ""
        peer = (
            context.addresses.of(connection.peer, self._forwarded) if self._located or context.quotas.by_address else ""
        )
        quotas = context.quotas
        ticket = quotas.hold(caller.id, modern.method) if quotas.plain else admitted(context, caller, peer, modern)
        if type(ticket) is Over:
            return None  # nothing was counted: the usual way finds the same, and says so
        parts = {
            "modern": modern, "client_id": frame.id, "caller": caller, "envelope": self._envelope,
            "bridged": not stateless, "session_key": own, "ticket": ticket, "peer": peer,
        }  # fmt: skip
        return BareCall(context, relay, connection, frame, parts)

    def _read(self, frame: Frame) -> Modern | None:
        """The request as `classify` reads it; what it said of the same bytes before still holds."""
        params: Any = frame.params
        method: Any = frame.method
        meta, target = _bytes(params, "_meta"), _bytes(params, TARGETS.get(method, ""))
        seen = self._seen
        if seen is not None and meta == self._meta and target == self._target and method == seen.method:
            return Modern(seen.revision, seen.method, params, seen.meta, seen.target)
        verdict = classify(frame, self._headers, self._context.revisions)
        if type(verdict) is not Modern or verdict.method in (LISTEN, DISCOVER):
            return None
        short = len(meta) + len(target) <= MAX_ENVELOPE
        self._seen, self._meta, self._target = (verdict, meta, target) if short else (None, b"", b"")
        self._envelope = read_envelope(verdict.meta, self._principal) if short else None
        return verdict


class BareCall:
    """One request that stands alone, and the call that answers it."""

    __slots__ = ("_connection", "_context", "_frame", "_parts", "_relay", "call")

    call: StatelessCall

    def __init__(
        self, context: FaceContext, relay: StatelessRelay, connection: Taken, frame: Frame, parts: dict[str, Any]
    ) -> None:
        self._context = context
        self._relay = relay
        self._connection = connection
        self._frame = frame
        self._parts = parts

    @property
    def usual(self) -> Handler:
        """Who answers its request on the usual way."""
        return self._context.post

    def begin(self) -> None:
        """Give the request to the relay."""
        context = self._context
        if context.watch.tapping:
            context.watch.frame("client", "in", context.name, self._frame)
        call = self.call = self._relay.begin(**self._parts)
        exchange = call.exchange
        try:
            call.start(None)
        except Exception as error:
            self._relay.bug(call, error)
        if exchange.body is None and exchange.stream is None:
            context.patience.watch(exchange, self._relay.outbox)
            exchange.told = self._decided
        else:
            self._answer()

    def gone(self) -> None:
        """The client has gone, which is the cancellation."""
        exchange = self.call.exchange
        self._context.patience.forget(exchange)
        exchange.told = None
        self._relay.leave(self.call)

    def _decided(self) -> None:
        self._context.patience.forget(self.call.exchange)
        self._answer()

    def _answer(self) -> None:
        call = self.call
        exchange = call.exchange
        body = exchange.body
        if exchange.stream is None and body and exchange.status == 200 and not call.fault:
            self._relay.leave(call)
            self._connection.answer(written(HEAD, len(body)), body)
        else:
            self._connection.hand_over()


def _bytes(params: dict[str, Any], name: str) -> bytes:
    value = params.get(name)
    return bytes(value) if type(value) is Raw else b""
