"""What every reader needs, whatever was negotiated: repairs of messages that official SDKs are known to reject.

Both SDK families write one shape for every revision they can negotiate and read strictly what they read, so a message
that is sloppy or slightly wrong kills a call, or a session, on the other side even when both peers are pinned to the
same revision. The pipeline puts these repairs around each lane. Each names in `spec` the peer and version it was
measured on; on a clean message each costs a search in bytes that stay unopened.
Invariant: a message that is valid in the reader's revision is not changed, save the empty results of `results.py`.
"""

from __future__ import annotations

import functools
from typing import Any, get_type_hints

from protocol_versions.base import Revision, Slot
from translators.change import Change, result
from translators.hygiene.blocks import BLOCKS
from translators.hygiene.catalogues import CATALOGUES, OBJECT_SCHEMAS
from translators.hygiene.members import MEMBERS
from translators.hygiene.nulls import nulls
from translators.hygiene.results import OBJECTS, RESULTS, SESSION_RESULTS
from translators.ops import Op

__all__ = ["changes", "preparations", "prepares", "repairs"]


@functools.cache
def changes(reader: Revision) -> tuple[Change, ...]:
    """The repairs for readers of this revision, after the steps (all of them are `down` actions)."""
    objects = () if _any_json(reader) else (*OBJECTS, *OBJECT_SCHEMAS)
    return (*RESULTS, *BLOCKS, *CATALOGUES, *objects, *MEMBERS, *(SESSION_RESULTS if reader.traits.sessions else ()))


def _any_json(reader: Revision) -> bool:
    """True if this revision types structured content as any JSON value, and schemas as any JSON Schema."""
    return get_type_hints(reader.types[result("tools/call")]).get("structured_content") is Any


@functools.cache
def preparations(reader: Revision) -> tuple[Change, ...]:
    """The repairs before the steps: nulls, which are found fastest while the body is unopened."""
    return (nulls(reader),)


def prepares(reader: Revision, slot: Slot) -> tuple[Op, ...]:
    """The operations on one slot before the steps; none if the reader's revision does not define it."""
    return _operations(preparations(reader), reader, slot)


def repairs(reader: Revision, slot: Slot) -> tuple[Op, ...]:
    """The operations on one slot after the steps; none if the reader's revision does not define it."""
    return _operations(changes(reader), reader, slot)


def _operations(found: tuple[Change, ...], reader: Revision, slot: Slot) -> tuple[Op, ...]:
    if not reader.knows(slot):
        return ()
    actions = [change.actions("down").get(slot, ()) for change in found]
    return tuple(op for action in actions if isinstance(action, tuple) for op in action)
