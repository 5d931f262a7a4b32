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
from translators.stateless_client import answers, questions, requests
from translators.stateless_client.calls import Asked, Call, Leg, Question, final, timer
from translators.stateless_client.state import bad_state
from translators.tree import Body

if TYPE_CHECKING:
    from translators.stateless_client.machine import StatelessClient

GRACE_S = 30.0
"""How long a call may go on after the server was told that nobody answers."""

_TYPES = by_id("2026-07-28").types


def resumed(talk: StatelessClient, event: Asked) -> list[Effect]:
    """A request that says it answers a round."""
    state = event.state
    assert state is not None
    params: Any = event.frame.params if event.frame.params is not UNSET else {}
    given = tree.whole(params, "inputResponses")
    given = given if isinstance(given, dict) else {}
    this = (state.round, _digest(given))
    call = talk.calls.get(state.call)
    if call is None:
        tomb = talk.tombs.get(state.call)
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
        return [final(event.leg, questions.shown_again(call, event.leg))]
    talk.attach(call, _leg(event))
    return []


def _answered(
    talk: StatelessClient, call: Call, event: Asked, given: Body, this: tuple[int, bytes]
) -> list[Effect]:  # fmt: skip
    """The retry of the round that is open."""
    bodies: list[tuple[str, Question, Body]] = []
    losses: list[Effect] = []
    for key, question in call.shown.items():
        if key not in given:
            continue
        try:
            body = _read(talk, question, given[key])
        except (Refused, *UNREADABLE):
            reply = broken(event.leg, "client-garbage", code=INVALID_PARAMS, message=UNREADABLE_TEXT)
            return [final(event.leg, reply), Note("refused", call.method, "input-unusable")]
        bodies.append((key, question, body))
        losses += lossy(question.ctx, question.method)
    call.answered = this
    effects: list[Effect] = []
    for key, question, body in bodies:
        del call.shown[key]
        if talk.asks.pop(question.ask, None) is None:
            effects.append(Note("dropped", question.method, "answer-late"))
            continue
        if question.method == "roots/list":
            talk.memory.roots, talk.memory.roots_at = dict(body), talk.now
        effects.append(ToServer(0, Frame(id=question.ask, result=body)))
    call.shown = {key: question for key, question in call.shown.items() if question.ask in talk.asks}
    talk.attach(call, _leg(event))
    effects += [*losses, *requests.raise_level(talk, event.level), *answers.caught_up(call)]
    return [*effects, *_goes_on(talk, call)]


def _goes_on(talk: StatelessClient, call: Call) -> list[Effect]:
    """What is left of a call after a round: its end, more questions, or the server's work."""
    if call.outcome is not None:
        return answers.over(talk, call, call.outcome)
    if call.shown and call.round < questions.MAX_ROUNDS:
        return questions.show(talk, call)  # what was left out is asked again
    effects: list[Effect] = []
    if call.shown:
        effects = [*questions.dismiss(talk, call), Note("refused", call.method, "too-many-rounds")]
        call.shown = {}
    if call.queued:
        call.phase, call.first_at = "gathering", talk.now
        return [*effects, timer("gather", call, talk.rules.batch_s)]
    if not call.sent:
        return [*effects, *requests.send(talk, call)]
    call.phase = "running"
    return effects


def expired(talk: StatelessClient, call: Call, kind: str, round_: int) -> list[Effect]:
    """The time of a round, or of the server's last chance, is over."""
    if kind == "park" and call.phase == "parked" and call.round == round_:
        effects = questions.dismiss(talk, call)
        call.shown = {}
        note = Note("park-expired", call.method)
        if call.outcome is not None or not call.sent:
            talk.forget(call)
            return [*effects, note]
        call.phase = "ending"
        return [*effects, note, timer("grace", call, GRACE_S)]
    if kind == "grace" and call.phase == "ending":
        return talk.cancel(call)
    return []


def _read(talk: StatelessClient, question: Question, given: Any) -> Body:
    """An answer as the server's session expects it. Raises Refused and what UNREADABLE lists."""
    slot = answer(question.method)
    msgspec.convert(given, _TYPES[slot])
    question.ctx.losses = []
    return talk.lanes.to_client[question.method].result.run(dict(given), question.ctx)


def _leg(event: Asked) -> Leg:
    params: Any = event.frame.params if event.frame.params is not UNSET else {}
    meta = tree.shallow(params.get("_meta"))
    token = isinstance(meta, dict) and "progressToken" in meta
    return Leg(event.leg, event.level, token, event.capabilities)


def _digest(given: Body) -> bytes:
    return hashlib.blake2b(msgspec.json.encode(given, order="sorted"), digest_size=16).digest()


def _refused(event: Asked, reason: str) -> list[Effect]:
    return [final(event.leg, bad_state(event.leg)), Note("refused", str(event.frame.method), reason)]


UNREADABLE_TEXT = "Invalid params: inputResponses holds an answer that is not valid"
