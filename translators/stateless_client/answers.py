"""What a session server says of a call: its answer, its progress, its log messages, and what belongs to no call.

Follows 2026-07-28 basic/index (results, errors), basic/patterns/progress and server/utilities/logging. Invariants: a
request is given messages of its own call alone, no log message it did not ask for, and exactly one answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw

from protocol_versions.jsonrpc import ErrorObject, Frame
from translators import tree
from translators.asks import LEVELS, UNREADABLE
from translators.context import Context
from translators.errors import Answered, Refused, Swallowed
from translators.inputs import ASKING
from translators.machine import STANDING, Effect, Note, Origin, ToClient
from translators.notes import lossy
from translators.reply import answered, broken, refused
from translators.stateless_client import listening, pages, questions, urls
from translators.stateless_client.calls import Call, Tombstone, final
from translators.tree import Body
from translators.v2025_11_25__v2026_07_28.fields_errors import MISSING_CAPABILITY, newer_error

if TYPE_CHECKING:
    from translators.stateless_client.machine import StatelessClient

MAX_MESSAGES = 100
"""Log messages kept for a suspended call; older ones go first."""

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
    """The end of a call, told to who waits for it or kept for who will."""
    ctx = call.ctx
    ctx.losses = []
    lanes = talk.lanes.to_server[call.method]
    effects: list[Effect] = []
    try:
        if frame.error is not UNSET:
            if origin == "peer":
                asked = urls.required(talk, call, frame.error)
                if asked is not None:
                    return asked
            reply = _error(call, frame.error, origin)
        else:
            body = lanes.result.run(frame.result, ctx)  # type: ignore[arg-type]
            if call.method in pages.MEMBERS:
                pages.delivered(talk, call.method, call.params, body)
            reply = Frame(id=0, result=_identified(talk, body))
    except Refused as refusal:
        reply = refused(0, refusal)
    except Answered as done:
        reply = answered(0, _identified(talk, {"resultType": "complete", **done.result}))
    except UNREADABLE:
        reply = broken(0, "backend-garbage")
    if call.missing and _failed(reply):
        # The server could not go on without what the client cannot give: the page has an error of its own for that.
        needed = Raw(msgspec.json.encode({"requiredCapabilities": call.missing}))
        reply = Frame(id=0, error=ErrorObject(MISSING_CAPABILITY, "Missing required client capability", needed))
    if ctx.losses:
        effects += lossy(ctx, call.method)
    effects += questions.dismiss(talk, call)
    if call.method in ASKING and call.round == 0 and talk.habits.quiet <= QUIET_CALLS:
        talk.habits.quiet += 1
    if not call.legs and call.phase == "parked":
        call.outcome = reply
        return effects
    return [*over(talk, call, reply), *effects]


def _failed(reply: Frame) -> bool:
    """True for an error, and for a tool's."""
    return reply.error is not UNSET or (reply.result is not UNSET and tree.whole(reply.result, "isError") is True)


def over(talk: StatelessClient, call: Call, reply: Frame) -> list[Effect]:
    """Answer every leg of a call and forget it; one that was suspended leaves its end behind."""
    effects: list[Effect] = [final(leg, copy(reply, leg)) for leg in call.legs]
    if call.answered is not None and call.legs:
        bury(talk, call, reply)
    talk.forget(call)
    return effects


def bury(talk: StatelessClient, call: Call, reply: Frame) -> None:
    """Keep the end of a call for the retry that comes twice."""
    assert call.answered is not None
    if reply.result is not UNSET and len(msgspec.json.encode(reply.result)) > MAX_TOMB_BYTES:
        return
    talk.tombs[call.id] = Tombstone(call.answered, reply)
    while len(talk.tombs) > MAX_TOMBS:
        del talk.tombs[next(iter(talk.tombs))]


def copy(frame: Frame, leg: int) -> Frame:
    """The same answer for another request: each reader rewrites its own."""
    result: Any = dict(frame.result) if frame.result is not UNSET else UNSET
    error: Any = UNSET
    if frame.error is not UNSET:
        error = ErrorObject(frame.error.code, frame.error.message, frame.error.data)
    return Frame(id=leg, result=result, error=error)


def notification_of_server(talk: StatelessClient, stream: int, frame: Frame) -> list[Effect]:
    """A notification, on its way to the request or the subscription it belongs to."""
    method: Any = frame.method
    params: Any = frame.params if frame.params is not UNSET else {}
    if method == "notifications/cancelled":
        return questions.taken_back(talk, tree.whole(params, "requestId"))
    if method == "notifications/elicitation/complete":
        return urls.completed(talk, tree.whole(params, "elicitationId"))
    lane = talk.lanes.notes_to_client.get(method)
    if lane is None:
        return [Note("dropped", method, "method-unknown")]
    ctx = Context(method=method)
    try:
        body = lane.run(params, ctx)
        if method == "notifications/progress":
            return [*_progress(talk, stream, body), *lossy(ctx, method)]
        if method == "notifications/message":
            return [*_message(talk, stream, body), *lossy(ctx, method)]
    except (Refused, Swallowed, *UNREADABLE):
        return [Note("dropped", method, "backend-garbage")]
    return [*listening.announced(talk, method, body), *lossy(ctx, method)]


def caught_up(call: Call) -> list[Effect]:
    """What was said while nobody waited, for the leg that does now."""
    effects: list[Effect] = []
    for body in call.messages:
        effects += _to_legs(call, body)
    call.messages = []
    if call.progress is not None:
        body, call.progress = call.progress, None
        effects += _progressed(call, body)
    return effects


def _progress(talk: StatelessClient, stream: int, body: Body) -> list[Effect]:
    call = talk.calls.get(stream)
    if call is None:
        return [Note("dropped", "notifications/progress", "token-unknown")]
    if call.legs:
        return _progressed(call, body)
    call.progress = body
    return []


def _progressed(call: Call, body: Body) -> list[Effect]:
    effects: list[Effect] = []
    for leg in call.legs.values():
        if leg.token:
            params: Body = {**body, "progressToken": leg.id}
            effects.append(ToClient(leg.id, Frame(method="notifications/progress", params=params)))
    return effects


def _message(talk: StatelessClient, stream: int, body: Body) -> list[Effect]:
    call = talk.calls.get(stream)
    if call is None and stream == STANDING and len(talk.calls) == 1:
        call = next(iter(talk.calls.values()))  # SDK servers log on the standing stream whatever they log about
    if call is None:
        return [Note("dropped", "notifications/message", "not-of-a-call")]
    if call.legs:
        return _to_legs(call, body)
    call.messages = [*call.messages[-MAX_MESSAGES + 1 :], body]
    return []


def _to_legs(call: Call, body: Body) -> list[Effect]:
    level = tree.whole(body, "level")
    number = LEVELS.index(level) if level in LEVELS else -1
    return [
        ToClient(leg.id, Frame(method="notifications/message", params=dict(body)))
        for leg in call.legs.values()
        if number >= leg.level
    ]


def _error(call: Call, error: ErrorObject, origin: Origin) -> Frame:
    if origin != "peer":
        data = tree.deep(error.data) if error.data is not UNSET else None
        reason = data.get("reason") if isinstance(data, dict) else None
        if call.sent and reason in UNKNOWN_OUTCOME:
            if call.method == "tools/call":
                content = [{"type": "text", "text": UNKNOWN_TEXT}]
                return answered(0, {"resultType": "complete", "content": content, "isError": True})
            return broken(0, str(reason), message=UNKNOWN_TEXT)
        return Frame(id=0, error=error)
    body: Body = {"code": error.code, "message": error.message}
    if error.data is not UNSET:
        body["data"] = error.data
    uri = tree.whole(call.params, "uri") if call.method == "resources/read" else None
    mapped = newer_error(body, call.method, uri if isinstance(uri, str) else None)
    if mapped["code"] == error.code and mapped["message"] == error.message and "data" not in mapped:
        return Frame(id=0, error=error)
    data = Raw(msgspec.json.encode(mapped["data"])) if "data" in mapped else UNSET
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
