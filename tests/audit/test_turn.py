"""One turn of the loop: lines first, then what they are of, in order."""

from __future__ import annotations

import asyncio
from typing import Any

from broker.audit.admitting import UNAVAILABLE
from broker.audit.record import Record
from broker.audit.sinks import RETRY_S
from broker.audit.trail import Trail
from protocol_versions.jsonrpc import Frame
from tests.audit.lines import ALICE, Clocks, Memory, call, events


class Edge:
    """An edge that sends what it may, with what was in the file then."""

    def __init__(self, sink: Memory, trail: Trail) -> None:
        self.sink = sink
        self.trail = trail
        self.sent: list[tuple[Any, bool, int]] = []

    def go(self, what: Any, written: bool) -> None:
        self.sent.append((what, written, len(self.sink.lines)))
        if what == "bad":
            raise ValueError

    def ask(self, number: int, what: Any = None) -> None:
        self.trail.begin(number, "tools/call", number, call())
        self.trail.admit(number, call(), ALICE, self.go, what or number)


def edge(**options: Any) -> Edge:
    sink = Memory()
    return Edge(sink, Trail(Clocks().log(sink, **options), "files"))


async def test_the_calls_of_a_turn_are_written_together_and_then_sent_in_order() -> None:
    here = edge()
    for number in (1, 2):
        here.ask(number)
    here.trail.behind(here.go, "cancel")
    assert (here.sent, here.sink.lines) == ([], [])
    await asyncio.sleep(0)
    assert here.sent == [(1, True, 2), (2, True, 2), ("cancel", True, 2)]
    assert events(here.sink.lines) == ["admitted", "admitted"]
    here.trail.behind(here.go, "at once")
    assert here.sent[-1] == ("at once", True, 2)


async def test_outcomes_of_a_turn_come_before_what_it_begins() -> None:
    here = edge()
    here.ask(1)
    await asyncio.sleep(0)
    here.ask(2)
    here.trail.heard(1, Frame(id=1, result={}), peer=True)
    here.trail.end(1, "ok")
    assert events(here.sink.lines) == ["admitted"]
    await asyncio.sleep(0)
    assert events(here.sink.lines) == ["admitted", "outcome", "admitted"]


async def test_a_call_that_ends_in_its_own_turn_is_never_sent() -> None:
    here = edge()
    here.ask(1)
    here.trail.end(1, "cancelled", ALICE)
    await asyncio.sleep(0)
    assert here.sent == []
    assert events(here.sink.lines) == ["unsent"]
    assert here.trail.held == 0


async def test_a_call_that_is_sent_again_while_it_waits_is_written_down_once() -> None:
    here = edge()
    here.ask(1)
    here.trail.admit(1, call(), ALICE, here.go, "again")
    await asyncio.sleep(0)
    assert [what for what, _, _ in here.sent] == [1, "again"]
    assert events(here.sink.lines) == ["admitted"]
    here.trail.admit(1, call(), ALICE, here.go, "later")
    assert here.sent[-1][0] == "later"


async def test_calls_whose_lines_cannot_be_written_are_refused_and_nothing_behind_them_is() -> None:
    here = edge()
    here.sink.broken = True
    here.ask(1)
    here.trail.behind(here.go, "cancel")
    await asyncio.sleep(0)
    here.sink.broken = False
    assert [(what, written) for what, written, _ in here.sent] == [(1, False), ("cancel", True)]
    assert here.trail.calls[1].reason == UNAVAILABLE


async def test_an_edge_that_fails_keeps_no_other_call_from_being_sent() -> None:
    here = edge()
    here.ask(1, "bad")
    here.ask(2)
    await asyncio.sleep(0)
    assert [what for what, _, _ in here.sent] == ["bad", 2]


async def test_a_call_whose_line_cannot_be_made_is_refused_and_keeps_no_other_from_being_sent() -> None:
    class Odd(Trail):
        def _parts(self, record: Record) -> dict[str, Any]:
            if record.client_id == 1:
                raise ValueError
            return super()._parts(record)

    sink = Memory()
    here = Edge(sink, Odd(Clocks().log(sink), "files"))
    here.ask(1)
    here.ask(2)
    await asyncio.sleep(0)
    assert [(what, written) for what, written, _ in here.sent] == [(1, False), (2, True)]
    assert (events(sink.lines), here.trail.held) == (["admitted"], 0)


async def test_a_turn_that_somebody_ends_within_it_keeps_its_order() -> None:
    here = edge()

    def go(what: Any, written: bool) -> None:
        here.go(what, written)
        here.trail.behind(here.go, "later")
        here.trail.log.turn.over()

    here.trail.begin(1, "tools/call", 1, call())
    here.trail.admit(1, call(), ALICE, go, 1)
    here.ask(2)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [what for what, _, _ in here.sent] == [1, 2, "later"]


async def test_a_log_that_closes_writes_what_its_last_turn_began_and_ended() -> None:
    here = edge()
    here.ask(1)
    await asyncio.sleep(0)
    here.trail.heard(1, Frame(id=1, result={}), peer=True)
    here.trail.end(1, "ok")
    here.trail.log.close()
    assert events(here.sink.lines) == ["admitted", "outcome", "stopped"]
    await asyncio.sleep(0)
    assert len(here.sink.lines) == 3


def test_a_sink_that_works_again_lets_the_next_turn_through() -> None:
    sink, clocks = Memory(), Clocks()
    here = Edge(sink, Trail(clocks.log(sink), "files"))
    sink.broken = True
    here.ask(1)
    sink.broken = False
    clocks.now += RETRY_S
    here.ask(2)
    assert [(what, written) for what, written, _ in here.sent] == [(1, False), (2, True)]


def test_without_a_loop_what_a_turn_begins_has_the_next_one() -> None:
    here = edge()

    def go(what: Any, written: bool) -> None:
        here.go(what, written)
        here.ask(2)

    here.trail.begin(1, "tools/call", 1, call())
    here.trail.admit(1, call(), ALICE, go, 1)
    assert [what for what, _, _ in here.sent] == [1, 2]
