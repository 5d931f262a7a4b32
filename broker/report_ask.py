"""What a server says before any call: its greeting and its catalogue, asked for as the broker would.

Follows basic/lifecycle of the session revisions, server/discover of 2026-07-28, and the pages on lists. Invariants:
nothing but `initialize` (and that it was), `server/discover`, a ping and lists is sent, and for a client without
sessions the standing stream is tried; every list is bounded in pages; a session that was opened is deleted; no error
quotes what the server said.
"""

from __future__ import annotations

import contextlib
import itertools
from time import perf_counter
from typing import Any, Final

import msgspec
from msgspec import UNSET

from broker.context import CLIENT_INFO
from broker.faces.context import FaceContext
from broker.negotiate import SESSION_REVISIONS, backend_offer
from broker.report_bridge import Ways
from broker.report_lines import Line, line_to
from broker.report_sink import CannotAsk
from protocol_versions import REVISIONS, jsonrpc
from translators import tree
from translators.handshake import Peers, counter_offer
from translators.stateless_client.machine import SESSION
from translators.tree import Body

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


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What one server says of itself.

    `revision` is what the broker would speak to it; `greeting` the whole result of `initialize` or `server/discover`;
    `lists` the entries by method; `incomplete` the methods whose lists were not read to their end, and why;
    `ways` are given where a client without sessions would use a session of it; `opened_s` is the time from nothing to
    the greeting, `trip_s` that of one small request and its answer, None where none came or none was asked for.
    """

    revision: str
    greeting: Body
    lists: dict[str, list[Body]]
    incomplete: dict[str, str]
    ways: Ways | None = None
    opened_s: float = 0.0
    trip_s: float | None = None


async def inspect(context: FaceContext, client: str, *, timed: bool = False) -> Offer:
    """Ask the backend of one virtual server on behalf of a client of this revision; `timed`: once more, for the time.

    Raises:
        CannotAsk: it cannot be reached or started, refuses the credentials, or speaks no revision that is spoken here.
    """
    began = perf_counter()
    stateless = await context.stateless(client=client in _STATELESS, look=True)
    newest = [revision.id for revision in REVISIONS if not revision.traits.sessions][-1]
    line = line_to(context.reach, stateless=stateless)
    asking = _Asking(line, (context.pin if context.pin in _STATELESS else newest) if stateless else "")
    try:
        speaks = SESSION if client in _STATELESS else client
        greeting = await (asking.discover() if stateless else asking.open(*backend_offer(context.pin, speaks)))
        opened_s = perf_counter() - began
        trip_s = await asking.time(stateless=stateless) if timed else None
        ways = await asking.ways() if client in _STATELESS and not stateless else None
        capabilities = greeting.get("capabilities")
        lists: dict[str, list[Body]] = {}
        incomplete: dict[str, str] = {}
        for method, (capability, member) in LISTS.items():
            if isinstance(capabilities, dict) and capability in capabilities:
                lists[method], why = await asking.list(method, member)
                incomplete.update({method: why} if why else {})
    finally:
        await line.end()
    return Offer(
        revision=asking.revision,
        greeting=greeting,
        lists=lists,
        incomplete=incomplete,
        ways=ways,
        opened_s=opened_s,
        trip_s=trip_s,
    )


class Failed(Exception):  # noqa: N818 - a server's answer, told apart by the caller
    """The server answered with a JSON-RPC error."""

    def __init__(self, error: jsonrpc.ErrorObject) -> None:
        super().__init__(str(error.code))
        self.error = error


class _Asking:
    """One conversation of requests and their answers, with a session or without. `revision` "" until it is settled."""

    def __init__(self, line: Line, revision: str) -> None:
        self.revision = revision
        self._line = line
        self._numbers = itertools.count(1)
        line.settle(revision)

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
            self._line.settle(self.revision)
            await self._line.exchange(jsonrpc.notification("notifications/initialized", UNSET), 0)
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

    async def time(self, *, stateless: bool) -> float | None:
        """Seconds for a request that asks for nothing, on a connection that stands; None if no answer came.

        An error is an answer too, and a server that answers no ping may be good for everything else.
        """
        began = perf_counter()  # a loop's own clock may stand still between two events
        try:
            await self._request("server/discover" if stateless else "ping", {})
        except Failed:
            pass
        except CannotAsk:
            return None
        return perf_counter() - began

    async def ways(self) -> Ways:
        """Tried as a session of the broker tries them."""
        line = self._line
        if not line.session:
            return Ways(session=False, streams=line.streams, standing=False)
        if not line.streams:
            with contextlib.suppress(Failed):
                await self._request("ping", {})
        return Ways(session=True, streams=line.streams, standing=await line.stands())

    async def _request(self, method: str, params: Body) -> Body:
        number = next(self._numbers)
        if self.revision in _STATELESS:
            meta = {"protocolVersion": self.revision, "clientCapabilities": {}, "clientInfo": CLIENT_INFO}
            params = {**params, "_meta": {f"io.modelcontextprotocol/{name}": value for name, value in meta.items()}}
        frame = await self._line.exchange(jsonrpc.request(number, method, params), number)
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
