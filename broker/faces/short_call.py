"""Calls on the short way: from the bytes of a POST to the relay, and from the relay's answer to the bytes.

See `broker.short_way` for which requests come here. Invariant: what the usual way decides of each message (the session
lives, the body is a request that belongs to it) is decided here too, before anything happens; whatever is not an
ordinary call or not answered by one JSON body goes the usual way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from broker.faces.whole import written
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame

if TYPE_CHECKING:
    from broker.faces.context import FaceContext
    from broker.outbox import Exchange
    from broker.sessions import Session
    from broker.short_way import Handler, Taken


class SessionHead:
    """What the head of a session's POST stands for: this session, of this caller."""

    __slots__ = ("_context", "_forwarded", "_principal", "_session_id")

    def __init__(self, context: FaceContext, session: Session, headers: Any) -> None:
        self._context = context
        self._forwarded = context.addresses.said(headers)
        self._session_id = session.id
        self._principal = session.relay.speaker.who

    def take(self, connection: Taken, body: bytes) -> ShortCall | None:
        """The call of this body; None if the usual way must look at it."""
        context = self._context
        session = context.sessions.find(self._session_id, self._principal.id)
        if session is None or context.retired or b"protocolVersion" in body:
            return None
        if context.lapses and not context.admission.identities.good(self._principal):
            return None
        try:
            frame = jsonrpc.decode_strict(body, context.wire)
        except jsonrpc.Refused:
            return None
        if type(frame) is not Frame or frame.method is UNSET or frame.id is UNSET or frame.method == "initialize":
            return None
        speaker = session.relay.speaker
        speaker.who = self._principal
        if context.quotas.by_address:
            speaker.address = context.addresses.of(connection.peer, self._forwarded)
        return ShortCall(context, session, connection, frame)


class ShortCall:
    """One request of a session's client, and the exchange that answers it."""

    __slots__ = ("_connection", "_context", "_frame", "exchange", "session")

    def __init__(self, context: FaceContext, session: Session, connection: Taken, frame: Frame) -> None:
        self._context = context
        self._connection = connection
        self._frame = frame
        self.session = session
        self.exchange: Exchange = session.outbox.open(1)

    @property
    def usual(self) -> Handler:
        """Who answers its request on the usual way."""
        return self._context.post

    def begin(self) -> None:
        """Give the message to the relay."""
        exchange = self.exchange
        self.session.relay.client_frame(exchange.id, self._frame)
        if exchange.body is None and exchange.stream is None:
            self._context.patience.watch(exchange, self.session.outbox)
            exchange.told = self._decided
        else:
            self._answer()

    def gone(self) -> None:
        """The client has gone, which cancels nothing."""
        self._context.patience.forget(self.exchange)
        self.exchange.told = None
        self.exchange.abandon()

    def _decided(self) -> None:
        self._context.patience.forget(self.exchange)
        self._answer()

    def _answer(self) -> None:
        exchange = self.exchange
        body = exchange.body
        if exchange.stream is None and body and exchange.status == 200:
            self._connection.answer(written(self.session.head, len(body)), body)
        else:
            self._connection.hand_over()
