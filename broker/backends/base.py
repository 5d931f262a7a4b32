"""What the broker needs of a backend, whatever transport leads to it: sessions, stateless requests, and a verdict.

`Reach` is one configured backend; it opens sessions (of the four revisions that have them) and lines for requests that
stand alone (2026-07-28). Invariant: whoever uses these never asks which transport it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from broker.backends.hidden import Hidden
from protocol_versions.base import Traits
from protocol_versions.jsonrpc import Frame, WireLimits
from translators.machine import ToServer

if TYPE_CHECKING:
    from broker.identity import Principal

Headers = tuple[tuple[str, str], ...]
"""What a policy adds to a request, checked by `broker.hooks.inject_context` to be lines of ASCII."""


def lines_of(headers: Headers) -> bytes:
    """Headers as they are written."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("ascii")


class Flow(Protocol):
    """The hold on a backend's stream: flow control for a reader that does not keep up."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Owner(Protocol):
    """Who is told what a session's backend said."""

    def backend_message(self, stream: int, frame: Frame) -> None: ...
    def backend_failed(self, call: int, reason: str, executed: Literal["no", "unknown"]) -> None: ...
    def backend_lost(self, call: int, body: bytes, session_id: str | None) -> None: ...
    def backend_moved(self, call: int, body: bytes, *, stateless: bool | None = None) -> None: ...
    def backend_accepted(self, exchange: int) -> None: ...
    def backend_stream(self, _usable: bool) -> None: ...
    def backend_gap(self) -> None: ...
    def backend_violation(self, reason: str) -> None: ...


class SessionBackend(Protocol):
    """One session with a backend. `legs` are its open calls by the number the relay gave them."""

    acknowledges: bool
    """Whether its standing stream says when it stands: what is announced before is lost."""
    one_line: bool
    """Whether all its calls come on one line, which cannot be stopped for one of them."""
    session_id: str | None
    closed: bool

    @property
    def streams(self) -> bool:
        """True once an answer has come as a stream, on which the backend can also ask."""

    @property
    def standing(self) -> Any:
        """The standing stream, None without one; `refused` says that the backend has none."""

    @property
    def legs(self) -> Mapping[int, Any]:
        """Open calls; each has `call` and `ticket`, a Flow or None."""

    def settle(self, revision: str, traits: Traits) -> None: ...
    def forget(self) -> None: ...
    def send(self, effect: ToServer) -> None: ...
    def request(self, call: int, body: bytes, *, initialize: bool = False, headers: Headers = ()) -> None: ...
    def notify(self, body: bytes, exchange: int) -> None: ...
    def sent(self, call: int) -> bytes:
        """The request of an open call as it was sent; empty if it is not known."""

    def abort(self, call: int) -> None: ...
    def open_stream(self) -> None: ...
    def close(self) -> None: ...


class ChannelOwner(Protocol):
    """Who reads a channel: a pipe or another two-way line of messages that stands for a whole session."""

    def channel_line(self, line: bytes) -> None: ...
    def channel_ended(self, reason: str) -> None: ...
    def channel_violation(self, reason: str) -> None: ...
    def channel_refused(self, call: int, reason: str, executed: Literal["no", "unknown"]) -> None: ...


class Channel(Protocol):
    """A two-way line of messages."""

    def write(self, line: bytes, call: int = 0, head: bytes = b"") -> bool:
        """Write a message; `head` are further lines of its head, where each message has one."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...


class ChannelReach(Protocol):
    """What a session on a channel needs of the way to its backend; times in seconds."""

    wire: WireLimits
    hidden: Hidden
    sessions: set[Any]
    head_s: float
    total_s: float
    start_s: float
    wait_s: float

    def now(self) -> float: ...
    def spawn(self, owner: ChannelOwner) -> Any: ...
    def dismiss(self, channel: Any) -> None: ...


class Refusal(msgspec.Struct, frozen=True):
    """How a backend refused a request: for judging its era (`broker.era`), never for a client.

    `code` is that of the JSON-RPC error, None without one; `text` its message or the start of the body. `foreign_id`:
    the error did not name our request.
    """

    status: int
    code: int | None
    text: str
    foreign_id: bool = False


Observer = Callable[[int, Refusal], None]
"""Shown every refusal with its leg, before the owner hears of it."""


class StatelessOwner(Protocol):
    """Who is told what the backend said to requests that stand alone."""

    def leg_message(self, leg: int, frame: Frame) -> None:
        """A notification of this leg, or, once and last, its response with the id of its request."""

    def leg_failed(self, leg: int, reason: str, executed: Literal["no", "unknown"]) -> None:
        """There will be no response. `executed` is "no" when the backend provably never ran the request."""

    def leg_violation(self, leg: int, reason: str) -> None:
        """The backend broke a rule that harms nobody; the leg goes on, or is over already."""


Who = Callable[[], "Principal"]
"""Whose request is sent now, for backends that are shown a credential of each caller's own."""


class Legs(Protocol):
    """Open stateless requests, by numbers their owner chose."""

    def post(self, leg: int, frame: Frame, headers: Sequence[tuple[str, str]], *, stream: bool = False) -> None: ...
    def abort(self, leg: int) -> None: ...
    def ticket(self, leg: int) -> Flow | None: ...
    def close(self) -> None: ...


class Reach(Protocol):
    """One configured backend. `identity` tells it from others where something is bound to it."""

    identity: str
    greets_first: bool
    """True if a session is opened without asking for the era first: the answer to `initialize` tells."""

    def session(self, owner: Owner, *, patient: bool = False, who: Who | None = None) -> SessionBackend:
        """A new session; nothing is sent yet. `patient`: its calls may wait for people."""

    def legs(self, owner: StatelessOwner, *, observer: Observer | None = None, who: Who | None = None) -> Legs:
        """A line for stateless requests."""

    async def verdict(self) -> Any:
        """The backend's era, found out by a probe (`broker.era_signs.Verdict`)."""

    async def settle(self) -> bool:
        """Find out which transport leads there, where the era is known and was not asked for; False if it is away."""

    async def close(self) -> None:
        """Every connection or process ends."""
