"""The stateless half of the benchmarks' backend: what 2026-07-28 asks of every request, and its three answers.

Follows 2026-07-28 basic/index (`_meta`), basic/transports/streamable-http (request metadata), server/discover,
server/tools and server/utilities/caching. The invariant: a request that a conforming server must refuse is refused,
so that a broker which leaves out an envelope or a header shows up as wrong answers, never as speed.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from benchmarks import facts
from benchmarks.wire import Ask

META: Final = "io.modelcontextprotocol/"
HEADER_MISMATCH: Final = -32020
CACHE: Final = b'"ttlMs":3600000,"cacheScope":"private"'
COMPLETE: Final = b'{"resultType":"complete"'


def fault(ask: Ask, session: bytes, version: bytes, method: bytes, name: bytes) -> tuple[int, str] | None:
    """Why this request must be refused, by its headers and envelope: (code, text), or None."""
    meta = ask.params.meta
    if session or ask.id is None or ask.method in ("initialize", "ping"):
        return -32600, "Not part of this revision"
    if version != facts.STATELESS.encode() or meta.get(f"{META}protocolVersion") != facts.STATELESS:
        return HEADER_MISMATCH, "Protocol version: header and body must name this revision"
    if not isinstance(meta.get(f"{META}clientCapabilities"), dict):
        return -32602, "No capabilities"
    if method.decode() != ask.method:
        return HEADER_MISMATCH, "Mcp-Method and the body differ"
    if name.decode() != (ask.params.name if ask.method == "tools/call" else ""):
        return HEADER_MISMATCH, "Mcp-Name and the body differ"
    return None


def discovery(changing: bool) -> bytes:
    """The members of `server/discover`, before `complete`."""
    result: dict[str, Any] = {
        "supportedVersions": [facts.STATELESS],
        "capabilities": {"tools": {"listChanged": True} if changing else {}},
        "_meta": {f"{META}serverInfo": {"name": "bench-backend", "version": "1"}},
    }
    return cacheable(msgspec.json.encode(result))


def page(tools: bytes, cursor: str) -> bytes:
    """`tools/list`: without a cursor a catalogue of one page, else a page like any other, which names the next."""
    return cacheable(facts.page_json(tools, cursor) if cursor else b'{"tools":%b}' % tools)


def cacheable(result: bytes) -> bytes:
    """A result with its time to live."""
    return b"{%b,%b" % (CACHE, result[1:])


def complete(result: bytes) -> bytes:
    """A result, not `{}`, that says it is one."""
    return b"%b,%b" % (COMPLETE, result[1:])
