"""An issuer of access tokens in the harness's own process: a real key, published over HTTP, and tokens signed with it.

Follows RFC 7517 (the set of keys) and RFC 9068 (the tokens). Invariant: tokens outlive the run, and no two are equal.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

AUDIENCE: Final = "bench"
LIFE_S: Final = 3600


class Issuer:
    """The key, and where it is published."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.url = ""
        published: dict[str, Any] = ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        self.keys = msgspec.json.encode({"keys": [{**published, "kid": "bench", "use": "sig", "alg": "ES256"}]})

    @property
    def section(self) -> dict[str, Any]:
        """What a configuration says of this issuer."""
        return {"issuer": self.url, "jwks_uri": f"{self.url}/jwks", "audiences": [AUDIENCE]}

    def tokens(self, count: int) -> tuple[str, ...]:
        """One token for each of so many callers of one tenant."""
        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "iat": now, "exp": now + LIFE_S, "tenant": "acme", "scope": "read"}
        return tuple(
            jwt.encode({**said, "sub": f"caller-{at}"}, self.key, "ES256", {"kid": "bench"}) for at in range(count)
        )

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request with the keys."""
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % len(self.keys) + self.keys)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def issuing() -> AsyncIterator[Issuer]:
    """An issuer on a free port."""
    issuer = Issuer()
    server = await asyncio.start_server(issuer.serve, "127.0.0.1", 0)
    issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield issuer
    finally:
        server.close()
