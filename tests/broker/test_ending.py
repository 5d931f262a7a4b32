"""Signals end the process in good order, also where the event loop cannot wait for them."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from broker.ending import on_signals
from broker.serve import new_loop

WAIT_S = 5


class WithoutSignals(asyncio.SelectorEventLoop):
    """A loop like those of Windows, which take no handlers of signals."""

    def add_signal_handler(self, *_: Any) -> None:  # type: ignore[override]
        raise NotImplementedError


@pytest.mark.parametrize("factory", [new_loop, asyncio.new_event_loop, WithoutSignals])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_every_signal_is_told_to_every_kind_of_loop_and_the_old_handlers_come_back(
    factory: Any, number: signal.Signals
) -> None:
    before = signal.getsignal(number)

    async def told() -> int:
        heard: list[int] = []
        twice = asyncio.Event()

        def hear() -> None:
            heard.append(1)
            if len(heard) == 2:
                twice.set()

        undo = on_signals(hear)
        signal.raise_signal(number)
        await asyncio.sleep(0)
        signal.raise_signal(number)
        await asyncio.wait_for(twice.wait(), WAIT_S)
        undo()
        return len(heard)

    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(told()) == 2
    assert signal.getsignal(number) in (before, signal.default_int_handler, signal.SIG_DFL)
