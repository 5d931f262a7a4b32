"""What the machine keeps of a call, of the requests that wait for it, and of the questions it raised.

phase      what happens                                  next
waiting    the session's level is raised                 -> running (or gathering, if the set-up asked meanwhile)
visiting   the user deals with pages                     all done, or time is up -> waiting, running
settling   questions of the set-up are awaited           question -> gathering, timer -> running
running    the call is at the server, a leg waits        answer -> over, question -> gathering
gathering  more questions may belong to this round       timer -> parked (or running, if none is left)
parked     the client has the questions, no leg waits    retry -> any of the three above, time is up -> ending
ending     the server was told that nobody answers       answer or timer -> over

The last leg that leaves in any phase but the last two ends the call, at the server too if it was sent.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw

from protocol_versions.jsonrpc import Frame
from translators.calls import PeerId
from translators.context import Context
from translators.machine import Effect, Event, Origin, SetTimer, ToClient
from translators.stateless_client.state import State
from translators.tree import Body

Phase = Literal["waiting", "visiting", "settling", "running", "gathering", "parked", "ending"]


class Asked(Event, frozen=True, gc=False):
    """A request of a client. `level` is an index of LEVELS, len(LEVELS) for no messages.

    `muted`: its client declared more of what can be asked than `capabilities` says, because its session cannot ask.
    """

    leg: int
    frame: Frame
    capabilities: dict[str, Any]
    level: int
    state: State | None = None
    muted: bool = False


class Greeted(Event, frozen=True, gc=False):
    """The server took `notifications/initialized`; `stands` says whether its standing stream can be read."""

    stands: bool


class Unopened(Effect, frozen=True, gc=False):
    """The session could not be opened; everything that waited for it is answered."""

    reason: str


class Leg(msgspec.Struct):
    """One request of a client that waits for the call's answer."""

    id: int
    level: int
    token: bool
    capabilities: dict[str, Any]
    progress: float | None = None


class Question(msgspec.Struct):
    """A question of the server; `ask` is the id the session's conversation gave it."""

    ask: int
    method: str
    params: Body
    ctx: Context
    wanted: str = ""
    token: PeerId | None = None
    beats: int = 0


class Kept(msgspec.Struct):
    """A log message that came while nobody waited, and its length in bytes."""

    body: Body
    size: int


class Call(msgspec.Struct):
    """One request at the server, over all the legs that wait for it; times are of the machine's clock."""

    id: int
    method: str
    params: Body
    ctx: Context
    capabilities: dict[str, Any]  # those of the leg that came last
    muted: bool = False  # the client is not what lacks them
    legs: dict[int, Leg] = {}
    phase: Phase = "waiting"
    sent: bool = False
    round: int = 0  # rounds of input there were, those of the calls before it included that ended with pages to visit
    keys: int = 0
    wished: list[str] = []  # keys of any round that the server chose
    queued: list[Question] = []
    shown: dict[str, Question] = {}
    interim: dict[str, Raw] | None = None  # the round that is shown, for a retry that comes twice
    answered: tuple[int, bytes] | None = None  # the round that was answered last, and a digest of the answers
    first_at: float = 0.0  # of the questions that are gathered
    last_at: float = 0.0
    suspended_at: float | None = None  # for the first time
    due_at: float = 0.0  # when the round that is shown has waited long enough
    counted: bool = False
    missing: Body = {}  # what the server asked for and the client did not declare
    outcome: tuple[Frame, Origin] | None = None  # what the server answered while nobody waited
    progress: Body | None = None
    messages: list[Kept] = []
    visits: list[str] = []  # pages whose completion the call waits for before it is sent again


class Tombstone(msgspec.Struct):
    """The end of a call that was suspended, for the retry that comes twice."""

    answered: tuple[int, bytes]
    frame: Frame


class Habits(msgspec.Struct):
    """What was learned of a backend, shared by all its sessions.

    `quiet` counts calls that were over without a question, up to the first one.
    """

    asks_on_stream: bool = False  # on the standing stream, where nothing says which call is meant
    asks_in_call: bool = False
    asks_in_setup: bool = False
    quiet: int = 0


class Memory(msgspec.Struct):
    """What sessions of one caller with the same capabilities share."""

    roots: Body | None = None
    roots_at: float = 0.0


class Quota(msgspec.Struct):
    """How many calls may be suspended; `parked` counts them over every session that shares this object.

    A call counts from its first question to its end: one that has been suspended may be again at any moment.
    """

    limit: int
    parked: int = 0


def final(leg: int, frame: Frame) -> ToClient:
    """The answer of one request."""
    return ToClient(leg, frame, final=True)


def timer(kind: str, call: Call, after_s: float) -> SetTimer:
    """A timer that names its call."""
    return SetTimer(f"{kind}:{call.id}", after_s)
