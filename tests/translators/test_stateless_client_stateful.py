"""StatelessClient and Conversation together under every order of events: what the walker plays, hypothesis shrinks.

`tests/walker/stateless` holds the world, its moves and everything that is judged on the way: each request of a client
ends exactly once, a round asks only what the requests it ends declared, each question of the server is answered exactly
once, a call is sent once unless the server said that it did not run it, nothing of either era reaches a peer of the
other, nothing waits for nothing, and the state can be written and read between any two events.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.stateful import LONG
from tests.translators.test_session_client_stateful import Drawn
from tests.walker.stateless import moves
from tests.walker.stateless.walk import begin, rest
from tests.walker.walk import REVISIONS


class Chasm(RuleBasedStateMachine):
    """Stateless clients, the broker's core, and a session server of any revision."""

    @initialize(data=st.data(), revision=st.sampled_from(REVISIONS), restores=st.booleans())
    def opening(self, data: st.DataObject, revision: str, restores: bool) -> None:
        self.world = begin(Drawn(data), revision, restores=restores)

    @precondition(lambda self: not self.world.gone)
    @rule(data=st.data())
    def a_client_calls(self, data: st.DataObject) -> None:
        moves.call(self.world, Drawn(data))

    @precondition(lambda self: not self.world.gone)
    @rule(data=st.data(), move=st.sampled_from([moves.request, moves.listen]))
    def a_client_asks_something_else(self, data: st.DataObject, move: moves.Move) -> None:
        move(self.world, Drawn(data))

    @precondition(lambda self: any(mark.rounds for mark in self.world.clients.marks.values()) and not self.world.gone)
    @rule(data=st.data())
    def a_client_retries(self, data: st.DataObject) -> None:
        moves.retry(self.world, Drawn(data))

    @precondition(lambda self: self.world.clients.waiting)
    @rule(data=st.data())
    def a_client_leaves(self, data: st.DataObject) -> None:
        moves.leave(self.world, Drawn(data))

    @precondition(lambda self: self.world.server.open and not self.world.gone)
    @rule(data=st.data())
    def the_server_answers(self, data: st.DataObject) -> None:
        moves.serve(self.world, Drawn(data))

    @precondition(lambda self: self.world.server.greeted and not self.world.gone)
    @rule(data=st.data())
    def the_server_asks(self, data: st.DataObject) -> None:
        moves.ask(self.world, Drawn(data))

    @precondition(lambda self: self.world.server.greeted and not self.world.gone)
    @rule(data=st.data())
    def the_server_speaks(self, data: st.DataObject) -> None:
        moves.speak(self.world, Drawn(data))

    @precondition(lambda self: self.world.server.open and not self.world.gone)
    @rule(data=st.data())
    def a_connection_breaks(self, data: st.DataObject) -> None:
        moves.fail(self.world, Drawn(data))

    @precondition(lambda self: self.world.taken and not self.world.gone)
    @rule()
    def the_handshake_ends(self) -> None:
        self.world.greet()

    @precondition(lambda self: self.world.server.greeted and not self.world.taken and not self.world.gone)
    @rule(lost=st.booleans())
    def something_is_missed(self, lost: bool) -> None:
        self.world.gap(lost=lost)

    @precondition(lambda self: self.world.timers and not self.world.gone)
    @rule()
    def time_passes(self) -> None:
        self.world.tick()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            rest(self.world)
            self.world.end()


TestChasm = Chasm.TestCase
TestChasm.settings = LONG
