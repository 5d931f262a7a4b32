"""Looks, while anything is open, for credentials that have ended; and at once where one is revoked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from broker.faces.lapses import end_lapsed, is_open
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

    def begin(self) -> None:
        """Somebody showed a credential that may end: from now on, it is looked whose has ended."""
        if not self.looking:
            self.looking = True
            self._wheel.add(self._wheel.clock() + self._every_s, self._look)

    def revoke(self, entries: list[str]) -> Ended:
        """Revoke credentials or callers, as lines of the file `revoked` name them; what is open of them has ended."""
        kept = self._identities.revoked.add(entries)
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
        if revoked.watched or any(map(is_open, self._faces())):
            self.begin()

    def _end(self) -> int:
        return sum(map(end_lapsed, self._faces()))
