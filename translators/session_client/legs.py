"""What a stateless server says: results, rounds of input, errors, notifications of a call or of a listen stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw

from protocol_versions.jsonrpc import ErrorObject, Frame
from translators import tree
from translators.asks import UNREADABLE
from translators.context import Context
from translators.errors import Answered, Refused, Swallowed
from translators.loss import Loss, Noted
from translators.machine import STANDING, Abort, Effect, Note, SetTimer, ToClient
from translators.notes import lossy
from translators.reply import answered, broken, notify, refused
from translators.session_client import rounds
from translators.session_client.rounds import PATIENCE_S, Ask, Bridge, Fault
from translators.session_client.subscribing import lost_listen

if TYPE_CHECKING:
    from translators.session_client.machine import SessionClient

HEADER_MISMATCH = -32020
UNSUPPORTED_VERSION = -32022
MISSING_CAPABILITY = -32021

CHANGED = {"notifications/tools/list_changed"}


def answer_of_call(talk: SessionClient, bridge: Bridge, frame: Frame) -> list[Effect]:
    """The one answer of a leg: the end of the call, or a round."""
    bridge.leg = 0
    if frame.error is not UNSET:
        return _error(talk, bridge, frame.error)
    result: Any = frame.result
    try:
        kind = tree.whole(result, "resultType")
        if kind == "input_required":
            return _round(talk, bridge, result)
        if kind is not None and kind != "complete":
            return _broken(talk, bridge, "unsupported-result-type")
        if bridge.method == "tools/list":
            _catalogue_seen(talk, bridge, result)
        ctx = bridge.ctx
        ctx.losses = []
        lanes = talk.lanes.to_server[bridge.method]
        body = lanes.result.run(result, ctx)
    except Refused as refusal:
        return [_final(bridge, refused(bridge.call, refusal)), *talk.drop(bridge)]
    except Answered as done:
        return [_final(bridge, answered(bridge.call, done.result)), *talk.drop(bridge)]
    except Fault as fault:
        if fault.reason == "undeclared-input":
            return talk.give_up(bridge, fault.reason)
        return _broken(talk, bridge, fault.reason)
    except UNREADABLE:
        return _broken(talk, bridge, "backend-garbage")
    done_frame = Frame(id=bridge.call, result=body)
    return [_final(bridge, done_frame), *lossy(ctx, bridge.method), *talk.drop(bridge)]


def _catalogue_seen(talk: SessionClient, bridge: Bridge, result: Any) -> None:
    """A list the client asked for teaches the catalogue too; tools with a bad annotation are left out of it."""
    bad, _more = talk.facts.learn_tools(result, talk.now, first="cursor" not in bridge.params)
    if bad:
        tools = [item for item in tree.member(result, "tools") if tree.deep(tree.shallow(item).get("name")) not in bad]
        result["tools"] = tools
        bridge.ctx.losses += [Noted("mirrored headers", f"tools[{name}]", Loss.DEGRADED) for name in bad]


def _round(talk: SessionClient, bridge: Bridge, result: Any) -> list[Effect]:
    questions = rounds.read(bridge, result, talk.envelope.capabilities)
    if not questions:
        return [SetTimer(f"state:{bridge.call}", rounds.state_delay_s(bridge))]
    effects: list[Effect] = []
    sent: list[Effect] = []
    for key, (method, params) in questions.items():
        ctx = Context(method=method)
        ctx.stash["elicitationId"] = talk.ids
        lane = talk.lanes.to_client[method].params
        body = lane.run({name: _raw(value) for name, value in (params or {}).items()}, ctx)
        ctx.request = body
        talk.asked += 1
        ask_id = f"ask-{talk.asked}"
        bridge.asks[key] = ask_id
        talk.asks[ask_id] = Ask(bridge.call, key, method, ctx)
        asked = body if params is not None or body else UNSET
        sent.append(ToClient(bridge.call, Frame(id=ask_id, method=method, params=asked)))
        effects += lossy(ctx, method)
    if bridge.token:
        effects.append(SetTimer(f"patience:{bridge.call}", PATIENCE_S))
    return [*sent, *effects]


def _error(talk: SessionClient, bridge: Bridge, error: ErrorObject) -> list[Effect]:
    if error.code in (HEADER_MISMATCH, UNSUPPORTED_VERSION) and not bridge.retried:
        # Both prove that nothing was dispatched: what was believed of the server is stale.
        bridge.retried = True
        talk.facts.forget_tools()
        if error.code == HEADER_MISMATCH and bridge.method == "tools/call":
            return [Note("stale-facts", bridge.method, "header-mismatch"), *talk.await_catalogue(bridge.call)]
    if error.code in (HEADER_MISMATCH, UNSUPPORTED_VERSION):
        reason = "backend-revision" if error.code == UNSUPPORTED_VERSION else "backend-garbage"
        return _broken(talk, bridge, reason)
    if error.code == MISSING_CAPABILITY:
        return talk.give_up(bridge, "undeclared-input")
    lane = talk.lanes.to_server[bridge.method].error
    ctx = bridge.ctx
    ctx.losses = []
    if not lane.passes and not _is_ours(error):
        body: dict[str, Any] = {"code": error.code, "message": error.message}
        if error.data is not UNSET:
            body["data"] = error.data
        try:
            body = lane.run(body, ctx)
        except Answered as done:
            return [_final(bridge, answered(bridge.call, done.result)), *talk.drop(bridge)]
        data = body.get("data", UNSET)
        error = ErrorObject(body["code"], body["message"], data if data is UNSET else _raw(data))
    return [_final(bridge, Frame(id=bridge.call, error=error)), *lossy(ctx, bridge.method), *talk.drop(bridge)]


def notification_of_call(talk: SessionClient, bridge: Bridge, frame: Frame) -> list[Effect]:
    """Progress and log messages of a leg, on their way to the call they belong to."""
    method: Any = frame.method
    lane = talk.lanes.notes_to_client.get(method)
    if lane is None or method not in ("notifications/progress", "notifications/message"):
        return [Note("violation", method, "not-of-a-call")]
    params: Any = frame.params if frame.params is not UNSET else {}
    ctx = Context(method=method)
    try:
        body = lane.run(params, ctx)
        if method == "notifications/progress":
            progress = tree.whole(body, "progress")
            if not isinstance(progress, int | float) or (bridge.progress and progress <= bridge.progress):
                return [Note("dropped", method, "progress-not-increasing")]
            bridge.progress = float(progress)
    except (Refused, Swallowed, *UNREADABLE):
        return [Note("dropped", method, "backend-garbage")]
    return [ToClient(bridge.call, Frame(method=method, params=body)), *lossy(ctx, method)]


def from_listen(talk: SessionClient, leg: int, frame: Frame) -> list[Effect]:
    """One message of a listen stream."""
    listening = talk.listening
    method: Any = frame.method
    if method is UNSET:
        talk.inner.pop(leg, None)
        if frame.error is not UNSET and leg == listening.opening:
            return _refused_listen(talk, frame)
        return lost_listen(talk, leg)
    params: Any = frame.params if frame.params is not UNSET else {}
    if method == "notifications/subscriptions/acknowledged":
        return _acknowledged(talk, leg, params) if leg == listening.opening else []
    if leg != listening.leg:
        return [Note("violation", method, "before-acknowledgement")]
    if method in CHANGED:
        talk.facts.forget_tools()
    lane = talk.lanes.notes_to_client.get(method)
    if lane is None:
        return [Note("dropped", method, "method-unknown")]
    ctx = Context(method=method)
    try:
        body = lane.run(params, ctx)
    except (Refused, Swallowed, *UNREADABLE):
        return [Note("dropped", method, "backend-garbage")]
    return [ToClient(STANDING, Frame(method=method, params=body if body else UNSET)), *lossy(ctx, method)]


def _acknowledged(talk: SessionClient, leg: int, params: Any) -> list[Effect]:
    listening = talk.listening
    old = listening.leg
    gap = listening.gap
    missed = listening.acknowledge(params)
    effects: list[Effect] = []
    if old and old != leg:
        talk.inner.pop(old, None)
        effects.append(Abort(old))
    for call, uri in listening.pending.items():
        if listening.follows(uri):
            effects.append(ToClient(call, answered(call, {}), final=True))
        else:
            listening.uris.pop(uri, None)
            effects.append(ToClient(call, broken(call, "not-followed", code=-32602), final=True))
    listening.pending = {}
    effects += [ToClient(STANDING, notify(method)) for method in missed]
    if gap:
        uris = [uri for uri in listening.uris if listening.follows(uri)]
        effects += [ToClient(STANDING, notify("notifications/resources/updated", {"uri": uri})) for uri in uris]
    return effects


def _refused_listen(talk: SessionClient, frame: Frame) -> list[Effect]:
    """The server has no such stream (or not for this filter): subscriptions fail honestly, nothing is tried again."""
    listening = talk.listening
    listening.opening, listening.refused = 0, True
    effects: list[Effect] = [Note("degraded", "subscriptions/listen", "refused")]
    for call, uri in listening.pending.items():
        listening.uris.pop(uri, None)
        effects.append(ToClient(call, Frame(id=call, error=frame.error), final=True))
    listening.pending = {}
    return effects


def _broken(talk: SessionClient, bridge: Bridge, reason: str) -> list[Effect]:
    reply = broken(bridge.call, reason)
    return [*talk.take_back(bridge), _final(bridge, reply), Note("failed", bridge.method, reason), *talk.drop(bridge)]


def _final(bridge: Bridge, frame: Frame) -> ToClient:
    return ToClient(bridge.call, frame, final=True)


def _is_ours(error: ErrorObject) -> bool:
    return error.data is not UNSET and b'"origin":"broker"' in bytes(_raw(error.data))


def _raw(value: Any) -> Raw:
    return value if type(value) is Raw else Raw(msgspec.json.encode(value))
