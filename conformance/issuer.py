"""Serve an authorization server of this machine's own, strict with every client.

    python -m conformance.issuer --port 0 --audience notes [--no-refresh]

Follows OAuth 2.1, RFC 7591 (registration), RFC 7636 (S256 alone), RFC 8414 (metadata), RFC 8707 (resource indicators),
RFC 9068 (access tokens as JWTs, ES256) and RFC 9207 (`iss` of the answer). Whoever opens the authorization page
consents. A token is for the resource that was named, or for `--audience` where a client of 2025-03-26 names none; its
scopes are those of the request, or of the registration where the request has none (RFC 6749 3.3).
Prints `READY URL`, then one JSON object a line: `{"did": "registered"|"authorized"|"granted", ...}` for what was asked
in order, `{"fault": TEXT}` for each rule that a client broke. Invariant: what is refused is also printed as a fault.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import re
import secrets
import signal
import time
from typing import Any, Final
from urllib.parse import urlencode

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

Json = dict[str, Any]
METADATA: Final = "/.well-known/oauth-authorization-server"
VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")
CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
GRANTS: Final = ("authorization_code", "refresh_token")
KID: Final = "only"


class Fault(Exception):  # noqa: N818 (what a client did, as the log reads it)
    """A client broke a rule. `error` is the code of RFC 6749."""

    def __init__(self, text: str, error: str = "invalid_request") -> None:
        super().__init__(text)
        self.error = error


def put(line: Json) -> None:
    """Print one line."""
    print(json.dumps(line), flush=True)


def want(right: object, text: str, error: str = "invalid_request") -> None:
    """Raises Fault where a rule does not hold."""
    if not right:
        raise Fault(text, error)


class Issuer:
    """Clients, codes and refresh tokens, in memory."""

    def __init__(self, audience: str, *, renews: bool, life_s: int = 3600) -> None:
        self.url = ""
        self._audience = audience
        self._renews = renews
        self._life_s = life_s
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._clients: dict[str, Json] = {}
        self._codes: dict[str, dict[str, str]] = {}
        self._refresh: dict[str, dict[str, str]] = {}

    def app(self) -> web.Application:
        """What is served."""
        app = web.Application(middlewares=[self._strictly])
        app.router.add_get(METADATA, self._metadata)
        app.router.add_get("/jwks", self._keys)
        app.router.add_post("/register", self._register)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        return app

    @web.middleware
    async def _strictly(self, request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            answer: web.StreamResponse = await handler(request)
        except Fault as fault:
            put({"fault": f"{request.path}: {fault}"})
            return web.json_response({"error": fault.error, "error_description": str(fault)}, status=400)
        return answer

    async def _metadata(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "registration_endpoint": f"{self.url}/register",
                "jwks_uri": f"{self.url}/jwks",
                "response_types_supported": ["code"],
                "grant_types_supported": list(GRANTS),
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def _keys(self, _request: web.Request) -> web.Response:
        public = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return web.json_response({"keys": [{**public, "kid": KID, "use": "sig", "alg": "ES256"}]})

    async def _register(self, request: web.Request) -> web.Response:
        asked = await request.json()
        uris = asked.get("redirect_uris")
        want(isinstance(uris, list) and uris, "no redirect_uris", "invalid_redirect_uri")
        want(
            asked.get("token_endpoint_auth_method") == "none", "a client that is not public", "invalid_client_metadata"
        )
        client_id = secrets.token_urlsafe(12)
        self._clients[client_id] = asked
        put({"did": "registered", "name": asked.get("client_name")})
        return web.json_response({**asked, "client_id": client_id, "client_id_issued_at": int(time.time())}, status=201)

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        want(len(set(request.query)) == len(request.query), "a parameter twice")
        asked = {name: str(value) for name, value in request.query.items()}
        client = self._clients.get(asked.get("client_id", ""))
        want(client is not None, "an unknown client", "unauthorized_client")
        assert client is not None
        uri = asked.get("redirect_uri", "")
        want(uri in client["redirect_uris"], "a redirect_uri that was not registered")
        want(asked.get("response_type") == "code", "another response_type", "unsupported_response_type")
        want(asked.get("code_challenge_method") == "S256", "another code_challenge_method")
        want(CHALLENGE.fullmatch(asked.get("code_challenge", "")), "no code_challenge")
        code = secrets.token_urlsafe(24)
        asked.setdefault("scope", client.get("scope", ""))
        self._codes[code] = asked
        put({"did": "authorized", "scope": asked["scope"], "resource": asked.get("resource")})
        back = {"code": code, "iss": self.url, **({"state": asked["state"]} if "state" in asked else {})}
        raise web.HTTPFound(f"{uri}?{urlencode(back)}")

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        want("Authorization" not in request.headers, "a public client with a secret", "invalid_client")
        want(form.get("client_id") in self._clients, "an unknown client", "invalid_client")
        grant = form.get("grant_type")
        want(grant in GRANTS, "another grant", "unsupported_grant_type")
        asked = self._redeemed(form) if grant == "authorization_code" else self._renewed(form)
        want(form["client_id"] == asked["client_id"], "what another client was given", "invalid_grant")
        want(form.get("resource") == asked.get("resource"), "another resource than was consented", "invalid_target")
        put({"did": "granted", "grant": grant, "scope": asked["scope"], "resource": asked.get("resource")})
        return web.json_response(self._tokens(asked), headers={"Cache-Control": "no-store"})

    def _redeemed(self, form: dict[str, str]) -> dict[str, str]:
        asked = self._codes.pop(form.get("code", ""), None)
        want(asked is not None, "a code that is not good, or no more", "invalid_grant")
        assert asked is not None
        verifier = form.get("code_verifier", "")
        want(VERIFIER.fullmatch(verifier), "a code_verifier of another form", "invalid_grant")
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        want(digest == asked["code_challenge"], "a code_verifier of another challenge", "invalid_grant")
        want(form.get("redirect_uri") == asked["redirect_uri"], "another redirect_uri", "invalid_grant")
        return asked

    def _renewed(self, form: dict[str, str]) -> dict[str, str]:
        asked = self._refresh.pop(form.get("refresh_token", ""), None)
        want(asked is not None, "a refresh token that is not good, or no more", "invalid_grant")
        assert asked is not None
        return asked

    def _tokens(self, asked: dict[str, str]) -> Json:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": "ann",
            "aud": asked.get("resource", self._audience),
            "client_id": asked["client_id"],
            "scope": asked["scope"],
            "jti": secrets.token_urlsafe(12),
            "iat": now,
            "exp": now + self._life_s,
        }
        said: Json = {
            "access_token": jwt.encode(claims, self._key, "ES256", {"kid": KID, "typ": "at+jwt"}),
            "token_type": "Bearer",
            "expires_in": self._life_s,
            "scope": asked["scope"],
        }
        if self._renews:
            said["refresh_token"] = secrets.token_urlsafe(24)
            self._refresh[said["refresh_token"]] = asked
        return said


async def serve(options: argparse.Namespace) -> None:
    """Until SIGTERM."""
    issuer, stop = Issuer(options.audience, renews=options.renews), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runner = web.AppRunner(issuer.app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", options.port).start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    print(f"READY {issuer.url}", flush=True)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m conformance.issuer")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--audience", required=True, help="of tokens for clients that name no resource")
    parser.add_argument("--no-refresh", dest="renews", action="store_false", help="give no refresh tokens")
    asyncio.run(serve(parser.parse_args()))
