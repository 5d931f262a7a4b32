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
from translators.errors import Refused
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


ENDED_TEXT = "The session with the server was ended while the call was in progress; it may have taken effect."


def answer_of_call(talk: StatelessClient, call: Call, frame: Frame, origin: Origin) -> list[Effect]:
    """The end of a call: told to who waits for it, or kept as it came for who will."""
    dismissed = questions.dismiss(talk, call) if call.queued or call.shown else []
    if call.phase == "parked":
        call.outcome = frame, origin
        return dismissed
    return [*ended(talk, call, frame, origin), *dismissed]


def ended(talk: StatelessClient, call: Call, frame: Frame, origin: Origin) -> list[Effect]:
    """The end of a call, told to who waits for it."""
    if origin == "peer" and frame.error is not UNSET:
        pages_first = urls.required(talk, call, frame.error)
        if pages_first is not None:
            return _told(talk, call, pages_first)
    reply, losses = _reply(talk, call, frame, origin)
    if call.method in ASKING and call.round == 0 and talk.can_ask and talk.habits.quiet <= QUIET_CALLS:
        talk.habits.quiet += 1
    if call.answered is not None:  # else one request waits, and no other ever will
        reply = _closed(reply)
        _bury(talk, call.id, Tombstone(call.answered, reply))
    return _told(talk, call, reply) + losses


def _bury(talk: StatelessClient, number: int, tomb: Tombstone) -> None:
    """Keep the end of a call for the retry that comes twice."""
    if len(jsonrpc.encode(tomb.frame)) > MAX_TOMB_BYTES:
        return
    talk.tombs[number] = tomb
    if len(talk.tombs) > MAX_TOMBS:
        del talk.tombs[next(iter(talk.tombs))]


def copy(frame: Frame, leg: int) -> Frame:
    """The same answer for another request: each reader rewrites its own."""
    result: Any = dict(frame.result) if frame.result is not UNSET else UNSET
    error: Any = UNSET
    if frame.error is not UNSET:
        error = ErrorObject(frame.error.code, frame.error.message, frame.error.data)
    return Frame(id=leg, result=result, error=error)


def _told(talk: StatelessClient, call: Call, reply: Frame) -> list[Effect]:
    """The answer of every leg; nothing of the call is left."""
    effects: list[Effect] = []
    for leg in call.legs:
        if call.answered is None:
            reply.id, own = leg, reply
        else:
            own = copy(reply, leg)
        effects.append(final(leg, own))
    talk.forget(call)
    return effects


def _reply(talk: StatelessClient, call: Call, frame: Frame, origin: Origin) -> tuple[Frame, list[Effect]]:
    """The answer in the client's revision, and what was lost on the way."""
    ctx = call.ctx
    try:
        if frame.error is not UNSET:
            reply = _error(talk, call, frame, origin)
        else:
            body = talk.lanes.to_server[call.method].result.run(frame.result, ctx)  # type: ignore[arg-type]
            if call.method in pages.MEMBERS:
                pages.delivered(talk, call.method, call.params, body)
            reply = Frame(id=call.id, result=_identified(talk, body))
        if call.missing and origin == "peer" and _failed(reply):
            # It could not go on without what the client cannot give: the page has an error of its own for that.
            reply = Frame(id=call.id, error=questions.lacking(call.missing))
    except Refused as refusal:
        reply = refused(call.id, refusal)
    except UNREADABLE:
        reply = broken(call.id, "backend-garbage")
    return reply, lossy(ctx, call.method) if ctx.losses else []


def _failed(reply: Frame) -> bool:
    """True for an error, and for a tool's."""
    result: Any = reply.result
    return reply.error is not UNSET or tree.whole(result, "isError") is True


def _closed(reply: Frame) -> Frame:
    """The same answer with every value as bytes, which nobody changes."""
    if reply.result is UNSET:
        return reply
    result: Any = {name: _raw(value) for name, value in reply.result.items()}
    return Frame(id=reply.id, result=result)


def _raw(value: Any) -> Raw:
    return Raw(msgspec.json.encode(value))


def tool_error(talk: StatelessClient, text: str) -> Body:
    """A tool's result that tells a model why there is none."""
    content = [{"type": "text", "text": text}]
    return _identified(talk, {"resultType": "complete", "content": content, "isError": True})


def _error(talk: StatelessClient, call: Call, frame: Frame, origin: Origin) -> Frame:
    error: Any = frame.error
    if origin != "peer":
        reason = reason_of(frame)
        return (
            unknown(talk, call, reason, UNKNOWN_TEXT) if reason in UNKNOWN_OUTCOME else Frame(id=call.id, error=error)
        )
    body: Body = {"code": error.code, "message": error.message}
    if error.data is not UNSET:
        body["data"] = error.data
    uri = tree.whole(call.params, "uri") if call.method == "resources/read" else None
    declared = all(urls.declares(leg.capabilities) for leg in call.legs.values())
    mapped = newer_error(body, call.method, uri if isinstance(uri, str) else None, urls=declared)
    data = _raw(mapped["data"]) if "data" in mapped else UNSET
    return Frame(id=call.id, error=ErrorObject(mapped["code"], mapped["message"], data))


def unknown(talk: StatelessClient, call: Call, reason: str, text: str) -> Frame:
    """The answer to a call that was sent and may have run, though nobody will ever say so."""
    if call.method != "tools/call":
        return broken(call.id, reason, message=text)
    return answered(call.id, tool_error(talk, text))


def cut_off(talk: StatelessClient, call: Call, reason: str) -> list[Effect]:
    """The answers of a call that the end of its session cuts off."""
    if not call.sent:
        return [final(leg, broken(leg, reason)) for leg in call.legs]
    return [final(leg, copy(unknown(talk, call, reason, ENDED_TEXT), leg)) for leg in call.legs]


def _identified(talk: StatelessClient, body: Body) -> Body:
    """With the server's name in `_meta`, as each result SHOULD say it (basic/index)."""
    if talk.meta is None:
        return body
    meta = tree.member(body, "_meta")
    body["_meta"] = {**meta, **talk.identity} if isinstance(meta, dict) else talk.meta
    return body
