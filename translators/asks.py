"""What the backend says of its own accord, and what the client answers to it.

Server requests (sampling, elicitation, roots, ping) and notifications keep the stream they came on: a message of a
call's stream belongs to that call's exchange, any other to the client's standing stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from protocol_versions.jsonrpc import Frame
from translators import handshake, tree
from translators.calls import take_token
from translators.change import Answered
from translators.context import Context
from translators.errors import INVALID_REQUEST, METHOD_NOT_FOUND, Refused, Swallowed
from translators.machine import STANDING, Accept, Effect, Note, Reject, ToClient, ToServer, Unanswerable
from translators.notes import lossy
from translators.reply import answered, broken, refused

if TYPE_CHECKING:
    from translators.conversation import Conversation

NEEDS = {"sampling/createMessage": "sampling", "elicitation/create": "elicitation", "roots/list": "roots"}
"""The client capability each server request needs."""

LIST_CHANGED = {
    "notifications/tools/list_changed": ("tools", "listChanged"),
    "notifications/prompts/list_changed": ("prompts", "listChanged"),
    "notifications/resources/list_changed": ("resources", "listChanged"),
    "notifications/resources/updated": ("resources", "subscribe"),
}

MAX_OPEN_ASKS = 256
"""Questions of one backend session that may be open at once; the SDKs open one or two per call."""

LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")

UNREADABLE = (TypeError, ValueError, KeyError, AttributeError, IndexError, msgspec.MsgspecError, RecursionError)
"""What reading a member of the wrong shape raises: its writer broke its own revision."""


def ask_from_server(talk: Conversation, stream: int, frame: Frame) -> list[Effect]:
    """A request of the backend: refused on the client's behalf, or on its way to the client under an id of ours."""
    backend_id: Any = frame.id
    method: Any = frame.method
    assert talk.pipe is not None
    lanes = talk.pipe.to_client.get(method)
    if lanes is None:
        return _no(backend_id, method, "method-unknown")
    needed = NEEDS.get(method)
    if needed is not None and needed not in talk.peers.declared and not talk.judges_questions:
        # SDK servers ask even what was not declared; old clients die of a request they do not know.
        return _no(backend_id, method, "not-declared")
    if len(talk.book.asks) >= MAX_OPEN_ASKS:
        return _no(backend_id, method, "overloaded", code=-32603)
    params: Any = frame.params
    ctx = Context(method=method, facts=talk.facts)
    body = {} if params is UNSET else params
    try:
        body = lanes.params.run(body, ctx)
        params = body if body or params is not UNSET else UNSET
        token = take_token(params, talk.book.asked + 1)
    except Refused as refusal:
        return [ToServer(0, refused(backend_id, refusal)), Note("refused", method, refusal.reason)]
    except Answered as done:
        return [ToServer(0, answered(backend_id, done.result))]
    except UNREADABLE:
        return _no(backend_id, method, "backend-garbage", code=-32602)
    call = talk.book.calls.get(stream)
    exchange = call.exchange if call is not None else STANDING
    ask = talk.book.ask(backend_id, method, exchange, ctx)
    ask.token, ask.call = token, 0 if call is None else call.id
    ctx.request = params if params is not UNSET else None
    losses = lossy(ctx, method)
    return [ToClient(exchange, Frame(id=ask.id, method=method, params=params)), *losses]


def answer_from_client(talk: Conversation, exchange: int, frame: Frame) -> list[Effect]:
    """The client's answer to a question, if this conversation asked it and still waits."""
    ask = talk.book.asks.get(frame.id) if type(frame.id) is int else None
    if ask is None or talk.pipe is None:
        if talk.book.was_asked(frame.id):
            # Answered twice, or answered after the backend cancelled: the race is nobody's fault.
            return [Accept(exchange), Note("dropped", reason="answer-late")]
        reject = Reject(exchange, INVALID_REQUEST, "Invalid Request: no request of this id is open", "answer-unasked")
        return [reject, Note("refused", reason="answer-unasked")]
    talk.book.settle(ask)
    if frame.error is not UNSET:
        return [ToServer(0, Frame(id=ask.backend_id, error=frame.error), exchange)]
    lane = talk.pipe.to_client[ask.method].result
    ctx = ask.ctx or Context(method=ask.method)
    ctx.losses = []
    try:
        assert frame.result is not UNSET
        result = lane.run(frame.result, ctx)
    except Refused as refusal:
        reply = refused(ask.backend_id, refusal)
        return [ToServer(0, reply, exchange), Note("refused", ask.method, refusal.reason)]
    except UNREADABLE:
        reply = broken(ask.backend_id, "client-garbage", message="The client's answer is not valid MCP")
        return [ToServer(0, reply, exchange), Note("refused", ask.method, "client-garbage")]
    return [ToServer(0, Frame(id=ask.backend_id, result=result), exchange), *lossy(ctx, ask.method)]


def unanswerable(talk: Conversation, event: Unanswerable) -> list[Effect]:
    """The client cannot be reached: the backend is told, so that its call does not wait for ever."""
    ask = talk.book.asks.get(event.ask)
    if ask is None:
        return []
    talk.book.settle(ask)
    return [ToServer(0, broken(ask.backend_id, "no-stream")), Note("refused", ask.method, "no-stream")]


def notification_from_server(talk: Conversation, stream: int, frame: Frame) -> list[Effect]:
    """A notification of the backend, on the stream of the call it belongs to."""
    try:
        return _notified(talk, stream, frame)
    except UNREADABLE:
        return [Note("dropped", str(frame.method), "backend-garbage")]


def _notified(talk: Conversation, stream: int, frame: Frame) -> list[Effect]:
    method: Any = frame.method
    assert talk.pipe is not None
    lane = talk.pipe.notes_to_client.get(method)
    if lane is None:
        return [Note("dropped", "unknown", "method-unknown")]
    params: Any = frame.params
    body = {} if params is UNSET else params
    ctx = Context(method=method, facts=talk.facts)
    try:
        body = lane.run(body, ctx)
    except (Refused, Swallowed) as gate:
        return [Note("swallowed", method, gate.reason, tuple(ctx.losses))]
    params = body if body or params is not UNSET else UNSET
    call = talk.book.calls.get(stream)
    exchange = call.exchange if call is not None else STANDING
    if method == "notifications/progress":
        token = tree.whole(body, "progressToken")
        owner = talk.book.calls.get(token) if type(token) is int else None
        lingering = talk.book.lingering.get(token) if type(token) is int else None
        if owner is not None and owner.token is not None:
            body["progressToken"] = owner.token
            exchange = owner.exchange
        elif lingering is not None:
            body["progressToken"] = lingering
        else:
            return [Note("dropped", method, "token-unknown")]
    elif method == "notifications/cancelled":
        asked = tree.whole(body, "requestId")
        number = talk.book.by_backend.get(asked) if type(asked) in (int, str) else None
        ask = talk.book.asks.get(number) if number is not None else None
        if ask is None:
            return [Note("dropped", method, "request-unknown")]
        talk.book.settle(ask)
        body["requestId"] = ask.id
        exchange = ask.stream
    elif method == "notifications/message":
        if talk.peers.logging_emulated and talk.level is not None:
            level = tree.whole(body, "level")
            if level in LEVELS and LEVELS.index(level) < LEVELS.index(talk.level):
                return []
    elif method in LIST_CHANGED and handshake.binding(talk.peers.client):
        capability, member = LIST_CHANGED[method]
        offered = talk.peers.offered.get(capability)
        if not isinstance(offered, dict) or offered.get(member) is not True:
            # MUST only use negotiated capabilities (2025-06-18 basic/lifecycle, operation).
            return [Note("dropped", method, "not-declared")]
    return [ToClient(exchange, Frame(method=method, params=params)), *lossy(ctx, method)]


def _no(backend_id: Any, method: str, reason: str, *, code: int = METHOD_NOT_FOUND) -> list[Effect]:
    return [ToServer(0, broken(backend_id, reason, code=code)), Note("refused", method, reason)]
