"""Steps compiled once per (client, backend) pair into one lane per slot.

A message is projected onto its *reader's* revision, whatever was negotiated: SDKs send newer members to older peers.
So a lane is `up` through every step from the writer's to the reader's revision if that is newer, then `down` through
every step from the newest revision known to the reader's; around it stands the hygiene every reader gets.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

from protocol_versions import REVISIONS, by_id
from protocol_versions.base import Revision, Side, Slot
from translators.change import Step
from translators.hygiene import prepares, repairs
from translators.lane import Action, Lane

__all__ = ["Lane", "Pipeline", "pipeline"]


class Pipeline:
    """The compiled answer to "this client, this backend": immutable, shared, built at first use."""

    def __init__(self, client: str, server: str, steps: tuple[Step, ...]) -> None:
        self.client = by_id(client)
        self.server = by_id(server)
        self._steps = steps
        self._lanes: dict[Slot, Lane] = {}

    def lane(self, slot: Slot) -> Lane:
        """The lane of a slot; a slot that neither a Change nor hygiene mentions passes."""
        lane = self._lanes.get(slot)
        if lane is None:
            reader = self.reader(slot.toward)
            lane = Lane(slot, tuple(self._actions(slot)), repairs(reader, slot), prepares(reader, slot))
            self._lanes[slot] = lane
        return lane

    def reader(self, toward: Side) -> Revision:
        """The revision of the peer a message toward that side is written for."""
        return self.client if toward == "client" else self.server

    def writer(self, toward: Side) -> Revision:
        """The revision of the peer that wrote a message toward that side."""
        return self.server if toward == "client" else self.client

    def _actions(self, slot: Slot) -> Iterable[Action]:
        for direction, step in self.route(slot.toward):
            yield from step.actions(direction, slot)

    def route(self, toward: Side) -> list[tuple[str, Step]]:
        """The (direction, step) pairs a message toward a side goes through, in order."""
        order = [revision.id for revision in REVISIONS]
        writes, reads = order.index(self.writer(toward).id), order.index(self.reader(toward).id)
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
