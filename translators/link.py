"""The backend's side of a session: opened once, opened again when the backend forgets it, and what must be replayed.

Between two session peers a Link belongs to one Conversation and lives as long as the client's session. A backend
session that is lost (404 to our session id, or a restart) is re-initialised silently; log level and subscriptions are
replayed before anything else is sent, and answered before, because requests on several connections overtake each
other; the call that found the loss is sent again, because it was provably not run, and then what waited meanwhile.

    phase      a message for the backend           next
    up         is sent                             -> reopening, when the session is lost: initialize
    reopening  waits (bounded)                     -> replaying, when initialize is answered
    replaying  waits (bounded)                     -> up, when `initialized` is taken and the replay is answered
    down       a call waits, others are dropped    -> reopening, with the first call

A call that cannot be run where the session is leads straight to another era, if there is one.
From reopening and replaying, a failure or another loss leads to down, and what waited fails; once per reopening a
refused initialize first asks whether the backend is of another era now, and goes on if it is.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from protocol_versions.jsonrpc import Frame
from translators import handshake, tree
from translators.asks import UNREADABLE
from translators.conversation import Conversation
from translators.machine import (
    REOPENING,
    STANDING,
    Accept,
    Effect,
    Failed,
    Migrate,
    Note,
    OpenStream,
    Repipe,
    Resend,
    ToClient,
    ToServer,
)
from translators.reply import notify
from translators.tables import tables

MAX_WAITING = 256
"""Messages that may wait for a session to be opened again; more are refused at once."""

LOST = "backend-session-lost"
MOVED = "backend-revision"

Done = list["Effect | Failed"]


class Link:
    """Decides for each message towards the backend whether it is sent, waits, or fails.

    A call is sent again once: a backend that loses every session must not be hammered.
    """

    def __init__(self, talk: Conversation) -> None:
        self.talk = talk
        self.may_migrate = False  # whether somebody can look at the backend's era
        self.phase = "up"
        self.waiting: list[ToServer] = []
        self.resend: list[int] = []
        self.resent: dict[int, None] = {}
        self.internal: dict[int, str] = {}
        self.asked = False  # whether this reopening has looked at the backend's era already
        self.asking = False
        self.announce = False
        self.why = LOST  # what ends the calls if the session cannot be opened

    def send(self, effect: ToServer) -> Done:
        """What to do with one message for the backend now."""
        if self.phase == "up" or effect.initialize or effect.exchange == REOPENING or effect.call in self.internal:
            return [effect]
        if len(self.waiting) >= MAX_WAITING or (self.phase == "down" and not effect.call):
            return [_not_sent(effect)]
        self.waiting.append(effect)
        return self._reopen() if self.phase == "down" else []

    def lost(self, call: int, *, stale: bool = False) -> Done:
        """The backend refused `call` (0 for none) because it does not know the session, so it never ran.

        `stale`: the call named an earlier session than the one that is up now.
        """
        if call in self.internal:
            return self._down()
        if not call and (stale or self.phase == "down"):
            return []
        if call in self.resent:
            if self.phase == "up" and not stale:
                self.phase = "down"  # the session is gone all the same: the next call opens another
            return [Failed(call, LOST, "no")]
        if call:
            self.resent[call] = None
        if self.phase == "up" and stale:
            return [Resend(call)]
        if call:
            self.resend.append(call)
        if self.phase in ("up", "down"):
            return self._reopen()
        return [] if call else self._down()

    def moved(self, call: int, *, stateless: bool | None = None) -> Done:
        """`call` was not run, and cannot be in the era it was sent in; it is sent again, once, in the other.

        `stateless` says which era that is; None: whoever can look at the backend's finds out.
        """
        if not self.may_migrate or call in self.resent:
            return [Failed(call, MOVED, "no")]
        self.resent[call] = None
        self.resend.append(call)
        if self.phase not in ("up", "down"):
            return []
        effects = self._leave(MOVED)
        self.asked = self.asking = True
        return [*effects, Migrate(stateless)]

    def answered(self, frame: Frame) -> Done | None:
        """Take the answer to one of our own requests; None if it is not ours."""
        method = self.internal.pop(frame.id, None) if type(frame.id) is int else None
        if method is None:
            return None
        if method != "initialize":
            return self._replayed(method, refused=frame.error is not UNSET)
        if frame.error is not UNSET or frame.result is UNSET:
            return self._refused()
        try:
            revision = tree.whole(frame.result, "protocolVersion")
        except UNREADABLE:
            return self._down()
        if revision not in handshake.SESSION_REVISIONS:
            return self._down()
        effects: Done = []
        if revision != self.talk.peers.server:
            self.talk.peers.server = revision
            self.talk.pipe = tables(self.talk.peers.client, revision)
            effects.append(Note("backend-revision-changed", reason=revision))
        self.phase = "replaying"
        return [*effects, Repipe(revision), ToServer(0, notify("notifications/initialized"), REOPENING)]

    def greeted(self) -> Done:
        """The backend took `notifications/initialized`: it may be told what it has forgotten."""
        if self.phase != "replaying" or self.internal:
            return []
        effects: Done = []
        if self.talk.level is not None and not self.talk.peers.logging_emulated:
            effects.append(self._internal("logging/setLevel", {"level": self.talk.level}))
        effects += [self._internal("resources/subscribe", {"uri": uri}) for uri in self.talk.subscriptions]
        return effects or self._up_if_replayed()

    def failed(self, call: int) -> Done | None:
        """One of our own requests got no answer; None if the call is not ours."""
        method = self.internal.pop(call, None)
        if method is None:
            return None
        return self._refused() if method == "initialize" else self._replayed(method, refused=True)

    def ended(self, call: int) -> None:
        """Forget what was kept of a call."""
        self.resent.pop(call, None)

    def left_behind(self) -> list[int]:
        """The calls that were sent before the session was left, and that nothing sends again."""
        kept = {effect.call for effect in self.waiting} | set(self.resend)
        return [call for call in self.talk.book.calls if call not in kept]

    def migrated(self, *, changed: bool) -> Done:
        """The backend was looked at again: it is of another era now, or it is not."""
        if self.phase != "reopening" or not self.asking:
            return []
        self.asking = False
        if not changed:
            return self._down()
        self.announce = True
        return [Note("backend-era-changed"), self._internal("initialize", None)]

    def _refused(self) -> Done:
        """`initialize` failed: once per reopening the backend may turn out to be of another era."""
        if not self.may_migrate or self.phase != "reopening" or self.asked:
            return self._down()
        self.asked = self.asking = True
        return [Migrate()]

    def _reopen(self) -> Done:
        return [*self._leave(LOST), self._internal("initialize", None)]

    def _leave(self, why: str) -> Done:
        self.phase, self.why = "reopening", why
        self.asked = self.asking = False
        effects: Done = [Note("session-lost")]
        for ask in list(self.talk.book.asks.values()):
            # Asked by a session that is gone: the new one may use the same ids for other questions.
            self.talk.book.settle(ask)
            effects.append(ToClient(ask.stream, notify("notifications/cancelled", {"requestId": ask.id})))
        return effects

    def _replayed(self, method: str, *, refused: bool) -> Done:
        """One thing less is to be told; what the new session does not take is gone, and no client asked just now."""
        return [*([Note("failed", method, "not-replayed")] if refused else []), *self._up_if_replayed()]

    def _up_if_replayed(self) -> Done:
        if self.internal or self.phase != "replaying":
            return []
        self.phase = "up"
        calls, self.resend = self.resend, []
        waiting, self.waiting = self.waiting, []
        still = [effect for effect in waiting if not effect.call or effect.call in self.talk.book.calls]
        announced, self.announce = self._changes() if self.announce else [], False
        return [OpenStream(), *announced, *(Resend(call) for call in calls if call in self.talk.book.calls), *still]

    def _changes(self) -> Done:
        """What the client must look at again, because another server answers now."""
        offered = self.talk.peers.offered
        kinds = [kind for kind in ("tools", "prompts", "resources") if _changes_of(offered.get(kind))]
        return [ToClient(STANDING, notify(f"notifications/{kind}/list_changed")) for kind in kinds]

    def _internal(self, method: str, params: dict[str, Any] | None) -> ToServer:
        number = self.talk.book.mint()
        self.internal[number] = method
        if method == "initialize":
            return ToServer(number, handshake.reopen(self.talk.peers, number), initialize=True)
        return ToServer(number, Frame(id=number, method=method, params=params or {}))

    def _down(self) -> Done:
        """Nobody can open the session: everything that waited fails; the next call tries again."""
        self.phase = "down"
        self.internal.clear()
        calls, self.resend = self.resend, []
        waiting, self.waiting = self.waiting, []
        failed = [Failed(call, self.why, "no") for call in calls]
        return [Note("session-not-reopened"), *failed, *(_not_sent(effect, self.why) for effect in waiting)]


def _changes_of(capability: Any) -> bool:
    return isinstance(capability, dict) and capability.get("listChanged") is True


def _not_sent(effect: ToServer, why: str = LOST) -> Effect | Failed:
    return Failed(effect.call, why, "no") if effect.call else Accept(effect.exchange)
