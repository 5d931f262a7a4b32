"""A client application's half of signing in: what it remembers, and a person who consents to everything at once.

The SDK does the rest by itself, from the first 401 to the retried request. Releases differ in what the person's answer
is handed back as; the first to check `iss` takes a result with three members.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio.to_thread
from mcp.client.auth import OAuthClientProvider
from mcp.shared import auth as shared

CALLBACK = "http://127.0.0.1:1/callback"  # nobody listens there: the browser's next address is read, not visited
TIMEOUT = 30.0  # seconds for a page


class Memory:
    """The SDK's storage interface."""

    def __init__(self) -> None:
        self.tokens: Any = None
        self.client: Any = None

    async def get_tokens(self) -> Any:
        """What was granted."""
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        """Remember it."""
        self.tokens = tokens

    async def get_client_info(self) -> Any:
        """The registration."""
        return self.client

    async def set_client_info(self, client_info: Any) -> None:
        """Remember it."""
        self.client = client_info


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing."""


class Person:
    """Opens the page and consents; then there is an answer."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}

    async def browse(self, page: str) -> None:
        """Open the authorization page; it sends straight back."""
        location = await anyio.to_thread.run_sync(self._visit, page)
        assert location.startswith(CALLBACK), location
        self.fields = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}

    async def answer(self) -> Any:
        """What the callback was called with."""
        code, state, issuer = (self.fields.get(name) for name in ("code", "state", "iss"))
        if hasattr(shared, "AuthorizationCodeResult"):
            return shared.AuthorizationCodeResult(code=code, state=state, iss=issuer)
        return code, state

    @staticmethod
    def _visit(page: str) -> str:
        try:
            with urllib.request.build_opener(_Stay).open(page, timeout=TIMEOUT) as answer:
                return f"no redirect but HTTP {answer.status}"
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.headers.get("Location") or f"no redirect but HTTP {answer.status}: {answer.read()!r}"


def sign_in(url: str, scope: str) -> OAuthClientProvider:
    """What the SDK's HTTP client is given as `auth`. `scope`: what is asked for where no challenge says it."""
    metadata = shared.OAuthClientMetadata(
        client_name="python-scripted",
        redirect_uris=[CALLBACK],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method="none",
        scope=scope or None,
    )
    person = Person()
    return OAuthClientProvider(url, metadata, Memory(), person.browse, person.answer)
