"""One client's session with one backend: every message in, what must be sent where out.

Sans-IO: `handle(event)` returns effects and touches nothing else. Between two session revisions the two sides stay
one to one, so the machine is small:

    phase      client may                              backend may
    new        initialize                              -
    greeting   -                                       answer initialize (or fail: back to new)
    open       everything its revision defines         everything its revision defines
    ended      -                                       -

Invariants: each client request ends exactly once; no id or token crosses; nothing leaves that the reader's revision
does not define; a question for which the client declared no capability is answered by the broker.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from protocol_versions.jsonrpc import ErrorObject, Frame
from translators import handshake, tree
from translators.asks import answer_from_client, ask_from_server, notification_from_server
from translators.calls import Book, Call, take_token
from translators.change import Answered
from translators.context import Context
from translators.errors import INVALID_REQUEST, METHOD_NOT_FOUND, Refused, Swallowed
from translators.handshake import Peers
from translators.loss import Loss
from translators.machine import (
    Abort,
    Accept,
    ClientGone,
    Effect,
    End,
    Event,
    Expired,
    Failed,
    FromClient,
    FromServer,
    Note,
    OpenStream,
    Reject,
    Repipe,
    SetTimer,
    ToClient,
    ToServer,
)
from translators.reply import answered, broken, refused
from translators.tables import Tables, tables

CANCEL_GRACE_S = 5.0
"""How long a cancelled call may still answer before the broker closes it; the SDKs answer at once or never."""

MAX_OPEN_CALLS = 1_000
"""Open calls of one session; no SDK client keeps more than a few dozen."""

LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


class Conversation:
    """The client side and the backend side of one session."""

    def __init__(
        self, peers: Peers, *, max_calls: int = MAX_OPEN_CALLS, cancel_grace_s: float = CANCEL_GRACE_S
    ) -> None:
        self.peers = peers
        self.book = Book()
        self.phase = "new"
        self.pipe: Tables | None = None
        self.level: str | None = None
        self.subscriptions: dict[str, None] = {}
        self.facts: dict[str, Any] = {}
        self.max_calls = max_calls
        self.cancel_grace_s = cancel_grace_s

    def handle(self, event: Event) -> list[Effect]:
        """The effects of one event, in order."""
        kind = type(event)
        if kind is FromClient:
            return self._from_client(event)  # type: ignore[arg-type]
        if kind is FromServer:
            return self._from_server(event)  # type: ignore[arg-type]
        if kind is Failed:
            return self._failed(event)  # type: ignore[arg-type]
        if kind is Expired:
            return self._expired(event)  # type: ignore[arg-type]
        if kind is ClientGone:
            return self._gone()
        return []

    # ---- from the client ------------------------------------------------------------------------------------------

    def _from_client(self, event: FromClient) -> list[Effect]:
        frame = event.frame
        if frame.method is not UNSET:
            if frame.id is not UNSET:
                return self._request(event.exchange, frame)
            return self._notification(event.exchange, frame)
        return answer_from_client(self, event.exchange, frame)

    def _request(self, exchange: int, frame: Frame) -> list[Effect]:
        client_id: Any = frame.id
        method: Any = frame.method
        if client_id in self.book.by_client:
            return self._no(exchange, client_id, "duplicate-id", INVALID_REQUEST)
        if method == "initialize":
            return self._initialize(exchange, frame)
        pipe = self.pipe
        if pipe is None:
            return self._no(exchange, client_id, "not-initialized", INVALID_REQUEST)
        if len(self.book.calls) >= self.max_calls:
            return self._no(exchange, client_id, "overloaded")
        lanes = pipe.to_server.get(method)
        if lanes is None:
            return self._no(exchange, client_id, "method-unknown", METHOD_NOT_FOUND)
        call = Call(id=self.book.mint(), client_id=client_id, exchange=exchange, method=method)
        params: Any = frame.params
        notes: list[Effect] = []
        if not lanes.idle:
            ctx = call.ctx = Context(method=method, facts=self.facts)
            if not lanes.params.passes:
                body = {} if params is UNSET else params
                try:
                    body = lanes.params.run(body, ctx)
                except Refused as refusal:
                    note = Note("refused", method, refusal.reason)
                    return [ToClient(exchange, refused(client_id, refusal), True, "broker"), note]
                except Answered as done:
                    return [ToClient(exchange, answered(client_id, done.result), True, "broker")]
                params = body if body or params is not UNSET else UNSET
                notes = _losses(ctx, method)
            ctx.request = params if params is not UNSET else None
        call.token = take_token(params, call.id)
        if method in _REMEMBERED and self._remember(call, params):
            return [ToClient(exchange, answered(client_id, {}), True, "broker")]
        self.book.open(call)
        return [ToServer(call.id, Frame(id=call.id, method=method, params=params), exchange), *notes]

    def _remember(self, call: Call, params: Any) -> bool:
        """Keep what has to be replayed after a lost session; True if the broker answers by itself."""
        subject = tree.whole(params, _REMEMBERED[call.method]) if params is not UNSET else None
        call.subject = subject if type(subject) is str else None
        if call.method == "logging/setLevel" and self.peers.logging_emulated and call.subject in LEVELS:
            self.level = call.subject
            return True
        return False

    def _initialize(self, exchange: int, frame: Frame) -> list[Effect]:
        client_id: Any = frame.id
        if self.phase != "new":
            return self._no(exchange, client_id, "already-initialized", INVALID_REQUEST)
        ctx = Context(method="initialize")
        params = frame.params if frame.params is not UNSET else {}
        capabilities = tree.shallow(params.get("capabilities"))
        self.facts = {"client_capabilities": tree.deep(dict(capabilities)) if type(capabilities) is dict else {}}
        try:
            body = handshake.hello(self.peers, params, ctx)
        except Refused as refusal:
            return [ToClient(exchange, refused(client_id, refusal), True, "broker")]
        self.phase = "greeting"
        call = Call(id=self.book.mint(), client_id=client_id, exchange=exchange, method="initialize", ctx=ctx)
        self.book.open(call)
        sent = ToServer(call.id, Frame(id=call.id, method="initialize", params=body), exchange, initialize=True)
        return [sent, *_losses(ctx, "initialize")]

    def _notification(self, exchange: int, frame: Frame) -> list[Effect]:
        method: Any = frame.method
        if self.pipe is None:
            return [Accept(exchange), Note("dropped", method, "not-initialized")]
        lane = self.pipe.notes_to_server.get(method)
        if lane is None:
            return [Accept(exchange), Note("dropped", method, "method-unknown")]
        params: Any = frame.params
        body = {} if params is UNSET else params
        ctx = Context(method=method, facts=self.facts)
        try:
            body = lane.run(body, ctx)
        except (Refused, Swallowed) as gate:
            return [Accept(exchange), Note("swallowed", method, gate.reason, tuple(ctx.losses))]
        params = body if body or params is not UNSET else UNSET
        if method == "notifications/cancelled":
            return self._cancel(exchange, body)
        if method == "notifications/progress":
            ask = self.book.asks.get(tree.whole(body, "progressToken") or 0)
            if ask is None or ask.token is None:
                return [Accept(exchange), Note("dropped", method, "token-unknown")]
            body["progressToken"] = ask.token
        effects: list[Effect] = [
            ToServer(0, Frame(method=method, params=params), exchange),
            *_losses(ctx, method),
        ]
        if method == "notifications/initialized":
            effects.append(OpenStream(then=exchange))
        return effects

    def _cancel(self, exchange: int, body: tree.Body) -> list[Effect]:
        client_id = tree.whole(body, "requestId")
        number = self.book.by_client.get(client_id) if type(client_id) in (int, str) else None
        call = self.book.calls.get(number) if number is not None else None
        if call is None or call.method == "initialize":
            # Receivers MAY ignore a cancellation of an unknown or finished request; initialize MUST NOT be cancelled.
            return [Accept(exchange), Note("dropped", "notifications/cancelled", "request-unknown")]
        call.cancelled = True
        body["requestId"] = call.id
        return [
            ToServer(0, Frame(method="notifications/cancelled", params=body), exchange),
            SetTimer(f"cancelled:{call.id}", self.cancel_grace_s),
        ]

    # ---- from the backend -----------------------------------------------------------------------------------------

    def _from_server(self, event: FromServer) -> list[Effect]:
        frame = event.frame
        if frame.method is UNSET:
            call = self.book.calls.get(frame.id) if type(frame.id) is int else None
            if call is None:
                return [Note("dropped", reason="answer-unasked")]
            return self._answer(call, frame, event.origin)
        if self.pipe is None:
            return [Note("dropped", frame.method, "before-initialize")]
        if frame.id is not UNSET:
            return ask_from_server(self, event.stream, frame)
        return notification_from_server(self, event.stream, frame)

    def _answer(self, call: Call, frame: Frame, origin: Any) -> list[Effect]:
        if call.method == "initialize":
            return self._welcome(call, frame)
        assert self.pipe is not None
        lanes = self.pipe.to_server[call.method]
        ctx = call.ctx
        self.book.close(call)
        losses: list[Effect] = []
        result: Any = frame.result
        reply: Frame | None = None
        try:
            if frame.error is not UNSET:
                if ctx is not None and not lanes.error.passes and origin == "peer":
                    reply = Frame(id=call.client_id, error=self._error(lanes.error, frame.error, ctx))
                else:
                    reply = Frame(id=call.client_id, error=frame.error)
            elif ctx is not None and not lanes.result.passes:
                ctx.losses = []
                result = lanes.result.run(result, ctx)
        except Refused as refusal:
            reply, origin = refused(call.client_id, refusal), "broker"
        except Answered as done:
            result = done.result
        except (
            TypeError,
            ValueError,
            KeyError,
            AttributeError,
            IndexError,
            msgspec.MsgspecError,
            RecursionError,
        ):
            # The backend broke its own schema inside a member a Change reads: its answer, not the session, is lost.
            reply, origin = broken(call.client_id, "backend-garbage"), "broker"
        if reply is None:
            reply = Frame(id=call.client_id, result=result)
            if call.subject is not None and frame.error is UNSET:
                self._settle(call)
        if ctx is not None:
            losses = _losses(ctx, call.method)
        outcome = "error" if reply.error is not UNSET else "ok"
        return [ToClient(call.exchange, reply, True, origin), *losses, End(call.id, outcome)]

    @staticmethod
    def _error(lane: Any, error: ErrorObject, ctx: Context) -> ErrorObject:
        body: dict[str, Any] = {"code": error.code, "message": error.message}
        if error.data is not UNSET:
            body["data"] = error.data
        body = lane.run(body, ctx)
        data = body.get("data", UNSET)
        if data is not UNSET and type(data) is not Raw:
            data = Raw(msgspec.json.encode(data))
        return ErrorObject(code=body["code"], message=body["message"], data=data)

    def _settle(self, call: Call) -> None:
        if call.method == "logging/setLevel":
            self.level = call.subject
        elif call.method == "resources/subscribe" and call.subject is not None:
            self.subscriptions[call.subject] = None
        elif call.method == "resources/unsubscribe" and call.subject is not None:
            self.subscriptions.pop(call.subject, None)

    def _welcome(self, call: Call, frame: Frame) -> list[Effect]:
        ctx = call.ctx or Context(method="initialize")
        if frame.error is not UNSET:
            offer = handshake.counter_offer(self.peers, frame.error)
            if offer is not None:
                return self._offer_again(call, offer)
            self.book.close(call)
            self.phase = "new"
            reply = Frame(id=call.client_id, error=frame.error)
            return [ToClient(call.exchange, reply, True), End(call.id, "error")]
        assert frame.result is not UNSET
        body = handshake.welcome(self.peers, frame.result, ctx)
        self.book.close(call)
        if body is None:
            self.phase = "new"
            reply = broken(call.client_id, "backend-revision")
            return [ToClient(call.exchange, reply, True, "broker"), End(call.id, "error")]
        self.phase = "open"
        self.pipe = tables(self.peers.client, self.peers.server)
        reply = answered(call.client_id, body)
        done = ToClient(call.exchange, reply, True)
        return [Repipe(self.peers.server), done, *_losses(ctx, "initialize"), End(call.id, "ok")]

    def _offer_again(self, call: Call, offer: str) -> list[Effect]:
        self.book.close(call)
        self.peers.offer = offer
        again = Call(
            id=self.book.mint(),
            client_id=call.client_id,
            exchange=call.exchange,
            method="initialize",
            ctx=call.ctx,
        )
        self.book.open(again)
        self.peers.hello["protocolVersion"] = offer
        self.peers.tried.append(offer)
        frame = Frame(id=again.id, method="initialize", params=dict(self.peers.hello))
        return [End(call.id, "retried"), ToServer(again.id, frame, call.exchange, initialize=True)]

    # ---- ends -----------------------------------------------------------------------------------------------------

    def _failed(self, event: Failed) -> list[Effect]:
        call = self.book.calls.get(event.call)
        if call is None:
            return []
        self.book.close(call)
        if call.method == "initialize":
            self.phase = "new"
        reply = broken(call.client_id, event.reason)
        return [
            ToClient(call.exchange, reply, True, "broker"),
            Note("failed", call.method, event.reason),
            End(call.id, "failed"),
        ]

    def _expired(self, event: Expired) -> list[Effect]:
        kind, _, number = event.key.partition(":")
        call = self.book.calls.get(int(number)) if kind == "cancelled" else None
        if call is None:
            return []
        self.book.close(call)
        reply = broken(call.client_id, "cancelled")
        return [ToClient(call.exchange, reply, True, "broker"), Abort(call.id), End(call.id, "cancelled")]

    def _gone(self) -> list[Effect]:
        self.phase = "ended"
        effects: list[Effect] = []
        for call in list(self.book.calls.values()):
            self.book.close(call)
            reply = broken(call.client_id, "session-ended")
            effects += [
                ToClient(call.exchange, reply, True, "broker"),
                Abort(call.id),
                End(call.id, "cancelled"),
            ]
        self.book = Book(minted=self.book.minted, asked=self.book.asked)
        return effects

    @staticmethod
    def _no(exchange: int, client_id: Any, reason: str, code: int = -32603) -> list[Effect]:
        reply = broken(client_id, reason, code=code)
        return [ToClient(exchange, reply, True, "broker"), Note("refused", reason=reason)]


_REMEMBERED = {"logging/setLevel": "level", "resources/subscribe": "uri", "resources/unsubscribe": "uri"}


def _losses(ctx: Context, method: str) -> list[Effect]:
    """One note of what was lost, if anything above nothing was."""
    if not ctx.losses:
        return []
    losses = tuple(loss for loss in ctx.losses if loss.loss is not Loss.NONE)
    ctx.losses = []
    return [Note("lossy", method, losses=losses)] if losses else []


__all__ = ["Conversation", "Reject"]
