"""Questions of the server: which call each belongs to, and what becomes of those that no client can be asked.

Follows 2026-07-28 basic/patterns/mrtr and 2025-11-25 client/{elicitation,sampling,roots}. A question that came on a
call's own stream is that call's; on the standing stream it is the only open call's that may ask, else the newest's,
which is noted as a guess. Invariants: nothing is asked that the waiting requests did not declare; every question of the
server is answered exactly once, by the client, or by this file where no client can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw

from protocol_versions.jsonrpc import ErrorObject, Frame
from translators import tree
from translators.asks import NEEDS, UNREADABLE
from translators.context import Context
from translators.errors import INVALID_PARAMS, METHOD_NOT_FOUND, Refused
from translators.inputs import ASKING, GATES, required
from translators.loss import Loss, Noted
from translators.machine import STANDING, Effect, Note, SetTimer, ToServer
from translators.notes import lossy
from translators.reply import answered, broken, notify
from translators.stateless_client import rounds, setup
from translators.stateless_client.calls import Call, Question
from translators.tree import Body
from translators.v2025_11_25__v2026_07_28.fields_errors import MISSING_CAPABILITY

if TYPE_CHECKING:
    from translators.stateless_client.machine import StatelessClient

INPUT_KEY = "dev.dragoman/input-key"
"""`_meta` of a question: the key under which a client is shown it, for servers whose clients look for one."""

MAX_KEY = 128
"""Characters of such a key."""

BEAT_S = 20.0
"""How often a server that gave a progress token is told that its question waits; SDK servers time out at 60 s."""

UNABLE = ("waiting", "visiting", "ending")
"""Phases of calls the server does not run, or was told to end."""


def asked(talk: StatelessClient, stream: int, frame: Frame) -> list[Effect]:
    """A request of the server, under the conversation's id."""
    method: Any = frame.method
    number: Any = frame.id
    if method == "ping":
        return [ToServer(0, answered(number, {}))]
    if method not in GATES:
        return _no(number, "unknown", "method-unknown", METHOD_NOT_FOUND)
    ctx = Context(method=method)
    params: Any = frame.params if frame.params is not UNSET else {}
    try:
        meta = tree.deep(params.get("_meta"))
        opened: Body = tree.deep(dict(talk.lanes.to_client[method].params.run(params, ctx)))
    except (Refused, *UNREADABLE):
        return _no(number, method, "backend-garbage", INVALID_PARAMS)
    question = _question(number, method, opened, meta if isinstance(meta, dict) else {}, ctx)
    losses = lossy(ctx, method)
    # On a pipe every question comes this way: only of a server that asks in its set-up is it likely one of that.
    if stream == STANDING and setup.lasts(talk) and talk.habits.asks_in_setup:
        known = setup.known_roots(talk, method)
        if known is not None:
            return [ToServer(0, answered(number, known))]
    call, guessed = _owner(talk, stream)
    if call is None:
        if not permitted_to(talk.capabilities, question):
            return undeclared(question, talk.capabilities)
        return [*losses, *setup.unattributed(talk, question)]
    effects: list[Effect] = [Note("guessed", method, "several-calls")] if guessed else []
    return [*effects, *losses, *_of_call(talk, call, question)]


def _question(number: int, method: str, params: Body, meta: Body, ctx: Context) -> Question:
    token = meta.get("progressToken")
    kept = params.get("_meta")
    if isinstance(kept, dict):
        kept = params["_meta"] = {name: value for name, value in kept.items() if name != INPUT_KEY}
    if kept == {}:
        del params["_meta"]  # it held nothing but what was for the broker
    return Question(
        number, method, params, ctx, wanted=_wanted(meta), token=token if type(token) in (int, str) else None
    )


def _of_call(talk: StatelessClient, call: Call, question: Question) -> list[Effect]:
    number, method = question.ask, question.method
    if call.method not in ASKING:
        known = setup.known_roots(talk, method)
        if known is not None:
            return [ToServer(0, answered(number, known))]
        return _no(number, method, "input-not-allowed", INVALID_PARAMS)
    if call.phase in UNABLE:
        return [ToServer(0, unanswered(question))]
    narrowed = narrow(call, question)
    if not permitted(call, question):
        return withheld(call, question)
    reason = rounds.full(talk, call)
    if reason:
        return [ToServer(0, unanswered(question)), Note("refused", method, reason)]
    return [*narrowed, *rounds.collect(talk, call, question)]


def narrow(call: Call, question: Question) -> list[Effect]:
    """Leave `includeContext` out for a client that may be asked the rest; what it loses is noted.

    2025-11-25 client/sampling lets clients ignore it, and a server of sessions only SHOULD look at what was declared:
    servers in use ask every client for its context. A 2026-07-28 client MUST not be.
    """
    params = question.params
    if params is None or "includeContext" not in params or permitted(call, question):
        return []
    rest = {name: value for name, value in params.items() if name != "includeContext"}
    kept, question.params = params, rest
    if not permitted(call, question):
        question.params = kept
        return []
    loss = Noted("includeContext needs sampling.context", "includeContext", Loss.DEGRADED)
    return [Note("lossy", question.method, losses=(loss,))]


def permitted(call: Call, question: Question) -> bool:
    """True if every request that waits for the call declared what the question needs; else the last that did wait."""
    if not call.legs:
        return permitted_to(call.capabilities, question)
    return all(permitted_to(leg.capabilities, question) for leg in call.legs.values())


def permitted_to(capabilities: Body, question: Question) -> bool:
    """True if a client that declared these capabilities may be asked it."""
    return GATES[question.method](capabilities, question.params)


def need(missing: Body, question: Question) -> None:
    """Add what a question needs to the capabilities that are missing."""
    for name, parts in required(question.method, question.params).items():
        missing[name] = {**missing.get(name, {}), **parts}


def lacking(missing: Body) -> ErrorObject:
    """The error for a request whose client did not declare what it takes (basic/index, error codes)."""
    data = Raw(msgspec.json.encode({"requiredCapabilities": missing}))
    return ErrorObject(MISSING_CAPABILITY, "Missing required client capability", data)


def withheld(call: Call, question: Question) -> list[Effect]:
    """A question the waiting requests cannot be asked; if the call fails for it, its client is told what it needs."""
    if not call.muted:
        need(call.missing, question)
    waiting = [leg.capabilities for leg in call.legs.values()] or [call.capabilities]
    return undeclared(question, next(each for each in waiting if not permitted_to(each, question)))


def undeclared(question: Question, capabilities: Body) -> list[Effect]:
    """The server's error for asking what was not declared: the whole method, or a mode of it."""
    code = INVALID_PARAMS if NEEDS[question.method] in capabilities else METHOD_NOT_FOUND
    return _no(question.ask, question.method, "not-declared", code)


def taken_back(talk: StatelessClient, number: Any) -> list[Effect]:
    """The server needs no answer any more: a question that was shown stays, and its answer will be dropped."""
    if type(number) is not int:
        return []
    held = talk.held.pop(number, None)
    call = talk.calls[talk.asks.pop(number)] if number in talk.asks else None
    if call is not None:
        call.queued = [question for question in call.queued if question.ask != number]
    method = held.method if held is not None else call.method if call is not None else ""
    return [Note("void", method, "question-cancelled")] if method else []


def dismiss(talk: StatelessClient, call: Call) -> list[Effect]:
    """Nobody will answer the open questions of a call: the server is told so."""
    open_now = [question for question in (*call.queued, *call.shown.values()) if question.ask in talk.asks]
    for question in open_now:
        del talk.asks[question.ask]
    return [ToServer(0, unanswered(question)) for question in open_now]


def unanswered(question: Question) -> Frame:
    """What the server is told of a question that no client answers."""
    if question.method == "elicitation/create":
        return answered(question.ask, {"action": "cancel"})
    # The code of the specification's own example of a user who refused sampling (client/sampling, error handling).
    return Frame(id=question.ask, error=ErrorObject(-1, "The client did not respond"))


def beat(talk: StatelessClient, call: Call, number: int) -> list[Effect]:
    """Tell the server that its question still waits."""
    if number not in talk.asks:
        return []
    question = next(one for one in (*call.queued, *call.shown.values()) if one.ask == number)
    question.beats += 1
    params = {"progressToken": question.token, "progress": question.beats, "message": "waiting for input"}
    sent = ToServer(0, notify("notifications/progress", params))
    return [sent, SetTimer(f"beat:{call.id}:{number}", BEAT_S)]


def _owner(talk: StatelessClient, stream: int) -> tuple[Call | None, bool]:
    """The call a question belongs to, and whether that is a guess."""
    habits = talk.habits
    if stream != STANDING:
        own = talk.calls.get(stream)
        habits.asks_in_call = habits.asks_in_call or own is not None
        return own, False
    able = [
        call
        for call in talk.calls.values()
        if call.method in ASKING and call.phase not in UNABLE and call.outcome is None
    ]
    if able:
        habits.asks_on_stream = True
    return (able[-1] if able else None), len(able) > 1


def _wanted(meta: dict[str, Any]) -> str:
    key = meta.get(INPUT_KEY)
    return key if isinstance(key, str) and len(key) <= MAX_KEY and key.isprintable() else ""


def _no(number: int, method: str, reason: str, code: int) -> list[Effect]:
    return [ToServer(0, broken(number, reason, code=code)), Note("refused", method, reason)]
