"""The DELETEs with which sessions end, so that the broker can wait for them when it stops.

Follows basic/transports (session management): "clients that no longer need a particular session SHOULD send an HTTP
DELETE". Servers of one SDK keep a session for ever that nobody deletes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from broker.backends.legs import QuietLeg

if TYPE_CHECKING:
    from broker.backends.http1_types import BackendFailure

FAREWELL_S = 1.0
"""How long a broker that stops waits for servers to take them; more than a round trip to another continent."""


class Farewells:
    """Those of one backend that are under way."""

    def __init__(self) -> None:
        self._open: set[Farewell] = set()
        self._over: asyncio.Future[None] | None = None

    def begin(self) -> Farewell:
        """One more."""
        leg = Farewell(self)
        self._open.add(leg)
        return leg

    def end(self, leg: Farewell) -> None:
        """It was taken, refused, or lost."""
        self._open.discard(leg)
        if not self._open and self._over is not None and not self._over.done():
            self._over.set_result(None)

    async def wait(self) -> None:
        """Until none is under way, or time is up."""
        if self._open:
            self._over = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._over], timeout=FAREWELL_S)


class Farewell(QuietLeg):
    """A DELETE whose outcome nobody waits for, but for its end."""

    def __init__(self, all_of_them: Farewells) -> None:
        self._all = all_of_them

    def done(self) -> None:
        """It was answered: 405 and 404 are legitimate."""
        self._all.end(self)

    def failed(self, failure: BackendFailure) -> None:  # noqa: ARG002
        """The server forgets an unused session by itself, or does not."""
        self._all.end(self)
