"""Rounds: the questions of a call that are shown together, in the place of its answer, and the suspended call behind.

Follows 2026-07-28 basic/patterns/mrtr. Questions are gathered for a moment, because servers ask several at once and a
client that gives up after ten rounds should not spend them one by one. Invariants: a round asks only what every
request that it ends declared; no key stands for two questions, unless the server chose it for both; what is suspended
is bounded in number and in time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from protocol_versions.jsonrpc import Frame
from translators.machine import Effect, Note, SetTimer
from translators.stateless_client import questions, requests
from translators.stateless_client.calls import Call, Leg, Question, final, timer
from translators.stateless_client.state import State
from translators.tree import Body

if TYPE_CHECKING:
    from translators.stateless_client.machine import StatelessClient

MAX_ROUNDS = 10
"""Rounds of one call; the SDK clients give up after as many."""

MANY_ROUNDS = 6
"""From this round of a call on an operator is told: soon its client will give up."""

MAX_QUESTIONS = 32
"""Questions of one call that are open at once; the specification's own examples ask two or three."""

SOON_S = 0.001
"""Timers run out a little early or late; less than this is now."""


class Alarm(msgspec.Struct):
    """The one timer of all suspended calls: an older one that still comes is of another number."""

    number: int = 0
    due_at: float | None = None


def collect(talk: StatelessClient, call: Call, question: Question) -> list[Effect]:
    """The question belongs to this call's next round."""
    talk.asks[question.ask] = call.id
    call.queued.append(question)
    call.last_at = talk.now
    if not call.counted:
        call.counted = True
        for quota in talk.quotas:
            quota.parked += 1
    beats: list[Effect] = []
    if question.token is not None:
        beats.append(SetTimer(f"beat:{call.id}:{question.ask}", questions.BEAT_S))
    if call.phase not in ("running", "settling"):
        return beats
    return [*beats, *gather(talk, call)]


def gather(talk: StatelessClient, call: Call) -> list[Effect]:
    """Wait a moment for further questions of the round."""
    call.phase, call.first_at, call.last_at = "gathering", talk.now, talk.now
    return [timer("gather", call, talk.rules.batch_s)]


def gathered(talk: StatelessClient, call: Call) -> list[Effect]:
    """The window of a round is over, unless a question came in it."""
    if call.phase != "gathering":
        return []
    rules = talk.rules
    quiet_at = min(call.last_at + rules.batch_s, call.first_at + rules.batch_most_s)
    if quiet_at > talk.now + SOON_S:
        return [timer("gather", call, quiet_at - talk.now)]
    return show(talk, call)


def show(talk: StatelessClient, call: Call) -> list[Effect]:
    """End the waiting requests with a round of every question that is open and that all of them may be asked."""
    effects: list[Effect] = []
    asked: list[Question] = []
    for question in (*call.shown.values(), *call.queued):
        if questions.permitted(call, question):
            asked.append(question)
        else:
            del talk.asks[question.ask]
            effects += questions.withheld(call, question)
    call.shown, call.queued = {}, []
    if not asked:  # all were taken back, or withheld
        return [*effects, *requests.go_on(talk, call)]
    call.round += 1
    if call.round >= MANY_ROUNDS:
        effects.append(Note("degraded", call.method, "many-rounds"))
    call.shown = _keyed(call, asked)
    state = State("call", talk.owner, talk.number, call.id, call.round)
    call.interim = interim(talk, {key: _request(question) for key, question in call.shown.items()}, state)
    effects += [final(leg, shown_again(call, leg)) for leg in call.legs]
    for leg in call.legs:
        del talk.by_leg[leg]
    call.legs = {}
    call.phase = "parked"
    if call.suspended_at is None:
        call.suspended_at = talk.now
    call.due_at = min(talk.now + talk.rules.park_s, call.suspended_at + talk.rules.park_most_s)
    return [*effects, *remind(talk)]


def interim(talk: StatelessClient, requests: Body, state: State) -> dict[str, Raw]:
    """An `input_required` result, as bytes, because several readers may get it."""
    body = {"resultType": "input_required", "inputRequests": requests, "requestState": state.text()}
    result = {name: Raw(msgspec.json.encode(value)) for name, value in body.items()}
    return result if talk.meta is None else {**result, "_meta": talk.meta}


def shown_again(call: Call, leg: int) -> Frame:
    """The round that is open, for one request."""
    assert call.interim is not None
    return Frame(id=leg, result=dict(call.interim))


def shown_to(call: Call, leg: Leg) -> list[Effect]:
    """The round that is open, for a request that comes to it late, and may have declared less than the one it ended."""
    missing: Body = {}
    for question in call.shown.values():
        if not questions.permitted_to(leg.capabilities, question):
            questions.need(missing, question)
    if not missing:
        return [final(leg.id, shown_again(call, leg.id))]
    refusal = Frame(id=leg.id, error=questions.lacking(missing))
    return [final(leg.id, refusal), Note("refused", call.method, "not-declared")]


def remind(talk: StatelessClient) -> list[Effect]:
    """One timer for the suspended call that has to be given up first."""
    dues = [call.due_at for call in talk.calls.values() if call.phase == "parked"]
    alarm = talk.alarm
    if not dues or (alarm.due_at is not None and alarm.due_at <= min(dues)):
        return []
    alarm.number += 1
    alarm.due_at = min(dues)
    return [SetTimer(f"parked:{alarm.number}", max(alarm.due_at - talk.now, SOON_S))]


def full(talk: StatelessClient, call: Call) -> str:
    """Why no further question can be put, empty if one can."""
    if len(call.queued) + len(call.shown) >= MAX_QUESTIONS:
        return "too-many-inputs"
    if call.round >= MAX_ROUNDS:
        return "too-many-rounds"
    if call.suspended_at is not None and talk.now - call.suspended_at >= talk.rules.park_most_s:
        return "parked-too-long"
    if call.counted:
        return ""
    here = sum(one.counted for one in talk.calls.values())
    if here >= talk.rules.park_per_session or any(quota.parked >= quota.limit for quota in talk.quotas):
        return "parked"
    return ""


def _keyed(call: Call, found: list[Question]) -> dict[str, Question]:
    """Each question under the key its server wants, or under one this call never used."""
    keyed: dict[str, Question] = {}
    for question in found:
        if question.wanted and question.wanted not in keyed:
            keyed[question.wanted] = question
    call.wished += keyed
    for question in found:
        if keyed.get(question.wanted) is question:
            continue
        call.keys += 1
        while f"input-{call.keys}" in call.wished:
            call.keys += 1
        keyed[f"input-{call.keys}"] = question
    return keyed


def _request(question: Question) -> Body:
    request: Body = {"method": question.method}
    if question.params:
        request["params"] = question.params
    return request
