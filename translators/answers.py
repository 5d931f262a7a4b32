"""What the backend answers, and how the handshake ends: results and errors on their way to the client.

An answer is projected on the client's revision with the context of its request. A backend that breaks its own schema
inside a member some Change reads loses that answer, never the session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw

from protocol_versions import by_id
from protocol_versions.base import params
from protocol_versions.jsonrpc import ErrorObject, Frame
from translators import handshake
from translators.asks import UNREADABLE, ask_from_server, notification_from_server
from translators.calls import Call
from translators.change import Answered
from translators.context import Context
from translators.errors import Refused
from translators.machine import Effect, End, FromServer, Note, Repipe, ToClient, ToServer
from translators.notes import lossy
from translators.reply import answered, broken, refused
from translators.tables import tables

if TYPE_CHECKING:
    from translators.conversation import Conversation

OUTPUT_SCHEMA = "tools[].outputSchema"
"""Where a Change notes that the reader is shown another schema than the server listed."""

TASKS = params("tasks/get")
"""A revision that defines this slot knows tasks."""


def message_from_server(talk: Conversation, event: FromServer) -> list[Effect]:
    frame = event.frame
    if talk.phase == "ended":
        return [Note("dropped", reason="session-ended")]
    if talk.tasks is not None:
        try:
            talk.tasks.rename(frame.params if frame.method is not UNSET else frame.result, "server")
        except UNREADABLE:
            return _unreadable(talk, frame)
    if frame.method is UNSET:
        call = talk.book.calls.get(frame.id) if type(frame.id) is int else None
        if call is None:
            return [Note("dropped", reason="answer-unasked")]
        return _answer(talk, call, frame, event.origin)
    if talk.pipe is None:
        return [Note("dropped", frame.method, "before-initialize")]
    if frame.id is not UNSET:
        return ask_from_server(talk, event.stream, frame)
    return notification_from_server(talk, event.stream, frame)


def _unreadable(talk: Conversation, frame: Frame) -> list[Effect]:
    """The backend broke its own schema before anything of its message could be used: only that message is lost."""
    if frame.method is not UNSET:
        note = Note("dropped", reason="backend-garbage")
        return [note] if frame.id is UNSET else [ToServer(0, broken(frame.id, "backend-garbage", code=-32602)), note]
    call = talk.book.calls.get(frame.id) if type(frame.id) is int else None
    if call is None:
        return [Note("dropped", reason="answer-unasked")]
    talk.book.close(call)
    reply = broken(call.client_id, "backend-garbage")
    return [ToClient(call.exchange, reply, True, "broker"), End(call.id, "error")]


def _answer(talk: Conversation, call: Call, frame: Frame, origin: Any) -> list[Effect]:
    if call.method == "initialize":
        return _welcome(talk, call, frame)
    assert talk.pipe is not None
    lanes = talk.pipe.to_server[call.method]
    ctx = call.ctx
    if ctx is None and not (lanes.result.passes and lanes.error.passes):
        # Asked while nothing had to be translated, answered by a backend that has changed its revision since.
        ctx = Context(method=call.method, facts=talk.facts)
    talk.book.close(call)
    losses: list[Effect] = []
    result: Any = frame.result
    reply: Frame | None = None
    try:
        if frame.error is not UNSET:
            if ctx is not None and not lanes.error.passes and origin == "peer":
                reply = Frame(id=call.client_id, error=_error(lanes.error, frame.error, ctx))
            else:
                reply = Frame(id=call.client_id, error=frame.error)
        elif ctx is not None and not lanes.result.passes:
            ctx.losses = []
            listed = result.get("tools") if call.method == "tools/list" else None
            result = lanes.result.run(result, ctx)
            if listed is not None and any(lost.path == OUTPUT_SCHEMA for lost in ctx.losses):
                _learn(talk, listed)
    except Refused as refusal:
        reply, origin = refused(call.client_id, refusal), "broker"
    except Answered as done:
        result = done.result
    except UNREADABLE:
        # The backend broke its own schema inside a member a Change reads: its answer, not the session, is lost.
        reply, origin = broken(call.client_id, "backend-garbage"), "broker"
    if reply is None:
        reply = Frame(id=call.client_id, result=result)
        if call.subject is not None and frame.error is UNSET:
            _settle(talk, call)
        if talk.tasks is not None and call.token is not None and frame.result is not UNSET and "task" in frame.result:
            # The token stays valid until the task is terminal, beyond this answer (2025-11-25 utilities/progress).
            talk.book.linger(call)
    if ctx is not None and ctx.losses:
        losses = lossy(ctx, call.method)
    outcome = "error" if reply.error is not UNSET else "ok"
    return [ToClient(call.exchange, reply, True, origin), *losses, End(call.id, outcome)]


def _learn(talk: Conversation, listed: Any) -> None:
    """A listed schema was changed: the calls of that tool must know what the server listed."""
    if talk.tools_to_wrap is not None:
        found = talk.tools_to_wrap({"tools": listed})
        if found:
            talk.facts["tools"] = {**talk.facts.get("tools", {}), **found}


def _error(lane: Any, error: ErrorObject, ctx: Context) -> ErrorObject:
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.data is not UNSET:
        body["data"] = error.data
    body = lane.run(body, ctx)
    data = body.get("data", UNSET)
    if data is not UNSET and type(data) is not Raw:
        data = Raw(msgspec.json.encode(data))
    return ErrorObject(code=body["code"], message=body["message"], data=data)


def _settle(talk: Conversation, call: Call) -> None:
    if call.method == "logging/setLevel":
        talk.level = call.subject
    elif call.method == "resources/subscribe" and call.subject is not None:
        talk.subscriptions[call.subject] = None
    elif call.method == "resources/unsubscribe" and call.subject is not None:
        talk.subscriptions.pop(call.subject, None)


def _welcome(talk: Conversation, call: Call, frame: Frame) -> list[Effect]:
    ctx = call.ctx or Context(method="initialize")
    if frame.error is not UNSET:
        offer = handshake.counter_offer(talk.peers, frame.error)
        if offer is not None:
            return _offer_again(talk, call, offer)
        talk.book.close(call)
        talk.phase = "new"
        talk.refused_with = frame.error.code
        reply = Frame(id=call.client_id, error=frame.error)
        return [ToClient(call.exchange, reply, True), End(call.id, "error")]
    assert frame.result is not UNSET
    reason = "backend-revision"
    try:
        body = handshake.welcome(talk.peers, frame.result, ctx)
    except (Refused, *UNREADABLE):
        body, reason = None, "backend-garbage"
    talk.book.close(call)
    if body is None:
        talk.phase = "new"
        reply = broken(call.client_id, reason)
        return [ToClient(call.exchange, reply, True, "broker"), End(call.id, "error")]
    talk.phase = "open"
    knows = (talk.peers.client, talk.peers.server)
    if talk.task_ids is not None and all(by_id(revision).knows(TASKS) for revision in knows):
        talk.tasks = talk.task_ids if "tasks" in talk.peers.offered or "tasks" in talk.peers.declared else None
    talk.pipe = tables(talk.peers.client, talk.peers.server)
    reply = answered(call.client_id, body)
    done = ToClient(call.exchange, reply, True)
    notes = lossy(ctx, "initialize")
    if talk.peers.pinned and talk.peers.server != talk.peers.offer:
        notes.append(Note("backend-revision-differs", "initialize", talk.peers.server))
    return [Repipe(talk.peers.server), done, *notes, End(call.id, "ok")]


def _offer_again(talk: Conversation, call: Call, offer: str) -> list[Effect]:
    talk.book.close(call)
    talk.peers.offer = offer
    try:
        # Projected anew from what the client asked: an older server must not see what only the first offer knew.
        body = handshake.hello(talk.peers, talk.peers.asked, call.ctx or Context(method="initialize"))
    except Refused as refusal:
        talk.phase = "new"
        reply = refused(call.client_id, refusal)
        return [ToClient(call.exchange, reply, True, "broker"), End(call.id, "error")]
    again = Call(
        id=talk.book.mint(),
        client_id=call.client_id,
        exchange=call.exchange,
        method="initialize",
        ctx=call.ctx,
    )
    talk.book.open(again)
    frame = Frame(id=again.id, method="initialize", params=body)
    return [End(call.id, "retried"), ToServer(again.id, frame, call.exchange, initialize=True)]
