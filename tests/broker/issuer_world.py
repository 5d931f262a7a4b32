"""An authorization server on this machine: its keys, its documents, its tokens, and what can be wrong with them."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

Json = dict[str, Any]
NOW = 1_800_000_000.0
"""Seconds since the epoch, for tests with a clock of their own."""

RSA = rsa.generate_private_key(65537, 2048)
RSA_OTHER = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
PEM = RSA.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)  # fmt: skip


def jwk(key: Any, kid: str | None, **more: Any) -> Json:
    """The public half as a member of a JWK Set."""
    kinds: list[tuple[type, Callable[..., Any]]] = [
        (rsa.RSAPrivateKey, RSAAlgorithm.to_jwk),
        (ec.EllipticCurvePrivateKey, ECAlgorithm.to_jwk),
        (ed25519.Ed25519PrivateKey, OKPAlgorithm.to_jwk),
    ]
    write = next(write for kind, write in kinds if isinstance(key, kind))
    named = {} if kid is None else {"kid": kid}
    return {**write(key.public_key(), as_dict=True), **named, "use": "sig", **more}


KEYS = [jwk(RSA, "r1"), jwk(P256, "e1"), jwk(ED, "d1")]


def part(value: Any) -> str:
    """One part of a compact JWS."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(claims: Json | bytes, *, key: Any = RSA, alg: str = "RS256", **header: Any) -> str:
    """A token of these claims; `header` adds members, None takes one out."""
    head = {"alg": alg, "typ": "JWT", "kid": "r1", **header}
    head = {name: value for name, value in head.items() if value is not None}
    signing = f"{part(head)}.{part(claims)}"
    algorithm = jwt.algorithms.get_default_algorithms()[alg]
    if alg.startswith("HS"):  # PyJWT refuses to make what an attacker would
        import hashlib
        import hmac

        return f"{signing}.{part(hmac.new(key, signing.encode(), hashlib.sha256).digest())}"
    return f"{signing}.{part(algorithm.sign(signing.encode(), key))}"


def claims_of(token: str) -> str:
    """The claims of a token, as JSON."""
    middle = token.split(".")[1]
    return base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)).decode()


class Server:
    """An authorization server over HTTP. `keys` are what it publishes now; `broken` is answered instead."""

    def __init__(self) -> None:
        self.keys: list[Json] = list(KEYS)
        self.url = ""
        self.asked: Counter[str] = Counter()
        self.forms: list[tuple[Json, dict[str, str]]] = []
        self.broken: Callable[[], web.StreamResponse] | None = None
        self.hold: asyncio.Event | None = None
        self.metadata: Json = {}
        self.token: Callable[[Json], web.StreamResponse] = lambda form: web.json_response({})
        self.opaque: dict[str, Json] = {}
        """What it says of tokens that are no JWTs."""
        self.taken_back: set[str] = set()
        self.told: Callable[[Json], web.StreamResponse] = self.introspected
        self.path = "/.well-known/oauth-authorization-server"

    def claims(self, **more: Any) -> Json:
        """Those of a good token, at the real time; None takes one out."""
        now = int(time.time())
        said = {"iss": self.url, "sub": "ann", "iat": now, "exp": now + 300, "scope": "read write", **more}
        return {name: value for name, value in said.items() if value is not None}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        self.asked[request.path] += 1
        if self.hold is not None:
            await self.hold.wait()
        if self.broken is not None:
            return self.broken()
        if request.path == "/jwks":
            return web.json_response({"keys": self.keys})
        if request.path == self.path:
            return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/jwks", **self.metadata})
        if request.path == "/token":
            form = dict(await request.post())
            self.forms.append((form, dict(request.headers)))
            return self.token(form)
        if request.path == "/introspect":
            form = dict(await request.post())
            self.forms.append((form, dict(request.headers)))
            return self.told(form)
        return web.Response(status=404)

    def introspected(self, form: Json) -> web.StreamResponse:
        """RFC 7662: any JWT is good, and of other tokens those that it knows, until they are taken back."""
        token = form["token"]
        known = token.count(".") == 2 or token in self.opaque
        if not known or token in self.taken_back:
            return web.json_response({"active": False})
        return web.json_response({"active": True, **self.opaque.get(token, {})})


@asynccontextmanager
async def issuing() -> AsyncIterator[Server]:
    """A server that is up; afterwards it is down."""
    server = Server()
    runner = web.ServerRunner(web.Server(server.handle), shutdown_timeout=0.1)  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        if server.hold is not None:
            server.hold.set()
        await runner.cleanup()
