"""Subscribing and listening: what the client asks for becomes one stream, opened anew whenever its filter changes.

See `listening` for the states. A subscription is answered when the server has acknowledged it, with what it honours,
or when the stream that should have carried it could not be opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from protocol_versions.jsonrpc import ErrorObject, Frame
from translators.asks import UNREADABLE
from translators.context import Context
from translators.errors import INVALID_PARAMS, METHOD_NOT_FOUND, Refused, Swallowed
from translators.machine import STANDING, Abort, Effect, Note, SetTimer, ToClient
from translators.notes import lossy
from translators.reply import answered, broken, notify
from translators.session_client import lists
from translators.session_client.listening import GATHER_S, MAX_URIS

if TYPE_CHECKING:
    from translators.session_client.machine import SessionClient

LISTEN = "subscriptions/listen"

STATELESS_CODES = range(-32099, -32019)
"""Error codes that only 2026-07-28 defines (basic/index, error codes)."""


def subscription(talk: SessionClient, call: int, method: str, uri: Any) -> list[Effect]:
    """The client's `resources/subscribe` or `resources/unsubscribe`."""
    if not isinstance(uri, str):
        return [final(call, broken(call, "client-garbage", code=INVALID_PARAMS))]
    listening = talk.listening
    if method == "resources/unsubscribe":
        listening.uris.pop(uri, None)
        # Whoever still waits for this subscription has got all of it there is.
        moot = [waiting for waiting, pending in listening.pending.items() if pending == uri]
        for waiting in moot:
            del listening.pending[waiting]
        return [*(final(done, answered(done, {})) for done in (*moot, call)), *_gather(talk)]
    resources = talk.server.get("resources")
    if not isinstance(resources, dict) or resources.get("subscribe") is not True:
        return [final(call, broken(call, "method-unknown", code=METHOD_NOT_FOUND))]
    if uri in listening.uris and listening.leg and listening.follows(uri):
        return [final(call, answered(call, {}))]
    if len(listening.uris) >= MAX_URIS:
        return [final(call, broken(call, "overloaded"))]
    listening.uris[uri] = None
    listening.pending[call] = uri
    listening.wanted, listening.refused = True, False
    return _gather(talk)


def forget_subscription(talk: SessionClient, call: int) -> None:
    """The client has cancelled a subscription that is not acknowledged yet."""
    uri = talk.listening.pending.pop(call, None)
    if uri is not None and uri not in talk.listening.pending.values():
        talk.listening.uris.pop(uri, None)


def _gather(talk: SessionClient) -> list[Effect]:
    if talk.listening.gathering:
        return []
    talk.listening.gathering = True
    return [SetTimer("gather", GATHER_S)]


def relisten(talk: SessionClient) -> list[Effect]:
    """Open a stream with the whole filter; the acknowledged one goes on until the new one is acknowledged too."""
    listening = talk.listening
    wanted = listening.filter(talk.server) if listening.wanted and not listening.refused else {}
    if wanted == listening.asked and (listening.opening or not listening.pending):
        return []
    effects: list[Effect] = []
    if listening.opening:
        talk.inner.pop(listening.opening, None)
        effects.append(Abort(listening.opening))
        listening.opening = 0
    listening.asked = wanted
    if not wanted:
        if listening.leg:
            talk.inner.pop(listening.leg, None)
            effects.append(Abort(listening.leg))
            listening.leg = 0
        return effects
    sent = talk.inside(LISTEN, {"notifications": wanted})
    listening.opening = sent.call
    return [*effects, sent]


def lost_listen(talk: SessionClient, leg: int, reason: str) -> list[Effect]:
    """A stream ended or broke; open another after a pause, and tell what may have been missed."""
    listening = talk.listening
    if leg == listening.opening:
        listening.opening = 0
        listening.asked = listening.agreed if listening.leg else {}
        listening.gap = not listening.leg
        # Subscriptions are not left to wait for a server that does not answer; the lists are tried again.
        effects = _unfollowed(talk, lambda call: broken(call, reason))
        return [*effects, *_later(talk)]
    # Any other stream is forgotten as it is replaced, so this is the one that stands.
    listening.leg = 0
    listening.gap = True
    if listening.opening:
        return []
    listening.asked = {}
    return _later(talk)


def _later(talk: SessionClient) -> list[Effect]:
    """One pause at a time."""
    if talk.listening.resting:
        return []
    talk.listening.resting = True
    return [SetTimer("listen", talk.listening.pause_s())]


def from_listen(talk: SessionClient, leg: int, frame: Frame) -> list[Effect]:
    """One message of a listen stream."""
    listening = talk.listening
    method: Any = frame.method
    if method is UNSET:
        talk.inner.pop(leg, None)
        error = frame.error
        if isinstance(error, ErrorObject) and leg == listening.opening:
            return _refused_listen(talk, error)
        return lost_listen(talk, leg, "backend-closed")
    if frame.id is not UNSET:
        return [Note("violation", method, "request-from-stateless-server")]
    params: Any = frame.params if frame.params is not UNSET else {}
    ctx = Context(method=method)
    try:
        if method == "notifications/subscriptions/acknowledged":
            return _acknowledged(talk, params) if leg == listening.opening else []
        if leg != listening.leg:
            return [Note("violation", method, "before-acknowledgement")]
        lane = talk.lanes.notes_to_client.get(method)
        if lane is None or method in ("notifications/progress", "notifications/message", "notifications/cancelled"):
            return [Note("violation", method, "not-of-a-subscription")]
        body = lane.run(params, ctx)
    except (Refused, Swallowed, *UNREADABLE):
        return [Note("dropped", method, "backend-garbage")]
    kind = lists.ANNOUNCED.get(method)
    if kind is not None:
        if kind == "tools":
            talk.facts.forget_tools()
        return [*lists.announced(talk, kind), *lossy(ctx, method)]
    return [ToClient(STANDING, Frame(method=method, params=body if body else UNSET)), *lossy(ctx, method)]


def _acknowledged(talk: SessionClient, params: Any) -> list[Effect]:
    listening = talk.listening
    old = listening.leg
    gap = listening.gap
    missed = listening.acknowledge(params)
    effects: list[Effect] = []
    if old:
        talk.inner.pop(old, None)
        effects.append(Abort(old))
    for call, uri in listening.pending.items():
        if listening.follows(uri):
            effects.append(final(call, answered(call, {})))
        elif uri in listening.asked.get("resourceSubscriptions", ()):
            listening.uris.pop(uri, None)
            effects.append(final(call, broken(call, "not-followed", code=INVALID_PARAMS)))
    asked = listening.asked.get("resourceSubscriptions", ())
    listening.pending = {call: uri for call, uri in listening.pending.items() if uri not in asked}
    for kind in missed:
        effects += lists.announced(talk, kind)
    if gap:
        uris = [uri for uri in listening.uris if listening.follows(uri)]
        effects += [ToClient(STANDING, notify("notifications/resources/updated", {"uri": uri})) for uri in uris]
    return effects


def _refused_listen(talk: SessionClient, error: ErrorObject) -> list[Effect]:
    """The server has no such stream (or not for this filter): subscriptions fail honestly, nothing is tried again."""
    listening = talk.listening
    listening.opening, listening.refused = 0, not listening.leg
    listening.asked = listening.agreed if listening.leg else {}
    ours = error.code in STATELESS_CODES  # which say something of the broker's request, and nothing to its client
    effects = _unfollowed(talk, lambda call: broken(call, "not-followed") if ours else Frame(id=call, error=error))
    return [Note("degraded", LISTEN, "refused"), *effects]


def _unfollowed(talk: SessionClient, reply: Any) -> list[Effect]:
    """End every subscription that waits; none of them is followed."""
    pending, talk.listening.pending = talk.listening.pending, {}
    for uri in pending.values():
        talk.listening.uris.pop(uri, None)
    return [final(call, reply(call)) for call in pending]


def final(call: int, frame: Frame) -> ToClient:
    """The answer that ends a call of the client."""
    return ToClient(call, frame, final=True)
