"""What a stateless server says of a call: results, rounds of input, errors, and the notifications of a leg."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw

from protocol_versions.jsonrpc import ErrorObject, Frame
from translators import tree
from translators.asks import LEVELS, UNREADABLE
from translators.context import Context
from translators.errors import Answered, Refused, Swallowed
from translators.machine import Effect, Note, Origin, ToClient
from translators.notes import lossy
from translators.reply import answered, broken, refused
from translators.session_client import lists, urls
from translators.session_client.asking import ask_round, give_up
from translators.session_client.renewing import renew
from translators.session_client.rounds import Bridge, Fault
from translators.session_client.subscribing import final
from translators.tree import Body
from translators.v2025_11_25__v2026_07_28.fields_errors import older_error

if TYPE_CHECKING:
    from translators.session_client.machine import SessionClient

HEADER_MISMATCH = -32020
UNSUPPORTED_VERSION = -32022

_COMPLETE = Raw(b'"complete"')

MAX_PROGRESS = 1e300
"""Larger values could not be told apart from the next one."""


def answer_of_call(
    talk: SessionClient, bridge: Bridge, frame: Frame, origin: Origin, settled: Body | None = None
) -> list[Effect]:
    """The one answer of a leg: the end of the call, or a round, of which some questions may be `settled` already."""
    bridge.leg = 0
    if frame.error is not UNSET:
        return _error(talk, bridge, frame.error, origin)
    result: Any = frame.result
    try:
        kind = result.get("resultType")
        if kind == _COMPLETE:
            del result["resultType"]  # said, and heard: without it most results are of a usual shape
            kind = "complete"
        else:
            kind = tree.whole(result, "resultType")
        if kind == "input_required":
            return ask_round(talk, bridge, result, settled or {})
        if kind != "complete" and "resultType" in result:
            return _broken(talk, bridge, "unsupported-result-type")
        ctx = bridge.ctx
        ctx.facts = talk.known()
        if bridge.method == "tools/list":
            lists.without_unusable_tools(talk, result, ctx, first="cursor" not in bridge.params)
        body = talk.lanes.to_server[bridge.method].result.run(result, ctx)
        if bridge.method in lists.MEMBERS:
            lists.delivered(talk, bridge, body)
    except Refused as refusal:
        return [final(bridge.call, refused(bridge.call, refusal)), *talk.drop(bridge)]
    except Answered as done:
        return [final(bridge.call, answered(bridge.call, done.result)), *talk.drop(bridge)]
    except Fault as fault:
        if fault.reason == "undeclared-input":
            return give_up(talk, bridge, fault.reason)
        return _broken(talk, bridge, fault.reason)
    except UNREADABLE:
        return _broken(talk, bridge, "backend-garbage")
    done_frame = Frame(id=bridge.call, result=body)
    told = urls.completed(bridge, {}) if bridge.visited else []
    told.append(final(bridge.call, done_frame))
    if ctx.losses:
        told += lossy(ctx, bridge.method)
    return told + talk.drop(bridge)


def _error(talk: SessionClient, bridge: Bridge, error: ErrorObject, origin: Origin) -> list[Effect]:
    if origin == "peer" and error.code == HEADER_MISMATCH:
        # It proves that nothing was dispatched: what was believed of the tool is stale.
        talk.facts.forget_tools()
        if bridge.method != "tools/call" or bridge.retried:
            return _broken(talk, bridge, "backend-garbage")
        bridge.retried = True
        return [Note("stale-facts", bridge.method, "header-mismatch"), *talk.await_catalogue(bridge.call)]
    if origin == "peer" and error.code == UNSUPPORTED_VERSION:
        return renew(talk, bridge, error) or _broken(talk, bridge, "backend-revision")
    lane = talk.lanes.to_server[bridge.method].error
    ctx = bridge.ctx
    if origin == "peer":
        body: dict[str, Any] = {"code": error.code, "message": error.message}
        if error.data is not UNSET:
            body["data"] = error.data
        try:
            if bridge.method == "resources/read":
                uri = tree.deep(bridge.params.get("uri"))
                body = older_error(body, bridge.method, uri if isinstance(uri, str) else None)
            body = lane.run(body, ctx)
        except Answered as done:
            told = final(bridge.call, answered(bridge.call, done.result))
            return [told, *lossy(ctx, bridge.method), *talk.drop(bridge)]
        except UNREADABLE:
            return _broken(talk, bridge, "backend-garbage")
        data = body.get("data", UNSET)
        error = ErrorObject(body["code"], body["message"], data if data is UNSET else Raw(msgspec.json.encode(data)))
    return [final(bridge.call, Frame(id=bridge.call, error=error)), *lossy(ctx, bridge.method), *talk.drop(bridge)]


def notification_of_call(talk: SessionClient, bridge: Bridge, frame: Frame) -> list[Effect]:
    """Progress and log messages of a leg, on their way to the call they belong to."""
    method: Any = frame.method
    if method not in ("notifications/progress", "notifications/message"):
        return [Note("violation", method, "not-of-a-call")]
    params: Any = frame.params if frame.params is not UNSET else {}
    ctx = Context(method=method)
    try:
        body = talk.lanes.notes_to_client[method].run(params, ctx)
        reason = _unwanted(talk, bridge, method, body)
    except (Refused, Swallowed, *UNREADABLE):
        reason = "backend-garbage"
    if reason:
        return [Note("dropped", method, reason)]
    return [ToClient(bridge.call, Frame(method=method, params=body)), *lossy(ctx, method)]


def _unwanted(talk: SessionClient, bridge: Bridge, method: str, body: Any) -> str:
    """Why a notification does not reach the client, empty if it does; progress is remembered."""
    if method == "notifications/message":
        level, wanted = tree.whole(body, "level"), talk.envelope.level
        too_low = wanted is not None and LEVELS.index(level) < LEVELS.index(wanted)
        return "below-level" if too_low else ""
    token = tree.whole(body, "progressToken")
    if bridge.token is None or type(token) is not type(bridge.token) or token != bridge.token:
        return "token-unknown"
    progress = tree.whole(body, "progress")
    if type(progress) not in (int, float) or abs(progress) > MAX_PROGRESS:
        return "backend-garbage"
    if bridge.progress is not None and progress <= bridge.progress:
        return "progress-not-increasing"
    bridge.progress = float(progress)
    return ""


def _broken(talk: SessionClient, bridge: Bridge, reason: str) -> list[Effect]:
    """End a call whose leg was answered with what it cannot be; no question of it is open meanwhile."""
    reply = broken(bridge.call, reason)
    return [final(bridge.call, reply), Note("failed", bridge.method, reason), *talk.drop(bridge)]
