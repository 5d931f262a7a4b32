"""What a session server answers to a call, for every request that waits for it or will.

Follows 2026-07-28 basic/index (results, errors) and basic/patterns/mrtr. Invariants: exactly one answer for each
request; what several requests are given, or one that comes twice later, no reader can change for the others; a call
whose connection was lost is never said to have failed, because it may have taken effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw

from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import ErrorObject, Frame
from translators import tree
from translators.asks import UNREADABLE
from translators.errors import Answered, Refused
from translators.inputs import ASKING
from translators.machine import Effect, Origin
from translators.notes import lossy
from translators.reply import answered, broken, reason_of, refused
from translators.stateless_client import pages, questions, urls
from translators.stateless_client.calls import Call, Tombstone, final
from translators.tree import Body
from translators.v2025_11_25__v2026_07_28.fields_errors import newer_error

if TYPE_CHECKING:
    from translators.stateless_client.machine import StatelessClient

MAX_TOMBS = 32
"""Ends of suspended calls that are kept for a retry that comes twice."""

MAX_TOMB_BYTES = 64 * 1024
"""Longest answer that is kept for that."""

QUIET_CALLS = 20
"""Calls without a question after which a server is not expected to ask on its standing stream."""

UNKNOWN_OUTCOME = frozenset(("backend-closed", "backend-timeout", "backend-status"))
"""Why a call that was sent may have no answer though the server ran it; a lost session proves that it did not."""

UNKNOWN_TEXT = "The connection to the server was lost while the call was in progress; it may have taken effect."


def answer_of_call(talk: StatelessClient, call: Call, frame: Frame, origin: Origin) -> list[Effect]:
    """The end of a call: told to who waits for it, or kept as it came for who will."""
    dismissed = questions.dismiss(talk, call) if call.queued or call.shown else []
    if call.phase == "parked":
        call.outcome = frame, origin
        return dismissed
    if origin == "peer" and frame.error is not UNSET:
        pages_first = urls.required(talk, call, frame.error)
        if pages_first is not None:
            return [*_told(talk, call, pages_first), *dismissed]
    reply, losses = _reply(talk, call, frame, origin)
    if call.method in ASKING and call.round == 0 and talk.can_ask and talk.habits.quiet <= QUIET_CALLS:
        talk.habits.quiet += 1
    kept = call.answered is not None and bool(call.legs)
    if kept or len(call.legs) > 1:
        reply = _closed(reply)
    if kept:
        bury(talk, call, reply)
    return [*_told(talk, call, reply, kept=kept), *losses, *dismissed]


def bury(talk: StatelessClient, call: Call, reply: Frame) -> None:
    """Keep the end of a call for the retry that comes twice."""
    assert call.answered is not None
    if len(jsonrpc.encode(reply)) > MAX_TOMB_BYTES:
        return
    talk.tombs[call.id] = Tombstone(call.answered, reply)
    if len(talk.tombs) > MAX_TOMBS:
        del talk.tombs[next(iter(talk.tombs))]


def copy(frame: Frame, leg: int) -> Frame:
    """The same answer for another request: each reader rewrites its own."""
    result: Any = dict(frame.result) if frame.result is not UNSET else UNSET
    error: Any = UNSET
    if frame.error is not UNSET:
        error = ErrorObject(frame.error.code, frame.error.message, frame.error.data)
    return Frame(id=leg, result=result, error=error)


def _told(talk: StatelessClient, call: Call, reply: Frame, *, kept: bool = False) -> list[Effect]:
    """The answer of every leg; nothing of the call is left. `kept`: somebody else has the same answer."""
    effects: list[Effect]
    if len(call.legs) == 1 and not kept:
        (reply.id,) = call.legs
        effects = [final(reply.id, reply)]
    else:
        effects = [final(leg, copy(reply, leg)) for leg in call.legs]
    talk.forget(call)
    return effects


def _reply(talk: StatelessClient, call: Call, frame: Frame, origin: Origin) -> tuple[Frame, list[Effect]]:
    """The answer in the client's revision, and what was lost on the way."""
    ctx = call.ctx
    ctx.losses = []
    try:
        if frame.error is not UNSET:
            reply = _error(talk, call, frame.error, origin)
        else:
            body = talk.lanes.to_server[call.method].result.run(frame.result, ctx)  # type: ignore[arg-type]
            if call.method in pages.MEMBERS:
                pages.delivered(talk, call.method, call.params, body)
            reply = Frame(id=0, result=_identified(talk, body))
        if call.missing and origin == "peer" and _failed(reply):
            # It could not go on without what the client cannot give: the page has an error of its own for that.
            reply = Frame(id=0, error=questions.lacking(call.missing))
    except Refused as refusal:
        reply = refused(0, refusal)
    except Answered as done:
        reply = answered(0, _identified(talk, {"resultType": "complete", **done.result}))
    except UNREADABLE:
        reply = broken(0, "backend-garbage")
    return reply, lossy(ctx, call.method) if ctx.losses else []


def _failed(reply: Frame) -> bool:
    """True for an error, and for a tool's."""
    return reply.error is not UNSET or (reply.result is not UNSET and tree.whole(reply.result, "isError") is True)


def _closed(reply: Frame) -> Frame:
    """The same answer with every value as bytes, which nobody changes."""
    if reply.result is UNSET:
        return reply
    result: Any = {name: _raw(value) for name, value in reply.result.items()}
    return Frame(id=reply.id, result=result)


def _raw(value: Any) -> Raw:
    return value if type(value) is Raw else Raw(msgspec.json.encode(value))


def tool_error(talk: StatelessClient, text: str) -> Body:
    """A tool's result that tells a model why there is none."""
    content = [{"type": "text", "text": text}]
    return _identified(talk, {"resultType": "complete", "content": content, "isError": True})


def _error(talk: StatelessClient, call: Call, error: ErrorObject, origin: Origin) -> Frame:
    if origin != "peer":
        reason = reason_of(Frame(id=0, error=error))
        if reason not in UNKNOWN_OUTCOME:
            return Frame(id=0, error=error)
        if call.method != "tools/call":
            return broken(0, reason, message=UNKNOWN_TEXT)
        return answered(0, tool_error(talk, UNKNOWN_TEXT))
    body: Body = {"code": error.code, "message": error.message}
    if error.data is not UNSET:
        body["data"] = error.data
    uri = tree.whole(call.params, "uri") if call.method == "resources/read" else None
    declared = all(urls.declares(leg.capabilities) for leg in call.legs.values())
    mapped = newer_error(body, call.method, uri if isinstance(uri, str) else None, urls=declared)
    data = _raw(mapped["data"]) if "data" in mapped else UNSET
    return Frame(id=0, error=ErrorObject(mapped["code"], mapped["message"], data))


def _identified(talk: StatelessClient, body: Body) -> Body:
    """With the server's name in `_meta`, as each result SHOULD say it (basic/index)."""
    if talk.meta is None:
        return body
    if "_meta" not in body:
        body["_meta"] = talk.meta
        return body
    meta = tree.member(body, "_meta")
    body["_meta"] = {**meta, **talk.identity} if isinstance(meta, dict) else talk.meta
    return body
