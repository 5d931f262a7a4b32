"""Lists a backend sends again and again, translated once.

Clients ask for the same catalogue at every start and every page of it is answered in the same bytes. A lane's outcome
may be remembered only if nothing but the body decided it, so operations run under a Context that tells whether it was
asked for anything (the request, facts, what was stashed); an outcome that depended on any of that is not kept. A
cursor differs from answer to answer beside the same list, so operations see a symbol in its place; if one looks at it,
they run again on the cursor itself.
Invariant: the same bytes in, the same bytes and losses out, as if the operations had run; what is held is bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from protocol_versions.base import Slot
from translators.context import Context
from translators.loss import Noted
from translators.tree import Body
from translators.witnesses import Looked, Symbol

MAX_BYTES = 8 * 1024 * 1024
"""Held by all lanes together: a few dozen of the longest lists seen in public servers (200 tools, 93 KB), twice."""
MAX_ENTRY_BYTES = 1024 * 1024
"""A longer list is not kept."""
STRIDE, SAMPLES = 257, 64
"""Every so many bytes one is taken into the key, but no more than about so many; equality is decided by all of them."""
PROBES = 4
"""Lists under one key that are kept: pages and variants of one length that differ between the bytes taken."""
WHOLE = 64
"""Members up to this length are in the key as a whole."""

CURSOR = "nextCursor"
"""Opaque to everybody but the server that made it."""
_SYMBOL: Any = Symbol()
_QUOTE = 0x22

Run = Callable[[Body, Context], Body]


def catalogue(slot: Slot) -> bool:
    """True for the results worth remembering: lists that a server shows to everybody."""
    return slot.part == "result" and slot.toward == "client" and slot.method.endswith("/list")


class _Watched:
    """A Context that knows whether anything of it was used, or lets nothing be used; what is noted is kept apart."""

    __slots__ = ("_ctx", "_shut", "losses", "used")

    def __init__(self, ctx: Context, shut: bool) -> None:
        self._ctx = ctx
        self._shut = shut
        self.losses: list[Noted] = []
        self.used = False

    def __getattr__(self, name: str) -> Any:
        if self._shut:
            raise Looked
        self.used = True
        return getattr(self._ctx, name)


class _Entry(msgspec.Struct, frozen=True, gc=False):
    before: dict[str, Raw]
    after: dict[str, Raw | None]  # None: as it came
    losses: list[Noted]
    size: int


class Memo:
    """The outcomes last used, of any number of lanes."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.held = 0
        self._entries: dict[Any, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def run(self, lane: object, run: Run, body: Body, ctx: Context) -> Body:
        """As `run(body, ctx)`, in place; `lane` tells lanes apart. What `run` raises is raised, and not remembered."""
        cursor = body.get(CURSOR)
        if type(cursor) is Raw and memoryview(cursor)[0] == _QUOTE:
            came = dict(body)
            body[CURSOR] = _SYMBOL
            try:
                body = self._run((lane, CURSOR), run, body, ctx)
                if body.get(CURSOR) is _SYMBOL:
                    body[CURSOR] = cursor
                return body
            except (Looked, Exception):  # nothing but the body was touched so far
                body.clear()
                body.update(came)
        return self._run(lane, run, body, ctx)

    def _run(self, lane: object, run: Run, body: Body, ctx: Context) -> Body:
        key = _key(lane, body)
        if key is None:
            if body.get(CURSOR) is _SYMBOL:
                raise Looked
            return run(body, ctx)
        free = (key, 0)
        for probe in range(PROBES):
            at = (key, probe)
            entry = self._entries.get(at)
            if entry is None:
                free = at
            elif _equal(entry.before, body):
                self._entries[at] = self._entries.pop(at)  # the last used is the last to go
                kept = {name: body[name] if raw is None else raw for name, raw in entry.after.items()}
                body.clear()
                body.update(kept)
                ctx.losses.extend(entry.losses)
                return body
        came = dict(body)
        # Copies: a value is a view of its whole message, and would keep that in memory.
        before = {name: raw.copy() for name, raw in came.items() if raw is not _SYMBOL}
        symbolic = len(before) < len(came)
        watched: Any = _Watched(ctx, symbolic)
        try:
            body = run(body, watched)
        except Exception:
            if not symbolic:
                ctx.losses.extend(watched.losses)
            raise
        if not watched.used:
            after = {name: None if value is came.get(name) else _closed(value) for name, value in body.items()}
            body.update({name: raw for name, raw in after.items() if raw is not None})
            size = sum(map(len, before.values())) + sum(len(raw) for raw in after.values() if raw is not None)
            self._keep(free, _Entry(before, after, watched.losses, size))
        ctx.losses.extend(watched.losses)
        return body

    def _keep(self, key: Any, entry: _Entry) -> None:
        replaced = self._entries.pop(key, None)
        self.held += entry.size - (replaced.size if replaced is not None else 0)
        self._entries[key] = entry
        while self.held > self.max_bytes:
            self.held -= self._entries.pop(next(iter(self._entries))).size


def _key(lane: object, body: Body) -> Any:
    """What nearly always tells two bodies apart, None for one that is not kept: opened, or too long."""
    key: list[Any] = [lane]
    size = 0
    for name, value in body.items():
        if value is _SYMBOL:
            key.append(name)
            continue
        if type(value) is not Raw:
            return None
        length = len(value)
        size += length
        key += (name, length, bytes(memoryview(value)[:: 1 if length <= WHOLE else max(STRIDE, length // SAMPLES)]))
    return tuple(key) if size <= MAX_ENTRY_BYTES else None


def _equal(before: dict[str, Raw], body: Body) -> bool:
    """For bodies of one key, so of the same names: every value that is no symbol is the same."""
    return all(raw == body[name] for name, raw in before.items())


def _closed(value: Any) -> Raw:
    return value.copy() if type(value) is Raw else Raw(msgspec.json.encode(value))


MEMO = Memo()
"""Shared by all lanes of the process, so that one bound holds for all."""
