"""The one HTTP client of signing in: small JSON documents, no redirect, no cookie, no compression, all of it bounded.

Invariants: a name is looked up once and what was judged is connected to (`addresses`); a redirect is an answer like any
other, so that nothing that was sent goes elsewhere; what a peer wrote is never quoted.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode, urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from broker.backends.http1_head import USER_AGENT, Origin
from broker.backends.http1_proxy import proxy_for
from broker.signin.addresses import Guard
from broker.signin.errors import SignInError
from protocol_versions.strict import Refused, WireLimits, load

MAX_BYTES: Final = 256 * 1024
"""Of one document; the metadata of large providers have 10 KiB."""

_READ: Final = WireLimits(depth=16, nodes=10_000)


class Answer(msgspec.Struct, frozen=True):
    """One answer. `document` is its JSON object, None if it is none; `challenge` its WWW-Authenticate."""

    status: int
    document: dict[str, Any] | None
    challenge: str = ""


class _Looked(AbstractResolver):
    """Looks names up through the guard."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self.refused: SignInError | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See aiohttp."""
        del family
        try:
            found = await self._guard.addresses(host, port)
        except SignInError as error:
            self.refused = error
            raise OSError(None, "not to be asked") from error
        return [
            ResolveResult(
                hostname=host,
                host=text,
                port=port,
                family=socket.AF_INET6 if ":" in text else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for text in found
        ]

    async def close(self) -> None:
        """Nothing is held."""


class Fetcher:
    """An async context: connections live as long as one attempt to sign in. `request_s` bounds each exchange."""

    def __init__(
        self,
        guard: Guard,
        *,
        request_s: float,
        tls: ssl.SSLContext | None = None,
        proxy_env: Mapping[str, str] | None = None,
    ) -> None:
        self.guard = guard
        self._request_s = request_s
        self._tls = tls
        self._proxy_env = proxy_env
        self._resolver = _Looked(guard)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open nothing yet."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=self._resolver,
                use_dns_cache=False,
                force_close=True,
                ssl=self._tls if self._tls is not None else True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=self._request_s),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET a document.

        Raises:
            SignInError: the address may not be asked, or nobody answers there.
        """
        return await self._exchange("GET", url, {"Accept": "application/json", **(headers or {})}, None)

    async def post_form(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
        """POST a form, and read a document. Raises as `get`."""
        kind = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        return await self._exchange("POST", url, {**kind, **(headers or {})}, urlencode(fields).encode("ascii"))

    async def post_json(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """POST a document, and read one. Raises as `get`."""
        kind = {"Accept": "application/json", "Content-Type": "application/json"}
        return await self._exchange("POST", url, {**kind, **(headers or {})}, body)

    async def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        origin = self.guard.origin(url)
        await self._literal(origin.host, origin.port)
        proxy = self._proxy(origin)
        if proxy is not None:
            parts = urlsplit(proxy)
            self.guard.trust(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        assert self._session is not None
        self._resolver.refused = None
        try:
            async with self._session.request(
                method,
                URL(url, encoded=True),
                headers=headers,
                data=body,
                proxy=proxy,
                allow_redirects=False,
            ) as answer:
                challenge = ", ".join(answer.headers.getall("WWW-Authenticate", ()))
                return Answer(answer.status, await _document(answer), challenge)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if self._resolver.refused is not None:
                raise self._resolver.refused from None
            why = "did not answer in time" if isinstance(error, TimeoutError) else "cannot be reached"
            raise SignInError("unreachable", f"{origin.host} {why}") from error

    async def judge(self, url: str) -> None:
        """Whether a browser may be sent there. Through a proxy names are looked up by the proxy, and not here.

        Raises:
            SignInError: it may not.
        """
        origin = self.guard.origin(url)
        if self._proxy(origin) is None:
            try:
                await self.guard.addresses(origin.host, origin.port)
            except OSError as error:
                raise SignInError("unreachable", f"{origin.host} has no address") from error
        else:
            await self._literal(origin.host, origin.port)

    def _proxy(self, origin: Origin) -> str | None:
        return proxy_for(origin, self._proxy_env) if self._proxy_env is not None else None

    async def _literal(self, host: str, port: int) -> None:
        """aiohttp looks up names alone: an address that stands in the URL is judged here."""
        if ":" in host or host.replace(".", "").isdigit():
            try:
                await self.guard.addresses(host, port)
            except OSError as error:
                raise SignInError("unreachable", f"{host} cannot be reached") from error


async def _document(answer: aiohttp.ClientResponse) -> dict[str, Any] | None:
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    coding = answer.headers.get("Content-Encoding", "").strip().lower()
    if coding not in ("", "identity") or not (kind == "application/json" or kind.endswith("+json")):
        return None
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > MAX_BYTES:
            return None
    try:
        tree = load(bytes(body), _READ, MAX_BYTES)
    except Refused:
        return None
    return tree if isinstance(tree, dict) else None
