"""The application behind the modern scripted client: `application`'s answers, on the SDK's newer callbacks."""

from __future__ import annotations

from typing import Any

import anyio
from application import Application


class ModernApplication(Application):
    """Callbacks of one client and their records."""

    def uri(self, uri: str) -> Any:
        """A URI as this release's calls want it."""
        return uri

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
