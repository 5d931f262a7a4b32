"""Lines that a peer can cause without end: refusals at the door, and messages that are not passed on.

So many are written at once, and so many a second for ever; further ones are counted exactly (C253), in lines that
count among those that are written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from broker.audit.lines import DENIED, FAILURE, actor_of, source_of

if TYPE_CHECKING:
    from broker.identity import Principal

BURST: Final = 1_000
"""Lines that are written at once."""

PER_S: Final = 100.0
"""Lines a second for ever; at 800 bytes a line, 7 GB a day at worst."""

MAX_COUNTED: Final = 1_024
"""Reasons and servers that are counted apart; further ones are counted together."""

OTHERS: Final = ("other", "")


class Floods:
    """The part of a log that is bounded."""

    monotonic: Callable[[], float]

    def begin_floods(self, now: float) -> None:
        """Everything is allowed."""
        self._allowance = float(BURST)
        self._allowed_at = now
        self._suppressed: Counter[tuple[str, str]] = Counter()

    def write(self, event: str, **parts: Any) -> None:
        """One line."""
        raise NotImplementedError

    def flush_soon(self) -> None:
        """Flush when this turn of the loop is over."""
        raise NotImplementedError

    def refused(
        self,
        reason: str,
        *,
        server: str = "",
        principal: Principal | None = None,
        peer: str = "",
        status: int = 0,
        method: str = "",
    ) -> None:
        """A request that was refused before it became a call, `method` of HTTP."""
        parts = {} if principal is None else {"actor": actor_of(principal.id, principal.kind)}
        self._bounded(
            "denied",
            reason,
            server,
            status_code=str(status) if status else "",
            decision="deny",
            http_method=method,
            source=source_of(peer),
            **parts,
        )

    def dropped(self, reason: str, *, server: str, method: str) -> None:
        """A message that is no call was not passed on, or not as it was."""
        self._bounded("dropped", reason, server, method=method)

    def _bounded(self, event: str, reason: str, server: str, **parts: Any) -> None:
        now = self.monotonic()
        self._allowance = min(BURST, self._allowance + (now - self._allowed_at) * PER_S)
        self._allowed_at = now
        if self._allowance < 1:
            key = reason, server
            known = key in self._suppressed or len(self._suppressed) < MAX_COUNTED
            self._suppressed[key if known else OTHERS] += 1
            return
        self._allowance -= 1
        self.say_suppressed()
        self.write(event, server=server, status=FAILURE, action=DENIED, detail=reason, **parts)
        self.flush_soon()

    def say_suppressed(self) -> None:
        """Say how many lines were not written."""
        if not self._suppressed:
            return
        suppressed, self._suppressed = self._suppressed, Counter()
        self._allowance -= len(suppressed)
        for (reason, server), count in suppressed.items():
            self.write("suppressed", server=server, status=FAILURE, action=DENIED, detail=reason, count=count)
