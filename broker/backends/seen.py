"""Long lists that a backend sends again and again, recognised instead of read.

Clients ask for the same catalogue at every start, and it comes in the same bytes, beside another id or cursor. A list
that was read before is compared, and only what stands around it is read: the message with a placeholder where the list
was. Its value is then the very object of the last time, so that whoever compares it again sees that at once.
Invariant: the frame is the one that reading the whole message gives. A list is a whole JSON value, so a message that
can be read with another value in its place can be read with the list; and nobody else can write the placeholder, so
the member that holds it is where the list was.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

import msgspec
from msgspec import UNSET, Raw

from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame, WireLimits

LONG: Final = 4 * 1024
"""Bytes from which a message is looked at: a shorter one is read as fast."""

MAX_BYTES: Final = 8 * 1024 * 1024
"""Of all lists together: a few dozen of the longest seen in public servers (200 tools, 93 KB), twice."""

MAX_LIST_BYTES: Final = 1024 * 1024
"""A longer list is not kept."""

ALIKE: Final = 4
"""Lists kept that begin alike: pages and variants of one catalogue."""

START: Final = 64
"""Bytes by which lists are looked up; equality is decided by all of them."""

MET: Final = 256
"""Lists remembered by beginning and length alone: one is kept when it comes again, since some never do."""

WINDOW: Final = 1024
"""Where in its message a list has to begin: its id, a cursor and hints for caches are short."""

_MEMBERS: Final = ("tools", "prompts", "resources", "resourceTemplates")
_BEGINNING: Final = re.compile(rb'"(%b)" ?: ?(?=\[)' % "|".join(_MEMBERS).encode())


class _List(msgspec.Struct, frozen=True, gc=False):
    text: bytes
    value: Raw


class Seen:
    """The lists read last, of any number of backends."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.held = 0
        self._known: dict[bytes, list[_List]] = {}  # by their first bytes, the last one read first
        self._met: dict[tuple[bytes, int], None] = {}
        self._place = b"[%d]" % secrets.randbits(256)

    def decode(self, body: bytes, limits: WireLimits) -> Frame:
        """As `jsonrpc.decode_backend`, and raises what that raises."""
        found = _BEGINNING.search(body, 0, WINDOW) if LONG <= len(body) <= limits.backend_body else None
        if found is None:
            return jsonrpc.decode_backend(body, limits)
        at, member = found.end(), found[1].decode()
        for known in self._known.get(body[at : at + START], ()):
            if body.startswith(known.text, at):
                frame = self._around(body, at, known, member, limits)
                if frame is not None:
                    return frame
        frame = jsonrpc.decode_backend(body, limits)
        if frame.result is not UNSET:
            value = frame.result.get(member)
            if value is not None and START <= len(value) <= MAX_LIST_BYTES:
                self._keep(value)
        return frame

    def _around(self, body: bytes, at: int, known: _List, member: str, limits: WireLimits) -> Frame | None:
        """The frame, if this list is the value of this member of the result."""
        try:
            frame = jsonrpc.decode_backend(body[:at] + self._place + body[at + len(known.text) :], limits)
        except jsonrpc.Refused:
            return None
        result = frame.result
        if result is UNSET or member not in result or result[member] != Raw(self._place):
            return None
        result[member] = known.value
        return frame

    def _keep(self, value: Raw) -> None:
        """Keep a list that was met before; the one that was kept longest ago makes room."""
        start = bytes(memoryview(value)[:START])
        if (start, len(value)) not in self._met:
            if len(self._met) >= MET:
                del self._met[next(iter(self._met))]
            self._met[start, len(value)] = None
            return
        text = bytes(value)
        alike = self._known.pop(start, [])
        for lost in alike[ALIKE - 1 :]:
            self.held -= len(lost.text)
        self._known[start] = [_List(text, Raw(text)), *alike[: ALIKE - 1]]
        self.held += len(text)
        while self.held > self.max_bytes:
            self.held -= sum(len(lost.text) for lost in self._known.pop(next(iter(self._known))))


SEEN: Final = Seen()
"""Shared by all backends of the process, so that one bound holds for all."""
