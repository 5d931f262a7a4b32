"""One `subscriptions/listen` towards a stateless backend for all sessions of one caller.

Follows 2026-07-28 basic/patterns/subscriptions. Each session asks for a stream of its own; the hub holds one whose
filter is the union, opens a wider or narrower one before it closes the old one, and gives each session the part it
asked for. Only one caller's sessions share a hub: what a server tells one caller is not another's to hear.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec
from msgspec import UNSET, Raw

from broker.identity.principal import SHARED
from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.asks import UNREADABLE
from translators.mirrored import headers_of

LISTEN = "subscriptions/listen"
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
UPDATED = "notifications/resources/updated"
URIS = "resourceSubscriptions"
FLAGS = {
    "notifications/tools/list_changed": "toolsListChanged",
    "notifications/prompts/list_changed": "promptsListChanged",
    "notifications/resources/list_changed": "resourcesListChanged",
}

GATHER_S = 0.02
"""Sessions that come or go within this time cause one new stream in place of the one that stands."""


class Listener(Protocol):
    """A session that listens."""

    def leg_message(self, leg: int, frame: Frame) -> None: ...
    def leg_failed(self, leg: int, reason: str, executed: Literal["no", "unknown"]) -> None: ...


class Http(Protocol):
    """What the hub needs of `StatelessLegs`."""

    def post(self, leg: int, frame: Frame, headers: Sequence[tuple[str, str]], *, stream: bool = False) -> None: ...
    def abort(self, leg: int) -> None: ...


class Member(msgspec.Struct):
    """One session's stream, as it believes: its own leg, its filter, and whether it has been acknowledged."""

    listener: Any
    leg: int
    wanted: dict[str, Any]
    meta: Any
    headers: tuple[tuple[str, str], ...] = ()
    heard: bool = False


class ListenHub:
    """The shared stream of one (backend, caller)."""

    def __init__(self) -> None:
        self.http: Http | None = None
        self.who = SHARED
        """Whose it is, by the credential shown last."""
        self._members: dict[tuple[int, int], Member] = {}
        self._leg = 0  # the stream that is acknowledged
        self._opening = 0  # the one that is not yet
        self._minted = 0
        self._asked: dict[str, Any] = {}  # the filter of the newest stream
        self._stands: dict[str, Any] = {}  # the filter of the stream that is acknowledged
        self._honoured: dict[str, Any] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """True while no session listens."""
        return not self._members

    def join(self, listener: Listener, leg: int, frame: Frame, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """A session opens a stream; `headers` are what policy adds to its request."""
        params: dict[str, Any] = frame.params if frame.params is not UNSET else {}
        wanted = tree.whole(params, "notifications")
        member = Member(listener, leg, wanted if isinstance(wanted, dict) else {}, params.get("_meta"), headers)
        self._members[id(listener), leg] = member
        if self._leg and not self._opening and self._union() == self._asked:
            asyncio.get_running_loop().call_soon(self._acknowledge, member)
        else:
            self._soon()

    def leave(self, listener: Listener, leg: int) -> bool:
        """A session closes its stream; False if that leg is no stream of this hub."""
        if self._members.pop((id(listener), leg), None) is None:
            return False
        if self._members:
            self._soon()
        else:
            self._close()
        return True

    # ---- what the backend says (broker.backends.stateless_http.StatelessOwner) --------------------------------------

    def leg_message(self, leg: int, frame: Frame) -> None:
        """One message of a shared stream."""
        if leg not in (self._leg, self._opening):
            return
        if frame.method is UNSET:
            self._ended(leg, frame)
        elif frame.method == ACKNOWLEDGED:
            if leg == self._opening:
                self._opened(frame)
        elif leg == self._leg:
            for member in list(self._members.values()):
                if member.heard and _matches(member.wanted, frame):
                    member.listener.leg_message(member.leg, _copy(frame))

    def leg_failed(self, leg: int, reason: str, executed: Literal["no", "unknown"]) -> None:
        """A shared stream broke: every session decides for itself when to listen again."""
        if leg == self._opening:
            self._not_opened()
            self._fail([member for member in self._members.values() if not member.heard], reason, executed)
        elif leg == self._leg:
            self._leg = 0
            self._fail([member for member in self._members.values() if member.heard], reason, executed)

    def leg_violation(self, leg: int, reason: str) -> None:
        """Something that is carried nowhere."""

    # ---- the shared stream ----------------------------------------------------------------------------------------

    def _soon(self) -> None:
        if self._timer is None:
            # The first stream is opened at once: until it stands, nobody hears of anything.
            pause = GATHER_S if self._leg or self._opening else 0
            self._timer = asyncio.get_running_loop().call_later(pause, self._open)

    def _open(self) -> None:
        self._timer = None
        wanted = self._union()
        if not self._members or self.http is None or (wanted == self._asked and (self._leg or self._opening)):
            for member in list(self._members.values()):
                if self._leg and not member.heard and not self._opening:
                    self._acknowledge(member)
            return
        if self._opening:
            self.http.abort(self._opening)
        self._minted += 1
        self._opening, self._asked = self._minted, wanted
        newest = next(reversed(self._members.values()))
        params = {"notifications": Raw(msgspec.json.encode(wanted)), "_meta": newest.meta}
        self.http.post(
            self._opening,
            Frame(id=self._opening, method=LISTEN, params=params),
            [*headers_of(LISTEN, params), *newest.headers],
            stream=True,
        )

    def _opened(self, frame: Frame) -> None:
        params: dict[str, Any] = frame.params if frame.params is not UNSET else {}
        honoured = _read(params.get("notifications"))
        self._honoured = honoured if isinstance(honoured, dict) else {}
        self._stands = self._asked
        old, self._leg, self._opening = self._leg, self._opening, 0
        if old and self.http is not None:
            self.http.abort(old)
        for member in list(self._members.values()):
            # Who came while it was being opened, and wants more, is acknowledged on the wider one that follows.
            if not member.heard and _covers(self._asked, member.wanted):
                self._acknowledge(member)

    def _not_opened(self) -> None:
        """There is no newer stream than the one that stands, if one does."""
        self._opening = 0
        self._asked = self._stands if self._leg else {}

    def _acknowledge(self, member: Member) -> None:
        if self._members.get((id(member.listener), member.leg)) is not member or member.heard or not self._leg:
            return
        member.heard = True
        agreed: dict[str, Any] = {
            flag: True for flag in FLAGS.values() if member.wanted.get(flag) and self._honoured.get(flag)
        }
        uris = self._honoured.get(URIS)
        if URIS in member.wanted:
            agreed[URIS] = [uri for uri in member.wanted[URIS] if isinstance(uris, list) and uri in uris]
        params = {"notifications": Raw(msgspec.json.encode(agreed))}
        member.listener.leg_message(member.leg, Frame(method=ACKNOWLEDGED, params=params))

    def _ended(self, leg: int, frame: Frame) -> None:
        refused = leg == self._opening
        if refused:
            self._not_opened()
        else:
            self._leg = 0
        for member in [member for member in self._members.values() if member.heard != refused]:
            del self._members[id(member.listener), member.leg]
            answer = Frame(id=member.leg, result=frame.result, error=frame.error)
            member.listener.leg_message(member.leg, answer)

    def _fail(self, members: list[Member], reason: str, executed: Literal["no", "unknown"]) -> None:
        for member in members:
            self._members.pop((id(member.listener), member.leg), None)
        for member in members:
            member.listener.leg_failed(member.leg, reason, executed)

    def _union(self) -> dict[str, Any]:
        union: dict[str, Any] = {}
        uris: dict[str, None] = {}
        for member in self._members.values():
            union.update({flag: True for flag in FLAGS.values() if member.wanted.get(flag)})
            uris.update(dict.fromkeys(member.wanted.get(URIS, ())))
        if uris:
            union[URIS] = sorted(uris)
        return union

    def _close(self) -> None:
        if self.http is not None:
            for leg in (self._leg, self._opening):
                if leg:
                    self.http.abort(leg)
        self._leg = self._opening = 0
        self._asked = {}


def _covers(asked: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """True if a stream with the one filter carries all that the other wants."""
    flags = all(asked.get(flag) for flag in FLAGS.values() if wanted.get(flag))
    return flags and set(wanted.get(URIS, ())) <= set(asked.get(URIS, ()))


def _matches(wanted: dict[str, Any], frame: Frame) -> bool:
    method: Any = frame.method
    if method != UPDATED:
        return bool(wanted.get(FLAGS.get(method, "")))
    params: dict[str, Any] = frame.params if frame.params is not UNSET else {}
    uri = _read(params.get("uri"))
    uris = wanted.get(URIS, ())
    # Servers may report a resource below the one that was asked for.
    return isinstance(uri, str) and any(uri == one or uri.startswith(f"{one.rstrip('/')}/") for one in uris)


def _read(value: Any) -> Any:
    """What a server wrote; None for what no value can be read from."""
    try:
        return tree.deep(value)
    except UNREADABLE:
        return None


def _copy(frame: Frame) -> Frame:
    """Each session rewrites its own."""
    params: Any = dict(frame.params) if frame.params is not UNSET else UNSET
    return Frame(method=frame.method, params=params)
