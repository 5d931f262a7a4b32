"""What a `requestState` of the machine says: which suspended call a retry belongs to, or which pages were shown.

Follows 2026-07-28 basic/patterns/mrtr (server requirements). The broker seals it with principal, server, method, target
and arguments before a client sees it, so that nothing here need be secret or unguessable. Invariant: every state that
does not fit is answered with the same error, so that the answer says nothing about what exists.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from protocol_versions.jsonrpc import Frame
from translators.errors import INVALID_PARAMS
from translators.reply import PeerId, broken

INVALID_STATE = "invalid_request_state"
INVALID_TEXT = "Invalid params: requestState is not valid"

LOST = "suspended-call-lost"
"""The broker that held the call has been restarted: nobody can say what became of it."""


class State(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`owner` names the broker process, `session` the pooled session, `call` the call there, `round` its round.

    Of kind `visit` no call is suspended: `call` is the one that ended, and `pages` are the ids of the elicitations by
    URL that the server named.
    """

    kind: Literal["call", "visit"]
    owner: str
    session: int
    call: int
    round: int
    pages: list[str] = []

    def text(self) -> str:
        """The string that is sealed."""
        return msgspec.json.encode(self).decode()


def read_state(text: object) -> State | None:
    """The state a retry carries, opened; None for anything that no machine wrote."""
    if not isinstance(text, str):
        return None
    try:
        return msgspec.json.decode(text, type=State)
    except msgspec.MsgspecError:
        return None


def bad_state(leg: PeerId) -> Frame:
    """The one answer to a state that is not right, whatever is wrong with it."""
    return broken(leg, INVALID_STATE, code=INVALID_PARAMS, message=INVALID_TEXT)
