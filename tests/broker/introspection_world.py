"""A broker that asks its issuer about tokens (RFC 7662), and tokens of that issuer's which are no JWTs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.broker.issuer_world import Server
from tests.broker.scripted_backend import Client, Json, World, world
from tests.broker.test_admission import guarded

BOUND_S = 5.0
"""What is taken back at the issuer has ended by then."""

FAST: Json = {"introspection_fresh_s": 0.3, "introspection_refused_s": 0.3, "revocation_s": 0.05, "token_leeway_s": 0}
CLIENT: Json = {"client_id": "the broker", "client_secret": "a:secret"}


@asynccontextmanager
async def asking(
    new: Any = world, introspection: Json | None = None, **settings: Any
) -> AsyncIterator[tuple[World, Server]]:
    """A broker that asks its issuer about each token."""
    section = {**CLIENT, **(introspection or {})}
    async with guarded(new=new, introspection=section, **{"limits": FAST, **settings}) as (here, server):
        yield here, server


def opaque(here: World, server: Server, name: str = "opaque-1", client: Client | None = None, **claims: Any) -> str:
    """A token of the issuer's that is no JWT, which the client shows from now on."""
    said = server.claims(aud=f"http://127.0.0.1:{here.port}/mcp", client_id="app", token_type="Bearer", **claims)
    server.opaque[name] = said
    (client or here.client).headers = {"Authorization": f"Bearer {name}"}
    return name


def asked(server: Server) -> int:
    return server.asked["/introspect"]
