"""The vocabulary between the sans-IO core and the relay that owns sockets and time.

An event goes in, a list of effects comes out; no await, no clock, no randomness. Values are Structs, so tests compare
whole lists. Exchanges, calls and streams are named by integers the broker mints.

    exchange  one HTTP POST of the client that may still be answered
    call      one request to the backend, by the id the broker gave it
    stream    where the backend wrote a message: the call's own stream, or STANDING for its GET stream
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from protocol_versions.jsonrpc import Frame
from translators.loss import Noted

STANDING = 0
"""The name of the stream that belongs to no call, on either side."""

REOPENING = -2
"""The exchange of what the broker itself sends to open a session again; no client waits for it."""

Origin = Literal["peer", "broker"]


class Event(msgspec.Struct, frozen=True, gc=False):
    """Base of all events."""


class FromClient(Event, frozen=True, gc=False):
    """The client POSTed one message; `exchange` is where its answer goes."""

    exchange: int
    frame: Frame


class FromServer(Event, frozen=True, gc=False):
    """The backend (or, with origin `broker`, a hook or the relay on its behalf) wrote one message on a stream.

    `settled` holds answers, by key, to questions of a result that policy has taken out of it: nobody is asked those.
    """

    stream: int
    frame: Frame
    origin: Origin = "peer"
    settled: dict[str, Any] | None = None


class Failed(Event, frozen=True, gc=False):
    """A call got no answer. `executed` is `no` when the backend provably never ran it."""

    call: int
    reason: str
    executed: Literal["no", "unknown"] = "unknown"


class Unanswerable(Event, frozen=True, gc=False):
    """A question of the backend could not be brought to the client; `ask` is the broker's id of it."""

    ask: int


class Expired(Event, frozen=True, gc=False):
    """A timer this core asked for has run out."""

    key: str


class StreamUp(Event, frozen=True, gc=False):
    """The backend's standing stream stands (usable) or will not come (not usable)."""

    usable: bool


class ClientGone(Event, frozen=True, gc=False):
    """The client ended its session (DELETE), or its session ran out; or it was ended, for another `reason`."""

    reason: str = "session-ended"


class CallsCut(Event, frozen=True, gc=False):
    """Nobody may go on with the calls that are open; the session goes on. `reason` is what the client is told."""

    reason: str


class Effect(msgspec.Struct, frozen=True, gc=False):
    """Base of all effects."""


class ToClient(Effect, frozen=True, gc=False):
    """Send a message: the answer or a companion of an exchange, or, with STANDING, one that belongs to none.

    `final` ends the exchange's wait for one of its requests.
    """

    exchange: int
    frame: Frame
    final: bool = False
    origin: Origin = "peer"


class Hush(Effect, frozen=True, gc=False):
    """End an exchange's wait for one of its requests without an answer: it was cancelled."""

    exchange: int


class Accept(Effect, frozen=True, gc=False):
    """Answer the exchange 202: what it carried was taken."""

    exchange: int


class Reject(Effect, frozen=True, gc=False):
    """Answer the exchange 400 with an error that names no request: its message was not one this session expects."""

    exchange: int
    code: int
    message: str
    reason: str


class ToServer(Effect, frozen=True, gc=False):
    """Send a message to the backend. `call` is 0 for notifications and answers; `exchange` learns that it was taken.

    `headers` are what a policy adds to its request, where it goes over HTTP.
    """

    call: int
    frame: Frame
    exchange: int = -1
    initialize: bool = False
    headers: tuple[tuple[str, str], ...] = ()


class Resend(Effect, frozen=True, gc=False):
    """Send a call again exactly as it was sent: the backend provably never ran it."""

    call: int


class OpenStream(Effect, frozen=True, gc=False):
    """Open the backend's standing stream; `then` is the exchange that waits until it stands, -1 for none."""

    then: int = -1


class Abort(Effect, frozen=True, gc=False):
    """Stop waiting for a call's answer and close its connection to the backend."""

    call: int


class Stranded(Effect, frozen=True, gc=False):
    """A call was provably not run, and cannot be where it was sent: the backend has left this era."""

    call: int


class SetTimer(Effect, frozen=True, gc=False):
    """Send `Expired(key)` after so many seconds."""

    key: str
    after_s: float


class End(Effect, frozen=True, gc=False):
    """A call is over; nothing of it is kept."""

    call: int
    outcome: str


class Note(Effect, frozen=True, gc=False):
    """Something an operator wants counted and logged."""

    kind: str
    method: str = ""
    reason: str = ""
    losses: tuple[Noted, ...] = ()


class Migrate(Effect, frozen=True, gc=False):
    """The backend's session cannot be opened, or cannot serve a call: move it to the other era.

    `stateless` says to which; None: find out whether the backend is of another era now.
    """

    stateless: bool | None = None


class Repipe(Effect, frozen=True, gc=False):
    """The backend now speaks this revision; later messages are translated for it."""

    server: str
