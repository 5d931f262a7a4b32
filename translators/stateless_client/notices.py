"""Notifications of a session server: each on its way to the request, the subscription or the question it is about.

Follows 2026-07-28 basic/patterns/progress and server/utilities/logging. Invariants: a request is given messages of its
own call alone, progress only if it gave a token and only if it grows, and no log message it did not ask for. While a
call is suspended nobody can be told: the last progress and the last messages wait for the retry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.asks import LEVELS, UNREADABLE
from translators.context import Context
from translators.errors import Swallowed
from translators.machine import STANDING, Effect, Note, ToClient
from translators.notes import lossy
from translators.stateless_client import listening, questions, urls
from translators.stateless_client.calls import Call, Kept
from translators.tree import Body

if TYPE_CHECKING:
    from translators.stateless_client.machine import StatelessClient

PROGRESS = "notifications/progress"
MESSAGE = "notifications/message"

MAX_MESSAGES = 100
"""Log messages kept for a suspended call; older ones go first."""

MAX_MESSAGE_BYTES = 256 * 1024
"""Bytes of all of them together; one that is longer is not kept at all."""

MAX_PROGRESS = 1e300
"""Larger values could not be told apart from the next one."""


def notification_of_server(talk: StatelessClient, stream: int, frame: Frame) -> list[Effect]:
    """A notification, to whom it may concern."""
    try:
        return _notified(talk, stream, frame)
    except UNREADABLE:
        return [Note("dropped", str(frame.method), "backend-garbage")]


def caught_up(call: Call) -> list[Effect]:
    """What was said while nobody waited, for the leg that does now."""
    messages, call.messages = call.messages, []
    effects: list[Effect] = []
    for kept in messages:
        effects += _to_legs(call, kept.body)
    if call.progress is not None:
        body, call.progress = call.progress, None
        effects += _progressed(call, body)
    return effects


def _notified(talk: StatelessClient, stream: int, frame: Frame) -> list[Effect]:
    method: Any = frame.method
    params: Any = frame.params if frame.params is not UNSET else {}
    if method == "notifications/cancelled":
        return questions.taken_back(talk, tree.whole(params, "requestId"))
    if method == "notifications/elicitation/complete":
        return urls.completed(talk, tree.whole(params, "elicitationId"))
    lane = talk.lanes.notes_to_client.get(method)
    if lane is None:
        return [Note("dropped", "unknown", "method-unknown")]
    ctx = Context(method=method)
    try:
        body = lane.run(params, ctx)
    except Swallowed as gate:
        return [Note("swallowed", method, gate.reason, tuple(ctx.losses))]
    if method == PROGRESS:
        return [*_progress(talk, stream, body), *lossy(ctx, method)]
    if method == MESSAGE:
        return [*_message(talk, stream, body), *lossy(ctx, method)]
    return [*listening.announced(talk, method, body), *lossy(ctx, method)]


def _progress(talk: StatelessClient, stream: int, body: Body) -> list[Effect]:
    progress = tree.whole(body, "progress")
    if type(progress) not in (int, float) or abs(progress) > MAX_PROGRESS:
        raise ValueError(PROGRESS)
    call = talk.calls.get(stream)
    if call is None:
        return [Note("dropped", PROGRESS, "token-unknown")]
    if call.legs:
        return _progressed(call, body)
    call.progress = body
    return []


def _progressed(call: Call, body: Body) -> list[Effect]:
    """Progress for the legs that asked for it; it MUST increase for each (basic/patterns/progress)."""
    effects: list[Effect] = []
    progress = float(body["progress"])
    for leg in call.legs.values():
        if not leg.token:
            continue
        if leg.progress is not None and progress <= leg.progress:
            effects.append(Note("dropped", PROGRESS, "progress-not-increasing"))
            continue
        leg.progress = progress
        effects.append(ToClient(leg.id, Frame(method=PROGRESS, params={**body, "progressToken": leg.id})))  # type: ignore[dict-item]
    return effects


def _message(talk: StatelessClient, stream: int, body: Body) -> list[Effect]:
    call = talk.calls.get(stream)
    if stream == STANDING:
        # SDK servers log on the standing stream, whatever they log about.
        at_work = [one for one in talk.calls.values() if one.sent and one.outcome is None and one.phase != "ending"]
        call = at_work[0] if len(at_work) == 1 else None
    if call is None:
        return [Note("dropped", MESSAGE, "not-of-a-call")]
    if call.legs:
        return _to_legs(call, body)
    size = len(msgspec.json.encode(body))
    if size > MAX_MESSAGE_BYTES:
        return [Note("dropped", MESSAGE, "too-large")]
    call.messages = _latest([*call.messages, Kept(body, size)])
    return []


def _latest(messages: list[Kept]) -> list[Kept]:
    """The last ones that are few and short enough."""
    room = MAX_MESSAGE_BYTES
    kept: list[Kept] = []
    for message in reversed(messages[-MAX_MESSAGES:]):
        room -= message.size
        if room < 0:
            break
        kept.append(message)
    return kept[::-1]


def _to_legs(call: Call, body: Body) -> list[Effect]:
    number = LEVELS.index(tree.whole(body, "level"))  # no other level passes a lane
    return [
        ToClient(leg.id, Frame(method=MESSAGE, params=dict(body))) for leg in call.legs.values() if number >= leg.level
    ]
