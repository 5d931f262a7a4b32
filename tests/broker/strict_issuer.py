"""An authorization server that believes nobody: every rule a client must keep is checked, and a breach remembered."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode

from aiohttp import BasicAuth, web

Json = dict[str, Any]
VERIFIER = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"


class StrictIssuer:
    """`faults` are the rules somebody broke. Everything it does can be changed while it runs.

    `edit` changes its metadata; `places` says where they are served (by suffix, the issuer's path inserted or
    appended); `answer` changes what the browser brings back; `tokens` what the token endpoint says.
    """

    def __init__(self, path: str = "") -> None:
        self.path = path
        self.base = ""
        self.resource = ""
        self.edit: Callable[[Json], Any] = lambda document: None
        self.answer: Callable[[dict[str, str]], Any] = lambda fields: None
        self.tokens: Callable[[Json], Any] = lambda said: None
        self.places: tuple[str, ...] = (f"/.well-known/oauth-authorization-server{path}",)
        self.expires_in: Any = 3600
        self.rotates = True
        self.refreshable = True
        self.redirects_tokens_to = ""
        self.unavailable = False
        self.holds_tokens: tuple[asyncio.Event, asyncio.Event] | None = None
        self.ignores_people = False
        self.faults: list[str] = []
        self.asked: list[str] = []
        self.registrations: list[Json] = []
        self.authorizations: list[dict[str, str]] = []
        self.clients: dict[str, Json] = {}
        self.access: dict[str, set[str]] = {}
        self.refreshes: dict[str, tuple[str, set[str]]] = {}
        self.revoked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._numbers = itertools.count(1)

    @property
    def issuer(self) -> str:
        return self.base + self.path

    def add_to(self, app: web.Application) -> None:
        """Serve it there."""
        app.middlewares.append(self._noted)
        app.router.add_get("/{anything:.*well-known.*}", self._metadata)
        app.router.add_post(f"{self.path}/register", self._register)
        app.router.add_get(f"{self.path}/authorize", self._authorize)
        app.router.add_post(f"{self.path}/token", self._token)
        app.router.add_post(f"{self.path}/revoke", self._revoke)

    def expire(self) -> None:
        """No access token is good any more."""
        self.access.clear()

    def revoke(self) -> None:
        """No token is good any more."""
        self.access.clear()
        self.refreshes.clear()

    # ---- inside -----------------------------------------------------------------------------------------------------

    @web.middleware
    async def _noted(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        if self.unavailable:
            return web.Response(status=503)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _metadata(self, request: web.Request) -> web.Response:
        if request.path not in self.places:
            return web.Response(status=404)
        document: Json = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "registration_endpoint": f"{self.issuer}/register",
            "revocation_endpoint": f"{self.issuer}/revoke",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
            "authorization_response_iss_parameter_supported": True,
        }
        self.edit(document)
        return web.json_response(document)

    async def _register(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.registrations.append(asked)
        self._check(asked.get("application_type") == "native", "registered as something else than native")
        uris = asked.get("redirect_uris", [])
        self._check(len(uris) == 1 and uris[0].startswith("http://127.0.0.1:"), "a redirect that is not loopback")
        client_id = f"client-{next(self._numbers)}"
        self.clients[client_id] = asked
        return web.json_response({**asked, "client_id": client_id}, status=201)

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        fields = dict(request.query)
        self.authorizations.append(fields)
        if self.ignores_people:
            return web.Response(text="please wait")
        client = self.clients.get(fields.get("client_id", ""), {})
        wrong = [
            name
            for name, right in (
                ("response_type", fields.get("response_type") == "code"),
                ("client_id", bool(client)),
                ("redirect_uri", fields.get("redirect_uri") in client.get("redirect_uris", ())),
                ("code_challenge_method", fields.get("code_challenge_method") == "S256"),
                ("code_challenge", len(fields.get("code_challenge", "")) == 43),
                ("resource", fields.get("resource") == self.resource),
                ("state", len(fields.get("state", "")) >= 32),
            )
            if not right
        ]
        if wrong:
            self.faults += wrong
            return web.Response(status=400, text=f"wrong: {wrong}")
        code = f"code-{next(self._numbers)}"
        self._codes[code] = fields
        said = {"code": code, "state": fields["state"], "iss": self.issuer}
        self.answer(said)
        raise web.HTTPFound(f"{fields['redirect_uri']}?{urlencode(said)}")

    async def _token(self, request: web.Request) -> web.Response:
        if self.redirects_tokens_to:
            return web.Response(status=307, headers={"Location": self.redirects_tokens_to})
        fields = dict(parse_qsl((await request.read()).decode()))
        client = self._client(request, fields)
        self._check(client is not None, "an unknown client asks for tokens")
        self._check(fields.get("resource") == self.resource, "tokens for another resource")
        if fields.get("grant_type") == "authorization_code":
            scopes = self._redeemed(fields, client)
        else:
            scopes = self._renewed(fields, client)
        if scopes is None:
            return web.json_response({"error": "invalid_grant"}, status=400)
        access, refresh = f"access-{next(self._numbers)}", f"refresh-{next(self._numbers)}"
        self.access[access] = scopes
        said: Json = {"access_token": access, "token_type": "Bearer", "expires_in": self.expires_in}
        if scopes:
            said["scope"] = " ".join(sorted(scopes))
        if self.refreshable and (self.rotates or fields["grant_type"] == "authorization_code"):
            self.refreshes[refresh] = (str(client), scopes)
            said["refresh_token"] = refresh
        self.tokens(said)
        if self.holds_tokens is not None:
            taken, may = self.holds_tokens
            taken.set()
            await may.wait()
        return web.json_response(said, headers={"Cache-Control": "no-store"})

    async def _revoke(self, request: web.Request) -> web.Response:
        fields = dict(parse_qsl((await request.read()).decode()))
        self._check(self._client(request, fields) is not None, "an unknown client takes tokens back")
        self.revoked.append(fields["token"])
        self.access.pop(fields["token"], None)
        self.refreshes.pop(fields["token"], None)
        return web.Response()

    def _client(self, request: web.Request, fields: dict[str, str]) -> str | None:
        header = request.headers.get("Authorization")
        if header is not None:
            basic = BasicAuth.decode(header)
            login, password = unquote_plus(basic.login), unquote_plus(basic.password)  # RFC 6749 section 2.3.1
            return login if self.clients.get(login, {}).get("client_secret") == password else None
        client = fields.get("client_id", "")
        return client if client in self.clients and "client_secret" not in self.clients[client] else None

    def _redeemed(self, fields: dict[str, str], client: str | None) -> set[str] | None:
        asked = self._codes.pop(fields.get("code", ""), None)
        verifier = fields.get("code_verifier", "")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        self._check(asked is not None, "a code is used twice")
        self._check(43 <= len(verifier) <= 128 and set(verifier) <= set(VERIFIER), "a verifier of another form")
        if asked is None:
            return None
        right = (
            asked["code_challenge"] == challenge
            and asked["redirect_uri"] == fields.get("redirect_uri")
            and asked["client_id"] == client
        )
        self._check(right, "a code is redeemed by somebody else")
        return set(asked.get("scope", "").split()) if right else None

    def _renewed(self, fields: dict[str, str], client: str | None) -> set[str] | None:
        self._check(fields.get("grant_type") == "refresh_token", "a grant of another kind")
        token = fields.get("refresh_token", "")
        owner, scopes = self.refreshes.get(token, ("", set()))
        if self.rotates:
            self.refreshes.pop(token, None)
        return set(scopes) if owner and owner == client else None

    def _check(self, right: bool, fault: str) -> None:
        if not right:
            self.faults.append(fault)
