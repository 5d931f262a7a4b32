"""Writes of one turn of the loop: held until it is over, in order, and not for ever."""

from __future__ import annotations

import asyncio
import threading

from broker.writes import AT_ONCE, Writes, flush_all
from tests.broker.http1_world import turn


class Transport(asyncio.WriteTransport):
    """Remembers what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closing


async def test_what_is_written_leaves_in_order_when_the_turn_is_over() -> None:
    writes, one, other = Writes(), Transport(), Transport()
    for number in range(3):
        writes.add(one, b"%d" % number)
        writes.add(other, b"o%d" % number)
    assert one.written == other.written == []
    await turn()
    assert (one.written, other.written) == ([b"0", b"1", b"2"], [b"o0", b"o1", b"o2"])
    writes.add(one, b"3")
    await turn()
    assert one.written[3:] == [b"3"]


async def test_the_first_of_many_do_not_wait_for_the_last() -> None:
    writes, one = Writes(), Transport()
    for number in range(AT_ONCE + 1):
        writes.add(one, b"%d" % number)
    assert len(one.written) == AT_ONCE
    await turn()
    assert one.written == [b"%d" % number for number in range(AT_ONCE + 1)]


async def test_a_connection_that_closes_meanwhile_gets_nothing_and_the_others_theirs() -> None:
    writes, one, other = Writes(), Transport(), Transport()
    writes.add(one, b"1")
    writes.add(other, b"2")
    one.closing = True
    await turn()
    assert (one.written, other.written) == ([], [b"2"])


async def test_a_connection_that_is_gone_without_a_word_keeps_nothing_from_the_others() -> None:
    class Gone(Transport):
        def write(self, data: bytes | bytearray | memoryview) -> None:
            raise RuntimeError("the handler is closed")

    writes, one = Writes(), Transport()
    writes.add(Gone(), b"1")
    writes.add(one, b"2")
    await turn()
    assert one.written == [b"2"]


async def test_what_waits_in_another_loop_is_left_to_that() -> None:
    writes, one = Writes(), Transport()
    added, looked = threading.Event(), threading.Event()

    async def elsewhere() -> None:
        writes.add(one, b"1")
        added.set()
        assert looked.wait(5)

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    assert added.wait(5)
    flush_all()
    early = list(one.written)
    looked.set()
    thread.join(5)
    assert early == []
    assert one.written == [b"1"]
