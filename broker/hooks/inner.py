"""Questions inside results and answers inside requests (2026-07-28), judged as the messages they are elsewhere.

Follows 2026-07-28 basic/patterns/mrtr. A policy on `elicitation/create` is one policy, whatever the server's revision:
each question of an `input_required` result is judged in the slot it has where it is a request of its own, each answer
of a retry in the slot of that request's result, and all are folded back. Both are opened strictly, so that what was
judged is what is sent; what cannot be read is refused whole, and an answer to nothing that was asked is left out.

The pattern has no place for an error, so a refusal cannot be told to the server as it is told elsewhere:

    refused                        what becomes of it
    a question of elicitation      is answered `cancel` with the next request of the call, see `settled`
    any other question             ends the call with an error to its client; the server hears no more of it
    an answer to an elicitation    becomes `cancel`
    any other answer               ends the call with an error to its client
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from broker.hooks.base import Body, CallInfo, Deny, Drop, Pass, Replace, Verdict
from protocol_versions import REVISIONS, jsonrpc
from translators import tree

if TYPE_CHECKING:
    from broker.hooks.runner import Runner

Pending = Verdict | Awaitable[Verdict]
Note = Callable[[str, str], None]
"""Told of every refusal: method and reason."""

QUESTIONS = frozenset(slot.method for revision in REVISIONS for slot in revision.embedded if slot.part == "params")
"""The methods of requests that travel inside results in some revision."""

ELICITATION = "elicitation/create"
REQUESTS = "inputRequests"
RESPONSES = "inputResponses"
_INPUT_REQUIRED = "input_required"
_UNREADABLE = Deny(-32603, "The request was refused by policy", "hook-unreadable")


def cancelled() -> Body:
    """The answer to a question of elicitation that policy has refused, on either side."""
    return {"action": "cancel"}


def then(verdict: Pending, go_on: Callable[[Verdict], Pending]) -> Pending:
    """What follows a verdict, now or when it is there."""
    return _later(verdict, go_on) if inspect.isawaitable(verdict) else go_on(verdict)


async def _later(pending: Awaitable[Verdict], go_on: Callable[[Verdict], Pending]) -> Verdict:
    found = go_on(await pending)
    return await found if inspect.isawaitable(found) else found


def questions(
    hooks: Runner, first: Verdict, body: Body, info: CallInfo, note: Note, settled: dict[str, Body]
) -> Pending:
    """Judge the questions of a result on which `first` is the verdict so far.

    A question of elicitation that is refused is taken out; its answer is put in `settled`, under its key.
    """
    body = first.body if isinstance(first, Replace) else body
    if (
        not isinstance(first, Pass | Replace)
        or REQUESTS not in body
        or tree.deep(body.get("resultType")) != _INPUT_REQUIRED
    ):
        return first
    asked = _opened(hooks, body[REQUESTS])
    if asked is None or not all(_is_question(question) for question in asked.values()):
        return _UNREADABLE

    def judge(key: str) -> Pending:
        return hooks.judge("params", asked[key]["method"], "client", asked[key].get("params") or {}, info)

    def take(key: str, verdict: Verdict) -> Verdict | None:
        if isinstance(verdict, Replace):
            asked[key] = {**asked[key], "params": verdict.body}
        elif isinstance(verdict, Deny | Drop):
            method = asked[key]["method"]
            note(method, verdict.reason)
            if method != ELICITATION:
                return _refused(verdict)
            del asked[key]
            settled[key] = cancelled()
        return None

    return _each(iter(tuple(asked)), judge, take, lambda: Replace({**body, REQUESTS: asked}))


def answers(hooks: Runner, first: Verdict, body: Body, info: CallInfo, note: Note, asked: Mapping[str, str]) -> Pending:
    """Judge the answers of a request on which `first` is the verdict so far; `asked` gives each question's method."""
    body = first.body if isinstance(first, Replace) else body
    if not isinstance(first, Pass | Replace) or RESPONSES not in body:
        return first
    given = _opened(hooks, body[RESPONSES])
    if given is None or not all(isinstance(answer, dict) for answer in given.values()):
        return _UNREADABLE
    given = {key: answer for key, answer in given.items() if key in asked}

    def judge(key: str) -> Pending:
        return hooks.judge("result", asked[key], "server", given[key], info)

    def take(key: str, verdict: Verdict) -> Verdict | None:
        if isinstance(verdict, Replace):
            given[key] = verdict.body
        elif isinstance(verdict, Deny | Drop):
            note(asked[key], verdict.reason)
            if asked[key] != ELICITATION:
                return _refused(verdict)
            given[key] = cancelled()
        return None

    def folded() -> Verdict:
        rest = {name: value for name, value in body.items() if name != RESPONSES}
        headers = first.headers if isinstance(first, Replace) else ()
        return Replace({**rest, RESPONSES: given} if given else rest, headers)

    return _each(iter(tuple(given)), judge, take, folded)


def _each(
    keys: Iterator[str],
    judge: Callable[[str], Pending],
    take: Callable[[str, Verdict], Verdict | None],
    end: Callable[[], Verdict],
) -> Pending:
    """Judge one after the other; the first refusal of the whole ends it."""
    for key in keys:
        verdict = judge(key)
        if inspect.isawaitable(verdict):
            return _later(verdict, lambda found, key=key: take(key, found) or _each(keys, judge, take, end))  # type: ignore[misc]
        refusal = take(key, verdict)
        if refusal is not None:
            return refusal
    return end()


def _opened(hooks: Runner, value: Any) -> dict[str, Any] | None:
    """The members of an object as trees, None if it is none."""
    text = value if type(value) is Raw else Raw(msgspec.json.encode(value))
    try:
        opened = jsonrpc.open_value(text, hooks.limits)
    except jsonrpc.Refused:
        return None
    return opened if isinstance(opened, dict) else None


def _is_question(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.get("method") in QUESTIONS
        and isinstance(value.get("params", {}), dict | None)
    )


def _refused(verdict: Deny | Drop) -> Deny:
    return verdict if isinstance(verdict, Deny) else Deny(-32603, "The request was refused by policy", verdict.reason)
