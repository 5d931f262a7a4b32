"""The application behind the modern scripted client: `application`'s answers, on the SDK's newer callbacks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from application import Application


class ModernApplication(Application):
    """Callbacks of one client and their records; `asks` has every ask of the feature, `asked` the last."""

    def __init__(self) -> None:
        super().__init__()
        self.asks: list[Any] = []

    def forget(self) -> None:
        """Start a feature with empty records."""
        super().forget()
        self.asks = []

    async def settle(self, method: str, count: int, bound: float) -> list[Any]:
        """The params of that many notifications, or of those that came in `bound` seconds.

        The SDK hands a call's answer over without waiting for the handlers of what came before it.
        """
        with anyio.move_on_after(bound):
            await self.wait_for(method, count)
        return self.got(method)

    async def _message(self, message: Any) -> None:
        if isinstance(message, Exception):
            self.errors.append(message)
            return
        self.notified.append(message)
        self.news.set()

    async def _recorded(self, answer: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        answered = await answer(*arguments)
        self.asks.append(self.asked)
        return answered

    async def _roots(self, context: Any) -> Any:
        return await self._recorded(super()._roots, context)

    async def _sample(self, context: Any, params: Any) -> Any:
        return await self._recorded(super()._sample, context, params)

    async def _elicit(self, context: Any, params: Any) -> Any:
        return await self._recorded(super()._elicit, context, params)
