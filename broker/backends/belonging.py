"""Whose credential each call of a pooled session belongs to: suspended calls have no request that would say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from broker.faces.stateless_call import StatelessCall
    from broker.identity import Principal
    from translators.stateless_client.calls import Call

MAX_REMEMBERED: Final = 64
"""Calls that are remembered before it is looked which of them are over."""


class Belonging:
    """The callers of one session's calls, by the numbers of its machine."""

    __slots__ = ("_of",)

    def __init__(self) -> None:
        self._of: dict[int, Principal] = {}

    def sent(self, number: int, waits: StatelessCall | None, calls: Mapping[int, Call]) -> None:
        """A call is sent for the request that waits for it."""
        if waits is None:
            return
        if len(self._of) > MAX_REMEMBERED:
            self._of = {each: who for each, who in self._of.items() if each in calls}
        self._of[number] = waits.who

    def callers(self) -> list[Principal]:
        """Whoever has a call, or had one lately."""
        return list(self._of.values())

    def resumed(self, number: int, who: Principal) -> None:
        """A retry has taken a call up."""
        if number in self._of:
            self._of[number] = who

    def lapsed(
        self, calls: Mapping[int, Call], why: Callable[[Principal], str], owner: Principal
    ) -> list[tuple[Call, str]]:
        """The suspended calls of credentials that are good no more, each with what `why` says of it.

        What was sent while no credential could end is the `owner`'s, whose session it is.
        """
        found = []
        for number, call in list(calls.items()):
            if not call.legs and (reason := why(self._of.get(number, owner))):
                found.append((call, reason))
        self._of = {number: who for number, who in self._of.items() if number in calls}
        return found
