"""One listen stream for all sessions of a caller: union filters, make before break, each its own part."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from broker.backends.listen_hub import ListenHub
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from tests.broker.http1_world import turn, within

ACK = "notifications/subscriptions/acknowledged"
TOOLS = "notifications/tools/list_changed"
UPDATED = "notifications/resources/updated"


def tree(frame: Frame) -> Any:
    return msgspec.json.decode(jsonrpc.encode(frame))


def read(message: dict[str, Any]) -> Frame:
    return jsonrpc.decode_backend(msgspec.json.encode({"jsonrpc": "2.0", **message}))


class Wire:
    """The backend's side, in memory: which streams are open, with which filter."""

    def __init__(self) -> None:
        self.open: dict[int, Any] = {}
        self.posted = asyncio.Event()

    def post(self, leg: int, frame: Frame, headers: Sequence[tuple[str, str]], *, stream: bool = False) -> None:
        assert stream
        assert ("Mcp-Method", "subscriptions/listen") in headers
        self.open[leg] = tree(frame)["params"]
        self.posted.set()

    def abort(self, leg: int) -> None:
        self.open.pop(leg, None)

    async def next(self) -> tuple[int, Any]:
        """The newest stream, once one is opened."""
        await within(self.posted.wait())
        self.posted.clear()
        leg = max(self.open)
        return leg, self.open[leg]["notifications"]


class Session:
    """A session that listens, remembering what it heard."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def leg_message(self, leg: int, frame: Frame) -> None:
        self.heard.append((leg, tree(frame)))

    def leg_failed(self, leg: int, reason: str, executed: str) -> None:
        self.heard.append((leg, reason))


def listen(**notifications: Any) -> Frame:
    params = {"notifications": notifications, "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}
    return read({"id": 1, "method": "subscriptions/listen", "params": params})


def hub() -> tuple[ListenHub, Wire]:
    made, wire = ListenHub(), Wire()
    made.http = wire
    return made, wire


def acknowledge(made: ListenHub, leg: int, **notifications: Any) -> None:
    made.leg_message(leg, read({"method": ACK, "params": {"notifications": notifications}}))


def acknowledged(leg: int, **notifications: Any) -> tuple[int, Any]:
    return leg, {"jsonrpc": "2.0", "method": ACK, "params": {"notifications": notifications}}


async def test_two_sessions_share_one_stream_and_hear_their_own_part() -> None:
    made, wire = hub()
    one, two = Session(), Session()
    made.join(one, 7, listen(toolsListChanged=True))
    made.join(two, 7, listen(resourceSubscriptions=["file:///a"]))
    leg, wanted = await wire.next()
    assert wanted == {"toolsListChanged": True, "resourceSubscriptions": ["file:///a"]}
    acknowledge(made, leg, toolsListChanged=True, resourceSubscriptions=["file:///a"])
    assert one.heard == [acknowledged(7, toolsListChanged=True)]
    assert two.heard == [acknowledged(7, resourceSubscriptions=["file:///a"])]
    made.leg_message(leg, read({"method": TOOLS}))
    made.leg_message(leg, read({"method": UPDATED, "params": {"uri": "file:///a/part"}}))
    made.leg_message(leg, read({"method": UPDATED, "params": {"uri": "file:///ab"}}))
    assert [message["method"] for _, message in one.heard[1:]] == [TOOLS]
    assert [message["params"]["uri"] for _, message in two.heard[1:]] == ["file:///a/part"]


async def test_a_wider_stream_is_acknowledged_before_the_old_one_is_closed() -> None:
    made, wire = hub()
    one, two = Session(), Session()
    made.join(one, 1, listen(toolsListChanged=True))
    first, _ = await wire.next()
    acknowledge(made, first, toolsListChanged=True)
    made.join(two, 1, listen(promptsListChanged=True))
    second, wanted = await wire.next()
    assert wanted == {"toolsListChanged": True, "promptsListChanged": True}
    assert set(wire.open) == {first, second}
    made.leg_message(first, read({"method": TOOLS}))
    assert len(one.heard) == 2
    acknowledge(made, second, toolsListChanged=True)
    assert set(wire.open) == {second}
    assert two.heard == [acknowledged(1)]
    assert len(one.heard) == 2


async def test_a_session_that_came_too_late_for_a_stream_is_acknowledged_on_the_next() -> None:
    made, wire = hub()
    one, two, three = Session(), Session(), Session()
    made.join(one, 1, listen(toolsListChanged=True))
    first, _ = await wire.next()
    made.join(two, 2, listen(toolsListChanged=True, resourceSubscriptions=["file:///a"]))
    made.join(three, 3, listen(toolsListChanged=True))
    acknowledge(made, first, toolsListChanged=True)
    assert (one.heard, two.heard) == ([acknowledged(1, toolsListChanged=True)], [])
    assert three.heard == [acknowledged(3, toolsListChanged=True)]
    second, wanted = await wire.next()
    assert wanted == {"toolsListChanged": True, "resourceSubscriptions": ["file:///a"]}
    acknowledge(made, second, **wanted)
    assert two.heard == [acknowledged(2, toolsListChanged=True, resourceSubscriptions=["file:///a"])]
    assert (len(one.heard), len(three.heard)) == (1, 1)


async def test_a_session_that_asks_for_what_is_already_heard_opens_no_stream() -> None:
    made, wire = hub()
    one, two = Session(), Session()
    made.join(one, 1, listen(toolsListChanged=True))
    leg, _ = await wire.next()
    acknowledge(made, leg, toolsListChanged=True)
    made.join(two, 5, listen(toolsListChanged=True))
    await asyncio.sleep(0)
    assert two.heard == [acknowledged(5, toolsListChanged=True)]
    assert set(wire.open) == {leg}


async def test_the_last_session_to_leave_closes_the_stream() -> None:
    made, wire = hub()
    one = Session()
    made.join(one, 1, listen(toolsListChanged=True))
    await wire.next()
    assert made.leave(one, 1)
    assert not made.leave(one, 1)
    assert wire.open == {}


async def test_a_stream_that_breaks_or_ends_is_told_to_every_session() -> None:
    made, wire = hub()
    one, two = Session(), Session()
    made.join(one, 1, listen(toolsListChanged=True))
    made.join(two, 2, listen(toolsListChanged=True))
    leg, _ = await wire.next()
    acknowledge(made, leg, toolsListChanged=True)
    made.leg_failed(leg, "backend-closed", "unknown")
    assert (one.heard[-1], two.heard[-1]) == ((1, "backend-closed"), (2, "backend-closed"))
    made.join(one, 3, listen(toolsListChanged=True))
    leg, _ = await wire.next()
    refusal = {"code": -32601, "message": "no"}
    made.leg_message(leg, read({"id": leg, "error": refusal}))
    assert one.heard[-1] == (3, {"jsonrpc": "2.0", "id": 3, "error": refusal})


async def test_after_a_wider_stream_failed_the_next_one_to_ask_for_it_has_it_opened_again() -> None:
    made, wire = hub()
    one, two = Session(), Session()
    made.join(one, 1, listen(toolsListChanged=True))
    first, _ = await wire.next()
    acknowledge(made, first, toolsListChanged=True)
    made.join(two, 1, listen(promptsListChanged=True))
    second, _ = await wire.next()
    made.leg_failed(second, "backend-closed", "unknown")
    assert two.heard == [(1, "backend-closed")]
    wire.abort(second)
    made.join(two, 2, listen(promptsListChanged=True))
    third, wanted = await wire.next()
    acknowledge(made, third, **wanted)
    assert two.heard[1:] == [acknowledged(2, promptsListChanged=True)]


async def test_a_session_that_leaves_its_old_stream_when_the_new_one_is_acknowledged_costs_the_others_nothing() -> None:
    class Moves(Session):
        def leg_message(self, leg: int, frame: Frame) -> None:
            super().leg_message(leg, frame)
            if leg == 2:
                made.leave(self, 1)

    made, wire = hub()
    one, two, three, four = Moves(), Session(), Session(), Session()
    made.join(one, 1, listen(toolsListChanged=True))
    made.join(two, 1, listen(promptsListChanged=True))
    leg, wanted = await wire.next()
    acknowledge(made, leg, **wanted)
    made.leave(two, 1)  # a narrower stream would do, until somebody wants the other part again
    made.join(one, 2, listen(toolsListChanged=True))
    made.join(three, 1, listen(toolsListChanged=True))
    made.join(four, 1, listen(promptsListChanged=True))

    async def acknowledged_all() -> None:
        while not (three.heard and four.heard):
            await turn()

    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, fault: faults.append(fault))
    await within(acknowledged_all())
    assert set(wire.open) == {leg}
    assert not faults


async def test_what_cannot_be_read_of_a_shared_stream_is_passed_over() -> None:
    made, wire = hub()
    one = Session()
    made.join(one, 1, listen(toolsListChanged=True, resourceSubscriptions=["file:///a"]))
    leg, _ = await wire.next()
    for method, member in ((ACK, "notifications"), (UPDATED, "uri")):
        line = f'{{"jsonrpc":"2.0","method":"{method}","params":{{"{member}":1e999}}}}'
        made.leg_message(leg, jsonrpc.decode_backend(line.encode()))
    made.leg_message(leg, read({"method": TOOLS}))
    assert one.heard == [acknowledged(1, resourceSubscriptions=[]), (1, {"jsonrpc": "2.0", "method": TOOLS})]
