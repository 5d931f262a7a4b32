"""A request of a client on its way to the server: translated, given an id of its own, its log level first.

Follows 2026-07-28 basic/index (per-request members) and server/utilities/logging. A session has one level, and requests
have one each: the session is made as talkative as its most curious request and never quieter, and each request is given
what it asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.asks import LEVELS, UNREADABLE
from translators.context import Context
from translators.errors import INVALID_PARAMS, METHOD_NOT_FOUND, Refused
from translators.inputs import ASKING
from translators.machine import Effect, Note, ToServer
from translators.notes import lossy
from translators.reply import answered, broken
from translators.stateless_client import greeting, listening, pages, setup, urls
from translators.stateless_client.calls import Asked, Call, Leg, final, timer
from translators.tree import Body

if TYPE_CHECKING:
    from translators.stateless_client.machine import StatelessClient

SET_LEVEL = "logging/setLevel"

SETTLE_S = 0.5
"""How long a first call waits for questions of the set-up, if this server asked such before; the reference server
"everything" asks for roots 350 ms after `initialized`."""

NO_LEVEL = len(LEVELS)
"""The level of a request, or of a session, that asked for no messages."""


def serve(talk: StatelessClient, event: Asked) -> list[Effect]:
    """A request of a session that is open."""
    leg, frame = event.leg, event.frame
    method: Any = frame.method
    if method == "server/discover":
        return [final(leg, answered(leg, greeting.discovery(talk)))]
    if method == listening.LISTEN:
        return listening.listen(talk, event)
    lanes = talk.lanes.to_server.get(method)
    if lanes is None:
        return _no(leg, "", "method-unknown", METHOD_NOT_FOUND)
    ctx = Context(method=method)
    try:
        body = lanes.params.run(_own(frame.params, event), ctx)
        if method in pages.MEMBERS and not pages.unwrap(talk, body):
            return _no(leg, method, "cursor-expired", INVALID_PARAMS)
        token = wants_progress(body)
    except (Refused, *UNREADABLE):
        return _no(leg, method, "client-garbage", INVALID_PARAMS)
    ctx.request = body
    call = Call(talk.mint(), method, body, ctx, event.capabilities, event.muted)
    talk.calls[call.id] = call
    talk.attach(call, Leg(leg, event.level, token, event.capabilities))
    losses = lossy(ctx, method) if ctx.losses else []
    if event.state is not None:
        return [*losses, *urls.returned(talk, call, event)]
    if method in ASKING and not talk.held and setup.may_come(talk):
        call.phase = "settling"
        return [*losses, timer("settle", call, SETTLE_S)]
    return send(talk, call) + losses


def send(talk: StatelessClient, call: Call) -> list[Effect]:
    """Send a call to the server; what the set-up asked, and its level, go before it."""
    if talk.held and call.method in ASKING:
        return setup.first_call(talk, call)
    wanted = min([leg.level for leg in call.legs.values()])
    effects = raise_level(talk, wanted)
    if wanted < NO_LEVEL and SET_LEVEL in talk.inner.values():
        call.phase = "waiting"
        return effects
    call.phase, call.sent = "running", True
    talk.asking_sent = talk.asking_sent or call.method in ASKING
    return [ToServer(call.id, Frame(id=call.id, method=call.method, params=dict(call.params)))]


def go_on(talk: StatelessClient, call: Call) -> list[Effect]:
    """Nothing is asked any more: the call runs on, or is sent at last."""
    if not call.sent:
        return send(talk, call)
    call.phase = "running"
    return []


def raise_level(talk: StatelessClient, wanted: int) -> list[Effect]:
    """Make the session as talkative as its most curious request; it is never made quieter."""
    if wanted >= talk.level:
        return []
    talk.level = wanted
    number = talk.mint()
    talk.inner[number] = SET_LEVEL
    params: Body = {"level": LEVELS[wanted]}
    return [ToServer(number, Frame(id=number, method=SET_LEVEL, params=params))]


def levelled(talk: StatelessClient) -> list[Effect]:
    """The session's level is set: what waited for it is sent."""
    effects: list[Effect] = []
    if SET_LEVEL not in talk.inner.values():
        for call in [call for call in talk.calls.values() if call.phase == "waiting"]:
            effects += send(talk, call)
    return effects


def _no(leg: int, method: str, reason: str, code: int) -> list[Effect]:
    return [final(leg, broken(leg, reason, code=code)), Note("refused", method, reason)]


def _own(params: Any, event: Asked) -> Body:
    """The request's own parameters: what it says of a round of ours is read elsewhere."""
    if params is UNSET:
        return {}
    if event.state is None:
        return params  # type: ignore[no-any-return]
    return {name: value for name, value in params.items() if name not in ("inputResponses", "requestState")}


def wants_progress(body: Body) -> bool:
    """True if a request asks for progress. Raises what UNREADABLE lists."""
    meta = tree.member(body, "_meta")
    return isinstance(meta, dict) and "progressToken" in meta
