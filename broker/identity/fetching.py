"""Reads a document of an authorization server: from configured hosts, within bounds, and never from where it sends us.

Invariants: https, or http on this machine; no redirect is followed; a document is read whole within its size and time,
or not at all; nothing of the caller's request goes along.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from broker.edge_names import is_local_name

if TYPE_CHECKING:
    import aiohttp

_ACCEPT: Final = {"Accept": "application/json", "Accept-Encoding": "identity"}

Fetch = Callable[[str], Awaitable[bytes]]
"""Reads the document at an address. Raises NotFetched."""


class NotFetched(Exception):  # noqa: N818 (an outcome, as the caller reads it)
    """There is no document. `reason` is a slug; `status` is that of the answer, if there was one."""

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


def is_fetchable(url: str) -> bool:
    """True for https:// addresses, and http:// ones of this machine, without user or fragment."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if not parts.hostname or port == 0 or parts.username is not None or parts.fragment:
        return False
    if not url.isascii() or any(ord(char) <= 0x20 or ord(char) == 0x7F for char in url):
        return False
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return parts.scheme == "https" or (parts.scheme == "http" and is_local_name(host))


def fetcher(*, max_bytes: int, timeout_s: float, ca_file: Path | None = None) -> Fetch:
    """A reader of documents with these bounds; `ca_file` (PEM) replaces the system's authorities."""
    from broker.backends.tls import client_context

    context = client_context(ca_file=ca_file)

    async def fetch(url: str) -> bytes:
        status, body = await exchange("GET", url, context, max_bytes=max_bytes, timeout_s=timeout_s)
        if status != 200:
            raise NotFetched("issuer-status", status)
        return body

    return fetch


async def exchange(
    method: str,
    url: str,
    context: ssl.SSLContext,
    *,
    max_bytes: int,
    timeout_s: float,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """One request and its whole answer; `form` is sent URL-encoded. Raises NotFetched."""
    asking = Asking(context, max_bytes=max_bytes, timeout_s=timeout_s, kept=0)
    try:
        return await asking.exchange(method, url, form=form, headers=headers)
    finally:
        await asking.close()


class Asking:
    """Requests to one issuer, on `kept` connections that are used again and again, or with 0 on new ones."""

    def __init__(self, context: ssl.SSLContext, *, max_bytes: int, timeout_s: float, kept: int) -> None:
        self._context = context
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._kept = kept
        self._web: aiohttp.ClientSession | None = None

    async def exchange(
        self, method: str, url: str, *, form: Mapping[str, str] | None, headers: Mapping[str, str] | None
    ) -> tuple[int, bytes]:
        """One request and its whole answer. Raises NotFetched."""
        import aiohttp

        if not is_fetchable(url):
            raise NotFetched("issuer-address")
        lines = {**_ACCEPT, **(headers or {})}
        try:
            async with asyncio.timeout(self._timeout_s):
                try:
                    status, body = await self._sent(method, url, form, lines)
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                    if not self._kept or isinstance(error, aiohttp.ClientConnectorError):
                        raise
                    # The issuer closed or reset a connection that was idle, in the moment in which it was used again.
                    status, body = await self._sent(method, url, form, lines)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise NotFetched("issuer-unreachable") from error
        if len(body) > self._max_bytes:
            raise NotFetched("issuer-too-large", status)
        return status, body

    async def _sent(
        self, method: str, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        most = self._max_bytes
        async with self._client().request(method, url, allow_redirects=False, data=form, headers=headers) as answer:
            body = await answer.content.read(most + 1)
            while len(body) <= most and (more := await answer.content.read(most + 1 - len(body))):
                body += more
            return answer.status, body

    def _client(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._web is None:
            kept = {"limit": self._kept} if self._kept else {"force_close": True}
            self._web = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._context, **kept),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._web

    async def close(self) -> None:
        """Nobody asks any more."""
        web, self._web = self._web, None
        if web is not None:
            await web.close()
