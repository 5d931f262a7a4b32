"""`subscriptions/listen` over a session: subscribe, acknowledge what is honoured, pass on what comes.

Follows 2026-07-28 basic/patterns/subscriptions. Invariants: the acknowledgement is the first message of a subscription
and names only what the server agreed to; a resource is subscribed once however many listen, and unsubscribed with the
last of them; one that is subscribed and unsubscribed again waits for each answer, because requests on several
connections overtake one another; after any gap everybody is told to look again.

    a listen   what happens                             next
    asking     the server is asked for each resource    all answered, or time is up -> on
    on         notifications pass                       the client goes, the session ends -> over

    a resource  what happens                            next
    coming      resources/subscribe was sent            taken -> agreed (or leaving, if nobody follows it any more)
    agreed      it is followed                          its last listen is over -> leaving
    leaving     resources/unsubscribe was sent          answered -> forgotten (or coming, if somebody follows it again)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.asks import UNREADABLE
from translators.errors import INVALID_PARAMS
from translators.machine import Effect, Note, SetTimer, ToClient, ToServer
from translators.reply import answered, broken
from translators.stateless_client.calls import Asked, final
from translators.stateless_client.greeting import announces
from translators.tree import Body

if TYPE_CHECKING:
    from translators.stateless_client.machine import StatelessClient

LISTEN = "subscriptions/listen"
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
UPDATED = "notifications/resources/updated"
URIS = "resourceSubscriptions"
COMING, LEAVING = "+", "-"
FLAGS = {
    "notifications/tools/list_changed": ("toolsListChanged", "tools"),
    "notifications/prompts/list_changed": ("promptsListChanged", "prompts"),
    "notifications/resources/list_changed": ("resourcesListChanged", "resources"),
}

SUBSCRIBE_S = 5.0
"""How long a subscription is waited for; what is not agreed to by then is left out of the acknowledgement."""

MAX_URIS = 1_024
"""Resources of one session; TypeScript servers accept as many."""

MAX_QUEUED = 256
"""Notifications kept for a listening request until it is acknowledged."""


class Listen(msgspec.Struct):
    """One listening request."""

    leg: int
    flags: dict[str, bool]
    uris: list[str]
    asking: dict[str, None] = {}  # resources the server has not answered for yet
    on: bool = False
    queued: list[tuple[str, Body]] = []


class Listens(msgspec.Struct):
    """All of one session, how many follow each resource, and how the server stands to each (by the table above)."""

    legs: dict[int, Listen] = {}
    followers: dict[str, int] = {}
    coming: dict[str, None] = {}
    agreed: dict[str, None] = {}
    leaving: dict[str, None] = {}


def listen(talk: StatelessClient, event: Asked) -> list[Effect]:
    """A client listens; the leg is answered when the session ends, or at once if it cannot be served."""
    params: Any = event.frame.params if event.frame.params is not UNSET else {}
    try:
        wanted = tree.whole(params, "notifications")
        flags = {
            flag: True
            for flag, kind in FLAGS.values()
            if wanted.get(flag) is True and announces(talk, kind)
        }  # fmt: skip
        found = wanted.get(URIS)
        uris = list(dict.fromkeys(uri for uri in found if isinstance(uri, str))) if isinstance(found, list) else []
    except UNREADABLE:
        return [
            final(event.leg, broken(event.leg, "client-garbage", code=INVALID_PARAMS)),
            Note("refused", LISTEN, "client-garbage"),
        ]
    if not announces(talk, "resources", "subscribe"):
        uris = []
    books = talk.listens
    new = sum(uri not in books.followers for uri in uris)
    if new > MAX_URIS - len(books.followers):
        return [
            final(event.leg, broken(event.leg, "overloaded")),
            Note("refused", LISTEN, "overloaded"),
        ]
    one = books.legs[event.leg] = Listen(event.leg, flags, uris)
    effects: list[Effect] = []
    for uri in uris:
        books.followers[uri] = books.followers.get(uri, 0) + 1
        if uri not in books.agreed:
            one.asking[uri] = None
            effects += _subscribe(talk, uri)
    if not one.asking:
        return acknowledge(talk, event.leg)
    return [*effects, SetTimer(f"subscribed:{event.leg}", SUBSCRIBE_S)]


def subscribed(talk: StatelessClient, inner: str, frame: Frame) -> list[Effect]:
    """The server's answer to one subscription, or to its end."""
    uri, books = inner[1:], talk.listens
    if inner.startswith(LEAVING):
        del books.leaving[uri]
        return _subscribe(talk, uri) if uri in books.followers else []
    del books.coming[uri]
    if frame.error is UNSET:
        books.agreed[uri] = None
        if uri not in books.followers:
            return _unsubscribe(talk, uri)
    effects: list[Effect] = []
    for one in list(books.legs.values()):
        if uri in one.asking:
            del one.asking[uri]
            if not one.asking:
                effects += acknowledge(talk, one.leg)
    return effects


def acknowledge(talk: StatelessClient, leg: int) -> list[Effect]:
    """Say what is honoured, then what came meanwhile."""
    one = talk.listens.legs.get(leg)
    if one is None or one.on:
        return []
    one.on = True
    agreed = talk.listens.agreed
    refused = [uri for uri in one.uris if uri not in agreed]
    one.uris = [uri for uri in one.uris if uri in agreed]
    first = _acknowledgement(talk, one)
    queued, one.queued = one.queued, []
    told = [_told(one, method, body) for method, body in queued if _wants(one, method, body)]
    return [first, *told, *_released(talk, refused)]


def announced(talk: StatelessClient, method: str, body: Body) -> list[Effect]:
    """A notification that belongs to no request, for everybody who wants it."""
    effects: list[Effect] = []
    for one in talk.listens.legs.values():
        if not _wants(one, method, body):
            continue
        if one.on:
            effects.append(_told(one, method, body))
        else:
            one.queued = [*one.queued[-MAX_QUEUED + 1 :], (method, body)]
    return effects


def resynced(talk: StatelessClient) -> list[Effect]:
    """Something may have been missed: every list and resource somebody follows counts as changed."""
    effects: list[Effect] = []
    for method in FLAGS:
        effects += announced(talk, method, {})
    for uri in list(talk.listens.agreed):
        effects += announced(talk, UPDATED, {"uri": uri})
    return effects


def ended(talk: StatelessClient, leg: int) -> list[Effect]:
    """A client listens no more."""
    one = talk.listens.legs.pop(leg)
    return _released(talk, one.uris)


def closed(talk: StatelessClient) -> list[Effect]:
    """The session ends: so do its subscriptions, in good order, which begins with an acknowledgement."""
    effects: list[Effect] = []
    for one in talk.listens.legs.values():
        if not one.on:
            effects.append(_acknowledgement(talk, one))
        effects.append(final(one.leg, answered(one.leg, {"resultType": "complete"})))
    talk.listens = Listens()
    return effects


def _acknowledgement(talk: StatelessClient, one: Listen) -> ToClient:
    """What is honoured: what was asked for and can be announced, and the resources the server agreed to."""
    uris = [uri for uri in one.uris if uri in talk.listens.agreed]
    honoured: Body = {**one.flags, **({URIS: uris} if uris else {})}
    params: Body = {"notifications": honoured}
    return ToClient(one.leg, Frame(method=ACKNOWLEDGED, params=params))


def _released(talk: StatelessClient, uris: list[str]) -> list[Effect]:
    books = talk.listens
    effects: list[Effect] = []
    for uri in uris:
        books.followers[uri] -= 1
        if books.followers[uri]:
            continue
        del books.followers[uri]
        if uri in books.agreed:
            effects += _unsubscribe(talk, uri)
    return effects


def _subscribe(talk: StatelessClient, uri: str) -> list[Effect]:
    """Ask for a resource, unless that was done, or its end is not answered yet."""
    books = talk.listens
    if uri in books.coming or uri in books.leaving:
        return []
    books.coming[uri] = None
    return [_inner(talk, COMING, "resources/subscribe", uri)]


def _unsubscribe(talk: StatelessClient, uri: str) -> list[Effect]:
    books = talk.listens
    del books.agreed[uri]
    books.leaving[uri] = None
    return [_inner(talk, LEAVING, "resources/unsubscribe", uri)]


def _inner(talk: StatelessClient, kind: str, method: str, uri: str) -> ToServer:
    number = talk.mint()
    talk.inner[number] = kind + uri
    params: Body = {"uri": uri}
    return ToServer(number, Frame(id=number, method=method, params=params))


def _wants(one: Listen, method: str, body: Body) -> bool:
    if method != UPDATED:
        return one.flags.get(FLAGS[method][0], False)
    uri = tree.whole(body, "uri")
    # Servers may report a resource below the one that was asked for.
    return any(uri == kept or uri.startswith(f"{kept.rstrip('/')}/") for kept in one.uris)


def _told(one: Listen, method: str, body: Body) -> ToClient:
    return ToClient(one.leg, Frame(method=method, params=dict(body) if body else UNSET))
