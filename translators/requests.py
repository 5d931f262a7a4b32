"""What the client says: requests, notifications, cancellations, in the order of its stream.

A request leaves under an id of the broker, projected on the backend's revision. What a lost backend session would have
to be told again (log level, subscriptions) is remembered with the call that set it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from protocol_versions.jsonrpc import Frame
from translators import handshake, tree
from translators.asks import LEVELS, UNREADABLE, answer_from_client
from translators.calls import Call, take_token
from translators.change import Answered
from translators.context import Context
from translators.errors import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, Refused, Swallowed
from translators.machine import Accept, Effect, FromClient, Note, OpenStream, SetTimer, ToClient, ToServer
from translators.notes import lossy
from translators.reply import answered, broken, refused

if TYPE_CHECKING:
    from translators.conversation import Conversation

_REMEMBERED = {"logging/setLevel": "level", "resources/subscribe": "uri", "resources/unsubscribe": "uri"}


def message_from_client(talk: Conversation, event: FromClient) -> list[Effect]:
    frame = event.frame
    if talk.phase == "ended":
        return _after_the_end(event.exchange, frame)
    if talk.tasks is not None:
        talk.tasks.rename(frame.params if frame.method is not UNSET else frame.result, "client")
    if frame.method is not UNSET:
        if frame.id is not UNSET:
            return _request(talk, event.exchange, frame)
        return _notification(talk, event.exchange, frame)
    return answer_from_client(talk, event.exchange, frame)


def _after_the_end(exchange: int, frame: Frame) -> list[Effect]:
    if frame.method is not UNSET and frame.id is not UNSET:
        return _no(exchange, frame.id, "session-ended")
    return [Accept(exchange), Note("dropped", reason="session-ended")]


def _request(talk: Conversation, exchange: int, frame: Frame) -> list[Effect]:
    client_id: Any = frame.id
    method: Any = frame.method
    if client_id in talk.book.by_client:
        return _no(exchange, client_id, "duplicate-id", INVALID_REQUEST)
    if method == "initialize":
        return _initialize(talk, exchange, frame)
    pipe = talk.pipe
    if pipe is None:
        return _no(exchange, client_id, "not-initialized", INVALID_REQUEST)
    if len(talk.book.calls) >= talk.max_calls:
        return _no(exchange, client_id, "overloaded")
    lanes = pipe.to_server.get(method)
    if lanes is None:
        return _no(exchange, client_id, "method-unknown", METHOD_NOT_FOUND)
    call = Call(id=talk.book.mint(), client_id=client_id, exchange=exchange, method=method)
    params: Any = frame.params
    notes: list[Effect] = []
    if not lanes.idle:
        ctx = call.ctx = Context(method=method, facts=talk.facts)
        if not lanes.params.passes:
            body = {} if params is UNSET else params
            try:
                body = lanes.params.run(body, ctx)
            except Refused as refusal:
                note = Note("refused", method, refusal.reason)
                return [ToClient(exchange, refused(client_id, refusal), True, "broker"), note]
            except Answered as done:
                return [ToClient(exchange, answered(client_id, done.result), True, "broker")]
            except UNREADABLE:
                return _no(exchange, client_id, "client-garbage", INVALID_PARAMS)
            params = body if body or params is not UNSET else UNSET
            notes = lossy(ctx, method) if ctx.losses else []
        ctx.request = params if params is not UNSET else None
    call.token = take_token(params, call.id)
    if method in _REMEMBERED and _remember(talk, call, params):
        return [ToClient(exchange, answered(client_id, {}), True, "broker")]
    talk.book.open(call)
    return [ToServer(call.id, Frame(id=call.id, method=method, params=params), exchange), *notes]


def _remember(talk: Conversation, call: Call, params: Any) -> bool:
    """Keep what has to be replayed after a lost session; True if the broker answers by itself."""
    subject = tree.whole(params, _REMEMBERED[call.method]) if params is not UNSET else None
    call.subject = subject if type(subject) is str else None
    if call.method == "logging/setLevel" and talk.peers.logging_emulated and call.subject in LEVELS:
        talk.level = call.subject
        return True
    return False


def _initialize(talk: Conversation, exchange: int, frame: Frame) -> list[Effect]:
    client_id: Any = frame.id
    if talk.phase != "new":
        return _no(exchange, client_id, "already-initialized", INVALID_REQUEST)
    ctx = Context(method="initialize")
    params = frame.params if frame.params is not UNSET else {}
    capabilities = tree.shallow(params.get("capabilities"))
    talk.facts = {"client_capabilities": tree.deep(dict(capabilities)) if type(capabilities) is dict else {}}
    try:
        body = handshake.hello(talk.peers, params, ctx)
    except Refused as refusal:
        return [ToClient(exchange, refused(client_id, refusal), True, "broker")]
    except UNREADABLE:
        return _no(exchange, client_id, "client-garbage", INVALID_PARAMS)
    talk.phase = "greeting"
    call = Call(id=talk.book.mint(), client_id=client_id, exchange=exchange, method="initialize", ctx=ctx)
    talk.book.open(call)
    sent = ToServer(call.id, Frame(id=call.id, method="initialize", params=body), exchange, initialize=True)
    return [sent, *lossy(ctx, "initialize")]


def _notification(talk: Conversation, exchange: int, frame: Frame) -> list[Effect]:
    method: Any = frame.method
    if talk.pipe is None:
        return [Accept(exchange), Note("dropped", method, "not-initialized")]
    lane = talk.pipe.notes_to_server.get(method)
    if lane is None:
        return [Accept(exchange), Note("dropped", method, "method-unknown")]
    params: Any = frame.params
    body = {} if params is UNSET else params
    ctx = Context(method=method, facts=talk.facts)
    try:
        body = lane.run(body, ctx)
    except (Refused, Swallowed) as gate:
        return [Accept(exchange), Note("swallowed", method, gate.reason, tuple(ctx.losses))]
    except UNREADABLE:
        return [Accept(exchange), Note("dropped", method, "client-garbage")]
    params = body if body or params is not UNSET else UNSET
    if method == "notifications/cancelled":
        return _cancel(talk, exchange, body)
    if method == "notifications/progress":
        token = tree.whole(body, "progressToken")
        ask = talk.book.asks.get(token) if type(token) is int else None
        if ask is None or ask.token is None:
            return [Accept(exchange), Note("dropped", method, "token-unknown")]
        body["progressToken"] = ask.token
    effects: list[Effect] = [
        ToServer(0, Frame(method=method, params=params), exchange),
        *lossy(ctx, method),
    ]
    if method == "notifications/initialized":
        effects.append(OpenStream(then=exchange))
    return effects


def _cancel(talk: Conversation, exchange: int, body: tree.Body) -> list[Effect]:
    client_id = tree.whole(body, "requestId")
    number = talk.book.by_client.get(client_id) if type(client_id) in (int, str) else None
    call = talk.book.calls.get(number) if number is not None else None
    if call is None or call.method == "initialize":
        # Receivers MAY ignore a cancellation of an unknown or finished request; initialize MUST NOT be cancelled.
        return [Accept(exchange), Note("dropped", "notifications/cancelled", "request-unknown")]
    call.cancelled = True
    body["requestId"] = call.id
    return [
        ToServer(0, Frame(method="notifications/cancelled", params=body), exchange),
        SetTimer(f"cancelled:{call.id}", talk.cancel_grace_s),
    ]


def _no(exchange: int, client_id: Any, reason: str, code: int = -32603) -> list[Effect]:
    reply = broken(client_id, reason, code=code)
    return [ToClient(exchange, reply, True, "broker"), Note("refused", reason=reason)]
