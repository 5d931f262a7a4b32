"""The machine's state as text and back: what it keeps must be plain data, and mean the same when it is read again."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from translators.stateless_client import Asked, StatelessClient
from translators.stateless_client.calls import Call, Question, Tombstone
from translators.stateless_client.listening import Listens
from translators.stateless_client.pages import Pages
from translators.stateless_client.rounds import Alarm
from translators.stateless_client.urls import Visits


class Kept(msgspec.Struct):
    """Everything a machine remembers, by the names it has there."""

    phase: str
    hello: dict[str, Any]
    identity: dict[str, Raw]
    meta: Any
    stands: bool
    ready_at: float
    level: int
    waiting: dict[int, Asked]
    calls: dict[int, Call]
    by_leg: dict[int, int]
    inner: dict[int, str]
    asks: dict[int, int]
    held: dict[int, Question]
    asking_sent: bool
    tombs: dict[int, Tombstone]
    listens: Listens
    pages: Pages
    visits: Visits
    alarm: Alarm
    minted: int
    now: float


SHARED = {"capabilities", "client_info", "owner", "number", "habits", "memory", "quotas", "rules", "lanes"}
"""What is given to a machine when it is made, and is nobody's state or several sessions'."""


def restore(talk: StatelessClient) -> None:
    """Write the state and read it again."""
    names = set(vars(talk)) - SHARED
    assert names == set(Kept.__struct_fields__), f"state that nobody would write: {names ^ set(Kept.__struct_fields__)}"
    text = msgspec.json.encode(Kept(**{name: getattr(talk, name) for name in names}))
    kept = msgspec.json.decode(text, type=Kept)
    kept.meta = None if kept.meta is None else Raw(msgspec.json.encode(kept.meta))
    for name in names:
        setattr(talk, name, getattr(kept, name))
