"""What two pinned revisions can tell each other, computed from the steps: the data of a compatibility table.

A row says what happens to one kind of message between one client and one server revision, before any message exists.
What is only projected (a peer that sends members its own revision lacks) and the hygiene every reader gets are left
out: they depend on the peer, not on the pair.
"""

from __future__ import annotations

import functools
from typing import Literal

import msgspec

from protocol_versions import REVISIONS
from protocol_versions.base import Part, Revision, Side, Slot
from translators.change import Change, Gate
from translators.loss import Loss
from translators.ops import Op

__all__ = ["Row", "table"]

Verdict = Literal["identical", "rewritten", "emulated", "refused"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of message of one ordered pair.

    `verdict`: "identical" (every body passes as it is), "rewritten" (some members are), "emulated" (the broker also
    stands in for what the reader lacks) or "refused" (the reader never sees it; a notification is dropped).
    `losses` maps the path of each lossy operation to its worst loss; `changes` names the Changes that may act, in
    order.
    """

    client: str
    server: str
    method: str
    part: Part
    toward: Side
    verdict: Verdict
    losses: dict[str, Loss]
    changes: tuple[str, ...]


@functools.cache
def table() -> tuple[Row, ...]:
    """Every row of every ordered pair, oldest client first.

    A result or error has no row where its request is refused. An error has one only where a Change touches it.
    """
    return tuple(row for client in REVISIONS for server in REVISIONS for row in _pair(client, server))


def _pair(client: Revision, server: Revision) -> list[Row]:
    rows = []
    for toward in ("server", "client"):
        writer: Revision = client if toward == "server" else server
        for slot in sorted(slot for slot in writer.types if slot.toward == toward and _opens(slot)):
            row = _row(client, server, slot)
            rows.append(row)
            if slot.part == "params" and row.verdict != "refused":
                back: Side = "client" if toward == "server" else "server"
                made = row.verdict == "emulated" and not (server if toward == "server" else client).knows(slot)
                answered = msgspec.structs.replace(row, part="result", toward=back)
                rows.append(answered if made else _row(client, server, Slot("result", slot.method, back)))
                error = _row(client, server, Slot("error", slot.method, back))
                rows += [error] if error.changes else []
    return rows


def _opens(slot: Slot) -> bool:
    return slot.part in ("params", "notification")


def _row(client: Revision, server: Revision, slot: Slot) -> Row:
    losses: dict[str, Loss] = {}
    changes: list[Change] = []
    refused = False
    emulated = (slot in client.embedded) is not (slot in server.embedded)  # a request here, part of a result there
    for change, action in _met(client, server, slot):
        changes.append(change)
        emulated = emulated or bool(change.emulates)
        kept = change.emulates == "conversation"  # what a conversation does itself, a translation without one gives up
        if isinstance(action, Gate):
            refused = action.verdict != "answered" and not kept
            break
        for op in () if kept else action:
            _note(losses, op)
    verdict: Verdict = "refused" if refused else "emulated" if emulated else "rewritten" if changes else "identical"
    return Row(
        client=client.id,
        server=server.id,
        method=slot.method,
        part=slot.part,
        toward=slot.toward,
        verdict=verdict,
        losses={} if refused else losses,
        changes=tuple(change.name for change in changes),
    )


def _met(client: Revision, server: Revision, slot: Slot) -> list[tuple[Change, tuple[Op, ...] | Gate]]:
    """What stands directly between writer and reader, in the order it runs."""
    from translators import STEPS

    writer, reader = (server, client) if slot.toward == "client" else (client, server)
    order = [revision.id for revision in REVISIONS]
    low, high = sorted((order.index(writer.id), order.index(reader.id)))
    way = "up" if order.index(writer.id) < order.index(reader.id) else "down"
    between = [step for step in STEPS if low <= order.index(step.older.id) < high]
    found = []
    for step in between if way == "up" else reversed(between):
        for change in step.changes if way == "up" else reversed(step.changes):
            action = change.actions(way).get(slot)
            if action is not None:
                found.append((change, action))
    return found


def _note(losses: dict[str, Loss], op: Op) -> None:
    for inner in op.inner:
        _note(losses, inner)
    if not op.inner and op.loss is not Loss.NONE:
        ranks = list(Loss)
        losses[op.path] = max(op.loss, losses.get(op.path, Loss.NONE), key=ranks.index)
