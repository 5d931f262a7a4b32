"""What a call of a modern client must remember from one request to the next, where policy judges what is asked.

The client's retry says neither what its answers are answers to, nor that some questions never reached it. Both go into
the sealed `requestState`, beside the server's own; a server that gave none is never shown one. A retry that brings no
state, though an interim result of this broker always has one where answers are judged, answers nothing that was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from broker.faces.stateless_params import RESPONSES, STATE
from broker.hooks.inner import ELICITATION, REQUESTS
from translators import tree
from translators.inputs import ASKING

Params = dict[str, Any]


class Carried(msgspec.Struct, omit_defaults=True):
    """A sealed state that is more than the server's own (which is text, so the two are told apart by their first byte).

    `asked` gives the method of each question by key, `settled` the answers to those that policy refused.
    """

    asked: dict[str, str] = {}
    settled: dict[str, Any] = {}
    state: Raw | UnsetType = UNSET


_decode = msgspec.json.Decoder(Carried).decode


class CallRounds:
    """`broker.gate.Rounds` of one request; `number` is its place among the requests of the call."""

    __slots__ = ("_asked", "number", "settled")

    def __init__(self, number: int) -> None:
        self.number = number
        self.settled: dict[str, Any] = {}
        self._asked: dict[str, str] = {}

    # ---- what the gate asks -----------------------------------------------------------------------------------------

    def round_of(self, call: int) -> int:  # noqa: ARG002
        """Which request of the call this is."""
        return self.number

    def asked(self, call: int) -> Mapping[str, str]:  # noqa: ARG002
        """What the last interim result asked, as far as the client was to answer it."""
        return self._asked

    def settle(self, call: int, answers: dict[str, Any]) -> None:  # noqa: ARG002
        """Kept for the next request of the call."""
        self.settled = answers

    # ---- from request to request ------------------------------------------------------------------------------------

    def resume(self, params: Params, inner: bytes | None) -> None:
        """Put into a request what was sealed for it, None for nothing; the server gets its own state alone."""
        if inner is None:
            return
        if inner[:1] == b'"':
            params[STATE] = Raw(inner)
            return
        carried = _decode(inner)
        self._asked = carried.asked
        _give(params, carried.state, carried.settled)

    def may_go_on(self, method: str, body: Params) -> bool:
        """True if policy has answered everything that was asked, so that there is nothing to ask a client."""
        state = body.get(STATE, '""')
        text = type(state) is str or (type(state) is Raw and bytes(state).startswith(b'"'))
        return bool(self.settled) and method in ASKING and text and not body.get(REQUESTS)

    def go_on(self, params: Params, state: Any) -> None:
        """Make a request the next one of its call: it answers what policy settled, and nothing else."""
        params.pop(RESPONSES, None)
        settled, self.settled = self.settled, {}
        self._asked = dict.fromkeys(settled, ELICITATION)
        self.number += 1
        _give(params, UNSET if state is None else state, settled)

    def carried(self, state: bytes | None, asked: Mapping[str, Any], *, judged: bool) -> bytes | None:
        """What is to be sealed for a client that is `asked` this; None: nothing."""
        if not judged and not self.settled:
            return state
        methods = {key: str(question["method"]) for key, question in asked.items()}
        methods |= dict.fromkeys(self.settled, ELICITATION)
        return msgspec.json.encode(Carried(methods, self.settled, UNSET if state is None else Raw(state)))


def _give(params: Params, state: Any, settled: dict[str, Any]) -> None:
    if state is UNSET:
        params.pop(STATE, None)
    else:
        params[STATE] = state
    if settled:
        given = tree.shallow(params.get(RESPONSES))
        params[RESPONSES] = {**(given if isinstance(given, dict) else {}), **settled}
