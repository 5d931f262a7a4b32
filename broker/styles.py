"""Tools of a server with two faces that can ask their client on one of them only, and which face their next call takes.

Follows 2026-07-28 basic/versioning (servers may speak both eras). The faces of such a server are not equal: a tool that
sends requests to its client fails where there is no way back, one that answers with `input_required` fails on a session
face that keeps no session. Neither is known before it has failed, so the failure is what is learned from
(`broker.era_signs.style_of`). Invariant: no call that may have run is run again; only later ones go elsewhere.

    marked     because it failed on           the next call of
    push       the stateless face             a stateless client is carried to a session of the broker's
    rounds     a session face of no sessions  a session client goes to the stateless face with its whole session: such a
                                              face can ask for no tool, so nothing is lost there. New sessions begin
                                              there; a live one moves when no other call of it is open
    both       both                           every client goes to the face of its own era: nothing helps
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import UNSET

from broker.backends.virtual_session import VirtualSession
from broker.era import Face, style_of
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.handshake import INPUTS

if TYPE_CHECKING:
    from broker.relay import Relay
    from translators.machine import ToServer

Style = Literal["push", "rounds"]

KEPT_S = 3600.0
"""How long a mark holds; as long as the verdict on a backend's era, since a new release may behave otherwise."""

MAX_TOOLS = 1_000
"""Marked tools of one server; the largest public servers have a few hundred tools."""

MAX_OPEN = 64
"""Calls of one session whose tools are remembered before those that have ended are looked for."""


class Marks(msgspec.Struct):
    """What is known of one tool: until when each mark holds."""

    push: float = 0.0
    rounds: float = 0.0


class Styles:
    """The marked tools of one server. `warn` is told once per tool: its name and its style."""

    def __init__(self, clock: Callable[[], float], warn: Callable[[str, Style], None]) -> None:
        self._clock = clock
        self._warn = warn
        self._marks: dict[str, Marks] = {}

    def learn(self, face: Face, tool: str, frame: Frame, *, sessionless: bool = False) -> bool:
        """Mark a tool if this answer to a call of it gives its style away; True if it does."""
        found = style_of(frame, face, sessionless=sessionless)
        if found is None:
            return False
        style: Style = "push" if found == "push" else "rounds"
        marks = self._marks.pop(tool, None)
        if marks is None:
            marks = Marks()
            self._warn(tool, style)
            if len(self._marks) >= MAX_TOOLS:
                del self._marks[next(iter(self._marks))]
        self._marks[tool] = marks
        setattr(marks, style, self._clock() + KEPT_S)
        return True

    def face_of(self, tool: str | None) -> Literal["session", "stateless"] | None:
        """The face on which a tool can ask its client; None if either will do, or none is known to."""
        marks = self._marks.get(tool) if tool is not None and self._marks else None
        if marks is None:
            return None
        now = self._clock()
        push, rounds = now < marks.push, now < marks.rounds
        return None if push == rounds else "session" if push else "stateless"

    @property
    def session_face_cannot_ask(self) -> bool:
        """True if a tool was found that can ask on the stateless face alone."""
        return any(self.face_of(tool) == "stateless" for tool in self._marks)


class SessionStyles:
    """What one session of a two-faced server shows of its tools, and whether it moves. `routes`: it may."""

    def __init__(self, styles: Styles, relay: Relay, *, routes: bool) -> None:
        self._styles = styles
        self._relay = relay
        self._routes = routes
        self._tools: dict[int, str] = {}

    def moves(self, effect: ToServer) -> bool:
        """True if a call is not sent here, because its session goes to the other face first."""
        params = effect.frame.params
        if effect.frame.method != "tools/call" or not effect.call or params is UNSET:
            return False
        tool = tree.deep(params.get("name"))
        if not isinstance(tool, str):
            return False
        if self._routes and self._styles.face_of(tool) == "stateless" and self._may_move(effect.call):
            self._relay.backend_moved(effect.call, jsonrpc.encode(effect.frame), stateless=True)
            return True
        if len(self._tools) >= MAX_OPEN:
            open_now = self._relay.talk.book.calls
            self._tools = {call: name for call, name in self._tools.items() if call in open_now}
        self._tools[effect.call] = tool
        return False

    def heard(self, call: int, frame: Frame) -> None:
        """The answer to a call, as the backend wrote it."""
        tool = self._tools.pop(call, None)
        if tool is None or (frame.error is UNSET and (frame.result is UNSET or "isError" not in frame.result)):
            return
        backend, peers = self._relay.backend, self._relay.talk.peers
        if isinstance(backend, VirtualSession):
            self._styles.learn("modern", tool, frame)
        elif backend is not None and any(name in peers.declared for name in INPUTS):
            # Of a client that declared nothing, the failure would be the plain truth.
            self._styles.learn("legacy", tool, frame, sessionless=backend.session_id is None)

    def _may_move(self, call: int) -> bool:
        """True if nothing would be left behind: no session at the backend, and no other call or question open."""
        relay = self._relay
        backend, book = relay.backend, relay.talk.book
        if backend is None or isinstance(backend, VirtualSession) or backend.session_id is not None:
            return False
        return relay.link.phase == "up" and not relay.link.internal and not book.asks and book.calls.keys() == {call}
