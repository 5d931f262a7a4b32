"""What a server says before any call: its greeting and its catalogue, asked for as the broker would.

Follows basic/lifecycle of the session revisions, server/discover of 2026-07-28, and the pages on lists. Invariants:
nothing but `initialize` (and that it was), `server/discover` and lists is sent; every list is bounded in pages;
a session that was opened is deleted; no error quotes what the server said.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET

from broker import sse
from broker.backends.base import Reach
from broker.backends.http1 import BackendFailure, Pool, Ticket, Timeouts
from broker.backends.http_reach import HttpReach
from broker.backends.streamable_http import SESSION_ID_MAX
from broker.context import CLIENT_INFO
from broker.era_signs import answer_in
from broker.faces.context import FaceContext
from broker.negotiate import SESSION_REVISIONS, backend_offer
from protocol_versions import REVISIONS, by_id, jsonrpc
from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.handshake import Peers, counter_offer
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

_STATELESS: Final = frozenset(revision.id for revision in REVISIONS if not revision.traits.sessions)


class CannotAsk(RuntimeError):  # noqa: N818 - an outcome, named as the caller reads it
    """The server could not be asked; the text is for the operator."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What one server says of itself.

    `revision` is what the broker would speak to it; `greeting` the whole result of `initialize` or `server/discover`;
    `lists` the entries by method; `incomplete` the methods whose lists were not read to their end, and why.
    """

    revision: str
    greeting: Body
    lists: dict[str, list[Body]]
    incomplete: dict[str, str]


def _pool_of(reach: Reach) -> Pool:
    """The connections of a backend that is reached over HTTP, as every one is so far."""
    assert isinstance(reach, HttpReach)
    return reach.pool


async def inspect(context: FaceContext, client: str) -> Offer:
    """Ask the backend of one virtual server on behalf of a client of this revision.

    Raises:
        CannotAsk: it cannot be reached, refuses the credentials, or does not speak any revision that is spoken here.
    """
    stateless = await context.stateless(client=client in _STATELESS)
    if not stateless and client in _STATELESS:
        raise CannotAsk(
            f"the server speaks sessions; clients of {client} are served by servers of {client} only so far"
        )
    newest = [revision.id for revision in REVISIONS if not revision.traits.sessions][-1]
    asking = _Asking(
        _pool_of(context.reach), (context.pin if context.pin in _STATELESS else newest) if stateless else ""
    )
    try:
        greeting = await (asking.discover() if stateless else asking.open(*backend_offer(context.pin, client)))
        capabilities = greeting.get("capabilities")
        lists: dict[str, list[Body]] = {}
        incomplete: dict[str, str] = {}
        for method, (capability, member) in LISTS.items():
            if isinstance(capabilities, dict) and capability in capabilities:
                lists[method], why = await asking.list(method, member)
                incomplete.update({method: why} if why else {})
    finally:
        await asking.end()
    return Offer(revision=asking.revision, greeting=greeting, lists=lists, incomplete=incomplete)


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

    async def end(self) -> None:
        """Delete the session, if there is one, whatever the server thinks of that."""
        if self._session:
            sink = _Sink(0)
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
        sink = _Sink(number)
        sink.ticket = self._pool.send(b"POST", head, body, sink, timeouts=_TIMEOUTS)
        frame = await sink.frame
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


_TIMEOUTS: Final = Timeouts(connect_s=10.0, head_s=ANSWER_S, idle_s=ANSWER_S, total_s=ANSWER_S)


class _Sink:
    """Collects the response of one POST; a stream need not end for it to be read."""

    def __init__(self, number: int) -> None:
        self.frame: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()
        self.ticket: Ticket | None = None
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self._number = number
        self._chunks: list[bytes] = []
        self._parser: sse.Parser | None = None

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Remember it."""
        self.status, self.headers = status, headers
        if headers.get("content-type", "").partition(";")[0].strip().lower() == "text/event-stream":
            self._parser = sse.Parser()

    def body(self, data: bytes) -> None:
        """A piece of the answer."""
        if self._parser is None:
            self._chunks.append(data)
            return
        try:
            events = self._parser.feed(data)
        except sse.TooLarge as error:
            events = error.events
            self._settle(None)
        for event in events:
            frame = answer_in(event)
            if frame is not None and (frame.id == self._number or frame.error is not UNSET):
                self._settle(frame)
                if self.ticket is not None:
                    self.ticket.abort()

    def done(self) -> None:
        """The whole answer is there."""
        if not self._chunks:
            self._settle(None)
            return
        try:
            frame = jsonrpc.decode_backend(b"".join(self._chunks))
        except jsonrpc.Refused:
            self._settle(None)
            return
        self._settle(frame if frame.method is UNSET else None)

    def failed(self, failure: BackendFailure) -> None:
        """There is no answer."""
        if not self.frame.done():
            self.frame.set_exception(CannotAsk(f"the server cannot be reached ({failure.reason})"))
            self.frame.exception()  # a deletion's failure is nobody's

    def _settle(self, frame: Frame | None) -> None:
        if not self.frame.done():
            self.frame.set_result(frame)
