"""Conversation and SessionClient together under every order of events: what the walker plays, hypothesis shrinks.

`tests/walker` holds the world, its moves and everything that is judged on the way: each request of the client ends
once unless it was cancelled, a retry carries exactly the asked keys and the exact state, the id of a leg is used once,
nothing undeclared is asked, nothing of a session reaches the server, nothing stateless the client.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.stateful import LONG
from tests.walker import moves
from tests.walker.walk import REVISIONS, begin, rest

T = TypeVar("T")


class Drawn:
    """The decisions of an example."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def pick(self, options: Sequence[T]) -> T:
        return self._data.draw(st.sampled_from(options))

    def flag(self, chance: float = 0.5) -> bool:
        return self._data.draw(st.booleans())


class Chasm(RuleBasedStateMachine):
    """A session client of any revision, the broker's core, and a stateless server."""

    @initialize(data=st.data(), revision=st.sampled_from(REVISIONS))
    def handshake(self, data: st.DataObject, revision: str) -> None:
        self.world = begin(Drawn(data), revision)
        moves.greet(self.world, Drawn(data))

    @precondition(lambda self: self.world.client.greeted)
    @rule(data=st.data())
    def the_client_calls(self, data: st.DataObject) -> None:
        moves.call(self.world, Drawn(data))

    @precondition(lambda self: self.world.client.greeted)
    @rule(data=st.data(), move=st.sampled_from([moves.subscribe, moves.set_level, moves.request, moves.notify]))
    def the_client_says_something_else(self, data: st.DataObject, move: moves.Move) -> None:
        move(self.world, Drawn(data))

    @precondition(lambda self: self.world.client.waiting)
    @rule(data=st.data())
    def the_client_cancels(self, data: st.DataObject) -> None:
        moves.cancel(self.world, Drawn(data))

    @rule(data=st.data())
    def the_client_answers(self, data: st.DataObject) -> None:
        moves.answer(self.world, Drawn(data))

    @precondition(lambda self: not self.world.client.greeted and not self.world.client.waiting)
    @rule(data=st.data())
    def the_client_greets_again(self, data: st.DataObject) -> None:
        moves.greet(self.world, Drawn(data))

    @precondition(lambda self: self.world.server.open)
    @rule(data=st.data())
    def the_server_answers(self, data: st.DataObject) -> None:
        moves.serve(self.world, Drawn(data))

    @precondition(lambda self: self.world.server.open)
    @rule(data=st.data())
    def a_leg_breaks(self, data: st.DataObject) -> None:
        moves.fail(self.world, Drawn(data))

    @rule(data=st.data())
    def the_server_speaks(self, data: st.DataObject) -> None:
        moves.speak(self.world, Drawn(data))

    @precondition(lambda self: self.world.timers)
    @rule()
    def time_passes(self) -> None:
        self.world.tick()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            rest(self.world)
            self.world.end()


TestChasm = Chasm.TestCase
TestChasm.settings = LONG
