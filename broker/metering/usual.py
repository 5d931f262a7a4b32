"""Calls that end as most do, counted by kind and put into the series together.

A kind is a method (and tool) between two revisions. What a call of a kind costs is one look-up, and an entry in a list
that is emptied into counters and histograms when it is long, or when somebody reads them.
Invariant: whoever reads has settled first, so that nothing that happened is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from broker.metering.labels import method_of, revision_of

if TYPE_CHECKING:
    from broker.metering.meter import Meter

MAX_KINDS: Final = 1_000
"""Kinds of one server; 40 methods between five revisions, or 200 tools."""

MOST: Final = 256
"""Calls of one kind that wait to be counted; 10 KB."""


class Kind:
    """Calls of one kind: `sent` requests that are not counted yet, and what those took that are `over`.

    `over` has the seconds of a call from its request to its answer, and from what was sent to the server's answer; so
    many wait at most: 1 where nobody would ask for them later.
    """

    __slots__ = ("method", "most", "over", "revisions", "sent", "tool")

    def __init__(self, method: str, client: str, server: str, tool: str, most: int) -> None:
        self.method = method
        self.most = most
        self.revisions = revision_of(client), revision_of(server)
        self.tool = tool
        self.sent = 0
        self.over: list[tuple[float, float]] = []


class Kinds:
    """The kinds of calls of one server."""

    __slots__ = ("_face", "_known", "_meter", "_most", "_server", "_transport")

    def __init__(self, meter: Meter, server: str, face: str, transport: str) -> None:
        self._meter = meter
        self._server = server
        self._face = face
        self._transport = transport
        self._known: dict[tuple[str, str, str, str], Kind] = {}
        self._most = MOST if meter.tracer is None else 1  # which wants to hear of each call when it is over

    def of(self, method: str, client: str, server: str, tool: str) -> Kind:
        """The kind of a call, by what was asked and the revisions on both sides."""
        key = method, client, server, tool
        found = self._known.get(key)
        if found is None:
            named = method_of(method)
            if named != method:
                return self.of(named, client, server, tool)
            if len(self._known) >= MAX_KINDS:
                self._at_once()
                self._known.clear()
            found = self._known[key] = Kind(method, client, server, tool, self._most)
        return found

    def retire(self) -> None:
        """Others take their place: what goes on is counted when it happens, since nobody will ask."""
        self._most = 1
        self._at_once()

    def ended(self, kind: Kind, took: float, leg: float) -> None:
        """A call that the server answered, without an error, is over."""
        kind.over.append((took, leg))
        if len(kind.over) >= kind.most:
            self.count(kind)

    def settle(self) -> None:
        """Count everything that waits."""
        for kind in self._known.values():
            self.count(kind)

    def _at_once(self) -> None:
        for kind in self._known.values():
            self.count(kind)
            kind.most = 1

    def count(self, kind: Kind) -> None:
        """Count what waits of one kind."""
        meter, (client, server) = self._meter, kind.revisions
        if kind.sent:
            sent, kind.sent = kind.sent, 0
            meter.requests.add((self._server, kind.method, client, server), sent)
        if not kind.over:
            return
        over, kind.over = kind.over, []
        meter.calls.add((self._server, kind.method, client, server, "ok", ""), len(over))
        legs = (self._server, kind.method, kind.tool, "", server, client, self._transport)
        meter.client_duration.observe_all(legs, [leg for _, leg in over])
        calls = (self._server, kind.method, kind.tool, "", client, server, self._face)
        meter.server_duration.observe_all(calls, [took for took, _ in over])
