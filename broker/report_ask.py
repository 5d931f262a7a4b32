"""What a server says before any call: its greeting and its catalogue, asked for as the broker would.

Follows basic/lifecycle of the session revisions, server/discover of 2026-07-28, and the pages on lists. Invariants:
nothing but `initialize` (and that it was), `server/discover` and lists is sent, and for a client without sessions a
ping and the standing stream are tried; every list is bounded in pages; a session that was opened is deleted; no error
quotes what the server said.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import Any, Final

import msgspec
from msgspec import UNSET

from broker.backends.base import Reach
from broker.backends.http1 import Pool, Timeouts
from broker.backends.http_reach import HttpReach
from broker.backends.streamable_http import SESSION_ID_MAX
from broker.context import CLIENT_INFO
from broker.faces.context import FaceContext
from broker.negotiate import SESSION_REVISIONS, backend_offer
from broker.report_bridge import Ways
from broker.report_sink import CannotAsk, Sink
from broker.stream_wait import STREAM_READY_S
from protocol_versions import REVISIONS, by_id, jsonrpc
from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.handshake import Peers, counter_offer
from translators.stateless_client.machine import SESSION
from translators.tree import Body

ANSWER_S: Final = 30.0  # one answer; the SDKs give a handshake as long
MAX_PAGES: Final = 100  # of one list, as many as the broker reads before a call
MAX_ENTRIES: Final = 10_000  # of one list, as many tools as the broker remembers

LISTS: Final = {
    "tools/list": ("tools", "tools"),
    "resources/list": ("resources", "resources"),
    "resources/templates/list": ("resources", "resourceTemplates"),
    "prompts/list": ("prompts", "prompts"),
}
"""Each list: the capability that announces it, and the member its entries are in."""

_TIMEOUTS: Final = Timeouts(connect_s=10.0, head_s=ANSWER_S, idle_s=ANSWER_S, total_s=ANSWER_S)
_STATELESS: Final = frozenset(revision.id for revision in REVISIONS if not revision.traits.sessions)


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What one server says of itself.

    `revision` is what the broker would speak to it; `greeting` the whole result of `initialize` or `server/discover`;
    `lists` the entries by method; `incomplete` the methods whose lists were not read to their end, and why;
    `ways` are given where a client without sessions would use a session of it.
    """

    revision: str
    greeting: Body
    lists: dict[str, list[Body]]
    incomplete: dict[str, str]
    ways: Ways | None = None


def _pool_of(reach: Reach) -> Pool:
    """The connections of a backend that is reached over HTTP. Raises CannotAsk for one that is not."""
    if not isinstance(reach, HttpReach):
        raise CannotAsk("only servers at a URL can be reported on, not commands")
    return reach.pool


async def inspect(context: FaceContext, client: str) -> Offer:
    """Ask the backend of one virtual server on behalf of a client of this revision.

    Raises:
        CannotAsk: it is a command, cannot be reached, refuses the credentials, or speaks no revision that is spoken
            here.
    """
    pool = _pool_of(context.reach)
    stateless = await context.stateless(client=client in _STATELESS)
    newest = [revision.id for revision in REVISIONS if not revision.traits.sessions][-1]
    asking = _Asking(pool, (context.pin if context.pin in _STATELESS else newest) if stateless else "")
    try:
        speaks = SESSION if client in _STATELESS else client
        greeting = await (asking.discover() if stateless else asking.open(*backend_offer(context.pin, speaks)))
        ways = await asking.ways() if client in _STATELESS and not stateless else None
        capabilities = greeting.get("capabilities")
        lists: dict[str, list[Body]] = {}
        incomplete: dict[str, str] = {}
        for method, (capability, member) in LISTS.items():
            if isinstance(capabilities, dict) and capability in capabilities:
                lists[method], why = await asking.list(method, member)
                incomplete.update({method: why} if why else {})
    finally:
        await asking.end()
    return Offer(revision=asking.revision, greeting=greeting, lists=lists, incomplete=incomplete, ways=ways)


class Failed(Exception):  # noqa: N818 - a server's answer, told apart by the caller
    """The server answered with a JSON-RPC error."""

    def __init__(self, error: jsonrpc.ErrorObject) -> None:
        super().__init__(str(error.code))
        self.error = error


class _Asking:
    """One conversation of requests and their answers, with a session or without. `revision` "" until it is settled."""

    def __init__(self, pool: Pool, revision: str) -> None:
        self.revision = revision
        self._pool = pool
        self._numbers = itertools.count(1)
        self._session = ""
        self._streams = False

    async def open(self, offer: str, pinned: bool) -> Body:
        """Initialize; the result. A server that names other revisions is asked once more in the newest of them."""
        peers = Peers(client=offer, offer=offer, pinned=pinned)
        while True:
            peers.tried.append(peers.offer)
            hello = {"protocolVersion": peers.offer, "capabilities": {}, "clientInfo": CLIENT_INFO}
            try:
                result = await self._request("initialize", hello)
            except Failed as failed:
                again = counter_offer(peers, failed.error)
                if again is None:
                    raise CannotAsk(f"initialize: the server answered with error {failed.error.code}") from None
                peers.offer = again
                continue
            chosen = result.get("protocolVersion")
            if chosen not in SESSION_REVISIONS:
                raise CannotAsk("the server answered with a protocol revision this broker does not speak")
            self.revision = str(chosen)
            await self._exchange(jsonrpc.encode(jsonrpc.notification("notifications/initialized", UNSET)), b"", 0)
            return result

    async def discover(self) -> Body:
        """The result of `server/discover`."""
        try:
            result = await self._request("server/discover", {})
        except Failed as failed:
            raise CannotAsk(f"server/discover: the server answered with error {failed.error.code}") from None
        versions = result.get("supportedVersions")
        if not isinstance(versions, list) or self.revision not in versions:
            raise CannotAsk(f"the server does not say that it speaks {self.revision}")
        return result

    async def list(self, method: str, member: str) -> tuple[list[Body], str]:
        """Every entry of a list, and why there may be more, "" if there are not."""
        found: list[Body] = []
        seen: set[str] = set()
        params: Body = {}
        for _ in range(MAX_PAGES):
            try:
                result = await self._request(method, params)
            except Failed as failed:
                return found, f"error {failed.error.code}"
            page = result.get(member)
            found += [entry for entry in page if isinstance(entry, dict)] if isinstance(page, list) else []
            cursor = result.get("nextCursor")
            if not isinstance(cursor, str):
                return found, ""
            if cursor in seen:
                return found, "a cursor came twice"
            if len(found) >= MAX_ENTRIES:
                break
            seen.add(cursor)
            params = {"cursor": cursor}
        return found, "more pages than are read"

    async def ways(self) -> Ways:
        """Tried as a session of the broker tries them."""
        if not self._session:
            return Ways(session=False, streams=self._streams, standing=False)
        if not self._streams:
            with contextlib.suppress(Failed):
                await self._request("ping", {})
        sink = Sink(0)
        head = b"accept: text/event-stream\r\n" + self._head()
        ticket = self._pool.send(b"GET", head, b"", sink, timeouts=_TIMEOUTS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STREAM_READY_S):
                await sink.headed.wait()
        # Servers hold back the head until there is something to say.
        standing = not sink.headed.is_set() or (sink.status == 200 and sink.streams)
        ticket.abort()
        return Ways(session=True, streams=self._streams, standing=standing)

    async def end(self) -> None:
        """Delete the session, if there is one, whatever the server thinks of that."""
        if self._session:
            sink = Sink(0)
            self._pool.send(b"DELETE", self._head(), b"", sink, timeouts=_TIMEOUTS)
            with contextlib.suppress(CannotAsk):
                await sink.frame

    async def _request(self, method: str, params: Body) -> Body:
        number = next(self._numbers)
        head = b""
        if self.revision in _STATELESS:
            head = b"mcp-method: %b\r\n" % method.encode()
            meta = {"protocolVersion": self.revision, "clientCapabilities": {}, "clientInfo": CLIENT_INFO}
            params = {**params, "_meta": {f"io.modelcontextprotocol/{name}": value for name, value in meta.items()}}
        frame = await self._exchange(jsonrpc.encode(jsonrpc.request(number, method, params)), head, number)
        if frame is None:
            raise CannotAsk(f"{method}: the server's answer is not valid MCP")
        if frame.error is not UNSET:
            raise Failed(frame.error)
        result: Any = frame.result if frame.result is not UNSET else {}
        try:
            opened: Body = tree.deep(dict(result))
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            raise CannotAsk(f"{method}: the server's answer is not valid MCP") from None
        return opened

    async def _exchange(self, body: bytes, head: bytes, number: int) -> Frame | None:
        """The response to one POST; None if it holds none (which is right for a notification)."""
        head += b"content-type: application/json\r\naccept: application/json, text/event-stream\r\n" + self._head()
        sink = Sink(number)
        sink.ticket = self._pool.send(b"POST", head, body, sink, timeouts=_TIMEOUTS)
        frame = await sink.frame
        self._streams = self._streams or sink.streams
        if sink.status in (401, 403):
            raise CannotAsk(f"the server refused the credentials (HTTP {sink.status})")
        if frame is None and (number or sink.status >= 400):
            raise CannotAsk(f"the server answered with HTTP {sink.status} and no JSON-RPC response")
        name = sink.headers.get("mcp-session-id", "")
        if name and not self._session and len(name) <= SESSION_ID_MAX and name.isascii() and name.isprintable():
            self._session = name
        return frame

    def _head(self) -> bytes:
        """The lines that say which revision and which session this is."""
        lines = b""
        if self.revision and by_id(self.revision).traits.version_header:
            lines += b"mcp-protocol-version: %b\r\n" % self.revision.encode()
        return lines + (b"mcp-session-id: %b\r\n" % self._session.encode() if self._session else b"")
