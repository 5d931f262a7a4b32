"""What the calls of one server tell: how long they took, how they ended, what went on on their streams.

Invariants: nothing here changes what becomes of a call but for the trace context that goes along with a request; what
is known of an open call is forgotten with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from broker.metering.labels import Words, revision_of, slug_of
from broker.metering.trail import MeteredTrail, TracedTrail
from broker.metering.usual import Kinds
from protocol_versions.jsonrpc import Frame, plain

if TYPE_CHECKING:
    from broker.audit.log import AuditLog
    from broker.metering.meter import Meter

MAX_TOOLS: Final = 200
"""Tools of one server with a label of their own; servers of the catalogues have below 100."""

MAX_REASONS: Final = 200
"""Different reasons of one server: ours are below 150, and a server's error may claim to be one."""


class ServerCalls:
    """One server. `place`: how it is reached, as attributes of spans; `face`: the transport of its clients."""

    def __init__(
        self,
        meter: Meter,
        name: str,
        *,
        place: Mapping[str, str | int],
        face: str = "tcp",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.meter = meter
        self.name = name
        self.clock = clock
        self.advanced: dict[str, float] = {}
        """How far calls are that say so, by their ids."""
        self.kinds = Kinds(meter, name, face, str(place["network.transport"]))
        self.place = place
        self.transport = str(place["network.transport"])
        self.face = face
        self.tools: set[str] = set()
        self.reasons = Words(MAX_REASONS)

    def trail(self, log: AuditLog, *, peer: str = "") -> MeteredTrail:
        """What hears of the calls of one edge."""
        return (MeteredTrail if self.meter.tracer is None else TracedTrail)(log, self, peer=peer)

    @property
    def progress(self) -> float | None:
        """How far the least advanced of the calls is that say so."""
        return min(self.advanced.values(), default=None)

    def session_ended(self, revision: str, why: str, lasted_s: float) -> None:
        """A client's session is over."""
        self.meter.session_duration.observe((self.name, revision_of(revision), slug_of(why)), lasted_s)

    def learn(self, frame: Frame) -> None:
        """A list of tools: these may stand in labels."""
        body: Any = frame.result
        tools = plain(body.get("tools")) if isinstance(body, dict) else None
        for tool in tools if isinstance(tools, list) else ():
            name = plain(tool.get("name")) if isinstance(tool, dict) else None
            if isinstance(name, str) and len(name) <= 128 and len(self.tools) < MAX_TOOLS:
                self.tools.add(name)

    def event(self, way: str, revisions: tuple[str, str], took_s: float, gap_s: float | None) -> None:
        """A message that is no answer went to the client."""
        labels = (self.name, *revisions, way)
        self.meter.event_duration.observe(labels, took_s)
        if gap_s is not None:
            self.meter.event_gap.observe(labels, gap_s)
