"""Steps compiled once per (client, backend) pair into one lane per slot.

A message is projected onto its *reader's* revision, whatever was negotiated: SDKs send newer members to older peers.
So a lane is `up` through every step from the writer's to the reader's revision if that is newer, then `down` through
every step from the newest revision known to the reader's.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import msgspec

from protocol_versions import REVISIONS, by_id
from protocol_versions.base import Side, Slot
from translators.change import Gate, Step
from translators.context import Context
from translators.ops import Op
from translators.tree import Body

if TYPE_CHECKING:
    from collections.abc import Iterable


class Lane(msgspec.Struct, frozen=True):
    """All that happens to one slot's bodies on the way from writer to reader; empty: bytes pass."""

    slot: Slot
    actions: tuple[Op | Gate, ...] = ()

    @property
    def passes(self) -> bool:
        """True if no operation or gate touches this slot."""
        return not self.actions

    @property
    def gate(self) -> Gate | None:
        """The first gate of the lane, if the reader's revision lacks the slot."""
        return next((action for action in self.actions if isinstance(action, Gate)), None)

    def run(self, body: Body, ctx: Context) -> Body:
        """Rewrite the body in place. Raises Refused, Swallowed or Answered where a gate or operation says so."""
        for action in self.actions:
            if type(action) is Op:
                action.apply(body, ctx)
            else:
                action.act(body, ctx)  # type: ignore[union-attr]
        return body


class RequestLanes(msgspec.Struct, frozen=True):
    """The three lanes of one request method: its parameters, its result, its error."""

    params: Lane
    result: Lane
    error: Lane


class Pipeline:
    """The compiled answer to "this client, this backend": immutable, shared, built at first use.

    `requests` and `notifications` hold, per reader, every method any known revision defines; a method that is in
    neither is nobody's, and is not forwarded unless the operator says so.
    """

    def __init__(self, client: str, server: str, steps: tuple[Step, ...]) -> None:
        self.client = by_id(client)
        self.server = by_id(server)
        self._steps = steps
        self._lanes: dict[Slot, Lane] = {}
        self.requests: dict[Side, dict[str, RequestLanes]] = {"client": {}, "server": {}}
        self.notifications: dict[Side, dict[str, Lane]] = {"client": {}, "server": {}}
        for slot in {slot for revision in REVISIONS if revision.traits.sessions for slot in revision.types}:
            if slot.part == "params":
                back: Side = "server" if slot.toward == "client" else "client"
                self.requests[slot.toward][slot.method] = RequestLanes(
                    params=self.lane(slot),
                    result=self.lane(Slot("result", slot.method, back)),
                    error=self.lane(Slot("error", slot.method, back)),
                )
            elif slot.part == "notification":
                self.notifications[slot.toward][slot.method] = self.lane(slot)

    def lane(self, slot: Slot) -> Lane:
        """The lane of a slot; a slot no Change mentions passes."""
        lane = self._lanes.get(slot)
        if lane is None:
            lane = self._lanes[slot] = Lane(slot, tuple(self._actions(slot)))
        return lane

    def _actions(self, slot: Slot) -> Iterable[Op | Gate]:
        for direction, step in self.route(slot.toward):
            yield from step.actions(direction, slot)

    def route(self, toward: Side) -> list[tuple[str, Step]]:
        """The (direction, step) pairs a message toward a side goes through, in order."""
        writer, reader = (self.server, self.client) if toward == "client" else (self.client, self.server)
        order = [revision.id for revision in REVISIONS]
        writes, reads = order.index(writer.id), order.index(reader.id)
        by_older = {step.older.id: step for step in self._steps}
        route = [("up", by_older[order[at]]) for at in range(writes, reads)]
        newest = order.index(self._steps[-1].newer.id) if self._steps else reads
        route += [("down", by_older[order[at - 1]]) for at in range(newest, reads, -1)]
        return route

    @property
    def identical(self) -> bool:
        """True if both peers are pinned to the same revision (messages are projected all the same)."""
        return self.client.id == self.server.id


@functools.cache
def pipeline(client: str, server: str) -> Pipeline:
    """The pair's Pipeline. Raises `UnknownRevision` for an id no module describes."""
    from translators import STEPS  # the registry imports the steps, which import this kit

    return Pipeline(client, server, STEPS)
