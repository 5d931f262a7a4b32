"""One client on a two-way line of messages, a pipe or the HTTP+SSE pair: of the era that its first request is.

Follows basic/transports of every revision and 2026-07-28 basic/versioning. A probe (`server/discover`) is
answered and decides nothing; `initialize` opens the session, and any other request that stands alone makes the client
a stateless one. Invariants: nothing but messages is written; the order of lines is kept while the session is opened;
every request is answered once, or cancelled.

    state       a line is                                       next
    undecided   initialize, a probe, a request                  -> opening; undecided; stateless
    opening     kept until the backend has answered             -> session, undecided (it refused)
    session     a message or (2025-03-26) a batch of it         the end of input -> closed
    stateless   a request, or a cancellation                    the end of input -> closed
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from broker import telemetry
from broker.context import ServerContext
from broker.faces.classify import stands_alone
from broker.faces.opening import greeted, open_relay
from broker.faces.pipe_outbox import SessionPipe, Write
from broker.identity import Principal
from broker.identity.scopes import TOO_LITTLE
from broker.negotiate import client_revision
from broker.relay import Relay
from protocol_versions import by_id, jsonrpc
from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.reply import TEXTS, answered, broken

if TYPE_CHECKING:
    from broker.faces.one_stateless import OneStatelessClient
    from broker.identity.scopes import Needed

Decoded = Frame | list[Frame | jsonrpc.Refused]
"""One line: a message, or a batch."""

MAX_WAITING: Final = 256
"""Lines kept while the session is opened, and together no longer than one may be; clients send one or two."""


class OneClient:
    """One client, at the address `peer`. `write` takes one encoded message; without `stateless`, it has a session."""

    def __init__(
        self, context: ServerContext, principal: Principal, write: Write, *, stateless: bool = True, peer: str = ""
    ) -> None:
        self.context = context
        self.principal = principal
        self.stateless: OneStatelessClient | None = None
        self.relay: Relay | None = None
        self._may_stand_alone = stateless
        self._write = write
        self._peer = peer
        self._state = "undecided"
        self._waiting: deque[tuple[Decoded, int]] = deque()
        self._waiting_bytes = 0
        self._batching = False
        self._untold = b""
        self._task: asyncio.Task[None] | None = None

    def speaks(self, principal: Principal, peer: str) -> None:
        """What comes next was sent with this credential of the same caller, from the address `peer`."""
        self.principal, self._peer = principal, peer
        if self.relay is not None:
            self.relay.speaker.who, self.relay.speaker.address = principal, peer

    def line(self, text: bytes) -> bytes:
        """One line of the client; the error that refuses it, if it has no id that a message could answer, else nothing.

        An error that names no request helps nobody on a pipe, and ends some clients; a POST has an answer of its own.
        """
        self._untold = b""
        try:
            decoded = jsonrpc.decode_strict(text, self.context.wire)
        except jsonrpc.Refused as refused:
            self._refuse(UNSET if refused.id is None else refused.id, refused.code, refused.message, refused.reason)
        else:
            if self.context.needed is None or not self._lacks(decoded, self.context.needed):
                self._take(decoded, len(text))
        return self._untold

    def too_long(self) -> None:
        """A line that was longer than a message may be; it was passed over."""
        self._audit("too-large")

    def close(self, reason: str = "session-ended") -> None:
        """Nobody is there any more, or nobody may be."""
        if self._state == "closed":
            return
        self._state = "closed"
        if self._task is not None:
            self._task.cancel()
        if self.relay is not None:
            self.relay.close(reason)
        if self.stateless is not None:
            self.stateless.close(reason)

    # ---- which era -----------------------------------------------------------------------------------------------

    def _keep(self, decoded: Decoded, size: int) -> None:
        """Until the session is open; where there is no room for it, requests are answered that they are not taken."""
        if len(self._waiting) < MAX_WAITING and self._waiting_bytes + size <= self.context.wire.body:
            self._waiting.append((decoded, size))
            self._waiting_bytes += size
            return
        for one in decoded if isinstance(decoded, list) else [decoded]:
            asks = isinstance(one, Frame) and one.method is not UNSET
            self._refuse(one.id if asks else UNSET, jsonrpc.INTERNAL_ERROR, TEXTS["overloaded"], "overloaded")

    def _take(self, decoded: Decoded, size: int) -> None:
        if self._state == "closed":
            return
        if self._state == "opening":
            self._keep(decoded, size)
            return
        if self._state == "session":
            self._of_session(decoded)
            return
        if isinstance(decoded, list):
            self._refuse(UNSET, jsonrpc.INVALID_REQUEST, "Invalid Request: batches are not part of this", "batch")
            return
        if self._owned(decoded):
            in_order = self._alone().message(decoded)
            if in_order and self._state == "undecided" and decoded.method != "server/discover":
                self._state = "stateless"
        elif decoded.method == "initialize" and decoded.id is not UNSET:
            if self._state == "stateless" and self.stateless is not None:
                self.stateless.no_opening(decoded)
                return
            self._state = "opening"
            self._task = asyncio.ensure_future(self._open(decoded))
        elif decoded.method == "ping" and decoded.id is not UNSET:
            # 2025-11-25/basic/lifecycle: the one request that may come before `initialize` was answered.
            self._write(jsonrpc.encode(answered(decoded.id, {})))
        elif decoded.id is not UNSET and decoded.method is not UNSET:
            message = "Invalid Request: the session is not initialized"
            self._refuse(decoded.id, jsonrpc.INVALID_REQUEST, message, "not-initialized")

    def _owned(self, frame: Frame) -> bool:
        """True for a message of a stateless client."""
        return self._may_stand_alone and (stands_alone(frame) if self.stateless is None else self.stateless.owns(frame))

    def _alone(self) -> OneStatelessClient:
        """Who serves a stateless client; loaded for the first message of one, because session clients wait for less."""
        if self.stateless is None:
            from broker.faces.one_stateless import OneStatelessClient

            self.stateless = OneStatelessClient(self.context, self.principal, self._write)
        return self.stateless

    # ---- a session -----------------------------------------------------------------------------------------------

    async def _open(self, frame: Frame) -> None:
        try:
            revision, relay, said = await self._opened(frame)
        except Exception as error:
            self.context.watch.bug(self.context.name, error)
            self._write(jsonrpc.encode(broken(frame.id, "internal")))  # type: ignore[arg-type]
            self._state = "undecided"
        else:
            for text in said:
                self._write(text)
            if relay.talk.phase == "open":
                self.relay, self._state = relay, "session"
                self._batching = by_id(revision).traits.batching
            else:
                relay.close()
                self._state = "undecided"
        waiting, self._waiting, self._waiting_bytes = self._waiting, deque(), 0
        for decoded, size in waiting:
            self._take(decoded, size)

    async def _opened(self, frame: Frame) -> tuple[str, Relay, list[bytes]]:
        """The client's revision, the session as far as the backend opened it, and what there is to say of that."""
        context = self.context
        params: dict[str, Any] = frame.params if frame.params is not UNSET else {}
        revision = client_revision(tree.deep(params.get("protocolVersion")), context.served)
        stateless = await context.stateless()
        relay, said = await self._greet(revision, frame, stateless=stateless)
        if await context.has_left_sessions(relay, stateless=stateless):
            stateless = True
            frame.params = dict(relay.talk.peers.asked)
            relay, said = await self._greet(revision, frame, stateless=True)
        if relay.talk.phase == "open":
            context.greeted(stateless=stateless)
        return revision, relay, said

    async def _greet(self, revision: str, frame: Frame, *, stateless: bool) -> tuple[Relay, list[bytes]]:
        """A session as the backend answered, and what it said; it is not written before it is known to count."""
        said: list[bytes] = []
        pipe = SessionPipe(self.context.numbers, said.append)
        relay = open_relay(self.context, self.principal, revision, stateless=stateless, outbox=pipe, peer=self._peer)
        await greeted(relay, frame)
        pipe.to(self._write)
        return relay, said

    def _of_session(self, decoded: Frame | list[Frame | jsonrpc.Refused]) -> None:
        relay = self.relay
        assert relay is not None
        if type(decoded) is Frame:
            if self._owned(decoded):
                message = "Invalid Request: this connection has a session"
                self._refuse(decoded.id, jsonrpc.INVALID_REQUEST, message, "session")
                return
            asks = decoded.method is not UNSET and decoded.id is not UNSET
            exchange = relay.outbox.open(1 if asks else 0)
            relay.client_frame(exchange.id, decoded)
            return
        self._batch(relay, decoded)  # type: ignore[arg-type]

    def _batch(self, relay: Relay, elements: list[Frame | jsonrpc.Refused]) -> None:
        if not self._batching:
            self._refuse(UNSET, jsonrpc.INVALID_REQUEST, "Invalid Request: batches are not part of this", "batch")
            return
        frames = [element for element in elements if isinstance(element, Frame) and element.method != "initialize"]
        broken = [element for element in elements if isinstance(element, jsonrpc.Refused)]
        asks = sum(frame.method is not UNSET and frame.id is not UNSET for frame in frames)
        exchange = relay.outbox.open(len(broken) + asks, batch=True)
        for element in broken:
            self._audit(element.reason)
            reply = jsonrpc.error_response(UNSET if element.id is None else element.id, element.code, element.message)
            relay.outbox.send(exchange.id, jsonrpc.encode(reply), final=True)
        for frame in frames:
            relay.client_frame(exchange.id, frame)

    # ---- refusals ------------------------------------------------------------------------------------------------

    def _lacks(self, decoded: Decoded, needed: Needed) -> bool:
        """True if a message needs scopes that the caller lacks; as over HTTP, all that came with it is refused."""
        frames = [one for one in (decoded if isinstance(decoded, list) else [decoded]) if isinstance(one, Frame)]
        lacking = any(one.method is not UNSET and not needed.of(one.method) <= self.principal.scopes for one in frames)
        for frame in frames if lacking else ():
            asks = frame.method is not UNSET
            self._refuse(frame.id if asks else UNSET, jsonrpc.INVALID_REQUEST, TOO_LITTLE, "insufficient-scope")
        return lacking

    def _refuse(self, frame_id: Any, code: int, message: str, reason: str) -> None:
        self._audit(reason)
        data = {"origin": "broker", "reason": reason}
        error = jsonrpc.encode(jsonrpc.error_response(frame_id, code, message, data))
        if frame_id is UNSET:
            self._untold = error
        else:
            self._write(error)

    def _audit(self, reason: str) -> None:
        self.context.refused(reason, self.principal, peer=self._peer)
        telemetry.audit("refused", reason=reason, principal=self.principal.id, backend=self.context.name)
