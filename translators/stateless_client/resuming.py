"""A retry takes the place of the request that was ended with questions, and brings their answers to the server.

Follows 2026-07-28 basic/patterns/mrtr (server requirements). Invariants: a round is answered once, before anything else
is done with it; the same retry sent twice waits for the same answer; another one for an answered round, or for a call
that is not there, is refused like any bad state; answers the server did not ask for are dropped, and answers it cannot
read leave the round open.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from protocol_versions import by_id
from protocol_versions.base import answer
from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.asks import UNREADABLE
from translators.errors import INVALID_PARAMS, Refused
from translators.machine import Effect, Note, ToServer
from translators.notes import lossy
from translators.reply import broken
from translators.stateless_client import answers, notices, questions, requests, rounds, setup, urls
from translators.stateless_client.calls import Asked, Call, Leg, Question, final, timer
from translators.stateless_client.state import bad_state
from translators.tree import Body

if TYPE_CHECKING:
    from translators.stateless_client.machine import StatelessClient

GRACE_S = 30.0
"""How long a call may go on after the server was told that nobody answers."""

UNREADABLE_TEXT = "Invalid params: inputResponses holds an answer that is not valid"

_TYPES = by_id("2026-07-28").types


def resumed(talk: StatelessClient, event: Asked) -> list[Effect] | None:
    """A request that says it answers a round; None for the first answer to pages, which belongs to no call yet."""
    state = event.state
    assert state is not None
    try:
        given = responses(event)
    except UNREADABLE:
        return unusable(event)
    if state.kind == "call" and (state.owner, state.session) != (talk.owner, talk.number):
        return _refused(event, "state-unknown")
    number = state.call if state.kind == "call" else urls.call_of(talk, state)
    if number is None:
        return None
    this = (state.round, digest(given))
    call = talk.calls.get(number)
    if call is None:
        tomb = talk.tombs.get(number)
        if tomb is None or tomb.answered != this:
            return _refused(event, "state-unknown")
        return [final(event.leg, answers.copy(tomb.frame, event.leg))]
    if call.method != event.frame.method:
        return _refused(event, "state-unknown")
    if call.phase == "parked" and state.round == call.round:
        return _answered(talk, call, event, given, this)
    if call.answered != this or call.phase == "ending":
        return _refused(event, "state-conflict")
    if call.phase == "parked":
        return rounds.shown_to(call, _leg(event))
    talk.attach(call, _leg(event))
    return requests.raise_level(talk, event.level)


def responses(event: Asked) -> Body:
    """The answers a request brings, opened; none if it brings none. Raises what UNREADABLE lists."""
    params: Any = event.frame.params if event.frame.params is not UNSET else {}
    given = tree.whole(params, "inputResponses")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise TypeError
    return given


def unusable(event: Asked) -> list[Effect]:
    """Answers that cannot be read change nothing: their client may send others."""
    reply = broken(event.leg, "client-garbage", code=INVALID_PARAMS, message=UNREADABLE_TEXT)
    return [final(event.leg, reply), Note("refused", str(event.frame.method), "input-unusable")]


def digest(given: Body) -> bytes:
    """What tells one set of answers from another."""
    return hashlib.blake2b(msgspec.json.encode(given, order="sorted"), digest_size=16).digest()


def typed(method: str, given: Any) -> Body:
    """An answer in the shape its question asks for, a new object. Raises what UNREADABLE lists."""
    msgspec.convert(given, _TYPES[answer(method)])
    return dict(given)


def overdue(talk: StatelessClient, number: int) -> list[Effect]:
    """Time is up for the round that waits longest, and perhaps for others; `number` is the alarm's."""
    if number != talk.alarm.number:
        return []
    talk.alarm.due_at = None
    effects: list[Effect] = []
    for call in list(talk.calls.values()):
        if call.phase == "parked" and call.due_at <= talk.now + rounds.SOON_S:
            effects += _given_up(talk, call)
    return [*effects, *rounds.remind(talk)]


def _given_up(talk: StatelessClient, call: Call) -> list[Effect]:
    """Nobody answered in time: the server is told so, and has a last chance to finish."""
    effects: list[Effect] = [*questions.dismiss(talk, call), Note("park-expired", call.method)]
    if call.outcome is not None or not call.sent:
        talk.forget(call)
        return effects
    call.phase = "ending"
    return [*effects, timer("grace", call, GRACE_S)]


def _answered(
    talk: StatelessClient, call: Call, event: Asked, given: Body, this: tuple[int, bytes]
) -> list[Effect]:  # fmt: skip
    """The retry of the round that is open."""
    bodies: list[tuple[Question, Body]] = []
    effects: list[Effect] = []
    left: dict[str, Question] = {}
    for key, question in call.shown.items():
        if question.ask not in talk.asks:  # the server has taken it back, or the call is over
            effects += [Note("dropped", question.method, "answer-late")] if key in given else []
        elif key not in given:
            left[key] = question
        else:
            try:
                bodies.append((question, _read(talk, question, given[key])))
            except (Refused, *UNREADABLE):
                return unusable(event)
    call.answered, call.shown = this, left
    effects += requests.raise_level(talk, event.level)
    for question, body in bodies:
        del talk.asks[question.ask]
        if question.method == "roots/list":
            setup.learn_roots(talk, body)
        effects += [ToServer(0, Frame(id=question.ask, result=body)), *lossy(question.ctx, question.method)]
    talk.attach(call, _leg(event))
    return [*effects, *notices.caught_up(call), *_goes_on(talk, call)]


def _goes_on(talk: StatelessClient, call: Call) -> list[Effect]:
    """What is left of a call after a round: its end, more questions, or the server's work."""
    if call.outcome is not None:
        frame, origin = call.outcome
        return answers.ended(talk, call, frame, origin)
    if call.shown and call.round < rounds.MAX_ROUNDS:
        return rounds.show(talk, call)  # what was left out is asked again
    if call.shown:
        refused = Note("refused", call.method, "too-many-rounds")
        return [*questions.dismiss(talk, call), refused, *requests.go_on(talk, call)]
    if call.queued:
        return rounds.gather(talk, call)
    return requests.go_on(talk, call)


def _read(talk: StatelessClient, question: Question, given: Any) -> Body:
    """An answer as the server's session expects it. Raises Refused and what UNREADABLE lists."""
    question.ctx.losses = []
    return talk.lanes.to_client[question.method].result.run(typed(question.method, given), question.ctx)


def _leg(event: Asked) -> Leg:
    params: Any = event.frame.params
    return Leg(event.leg, event.level, requests.wants_progress(params), event.capabilities)


def _refused(event: Asked, reason: str) -> list[Effect]:
    return [final(event.leg, bad_state(event.leg)), Note("refused", str(event.frame.method), reason)]
