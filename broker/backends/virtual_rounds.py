"""The rounds of a virtual session's calls, as its gate needs them: by leg, because each request of a call is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from translators.session_client import SessionClient


class LegRounds:
    """`broker.gate.Rounds` over the machine's books."""

    __slots__ = ("_settled", "_talk")

    def __init__(self, talk: SessionClient) -> None:
        self._talk = talk
        self._settled: dict[int, dict[str, Any]] = {}

    def round_of(self, call: int) -> int:
        """Which request of its call a leg is."""
        bridge = self._talk.bridges.get(self._talk.legs.get(call, 0))
        return 1 if bridge is None else bridge.round + bridge.state_rounds + 1

    def asked(self, call: int) -> Mapping[str, str]:
        """What the round asked that this leg answers."""
        bridge = self._talk.bridges.get(self._talk.legs.get(call, 0))
        return {} if bridge is None else bridge.questions

    def settle(self, call: int, answers: dict[str, Any]) -> None:
        """Kept for the result that the gate gives on next."""
        self._settled[call] = answers

    def taken(self, call: int) -> dict[str, Any] | None:
        """The answers to what policy took out of the result that is given on now."""
        return self._settled.pop(call, None) if self._settled else None
