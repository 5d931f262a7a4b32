"""The backend's side of a session: opened once, opened again when the backend forgets it, and what must be replayed.

Between two session peers a Link belongs to one Conversation and lives as long as the client's session. A backend
session that is lost (404 to our session id, or a restart) is re-initialised silently; log level and subscriptions are
replayed before anything else is sent; the call that found the loss is sent again, because it was provably not run.

    phase      a message for the backend        the session is lost
    up         is sent                          -> reopening: initialize, and the call waits
    reopening  waits (bounded)                  -> down
    down       fails with backend-session-lost  -
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from protocol_versions.jsonrpc import Frame
from translators import handshake, tree
from translators.conversation import Conversation
from translators.machine import Effect, Failed, Note, OpenStream, Repipe, ToServer
from translators.reply import notify
from translators.tables import tables

MAX_WAITING = 256
"""Messages that may wait for a session to be opened again; more are refused at once."""

MAX_REOPENED = 1
"""How often one call may be sent again: a backend that loses every session must not be hammered."""


class Link:
    """Decides for each message towards the backend whether it is sent, waits, or fails."""

    def __init__(self, talk: Conversation) -> None:
        self.talk = talk
        self.phase = "up"
        self.waiting: list[ToServer] = []
        self.resend: list[int] = []
        self.resent: set[int] = set()
        self.internal: dict[int, str] = {}

    def send(self, effect: ToServer) -> list[Effect | Failed]:
        """What to do with one message for the backend now."""
        if self.phase == "up" or effect.initialize:
            return [effect]
        if self.phase == "reopening" and len(self.waiting) < MAX_WAITING:
            self.waiting.append(effect)
            return []
        return [Failed(effect.call, "backend-session-lost", "no")] if effect.call else []

    def lost(self, call: int) -> list[Effect | Failed]:
        """The backend does not know our session; `call` (0 for none) was refused for that reason, so it never ran."""
        if call in self.internal:
            return self._down()
        effects: list[Effect | Failed] = []
        if call:
            if call in self.resent:
                return [Failed(call, "backend-session-lost", "no")]
            self.resend.append(call)
            self.resent.add(call)
        if self.phase == "up":
            self.phase = "reopening"
            effects += [Note("session-lost"), self._internal("initialize", None)]
        elif self.phase == "down":
            return [Failed(call, "backend-session-lost", "no")] if call else []
        return effects

    def answered(self, frame: Frame) -> list[Effect | Failed] | None:
        """Take the answer to one of our own requests; None if it is not ours."""
        method = self.internal.pop(frame.id, None) if type(frame.id) is int else None
        if method is None:
            return None
        if method != "initialize":
            return []
        if frame.error is not UNSET or frame.result is UNSET:
            return self._down()
        revision = tree.whole(frame.result, "protocolVersion")
        if revision not in handshake.SESSION_REVISIONS:
            return self._down()
        effects: list[Effect | Failed] = []
        if revision != self.talk.peers.server:
            self.talk.peers.server = revision
            self.talk.pipe = tables(self.talk.peers.client, revision)
            effects.append(Note("backend-revision-changed", reason=revision))
        effects += [Repipe(revision), ToServer(0, notify("notifications/initialized"))]
        if self.talk.level is not None and not self.talk.peers.logging_emulated:
            effects.append(self._internal("logging/setLevel", {"level": self.talk.level}))
        effects += [self._internal("resources/subscribe", {"uri": uri}) for uri in self.talk.subscriptions]
        self.phase = "up"
        effects.append(OpenStream())
        waiting, self.waiting = self.waiting, []
        return [*effects, *waiting]

    def to_resend(self) -> list[int]:
        """The calls that are to be sent again now, once."""
        calls, self.resend = self.resend, []
        return calls

    def failed(self, call: int) -> list[Effect | Failed] | None:
        """One of our own requests got no answer; None if the call is not ours."""
        method = self.internal.pop(call, None)
        if method is None:
            return None
        return self._down() if method == "initialize" else []

    def ended(self, call: int) -> None:
        """Forget what was kept of a call."""
        self.resent.discard(call)

    def _internal(self, method: str, params: dict[str, Any] | None) -> ToServer:
        number = self.talk.book.mint()
        self.internal[number] = method
        if method == "initialize":
            return ToServer(number, handshake.reopen(self.talk.peers, number), initialize=True)
        return ToServer(number, Frame(id=number, method=method, params=params or {}))

    def _down(self) -> list[Effect | Failed]:
        """Nobody can open the session: everything that waited fails; the next call tries again."""
        self.phase = "up"
        self.internal.clear()
        waiting, self.waiting = self.waiting, []
        calls = self.to_resend() + [effect.call for effect in waiting if effect.call]
        return [Note("session-not-reopened"), *(Failed(call, "backend-session-lost", "no") for call in calls)]
