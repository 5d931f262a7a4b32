"""Mutants of what Changes declare: operations, gates, losses, order, slots, directions.

Changes are altered in place, so that every test that holds a step or a repair sees the mutant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec

from protocol_versions import REVISIONS
from protocol_versions.base import Slot
from tests.mutation.adopt import forget
from tests.mutation.mutant import REMOVED, Mutant, numbered
from translators import STEPS, hygiene
from translators.change import Change, Gate, swallow
from translators.context import Context
from translators.errors import Refused
from translators.loss import Loss
from translators.ops import Op
from translators.tree import segments

HYGIENE = "hygiene"
Action = tuple[Op, ...] | Gate


def declared() -> list[Mutant]:
    """All of them, in the order of steps and Changes; names are unique."""
    found: list[Mutant] = []
    for home, change in _changes():
        for way in ("down", "up"):
            for slot, action in getattr(change, way).items():
                found += _of_slot(home, change, way, slot, action)
        if home != HYGIENE:
            found.append(
                Mutant(f"{home} | {change.name} | up and down swapped", "direction", home, partial(_swap, change))
            )
    return numbered(found)


def _changes() -> Iterator[tuple[str, Change]]:
    """(home, Change) of every step, and each repair once."""
    for step in STEPS:
        if step.newer.traits.sessions:
            home = "v" + step.name.replace("-", "_").replace("|", "__v")
            yield from ((home, change) for change in step.changes)
    repairs = {id(change): change for reader in REVISIONS for change in hygiene.changes(reader)}
    yield from ((HYGIENE, change) for change in repairs.values())
    # The repair of nulls is one function for every slot of a revision: that of the newest session stands for all.
    newest = [revision for revision in REVISIONS if revision.traits.sessions][-1]
    yield from ((HYGIENE, change) for change in hygiene.preparations(newest))


def _of_slot(home: str, change: Change, way: str, slot: Slot, action: Action) -> Iterator[Mutant]:
    address = f"{home} {way} | {change.name} | {slot.part} {slot.method} toward {slot.toward}"

    def made(kind: str, what: str, new: Action | None) -> Mutant:
        return Mutant(f"{address} | {what}", kind, home, partial(put, change, way, slot, new))

    if isinstance(action, Gate):
        yield made(REMOVED, "gate removed", None)
        yield made("gate", f"another outcome than {action.verdict}", _other_verdict(action))
        yield made("gate", f"another reason than {action.reason}", _with_refusal(action, reason="mutated"))
        if action.code:
            yield made("gate", f"another code than {action.code}", _with_refusal(action, code=action.code - 1))
        return
    for index, op in enumerate(action):
        before, after = action[:index], action[index + 1 :]
        label = f"{op.kind} {op.path or 'body'}"
        yield made(REMOVED, f"{label} removed", (*before, *after))
        for kind, what, new in _of_op(op):
            yield made(kind, f"{label} {what}", (*before, new, *after))
    if len(action) > 1:
        yield made("slot", "slot removed", None)
        if any(_meet(one, other) for at, one in enumerate(action) for other in action[at + 1 :]):
            yield made("order", "order reversed", tuple(reversed(action)))


def _of_op(op: Op) -> Iterator[tuple[str, str, Op]]:
    replace = msgspec.structs.replace
    if op.kind == "when":
        yield "condition", "without its condition", replace(op, act=lambda _body, _ctx: True)
        for index, inner in enumerate(op.inner):
            before, after = op.inner[:index], op.inner[index + 1 :]
            yield REMOVED, f"> {inner.kind} {inner.path} removed", replace(op, inner=(*before, *after))
            for kind, what, new in _of_op(inner):
                yield kind, f"> {inner.kind} {inner.path} {what}", replace(op, inner=(*before, new, *after))
    elif op.kind == "refuse_if":
        yield "gate", "with another code", replace(op, act=_refusing(op.act, code=-1))
        yield "gate", "with another reason", replace(op, act=_refusing(op.act, reason="mutated"))
    elif op.kind not in ("nulls", "remember"):  # one function for every slot, tested once; one that notes nothing
        ranks = list(Loss)
        other = ranks[ranks.index(op.loss) - 1]
        yield "loss", f"losing {other.value} instead of {op.loss.value}", replace(op, loss=other)


def _meet(one: Op, other: Op) -> bool:
    """True if the order of two operations may matter: one may write what the other reads."""
    if {one.kind, other.kind} <= {"drop", "each", "swap", "nulls"}:
        paths = [segments(op.path) for op in (one, other)]
        shorter, longer = sorted(paths, key=len)
        return longer[: len(shorter)] == shorter
    return True


def put(change: Change, way: str, slot: Slot, action: Action | None) -> None:
    """Let the Change do this on a slot; None: nothing."""
    actions: dict[Slot, Any] = {at: found for at, found in getattr(change, way).items() if at != slot}
    if action is not None:
        actions[slot] = action
    _set(change, **{way: actions})


def _swap(change: Change) -> None:
    _set(change, up=dict(change.down), down=dict(change.up))


def empty(change: Change) -> None:
    """Take everything from a Change."""
    _set(change, up={}, down={})


def _set(change: Change, **ways: dict[Slot, Any]) -> None:
    for way, actions in ways.items():
        msgspec.structs.force_setattr(change, way, actions)
    change.__dict__.clear()  # the names of actions are cached there
    forget(leaving=hygiene.__name__)  # which caches the very Changes that are altered here


def _other_verdict(gate: Gate) -> Gate:
    if gate.verdict == "refused":
        return swallow(gate.reason)

    def act(_body: Any, _ctx: Context) -> None:
        raise Refused(-32601, "mutated", reason=gate.reason)

    return Gate("refused", gate.reason, act, -32601)


def _with_refusal(gate: Gate, *, code: int = 0, reason: str = "") -> Gate:
    if gate.verdict != "refused":
        return swallow(reason)
    act = _refusing(gate.act, code=code, reason=reason)
    return msgspec.structs.replace(gate, act=act, code=code or gate.code, reason=reason or gate.reason)


def _refusing(act: Callable[[Any, Context], Any], *, code: int = 0, reason: str = "") -> Callable[[Any, Context], Any]:
    def refusing(body: Any, ctx: Context) -> Any:
        try:
            return act(body, ctx)
        except Refused as refused:
            raise Refused(code or refused.code, refused.message, reason=reason or refused.reason) from None

    return refusing
