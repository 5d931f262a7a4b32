"""Serve one tool that wants a person to sign in, and the SDK's own authorization server: `--port N --life S`.

Prints `READY http://127.0.0.1:N/mcp` once the socket accepts; ends on SIGTERM. The person consents at once: the
authorization page sends the browser straight back. Access tokens live `--life` seconds, refresh tokens are good once.
"""

from __future__ import annotations

import argparse
import logging
import secrets
import socket
import time
from typing import Any

import uvicorn
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from mcp.shared.auth import OAuthToken

try:
    from mcp.server.fastmcp import FastMCP as Server
except ImportError:
    from mcp.server import MCPServer as Server

SCOPE = "use"


class Provider:
    """The SDK's storage interface, in memory."""

    def __init__(self, life_s: int) -> None:
        self.life_s = life_s
        self.clients: dict[str, Any] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.access: dict[str, AccessToken] = {}
        self.refresh: dict[str, RefreshToken] = {}
        self.resources: dict[str, str | None] = {}  # of refresh tokens, which not every release keeps them in

    async def get_client(self, client_id: str) -> Any:
        """A client that registered itself."""
        return self.clients.get(client_id)

    async def register_client(self, client_info: Any) -> None:
        """Any client may."""
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client: Any, params: Any) -> str:
        """Back to the client, with a code."""
        code = secrets.token_urlsafe(24)
        more = {"resource": params.resource} if hasattr(params, "resource") else {}
        self.codes[code] = AuthorizationCode(
            code=code,
            client_id=client.client_id,
            scopes=params.scopes or [SCOPE],
            expires_at=time.time() + 60,
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            **more,
        )
        return construct_redirect_uri(str(params.redirect_uri), code=code, state=params.state)

    async def load_authorization_code(self, client: Any, authorization_code: str) -> AuthorizationCode | None:
        """The SDK checks the verifier against it."""
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(self, client: Any, authorization_code: AuthorizationCode) -> OAuthToken:
        """Once."""
        del self.codes[authorization_code.code]
        return self._tokens(client.client_id, authorization_code.scopes, getattr(authorization_code, "resource", None))

    async def load_refresh_token(self, client: Any, refresh_token: str) -> RefreshToken | None:
        """Of whatever client; the SDK compares."""
        return self.refresh.get(refresh_token)

    async def exchange_refresh_token(self, client: Any, refresh_token: RefreshToken, scopes: list[str]) -> OAuthToken:
        """Once."""
        del self.refresh[refresh_token.token]
        return self._tokens(client.client_id, scopes or refresh_token.scopes, self.resources.pop(refresh_token.token))

    async def load_access_token(self, token: str) -> AccessToken | None:
        """While it lives."""
        found = self.access.get(token)
        return found if found is not None and (found.expires_at or 0) > time.time() else None

    async def revoke_token(self, token: Any) -> None:
        """Either kind."""
        self.access.pop(token.token, None)
        self.refresh.pop(token.token, None)

    def _tokens(self, client_id: str, scopes: list[str], resource: str | None) -> OAuthToken:
        access, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        expires_at = int(time.time()) + self.life_s
        more = {"resource": resource} if resource is not None else {}
        self.access[access] = AccessToken(
            token=access, client_id=client_id, scopes=scopes, expires_at=expires_at, **more
        )
        self.resources[refresh] = resource
        self.refresh[refresh] = RefreshToken(token=refresh, client_id=client_id, scopes=scopes)
        return OAuthToken(
            access_token=access,
            token_type="Bearer",
            expires_in=self.life_s,
            scope=" ".join(scopes),
            refresh_token=refresh,
        )


def without_delete(app: Any) -> Any:
    """The app, whose sessions no client ends: in release 1.9.4 the end of one ends them all."""

    async def guarded(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "DELETE":
            await send({"type": "http.response.start", "status": 405, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await app(scope, receive, send)

    return guarded


class Announcing(uvicorn.Server):
    """A uvicorn server that says when it accepts."""

    url: str

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print the READY line."""
        await super().startup(sockets)
        print(f"READY {self.url}", flush=True)


def main() -> None:
    """Parse the command line and serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--life", type=int, default=3600)
    options = parser.parse_args()
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    listener = socket.create_server(("127.0.0.1", options.port))
    root = f"http://127.0.0.1:{listener.getsockname()[1]}"
    first = "resource_server_url" not in AuthSettings.model_fields
    url = f"{root}/mcp/" if first else f"{root}/mcp"  # a folder where later releases have an endpoint
    settings: dict[str, Any] = {
        "issuer_url": root,
        "client_registration_options": ClientRegistrationOptions(
            enabled=True, valid_scopes=[SCOPE], default_scopes=[SCOPE]
        ),
        "revocation_options": RevocationOptions(enabled=True),
        "required_scopes": [SCOPE],
    }
    if not first:
        settings["resource_server_url"] = url
    if "validate_token_resource" in AuthSettings.model_fields:
        settings["validate_token_resource"] = True
    server: Any = Server("protected", auth_server_provider=Provider(options.life), auth=AuthSettings(**settings))

    @server.tool()
    def whoami() -> str:
        """Say that the caller was let in."""
        return "somebody"

    app = server.streamable_http_app()
    announcing = Announcing(
        uvicorn.Config(
            without_delete(app) if first else app,
            log_level="critical",
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=1,
        )
    )
    announcing.url = url
    announcing.run(sockets=[listener])
