"""Lists: cursors that belong to one session, and an order that does not change by itself.

Follows 2026-07-28 server/utilities/{pagination,caching} and server/tools ("the same order"). A session server's cursor
may mean nothing to its next session, so it leaves with the name and the age of the session in front and is refused
when that age is over. A list that comes again with the same items in another order is given in the order it had.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from translators import tree
from translators.stateless_client.greeting import announces
from translators.tree import Body

if TYPE_CHECKING:
    from translators.stateless_client.machine import StatelessClient

MEMBERS = {
    "tools/list": ("tools", "name"),
    "prompts/list": ("prompts", "name"),
    "resources/list": ("resources", "uri"),
    "resources/templates/list": ("resourceTemplates", "uriTemplate"),
}

MAX_ORDERED = 1_000
"""Items of a page whose order is remembered."""


class Seen(msgspec.Struct):
    """A first page as it was given last: a digest of its bytes, and the names in order."""

    digest: bytes
    names: list[str]


class Pages(msgspec.Struct):
    """The age of the session, and the first page of each list."""

    age: int = 0
    seen: dict[str, Seen] = {}

    def renew(self) -> None:
        """The session was opened again: cursors of the old one mean nothing."""
        self.age += 1


def unwrap(talk: StatelessClient, body: Body) -> bool:
    """Put the server's own cursor into a request; False for one of another age, or that was never given."""
    if not talk.rules.wrap_cursors or "cursor" not in body:
        return True
    cursor = tree.whole(body, "cursor")
    prefix = _prefix(talk)
    if not isinstance(cursor, str) or not cursor.startswith(prefix):
        return False
    body["cursor"] = cursor[len(prefix) :]
    return True


def delivered(talk: StatelessClient, method: str, params: Body, body: Body) -> None:
    """Make a page the client's: its cursor, its order, and how long it may be kept."""
    cursor = tree.whole(body, "nextCursor")
    if isinstance(cursor, str) and cursor:
        if talk.rules.wrap_cursors:
            body["nextCursor"] = _prefix(talk) + cursor
    else:
        body.pop("nextCursor", None)
    if "cursor" not in params:
        _ordered(talk, method, body)
    if announces(talk, method.partition("/")[0]):
        body["ttlMs"] = talk.rules.list_ttl_ms


def _ordered(talk: StatelessClient, method: str, body: Body) -> None:
    member, key = MEMBERS[method]
    digest = hashlib.blake2b(msgspec.json.encode(body.get(member)), digest_size=16).digest()
    seen = talk.pages.seen.get(method)
    if seen is not None and seen.digest == digest:
        return
    items = tree.items(body, member)
    names = [tree.whole(item, key) if isinstance(item, dict) else None for item in items]
    known = seen.names if seen is not None else []
    if not all(isinstance(name, str) for name in names) or len(names) > MAX_ORDERED:
        talk.pages.seen.pop(method, None)
        return
    if names != known and len(set(names)) == len(names) and sorted(names) == sorted(known):  # type: ignore[type-var]
        places = {name: at for at, name in enumerate(names)}
        body[member] = [items[places[name]] for name in known]
        return
    talk.pages.seen[method] = Seen(digest, names)  # type: ignore[arg-type]


def _prefix(talk: StatelessClient) -> str:
    return f"{talk.owner}.{talk.number:x}.{talk.pages.age:x}."
