"""What every reader needs, whatever was negotiated: repairs of messages that official SDKs are known to reject.

Both SDK families write one shape for every revision they can negotiate and read strictly what they read, so a message
that is sloppy or slightly wrong kills a call, or a session, on the other side even when both peers are pinned to the
same revision. The pipeline appends these repairs to each lane. Each names in `spec` the peer and version it was
measured on; on a clean message each costs a search in bytes that stay unopened.
Invariant: a message that is valid in the reader's revision is not changed, save the empty results of `results.py`.
"""

from __future__ import annotations

import functools

from protocol_versions.base import Revision, Slot
from translators.change import Change
from translators.hygiene.blocks import BLOCKS
from translators.hygiene.catalogues import CATALOGUES
from translators.hygiene.members import MEMBERS
from translators.hygiene.nulls import nulls
from translators.hygiene.results import RESULTS, SESSION_RESULTS
from translators.ops import Op

__all__ = ["changes", "repairs"]


@functools.cache
def changes(reader: Revision) -> tuple[Change, ...]:
    """The repairs for readers of this revision, in the order they run (all of them are `down` actions)."""
    sessions = SESSION_RESULTS if reader.traits.sessions else ()
    return (*RESULTS, *BLOCKS, *CATALOGUES, *MEMBERS, *sessions, nulls(reader))


def repairs(reader: Revision, slot: Slot) -> tuple[Op, ...]:
    """The operations on one slot; none if the reader's revision does not define it."""
    if not reader.knows(slot) and slot.part != "error":
        return ()
    found: list[Op] = []
    for change in changes(reader):
        action = change.actions("down").get(slot, ())
        found.extend(action if isinstance(action, tuple) else ())
    return tuple(found)
