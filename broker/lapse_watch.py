"""Looks, while anything is open, for credentials that have ended; and at once where one is revoked.

Issuers that are asked about tokens are asked beside that: whoever is slow to answer keeps no look from taking place.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from broker import telemetry
from broker.faces.lapses import end_lapsed, is_open, open_callers
from broker.revocations import Ended

if TYPE_CHECKING:
    from broker.faces.streamable_http import StreamableHttp
    from broker.identity.identities import Identities
    from broker.wheel import Wheel


class LapseWatch:
    """One broker's. `faces` are those of all servers, also of those that only let calls finish."""

    def __init__(
        self, identities: Identities, wheel: Wheel, every_s: float, faces: Callable[[], Iterable[StreamableHttp]]
    ) -> None:
        self.looking = False
        self._identities = identities
        self._wheel = wheel
        self._every_s = every_s
        self._faces = faces
        self._asking: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Somebody showed a credential that may end: from now on, it is looked whose has ended."""
        if not self.looking:
            self.looking = True
            self._wheel.add(self._wheel.clock() + self._every_s, self._look)

    def revoke(self, entries: list[str], until: float = math.inf) -> Ended:
        """Revoke credentials or callers, as lines of the file `revoked` name them; what is open of them has ended.

        `until` and `Full` are those of `broker.identity.revoked`.
        """
        kept = self._identities.revoked.add(entries, until)
        return Ended(self._end(), kept)

    def end(self) -> None:
        """Whom the configuration names is another matter than before: end at once what is open of others."""
        self._end()
        self.begin()

    def _look(self) -> None:
        self.looking = False
        revoked = self._identities.revoked
        revoked.look()
        self._end()
        if self._identities.asking and self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        if revoked.watched or any(map(is_open, self._faces())):
            self.begin()

    async def _ask(self) -> None:
        try:
            callers = [who for face in self._faces() for who in open_callers(face)]
            await self._identities.asked.look(callers, self._end)
        except Exception as error:  # a bug of ours must not end the looking
            telemetry.log("error", "issuers not asked", kind=type(error).__name__)
        finally:
            self._asking = None

    async def close(self) -> None:
        """Nobody looks any more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    def _end(self) -> int:
        return sum(map(end_lapsed, self._faces()))
