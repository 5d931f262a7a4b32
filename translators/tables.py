"""Every method of a pair with its lanes, found by name: what the conversation looks up once per message.

A method that its writer's revision does not define is in no table, and is not forwarded: old servers exit, and old
client sessions die, on a request they do not know (pypi mcp 1.6.0 and 1.1.3, measured).
"""

from __future__ import annotations

import functools

import msgspec

from protocol_versions import REVISIONS
from protocol_versions.base import Side, Slot
from translators.lane import Lane
from translators.pipeline import pipeline


class RequestLanes(msgspec.Struct, frozen=True):
    """The three lanes of one request method. `idle`: none of them looks at anything."""

    params: Lane
    result: Lane
    error: Lane
    idle: bool


class Tables(msgspec.Struct, frozen=True):
    """Methods by reader of the request (or notification)."""

    to_server: dict[str, RequestLanes]
    to_client: dict[str, RequestLanes]
    notes_to_server: dict[str, Lane]
    notes_to_client: dict[str, Lane]


@functools.cache
def tables(client: str, server: str) -> Tables:
    """The pair's tables, shared by all its conversations. Raises `UnknownRevision`."""
    pipe = pipeline(client, server)
    requests: dict[Side, dict[str, RequestLanes]] = {"client": {}, "server": {}}
    notes: dict[Side, dict[str, Lane]] = {"client": {}, "server": {}}
    for slot in {slot for revision in REVISIONS if revision.traits.sessions for slot in revision.types}:
        if not pipe.writer(slot.toward).knows(slot):
            continue  # what a peer's own revision does not define is nobody's, whoever could read it
        if slot.part == "params":
            back: Side = "server" if slot.toward == "client" else "client"
            three = (
                pipe.lane(slot),
                pipe.lane(Slot("result", slot.method, back)),
                pipe.lane(Slot("error", slot.method, back)),
            )
            requests[slot.toward][slot.method] = RequestLanes(*three, idle=all(lane.passes for lane in three))
        elif slot.part == "notification":
            notes[slot.toward][slot.method] = pipe.lane(slot)
    return Tables(requests["server"], requests["client"], notes["server"], notes["client"])
