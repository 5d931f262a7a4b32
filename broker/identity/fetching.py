"""Reads a document of an authorization server: from configured hosts, within bounds, and never from where it sends us.

Invariants: https, or http on this machine; no redirect is followed; a document is read whole within its size and time,
or not at all; nothing of the caller's request goes along.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from broker.edge_names import is_local_name

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
    import aiohttp

    if not is_fetchable(url):
        raise NotFetched("issuer-address")
    lines = {**_ACCEPT, **(headers or {})}
    try:
        async with (
            asyncio.timeout(timeout_s),
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, ssl=context),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            ) as web,
            web.request(method, url, allow_redirects=False, data=form, headers=lines) as answer,
        ):
            body = await answer.content.read(max_bytes + 1)
            while len(body) <= max_bytes and (more := await answer.content.read(max_bytes + 1 - len(body))):
                body += more
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise NotFetched("issuer-unreachable") from error
    if len(body) > max_bytes:
        raise NotFetched("issuer-too-large", answer.status)
    return answer.status, body
