"""Questions that belong to no call: those of a server's set-up wait for the first request that may ask them.

Follows 2025-11-25 client/roots; the reference server "filesystem" asks for roots in its handler of `initialized`, and
throws without an answer. A discovery or a list cannot ask, so the question waits for a call, which is then suspended
before it is sent at all. Any other question outside a call is refused ("SHOULD be associated with a client request").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from translators.errors import INTERNAL_ERROR, INVALID_PARAMS
from translators.machine import Effect, Note, SetTimer, ToServer
from translators.reply import answered, broken
from translators.stateless_client import questions, requests, rounds
from translators.stateless_client.calls import Call, Question
from translators.tree import Body

if TYPE_CHECKING:
    from translators.stateless_client.machine import StatelessClient

SETUP_S = 2.0
"""How long after the handshake a question counts as one of the set-up."""

HOLD_S = 20.0
"""How long such a question waits for a request that may ask it; SDK servers time out at 60 s."""

MAX_HELD = 8
"""Questions of one set-up; servers ask for roots, and for nothing else."""

ROOTS_S = 60.0
"""How long roots are believed: a stateless client announces no change of them."""


def lasts(talk: StatelessClient) -> bool:
    """True while the server is in its set-up."""
    return talk.phase != "ready" or talk.now - talk.ready_at <= SETUP_S


def may_come(talk: StatelessClient) -> bool:
    """True if this server asks in its set-up, and is still in it."""
    return (
        talk.habits.asks_in_setup
        and "roots" in talk.capabilities
        and lasts(talk)
        and not any(call.sent for call in talk.calls.values())
        and known_roots(talk, "roots/list") is None
    )


def unattributed(talk: StatelessClient, question: Question) -> list[Effect]:
    """A question that is no call's."""
    known = known_roots(talk, question.method)
    if known is not None:
        return [ToServer(0, answered(question.ask, known))]
    # Once a call was sent, a form or a prompt may be that call's, cancelled since: it is no question for the next one.
    of_setup = lasts(talk) and (question.method == "roots/list" or not talk.asking_sent)
    if of_setup and len(talk.held) < MAX_HELD:
        if question.method == "roots/list":
            talk.habits.asks_in_setup = True
        talk.held[question.ask] = question
        return [SetTimer(f"held:{question.ask}", HOLD_S)]
    note = Note("refused", question.method, "unsolicited")
    if talk.rules.unsolicited == "cancel" and question.method == "elicitation/create":
        return [ToServer(0, questions.unanswered(question)), note]
    return [ToServer(0, broken(question.ask, "unsolicited", code=INVALID_PARAMS)), note]


def first_call(talk: StatelessClient, call: Call) -> list[Effect]:
    """The first request that may ask: what was held is asked before the call is sent."""
    held, talk.held = talk.held, {}
    effects: list[Effect] = []
    call.phase = "settling"
    for question in held.values():
        reason = rounds.full(talk, call)
        effects += questions.narrow(call, question)
        if not questions.permitted(call, question):
            effects += questions.withheld(call, question)
        elif reason:
            effects += [ToServer(0, questions.unanswered(question)), Note("refused", question.method, reason)]
        else:
            effects += rounds.collect(talk, call, question)
    return effects if call.queued else [*effects, *requests.send(talk, call)]


def settled(talk: StatelessClient, call: Call) -> list[Effect]:
    """No question of the set-up came in time."""
    return requests.send(talk, call) if call.phase == "settling" else []


def gave_up(talk: StatelessClient, number: int) -> list[Effect]:
    """No request came that could have asked."""
    question = talk.held.pop(number, None)
    return [] if question is None else [_refused(question), Note("refused", question.method, "unsolicited")]


def _refused(question: Question) -> ToServer:
    return ToServer(0, broken(question.ask, "unsolicited", code=INTERNAL_ERROR))


def learn_roots(talk: StatelessClient, roots: Body) -> None:
    """Remember what a client said, as bytes: each session translates its own copy for its server."""
    talk.memory.roots = {name: Raw(msgspec.json.encode(value)) for name, value in roots.items()}
    talk.memory.roots_at = talk.now


def known_roots(talk: StatelessClient, method: str) -> Body | None:
    """The roots a client gave not long ago, a new object; None if they are not known, or something else was asked."""
    memory = talk.memory
    if method != "roots/list" or memory.roots is None or talk.now - memory.roots_at > ROOTS_S:
        return None
    return dict(memory.roots)
