"""Questions of the server: which call each belongs to, how a round of them is shown, and what becomes of the rest.

Follows 2026-07-28 basic/patterns/mrtr and 2025-11-25 client/{elicitation,sampling,roots}. A question that came on a
call's own stream is that call's; on the standing stream it is the only open call's that may ask, else the newest's,
which is noted as a guess. Invariants: nothing is asked that the waiting request did not declare; every question of the
server is answered exactly once, by the client, or by this file where no client can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from protocol_versions.jsonrpc import ErrorObject, Frame
from translators import tree
from translators.asks import UNREADABLE
from translators.context import Context
from translators.errors import INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, Answered, Refused
from translators.inputs import ASKING, GATES, required
from translators.machine import STANDING, Effect, Note, SetTimer, ToServer
from translators.notes import lossy
from translators.reply import answered, broken, notify, refused
from translators.stateless_client import setup
from translators.stateless_client.calls import Call, Question, final, timer
from translators.stateless_client.state import State
from translators.tree import Body

if TYPE_CHECKING:
    from translators.stateless_client.machine import StatelessClient

INPUT_KEY = "dev.dragoman/input-key"
"""`_meta` of a question: the key under which a client is shown it, for servers whose clients look for one."""

MAX_KEY = 128
"""Characters of such a key."""

MAX_ROUNDS = 10
"""Rounds of one call; the SDK clients give up after as many."""

MAX_QUESTIONS = 32
"""Questions of one call that are open at once; the specification's own examples ask two or three."""

BEAT_S = 20.0
"""How often a server that gave a progress token is told that its question waits; SDK servers time out at 60 s."""

UNABLE = ("waiting", "visiting", "ending")
"""Phases of calls the server does not run, or was told to end."""

NO_ANSWER = ErrorObject(-1, "The client did not respond", UNSET)
"""As the specification's own example of a user who refused sampling (client/sampling, error handling)."""


def asked(talk: StatelessClient, stream: int, frame: Frame) -> list[Effect]:
    """A request of the server, under the conversation's id."""
    method: Any = frame.method
    number: Any = frame.id
    if method == "ping":
        return [ToServer(0, answered(number, {}))]
    lanes = talk.lanes.to_client.get(method)
    gate = GATES.get(method)
    if lanes is None or gate is None:
        return _no(number, method, "method-unknown", METHOD_NOT_FOUND)
    ctx = Context(method=method)
    params: Any = frame.params
    try:
        meta = tree.deep(params.get("_meta")) if params is not UNSET else None
        body = lanes.params.run({} if params is UNSET else params, ctx)
        opened: Body = tree.deep(dict(body))
    except Refused as refusal:
        return [ToServer(0, refused(number, refusal)), Note("refused", method, refusal.reason)]
    except Answered as done:
        return [ToServer(0, answered(number, done.result))]
    except UNREADABLE:
        return _no(number, method, "backend-garbage", INVALID_PARAMS)
    meta = meta if isinstance(meta, dict) else {}
    token = meta.get("progressToken")
    question = Question(
        number,
        method,
        opened if opened or params is not UNSET else None,
        ctx,
        wanted=_wanted(meta),
        token=token if type(token) in (int, str) else None,
    )
    losses = lossy(ctx, method)
    call, guessed = _owner(talk, stream)
    if call is None:
        return [*losses, *setup.unattributed(talk, question)]
    effects: list[Effect] = [Note("guessed", method, "several-calls")] if guessed else []
    if call.method not in ASKING:
        return [*effects, *_no(number, method, "input-not-allowed", INVALID_PARAMS)]
    if not gate(call.capabilities, opened):
        code = INVALID_PARAMS if GATES[method](call.capabilities, {}) else METHOD_NOT_FOUND
        call.missing = {**call.missing, **required(method, opened)}
        return [*effects, *_no(number, method, "not-declared", code)]
    reason = _full(talk, call)
    if reason:
        return [*effects, ToServer(0, unanswered(question)), Note("refused", method, reason)]
    return [*effects, *losses, *collect(talk, call, question)]


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
        beats.append(SetTimer(f"beat:{call.id}:{question.ask}", BEAT_S))
    if call.phase not in ("running", "settling"):
        return beats
    call.phase, call.first_at = "gathering", talk.now
    return [*beats, timer("gather", call, talk.rules.batch_s)]


def gathered(talk: StatelessClient, call: Call) -> list[Effect]:
    """The window of a round is over, unless a question came in it."""
    if call.phase != "gathering":
        return []
    rules = talk.rules
    quiet_at = min(call.last_at + rules.batch_s, call.first_at + rules.batch_most_s)
    if quiet_at > talk.now + 0.001:
        return [timer("gather", call, quiet_at - talk.now)]
    if not call.queued:  # all of them were taken back
        call.phase = "running"
        return []
    return show(talk, call)


def show(talk: StatelessClient, call: Call) -> list[Effect]:
    """End the waiting requests with a round of every question that is open."""
    open_now, call.queued = [*call.shown.values(), *call.queued], []
    call.round += 1
    call.shown = _keyed(call, open_now)
    state = State("call", talk.owner, talk.number, call.id, call.round)
    call.interim = interim(talk, {key: _request(question) for key, question in call.shown.items()}, state)
    effects: list[Effect] = [final(leg, shown_again(call, leg)) for leg in call.legs]
    for leg in call.legs:
        talk.by_leg.pop(leg, None)
    call.legs = {}
    call.phase = "parked"
    return [*effects, timer("park", call, talk.rules.park_s, call.round)]


def interim(talk: StatelessClient, requests: Body, state: State) -> Body:
    """An `input_required` result."""
    body: Body = {"resultType": "input_required", "inputRequests": requests, "requestState": state.text()}
    if talk.meta is not None:
        body["_meta"] = talk.meta
    return body


def shown_again(call: Call, leg: int) -> Frame:
    """The round that is open, for one request."""
    assert call.interim is not None
    return Frame(id=leg, result=dict(call.interim))


def taken_back(talk: StatelessClient, number: Any) -> list[Effect]:
    """The server needs no answer any more: a question that was shown stays, and its answer will be dropped."""
    talk.held.pop(number, None)
    call = talk.calls.get(talk.asks.pop(number, 0)) if type(number) is int else None
    if call is None:
        return []
    call.queued = [question for question in call.queued if question.ask != number]
    return [Note("void", call.method, "question-cancelled")]


def dismiss(talk: StatelessClient, call: Call) -> list[Effect]:
    """Nobody will answer the open questions of a call: the server is told so."""
    open_now = [question for question in (*call.queued, *call.shown.values()) if question.ask in talk.asks]
    call.queued = []
    for question in open_now:
        del talk.asks[question.ask]
    return [ToServer(0, unanswered(question)) for question in open_now]


def unanswered(question: Question) -> Frame:
    """What the server is told of a question that no client answers."""
    if question.method == "elicitation/create":
        return answered(question.ask, {"action": "cancel"})
    return Frame(id=question.ask, error=NO_ANSWER)


def beat(talk: StatelessClient, call: Call, number: int) -> list[Effect]:
    """Tell the server that its question still waits."""
    question = next((one for one in (*call.queued, *call.shown.values()) if one.ask == number), None)
    if question is None or number not in talk.asks:
        return []
    question.beats += 1
    params = {"progressToken": question.token, "progress": question.beats, "message": "waiting for input"}
    sent = ToServer(0, notify("notifications/progress", params))
    return [sent, SetTimer(f"beat:{call.id}:{number}", BEAT_S)]


def _owner(talk: StatelessClient, stream: int) -> tuple[Call | None, bool]:
    """The call a question belongs to, and whether that is a guess."""
    habits = talk.habits
    if stream != STANDING:
        habits.asks_in_call = True
        return talk.calls.get(stream), False
    able = [
        call
        for call in talk.calls.values()
        if call.method in ASKING and call.phase not in ("waiting", "visiting", "ending")
    ]
    if able:
        habits.asks_on_stream = True
    return (able[-1] if able else None), len(able) > 1


def _full(talk: StatelessClient, call: Call) -> str:
    """Why no further question can be put, empty if one can."""
    if len(call.queued) + len(call.shown) >= MAX_QUESTIONS:
        return "too-many-inputs"
    if call.phase != "parked" and call.round >= MAX_ROUNDS:
        return "too-many-rounds"
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
    for question in found:
        if keyed.get(question.wanted) is question:
            continue
        while True:
            call.keys += 1
            key = f"input-{call.keys}"
            if key not in keyed:
                break
        keyed[key] = question
    return keyed


def _wanted(meta: dict[str, Any]) -> str:
    key = meta.get(INPUT_KEY)
    return key if isinstance(key, str) and 0 < len(key) <= MAX_KEY and key.isprintable() else ""


def _request(question: Question) -> Body:
    request: Body = {"method": question.method}
    if question.params is not None:
        request["params"] = question.params
    return request


def _no(number: int, method: str, reason: str, code: int = INTERNAL_ERROR) -> list[Effect]:
    return [ToServer(0, broken(number, reason, code=code)), Note("refused", method, reason)]
