"""Subscribing and listening: what the client asks for becomes one stream, opened anew whenever its filter changes.

See `listening` for the states. A subscription is answered when the server has acknowledged it, with what it honours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from protocol_versions.jsonrpc import Frame
from translators.errors import INVALID_PARAMS, METHOD_NOT_FOUND
from translators.machine import Abort, Effect, SetTimer, ToClient
from translators.reply import answered, broken
from translators.session_client.listening import GATHER_S, MAX_URIS

if TYPE_CHECKING:
    from translators.session_client.machine import SessionClient


def subscription(talk: SessionClient, call: int, method: str, uri: Any) -> list[Effect]:
    if not isinstance(uri, str):
        return [final(call, broken(call, "client-garbage", code=INVALID_PARAMS))]
    listening = talk.listening
    if method == "resources/unsubscribe":
        listening.uris.pop(uri, None)
        return [final(call, answered(call, {})), *_gather(talk)]
    resources = talk.server.get("resources")
    if not isinstance(resources, dict) or resources.get("subscribe") is not True:
        return [final(call, broken(call, "method-unknown", code=METHOD_NOT_FOUND))]
    if uri in listening.uris and listening.follows(uri):
        return [final(call, answered(call, {}))]
    if len(listening.uris) >= MAX_URIS:
        return [final(call, broken(call, "overloaded"))]
    listening.uris[uri] = None
    listening.pending[call] = uri
    listening.wanted, listening.refused = True, False
    return _gather(talk)


def _gather(talk: SessionClient) -> list[Effect]:
    if talk.listening.gathering:
        return []
    talk.listening.gathering = True
    return [SetTimer("gather", GATHER_S)]


def relisten(talk: SessionClient) -> list[Effect]:
    """Open a stream with the whole filter; the acknowledged one goes on until the new one is acknowledged too."""
    listening = talk.listening
    wanted = listening.filter(talk.server) if listening.wanted and not listening.refused else {}
    effects: list[Effect] = []
    if listening.opening:
        talk.inner.pop(listening.opening, None)
        effects.append(Abort(listening.opening))
        listening.opening = 0
    if not wanted:
        if listening.leg:
            talk.inner.pop(listening.leg, None)
            effects.append(Abort(listening.leg))
            listening.leg = 0
        return effects
    sent = talk.inside("subscriptions/listen", {"notifications": wanted})
    listening.opening = sent.call
    return [*effects, sent]


def lost_listen(talk: SessionClient, leg: int) -> list[Effect]:
    """A stream ended or broke; open another after a pause, and tell what may have been missed."""
    listening = talk.listening
    listening.gap = True
    if leg == listening.opening:
        listening.opening = 0
    elif leg == listening.leg:
        listening.leg = 0
    else:
        return []
    return [SetTimer("listen", listening.pause_s())] if not listening.opening else []


def final(call: int, frame: Frame) -> ToClient:
    """The answer that ends a call of the client."""
    return ToClient(call, frame, final=True)
