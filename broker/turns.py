"""Verdicts taken in turn: one that is awaited holds back what comes after it, one that is not costs no task."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable

from broker.hooks.base import Verdict

Turn = Callable[[], "Awaitable[None] | None"]
Failed = Callable[[Exception], None]
"""Told of an exception in a turn that whoever asked for it no longer hears of, because it came later."""


class Turns:
    """The order of one session's messages. `busy` while a verdict is awaited."""

    __slots__ = ("_queue", "_tasks", "busy")

    def __init__(self) -> None:
        self.busy = False
        self._queue: deque[tuple[Turn, Failed]] | None = None
        self._tasks: set[asyncio.Task[None]] | None = None

    def judge(
        self, ask: Callable[[], Verdict | Awaitable[Verdict]], settle: Callable[[Verdict], None], failed: Failed
    ) -> None:
        """Ask for a verdict when its turn comes, and act on it before the next turn."""

        def turn() -> Awaitable[None] | None:
            verdict = ask()
            if inspect.isawaitable(verdict):
                return _settled(verdict, settle, failed)
            settle(verdict)
            return None

        self.later(turn, failed)

    def later(self, turn: Turn, failed: Failed) -> None:
        """Run now, or behind the verdict that is awaited."""
        if not self.busy:
            self._start(turn)
        else:
            if self._queue is None:
                self._queue = deque()
            self._queue.append((turn, failed))

    def close(self) -> None:
        """Verdicts that are still awaited are cancelled, what waits behind them is dropped."""
        self._queue = None
        for task in tuple(self._tasks or ()):
            task.cancel()

    def _start(self, turn: Turn) -> None:
        pending = turn()
        if pending is not None:
            self.busy = True
            task = asyncio.ensure_future(self._finish(pending))
            if self._tasks is None:
                self._tasks = set()
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _finish(self, pending: Awaitable[None]) -> None:
        try:
            await pending
        finally:
            self.busy = False
            while self._queue and not self.busy:
                turn, failed = self._queue.popleft()
                try:
                    self._start(turn)
                except Exception as error:
                    failed(error)


async def _settled(pending: Awaitable[Verdict], settle: Callable[[Verdict], None], failed: Failed) -> None:
    try:
        settle(await pending)
    except Exception as error:
        failed(error)
