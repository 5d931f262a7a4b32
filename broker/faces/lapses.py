"""Credentials that end while something of their callers is open: looked for every `revocation_s`.

An expired token ends what has no end of its own: standing streams, subscriptions, HTTP+SSE sessions; a client with a
fresh one opens them again, and its session goes on. Calls that began in time may finish: what they do at the server has
been allowed. A revoked credential ends everything: calls are answered with an error, and cancelled at the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker import telemetry
from broker.identity import Principal
from protocol_versions import jsonrpc
from translators.reply import broken

if TYPE_CHECKING:
    from broker.faces.context import FaceContext
    from broker.faces.streamable_http import StreamableHttp

REVOKED = "The credential of this call was revoked; the call may have taken effect"


def end_lapsed(face: StreamableHttp) -> bool:
    """End what nobody may go on with; True if there is anything left that may have to end later."""
    context = face.context
    lapsed = context.admission.lapsed
    for session in list(context.sessions):
        who = session.relay.speaker.who
        why = lapsed(who)
        if why == "revoked":
            _tell(who, why, context)
            context.sessions.end(session, why)
        elif why:
            attached = [stream for stream in session.outbox.standing if stream.attached]
            for stream in attached:
                stream.let_go()
            if attached:
                _tell(who, why, context)
    face.pair.end_lapsed(lambda who: _told(who, lapsed(who), context))
    relay = face.modern.relay
    for call in list(relay.calls.values()):
        why = lapsed(call.who)
        if why == "revoked":
            _tell(call.who, why, context)
            relay.cut(call, broken(call.number, "revoked", message=REVOKED))
        elif why and call.subscription is not None:
            _tell(call.who, why, context)
            relay.cut(call, jsonrpc.response(call.number, call.subscription.ended()))
    for pooled in list(relay.bridge.rooms.sessions.values()):
        if lapsed(pooled.relay.speaker.who) == "revoked":
            relay.bridge.end(pooled, "revoked")  # with the calls that are suspended in it
    return bool(len(context.sessions) or len(face.pair) or relay.calls)


def _told(who: Principal, why: str, context: FaceContext) -> bool:
    if why:
        _tell(who, why, context)
    return bool(why)


def _tell(who: Principal, why: str, context: FaceContext) -> None:
    telemetry.audit("cut-off", reason=why, principal=who.id, backend=context.name)
    context.refused(f"credential-{why}", who)
