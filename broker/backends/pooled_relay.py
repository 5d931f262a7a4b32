"""The relay of a session whose client is a machine of the broker: its messages go to the machine, not to a socket.

Everything between client and backend is that of any session: translation to older revisions, ids, hooks at the
backend's edge, loss of the session and its recovery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from broker.backends.base import SessionBackend
from broker.hooks.base import Caller
from broker.outbox import Outbox
from broker.relay import Relay
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from translators.machine import Effect, Failed, Hush, Note, OpenStream, Origin, ToClient

if TYPE_CHECKING:
    from broker.faces.stateless_call import StatelessCall


class Player(Protocol):
    """Who plays the session's client."""

    def session_message(self, exchange: int, frame: Frame, origin: Origin) -> None: ...
    def session_accepted(self, exchange: int) -> None: ...
    def session_resumed(self, *, again: bool) -> None: ...
    def session_gone(self) -> None: ...
    def session_haunted(self) -> None: ...
    def waits(self, number: int) -> StatelessCall | None: ...


class NoOutbox(Outbox):
    """What a relay keeps for a client with streams, of which this one has none."""

    __slots__ = ("_player",)

    def __init__(self, player: Player) -> None:
        super().__init__(None, iter(()), max_events=0, max_bytes=0)
        self._player = player

    def send(
        self,
        number: int,
        data: bytes,
        *,
        final: bool,  # noqa: ARG002
        error: bool = False,  # noqa: ARG002
        question: bool = False,  # noqa: ARG002
    ) -> bool:
        """Only what the relay says of its own faults comes this way."""
        self._player.session_message(number, jsonrpc.decode_backend(data), "broker")
        return True

    def hush(self, number: int) -> None:
        """A cancelled call ends without an answer; its player has forgotten it already."""

    @property
    def reachable(self) -> bool:
        """The player can always be asked."""
        return True

    def close(self) -> None:
        """There is nothing to close."""


class PooledRelay(Relay):
    """One pooled session's traffic with its backend."""

    player: Player
    session: SessionBackend
    _asked_for: tuple[int, StatelessCall | None, Caller | None] = (0, None, None)

    def serve(self, player: Player, session: SessionBackend) -> None:
        """Who plays the client, and the session with the backend."""
        self.player = player
        self.outbox = NoOutbox(player)
        self.backend = self.session = session

    def _to_client(self, effect: ToClient) -> None:
        self.player.session_message(effect.exchange, effect.frame, effect.origin)

    def blame(self, number: int, reason: str) -> None:
        """A call of the player, by its number there, ends for this reason; of interest to an audit log."""

    def accept(self, exchange: int) -> None:
        """The backend took a message."""
        self.player.session_accepted(exchange)

    def _rare(self, effect: Effect | Failed) -> None:
        if isinstance(effect, Note) and effect.kind == "session-not-reopened":
            self.player.session_gone()  # before the calls that waited for it fail
        elif isinstance(effect, Hush):
            self.player.session_haunted()
        super()._rare(effect)
        if isinstance(effect, OpenStream) and effect.then < 0:
            self.player.session_resumed(again=True)  # the link has opened a lost session again

    def _open_stream(self, then: int) -> None:
        super()._open_stream(then)
        if then in self.wait.after:
            # Also where nothing can be asked: what is told of announcements depends on whether it stands.
            self.wait.after[then] = True

    def backend_gap(self) -> None:
        """The standing stream was away, and nothing says what it would have carried."""
        self.player.session_resumed(again=False)

    def caller(self, call: int) -> Caller:
        """Who waits for a call; whose session it is, for what the session does of its own."""
        before, waits, caller = self._asked_for
        if before == call and caller is not None and waits is not None and waits.open:
            return caller  # it is asked for several times while a call is sent
        waits = self.waiting(call)
        return super().caller(call) if waits is None else self.remember(call, waits)

    def remember(self, call: int, waits: StatelessCall) -> Caller:
        """Whose request waits for this call; the caller."""
        caller = waits.relay.caller(waits, self.talk.peers.server)
        self._asked_for = call, waits, caller
        return caller

    def waiting(self, call: int) -> StatelessCall | None:
        """Whose request waits for a call."""
        found = self.talk.book.calls.get(call)
        number = None if found is None else found.client_id
        return self.player.waits(number) if type(number) is int else None

    @property
    def stands(self) -> bool:
        """True unless the backend has no standing stream, or none is wanted of it."""
        standing = self.session.standing
        return standing is not None and not standing.refused
