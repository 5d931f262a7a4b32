"""Who may call, as the configuration says it: keys, issuers of access tokens, certificates, and the broker's own TLS.

Invariants: what is named here is all that is trusted; an audience is always asked of a token; addresses of issuers are
https, or http on this machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, WithJsonSchema, field_validator, model_validator

from broker.edge_names import parse_host
from broker.identity.fetching import is_fetchable
from broker.identity.keys import ALGORITHMS
from broker.identity.principal import Principal
from broker.settings_section import ExistingFile, Scope, Secret, Section

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class CallerKey(Section):
    """A caller's bearer key, and what it may do where servers ask for scopes."""

    sha256: Digest = Field(description="SHA-256 of the bearer key in hex; `dragoman key new` makes both.")
    scopes: tuple[Scope, ...] = Field(default=(), description="Scopes the caller has.")


def _spelled_out(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError("expected the SHA-256 of a key in hex, or its `sha256` and `scopes`")
    return {"sha256": value}


KeyOrDigest = Annotated[
    CallerKey,
    BeforeValidator(_spelled_out),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": "^[0-9a-f]{64}$"}, CallerKey.model_json_schema()]}),
]
"""A caller's key; of one without scopes, its digest will do."""


def check_client(client_id: str, client_secret: SecretStr) -> None:
    """What the broker shows an issuer of itself must fit a header. Raises ValueError for what does not."""
    if not (client_id.isascii() and client_secret.get_secret_value().isascii()):
        raise ValueError("expected a client_id and client_secret of ASCII characters")


class Introspection(Section):
    """Where an issuer says whether a token is good, and who the broker is there."""

    endpoint: str = Field(default="", description="Its address; absent: as its metadata say, on its own host.")
    client_id: str = Field(min_length=1, max_length=512, description="Who the broker is there.")
    client_secret: Secret = Field(description="That client's secret: text | env:VAR | file:PATH.")
    auth_method: Literal["client_secret_basic", "client_secret_post"] = Field(
        default="client_secret_basic", description="How the secret is shown."
    )
    opaque: bool = Field(
        default=True, description="Whether tokens that are no JWTs are asked about there; at one issuer at most."
    )

    @field_validator("endpoint")
    @classmethod
    def _reachable(cls, value: str) -> str:
        return checked_address(value)

    @model_validator(mode="after")
    def _sendable(self) -> Self:
        check_client(self.client_id, self.client_secret)
        return self


class Issuer(Section):
    """An authorization server whose access tokens name callers."""

    issuer: str = Field(description="Its identifier, exactly as tokens have it in `iss`.")
    audiences: tuple[Annotated[str, Field(min_length=1, max_length=512)], ...] = Field(
        default=(),
        description="What `aud` may be beside a server's own address, for issuers that know no resource indicators.",
    )
    jwks_uri: str = Field(default="", description="Where its keys are; absent: as its metadata say, on its own host.")
    algorithms: tuple[Literal[ALGORITHMS], ...] = Field(  # type: ignore[valid-type]
        default=("RS256", "PS256", "ES256", "ES384", "EdDSA"), description="Signatures that are accepted.", min_length=1
    )
    principal_claim: str = Field(
        default="sub", min_length=1, max_length=64, description="The claim that names a caller among the issuer's."
    )
    ca_bundle: ExistingFile | None = Field(default=None, description="PEM file that replaces the system's authorities.")
    introspection: Introspection | None = Field(
        default=None,
        description="Where the issuer is asked about each token (RFC 7662), whether it is good still; absent: nowhere.",
    )

    @field_validator("issuer", "jwks_uri")
    @classmethod
    def _reachable(cls, value: str) -> str:
        return checked_address(value)


class ClientName(Section):
    """A caller by its certificate: one of the members says how it is recognised."""

    subject: str | None = Field(default=None, description="The whole subject, as RFC 4514 writes it.")
    uri: str | None = Field(default=None, description="A URI among its subject alternative names.")
    dns: str | None = Field(default=None, description="A DNS name among them.")
    email: str | None = Field(default=None, description="An e-mail address among them.")
    sha256: Digest | None = Field(default=None, description="SHA-256 of the certificate (DER) in hex.")
    scopes: tuple[Scope, ...] = Field(default=(), description="Scopes the caller has.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        said = [name for name in ("subject", "uri", "dns", "email", "sha256") if getattr(self, name)]
        if len(said) != 1:
            raise ValueError("expected one of: subject, uri, dns, email, sha256")
        return self


class Tls(Section):
    """TLS towards clients."""

    certificate: ExistingFile = Field(description="PEM file with the certificate and its chain.")
    key: ExistingFile | None = Field(default=None, description="PEM file with its key, if that is another one.")
    client_ca: ExistingFile | None = Field(
        default=None, description="PEM file with the authorities of clients' certificates; absent: none are asked for."
    )
    client_certificates: Literal["required", "optional"] = Field(
        default="required", description="Of clients, once there is `client_ca`: whether each must show one."
    )
    clients: dict[Name, ClientName] = Field(
        default={},
        description="Callers by their certificates. Without any, each certificate is a caller, by its subject.",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.client_ca is None and self.clients:
            raise ValueError("clients need client_ca")
        return self


def checked_address(value: str) -> str:
    """The address of a document or endpoint of an issuer, or an empty text. Raises ValueError."""
    if value and not is_fetchable(value):
        raise ValueError("expected an https:// address (http:// only on this machine), without user or fragment")
    return value


class Pipe(Section):
    """Who the client of `dragoman stdio` is. A pipe proves one thing, that whoever started the broker holds its end."""

    key: str = Field(default="", description="One of `keys`: it is that caller, without showing the key.")
    name: str = Field(default="", pattern=r"^[A-Za-z0-9._@-]{0,64}$", description="Else: `local:NAME`, not `local`.")
    scopes: tuple[Scope, ...] = Field(default=(), description="Scopes it has; those of `key` are that key's.")
    claims: dict[str, Any] = Field(default={}, description="What rules see where a token would prove something.")

    def principal(self, keys: Mapping[str, CallerKey]) -> Principal:
        """The caller, of a broker with these keys."""
        if self.key:
            return Principal(f"key:{self.key}", "key", scopes=frozenset(keys[self.key].scopes))
        return Principal(f"local:{self.name}" if self.name else "local", "local", self.claims, frozenset(self.scopes))

    def check(self, keys: Mapping[str, CallerKey]) -> None:
        """Raises ValueError for a caller that there cannot be."""
        if self.key and self.key not in keys:
            raise ValueError("pipe.key: expected a name of `keys`")
        if self.key and (self.name or self.scopes or self.claims):
            raise ValueError("pipe: name, scopes and claims are for a caller without `key`")


def checked_public_url(value: str) -> str:
    """An address without path, in one spelling. Raises ValueError."""
    if not value:
        return value
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("expected http:// or https:// with a host and, if needed, a port; no path")
    if parse_host(parts.netloc) is None:
        raise ValueError("expected http:// or https:// with a host and, if needed, a port; no path")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def different_issuers(value: tuple[Issuer, ...]) -> tuple[Issuer, ...]:
    """Raises ValueError for one that is there twice, and for two that are asked about tokens of unknown origin."""
    if len({each.issuer for each in value}) != len(value):
        raise ValueError("an issuer is there twice")
    if sum(each.introspection is not None and each.introspection.opaque for each in value) > 1:
        # What one issuer made out is not for another to see.
        raise ValueError("tokens that are no JWTs name no issuer: say `introspection.opaque: false` for all but one")
    return value
