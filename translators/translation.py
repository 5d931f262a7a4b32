"""`translate()`: one message body from a writer of one revision to a reader of another, and `trace()` of how.

The library's face for other gateways: msgspec only, no I/O, no clock, no broker. What needs state or transport
(sessions, batches, stream polling, running a call as a task) is not here; the rest of a conversation is.
"""

from __future__ import annotations

import copy
from typing import Any, Literal

import msgspec

from protocol_versions import REVISIONS
from protocol_versions.base import Part, Side, Slot
from translators import tree
from translators.change import Change, Gate
from translators.context import Context
from translators.errors import Answered, Refused, Swallowed
from translators.hygiene import changes as hygiene
from translators.hygiene import preparations
from translators.loss import Loss, Noted
from translators.pipeline import Pipeline, pipeline
from translators.tree import Body

__all__ = ["HYGIENE", "Acted", "Translation", "Verdict", "trace", "translate"]

Verdict = Literal["identical", "rewritten", "refused", "swallowed", "answered"]
HYGIENE = "hygiene"
"""The `step` and `direction` of a repair every reader gets."""

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Translation(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a body.

    `verdict`: "identical" (`body` is the value given), "rewritten" (`body` is new), "refused" (`refusal` has the
    JSON-RPC `code`, `message` and `reason` for whoever waits), "swallowed" (send nothing), "answered" (`answer` is the
    result: of a request, for its writer; of an error, for the reader in the error's place). `body` is None unless the
    message goes on. `losses` says what was given up, in the order it happened; empty means nothing.
    """

    body: Any
    losses: tuple[Noted, ...]
    verdict: Verdict
    answer: Body | None = None
    refusal: Refused | None = None


class Acted(msgspec.Struct, frozen=True, kw_only=True):
    """One Change that acted on a body; `after` is None if the message goes no further."""

    change: Change
    step: str
    direction: str
    before: Body
    after: Body | None
    losses: tuple[Noted, ...]


def translate(
    body: Body | bytes,
    *,
    method: str,
    part: Part,
    client: str,
    server: str,
    toward: Side | None = None,
    context: Context | None = None,
) -> Translation:
    """The body as its reader's revision spells it.

    `body` is the value of `params`, `result` or `error` of one JSON-RPC message, as a dict (which is not changed) or
    as JSON bytes (then `Translation.body` is bytes too, and the same object if nothing had to change).
    `method` is the request's or notification's method, also for its result or error.
    `part` is "params", "result", "error" or "notification".
    `client` and `server` are the revision ids both peers are pinned to, such as "2025-06-18".
    `toward` names the reader, "client" or "server"; it may be left out where the method travels one way only.
    `context` carries a call's knowledge from its request to its answer: give both the same object, or an answer to a
    question that was reshaped cannot be put back together.

    Raises:
        UnknownRevision: an id no module describes.
        ValueError: a method or part no revision defines, or `toward` is needed and missing.
        msgspec.DecodeError: bytes that hold no JSON object.
    """
    slot = _slot(method, part, toward)
    lane = pipeline(client, server).lane(slot)
    ctx = context if context is not None else Context(method=method)
    already = len(ctx.losses)
    opened = _decode(body) if isinstance(body, bytes) else copy.deepcopy(body)
    outcome: dict[str, Any] = {"verdict": "identical", "body": body}
    try:
        lane.run(opened, ctx)
        if len(ctx.losses) > already:  # every operation that acts is noted, also those that lose nothing
            after = msgspec.json.encode(opened) if isinstance(body, bytes) else tree.deep(opened)
            outcome = {"verdict": "rewritten", "body": after}
    except Refused as refusal:
        outcome = {"verdict": "refused", "body": None, "refusal": refusal}
    except Swallowed:
        outcome = {"verdict": "swallowed", "body": None}
    except Answered as answered:
        outcome = {"verdict": "answered", "body": None, "answer": answered.result}
    lost = tuple(noted for noted in ctx.losses[already:] if noted.loss is not Loss.NONE)
    return Translation(losses=lost, **outcome)


def trace(
    body: Body,
    *,
    method: str,
    part: Part,
    client: str,
    server: str,
    toward: Side | None = None,
    context: Context | None = None,
) -> list[Acted]:
    """Every Change that acts on the body, in order, with the whole body before and after it (fresh copies).

    Arguments and errors are those of `translate`. The list ends with a Change that refused, swallowed or answered the
    message, whose `after` is None. `step` is "older|newer", `direction` "up" or "down"; for a repair that every
    reader gets both are "hygiene".
    """
    slot = _slot(method, part, toward)
    pair = pipeline(client, server)
    ctx = context if context is not None else Context(method=method)
    acted: list[Acted] = []
    current = copy.deepcopy(body)
    for change, step, direction in _changes(pair, slot):
        already = len(ctx.losses)
        before, after = current, copy.deepcopy(current)
        stopped = False
        try:
            for action in _actions(change, direction, slot):
                action.apply(after, ctx)
        except (Refused, Swallowed, Answered):
            stopped = True
        losses = tuple(ctx.losses[already:])
        if stopped or losses or after != before:
            kept = None if stopped else tree.deep(after)
            acted.append(Acted(change=change, step=step, direction=direction, before=before, after=kept, losses=losses))
        if stopped:
            break
        current = after
    return acted


def _changes(pair: Pipeline, slot: Slot) -> list[tuple[Change, str, str]]:
    """(Change, step name, direction) of all that may act, in lane order."""
    reader = pair.reader(slot.toward)
    around = reader.knows(slot)
    found = [(change, HYGIENE, HYGIENE) for change in preparations(reader) if around]
    for direction, step in pair.route(slot.toward):
        ordered = step.changes if direction == "up" else tuple(reversed(step.changes))
        found += [(change, step.name, direction) for change in ordered]
    found += [(change, HYGIENE, HYGIENE) for change in hygiene(reader) if around]
    return found


def _actions(change: Change, direction: str, slot: Slot) -> tuple[Any, ...]:
    action = change.actions("up" if direction == "up" else "down").get(slot, ())
    return (action,) if isinstance(action, Gate) else action


def _slot(method: str, part: Part, toward: Side | None) -> Slot:
    """The slot meant; `toward` is found where only one side can be the reader."""
    # An error answers a request, so it travels the way the request's result does.
    known_part = "result" if part == "error" else part
    sides = {slot.toward for revision in REVISIONS for slot in revision.types if _same(slot, known_part, method)}
    if not sides:
        raise ValueError(f"no revision defines {part} of {method!r}")
    if toward is None:
        if len(sides) > 1:
            raise ValueError(f"{part} of {method!r} travels both ways: say toward='client' or toward='server'")
        (toward,) = sides
    elif toward not in sides:
        raise ValueError(f"no revision defines {part} of {method!r} toward the {toward}")
    return Slot(part, method, toward)


def _same(slot: Slot, part: str, method: str) -> bool:
    return slot.part == part and slot.method == method
