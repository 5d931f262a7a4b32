"""What a conversation remembers of each open request, in both directions.

No id or progress token of one peer is ever shown to the other: the broker mints integers for both sides, so that two
clients counting from 0, or a backend that re-uses ids, can never reach each other's requests.
"""

from __future__ import annotations

from typing import Any

import msgspec

from translators import tree
from translators.context import Context
from translators.tree import Body

PeerId = int | str


MAX_LINGERING = 256
"""Progress tokens of running tasks kept per session."""


class Call(msgspec.Struct):
    """One request of the client, open at the backend under the broker's `id`."""

    id: int
    client_id: PeerId
    exchange: int
    method: str
    ctx: Context | None = None
    token: PeerId | None = None
    subject: str | None = None  # the level or URI of a call whose success changes the session
    cancelled: bool = False


class Ask(msgspec.Struct):
    """One request of the backend, open at the client under the broker's `id`."""

    id: int
    backend_id: PeerId
    method: str
    stream: int
    ctx: Context | None = None
    token: PeerId | None = None
    call: int = 0  # whose stream it came on, in a batch one of several; 0 for none


class Book(msgspec.Struct):
    """All open calls and asks of one conversation, found from either side."""

    calls: dict[int, Call] = {}
    by_client: dict[PeerId, int] = {}
    asks: dict[int, Ask] = {}
    by_backend: dict[PeerId, int] = {}
    lingering: dict[int, PeerId] = {}
    minted: int = 0
    asked: int = 0

    def mint(self) -> int:
        """A request id never used towards this backend session."""
        self.minted += 1
        return self.minted

    def open(self, call: Call) -> None:
        """Remember a call by both ids."""
        self.calls[call.id] = call
        self.by_client[call.client_id] = call.id

    def close(self, call: Call) -> None:
        """Forget a call."""
        self.calls.pop(call.id, None)
        if self.by_client.get(call.client_id) == call.id:
            del self.by_client[call.client_id]

    def linger(self, call: Call) -> None:
        """Keep a closed call's progress token: its task goes on. The oldest of too many is forgotten."""
        if call.token is not None:
            self.lingering[call.id] = call.token
            if len(self.lingering) > MAX_LINGERING:
                del self.lingering[next(iter(self.lingering))]

    def ask(self, backend_id: PeerId, method: str, stream: int, ctx: Context | None) -> Ask:
        """Remember a question of the backend under a fresh id of ours."""
        self.asked += 1
        ask = Ask(id=self.asked, backend_id=backend_id, method=method, stream=stream, ctx=ctx)
        self.asks[ask.id] = ask
        self.by_backend[backend_id] = ask.id
        return ask

    def settle(self, ask: Ask) -> None:
        """Forget a question."""
        self.asks.pop(ask.id, None)
        if self.by_backend.get(ask.backend_id) == ask.id:
            del self.by_backend[ask.backend_id]

    def was_asked(self, ask_id: object) -> bool:
        """True for an id this conversation once asked under, answered or not."""
        return type(ask_id) is int and 0 < ask_id <= self.asked


def take_token(params: Body | msgspec.UnsetType, minted: int) -> PeerId | None:
    """Replace `_meta.progressToken` by ours; the peer's token is returned, None if there was none."""
    if params is msgspec.UNSET or "_meta" not in params:
        return None
    meta = tree.member(params, "_meta")
    if type(meta) is not dict or "progressToken" not in meta:
        return None
    token = tree.deep(meta["progressToken"])
    if type(token) not in (int, str):
        del meta["progressToken"]
        return None
    meta["progressToken"] = minted
    return token  # type: ignore[no-any-return]


def peer_id(params: Body, name: str) -> Any:
    """The decoded member that names a request or token, None if absent."""
    return tree.whole(params, name)
