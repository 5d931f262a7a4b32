"""What signing in gives, as it is kept."""

from __future__ import annotations

from typing import Literal

import msgspec


class Client(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who the broker is at one issuer. `kind`: how it came to be; `auth_method` as token endpoints name it."""

    id: str
    kind: Literal["configured", "document", "registered"]
    auth_method: Literal["none", "client_secret_basic", "client_secret_post"] = "none"
    secret: str = ""
    redirect_uri: str = ""
    scopes: tuple[str, ...] = ()
    secret_expires_at: float = 0.0

    def __repr__(self) -> str:
        """Without the secret."""
        return f"<Client {self.kind}>"


class Grant(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One person's access to one server, bound to the issuer that gave it. Times in Unix seconds, 0 for unknown.

    `server` is the server's canonical URI, `resource` what the issuer was told it is; `asked` the scopes that were
    asked for, `scopes` those that were given.
    """

    server: str
    issuer: str
    resource: str
    token_endpoint: str
    revocation_endpoint: str = ""
    client: Client
    access_token: str = ""
    refresh_token: str = ""
    expires_at: float = 0.0
    asked: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without the tokens."""
        return f"<Grant for {self.server} by {self.issuer}>"

    @property
    def line(self) -> bytes:
        """The header line of a request."""
        return b"authorization: Bearer %b\r\n" % self.access_token.encode("ascii") if self.access_token else b""
