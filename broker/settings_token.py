"""`servers.NAME.token`: access tokens that the broker gets for a server by itself, for everybody or for each caller."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from broker.settings_identity import check_client, checked_address
from broker.settings_section import ExistingFile, Scope, Secret, Section


class BackendToken(Section):
    """How the broker comes by the access token it shows to a server."""

    grant: Literal["client-credentials", "token-exchange"] = Field(
        default="client-credentials",
        description="`client-credentials`: its own; `token-exchange` (RFC 8693): one for each caller's, by its token.",
    )
    issuer: str = Field(description="The authorization server, the only one that is asked.")
    token_endpoint: str = Field(default="", description="Where it gives tokens; absent: as its metadata say.")
    client_id: str = Field(min_length=1, max_length=512, description="Who the broker is there.")
    client_secret: Secret = Field(description="That client's secret: text | env:VAR | file:PATH.")
    auth_method: Literal["client_secret_basic", "client_secret_post"] = Field(
        default="client_secret_basic", description="How the secret is shown."
    )
    scopes: tuple[Scope, ...] = Field(default=(), description="Scopes that are asked for.")
    resource: str = Field(default="", description="What the token is for (RFC 8707); absent: the server's address.")
    audience: str = Field(default="", max_length=512, description="For issuers that want an `audience` as well.")
    ca_bundle: ExistingFile | None = Field(default=None, description="PEM file that replaces the system's authorities.")

    @field_validator("issuer", "token_endpoint")
    @classmethod
    def _reachable(cls, value: str) -> str:
        return checked_address(value)

    @model_validator(mode="after")
    def _sendable(self) -> Self:
        check_client(self.client_id, self.client_secret)
        return self
