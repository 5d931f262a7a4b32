"""The configuration, validated once: who is served, where to, and within which limits.

`Settings.load(path)` reads a file, `Settings.for_proxy(...)` builds the one-server form of `dragoman proxy`.
Invariants: unknown keys are refused, an empty allow-list allows nothing, no repr shows a secret, and what
would make the broker open to the network without a key is refused unless it was asked for by name.
"""

from __future__ import annotations

import ipaddress
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator

from broker.settings_audit import Audit
from broker.settings_backend import Backend
from broker.settings_file import SettingsError, problems_of, read
from broker.settings_identity import (
    CallerKey,
    Digest,
    Issuer,
    KeyOrDigest,
    Pipe,
    Tls,
    checked_public_url,
    different_issuers,
)
from broker.settings_limits import Limits
from broker.settings_policy import OwnHook, Policy, check_together
from broker.settings_quotas import Forwarded, Quotas
from broker.settings_sanitise import Clearance, Sanitise
from broker.settings_section import SPOKEN, ExistingFile, Filter, RevisionId, Rule, Secret, Section
from broker.settings_telemetry import Telemetry

__all__ = ["Backend", "Filter", "Limits", "Log", "Rule", "Settings", "SettingsError"]

DEFAULT_PORT = 8808
PROXY_NAME = "default"  # the one server of `dragoman proxy`, served at /mcp

_NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"


class Log(Section):
    """How the broker reports on stderr."""

    format: Literal["auto", "json", "pretty"] = Field(default="auto", description="`auto`: pretty on a terminal.")
    level: Literal["debug", "info", "warning", "error"] = "info"


class StatusPort(Section):
    """Where health and status are answered; without a port, nowhere."""

    host: str = Field(default="127.0.0.1", description="Address of the status port.")
    port: int | None = Field(default=None, ge=0, le=65535, description="The status port; 0 picks a free one.")
    admin_key: Digest | None = Field(
        default=None, description="SHA-256 of the key that may revoke (`POST /revocations`); absent: nobody may."
    )


class Settings(Section):
    """The whole configuration."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=DEFAULT_PORT, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    client_revisions: Literal["all"] | tuple[RevisionId, ...] = Field(
        default="all", description="Revisions spoken towards clients."
    )
    servers: dict[Annotated[str, Field(pattern=_NAME)], Backend] = Field(
        description="The backends by name; each is served at /servers/NAME/mcp.", min_length=1
    )
    allowed_hosts: tuple[str, ...] = Field(default=(), description="Host headers accepted besides the address itself.")
    allowed_origins: tuple[str, ...] = Field(default=(), description="Origins of web pages that may use the broker.")
    keys: dict[Annotated[str, Field(pattern=_NAME)], KeyOrDigest] = Field(
        default={}, description="Callers: NAME: sha256 of the bearer key in hex; `dragoman key new` makes both."
    )
    pipe: Pipe = Field(default=Pipe(), description="Who the client of `dragoman stdio` is.")
    issuers: tuple[Issuer, ...] = Field(
        default=(), description="Authorization servers whose access tokens name callers; the first serves old clients."
    )
    public_url: str = Field(
        default="", description="Where clients reach the broker, if not at its own address: https://mcp.example.com"
    )
    revoked: ExistingFile | None = Field(
        default=None, description="File of what was revoked: token ids or digests, callers; read again when it changes."
    )
    expired_calls: Literal["end", "finish"] = Field(
        default="end",
        description="Calls whose token expires before they are answered: `end` unless their caller has shown another.",
    )
    tls: Tls | None = Field(default=None, description="TLS towards clients; absent: plain HTTP.")
    anonymous: Literal["auto", "allow", "refuse"] = Field(
        default="auto",
        description="`auto`: callers without a key are served on loopback while no keys are configured.",
    )
    strict_version_header: bool = Field(
        default=False, description="Refuse (400) an MCP-Protocol-Version that is known but not the session's own."
    )
    seal_keys: tuple[Secret, ...] = Field(
        default=(),
        description="Keys that seal what 2026-07-28 clients carry for backends: text | env:VAR | file:PATH, 32 random "
        "bytes in base64url each. The first seals, all open; absent: one made at start, which a restart forgets.",
    )
    clearance: Clearance = Field(default=Clearance(), description="How much a caller may see.")
    sanitise: Sanitise = Field(
        default=Sanitise(), description="What is taken out of what backends say, by the caller's clearance."
    )
    policy: Policy = Field(default=Policy(), description="Rules on who may do what, of every server.")
    hooks: tuple[OwnHook, ...] = Field(default=(), description="Hooks of your own that judge what passes, in order.")
    limits: Limits = Field(default=Limits(), description="Deadlines and limits.")
    quotas: Quotas = Field(default=Quotas(), description="How many calls there may be in a time, and at once, by whom.")
    forwarded: Forwarded | None = Field(
        default=None, description="Proxies before the broker that say whose requests they pass on."
    )
    status: StatusPort = Field(default=StatusPort(), description="Where health and status are answered.")
    telemetry: Telemetry = Field(default=Telemetry(), description="What is measured and traced of calls.")
    tap: Path | None = Field(default=None, description="Write every frame to this file, as JSON lines.")
    audit: Audit | None = Field(default=None, description="Write an audit log; absent: none is written.")
    log: Log = Field(default=Log(), description="Format and level of the log.")
    single: bool = Field(default=False, exclude=True, description="Serve the only server at /mcp.")

    @field_validator("client_revisions")
    @classmethod
    def _some(cls, value: Literal["all"] | tuple[str, ...]) -> Literal["all"] | tuple[str, ...]:
        if value != "all" and (not value or len(set(value)) != len(value)):
            raise ValueError("expected `all` or a list of different revisions")
        return value

    @field_validator("host")
    @classmethod
    def _address(cls, value: str) -> str:
        if value == "localhost":
            return "127.0.0.1"
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            raise ValueError("expected an IP address, or localhost") from None

    @field_validator("keys")
    @classmethod
    def _different(cls, value: dict[str, CallerKey]) -> dict[str, CallerKey]:
        if len({each.sha256 for each in value.values()}) != len(value):
            raise ValueError("two names have the same key")
        return value

    @field_validator("public_url")
    @classmethod
    def _public(cls, value: str) -> str:
        return checked_public_url(value)

    @field_validator("issuers")
    @classmethod
    def _different_issuers(cls, value: tuple[Issuer, ...]) -> tuple[Issuer, ...]:
        return different_issuers(value)

    @field_validator("seal_keys")
    @classmethod
    def _keys(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        from broker.seal import key_of

        if len({key_of(each.get_secret_value()) for each in value}) != len(value):
            raise ValueError("a key is there twice")
        return value

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        from broker.edge_names import host_pattern, origin_pattern

        for entry in self.allowed_hosts:
            host_pattern(entry, 0)
        for entry in self.allowed_origins:
            origin_pattern(entry)
        if ipaddress.ip_address(self.host).is_unspecified and not self.allowed_hosts:
            raise ValueError(f"host {self.host} listens everywhere: allowed_hosts must say under which names")
        if any(backend.sign_in for backend in self.servers.values()) and (not self.local or self.identifies):
            # Whoever calls would do so in the name of the one person who signed in.
            raise ValueError(
                "sign_in is for one person's broker: on a loopback address, where nobody shows who they are"
            )
        if not self.local and not self.identifies and self.anonymous == "auto":
            raise ValueError(
                "others than this machine can reach the broker: configure keys or issuers, or `anonymous: allow`"
            )
        if self.anonymous == "refuse" and not self.identifies:
            raise ValueError("`anonymous: refuse` without keys, issuers or client_ca would refuse everybody")
        if self.issuers and not self.local and not self.public_url:
            raise ValueError("issuers need public_url: tokens are made out to the address that clients know")
        for rule in self.sanitise.rules:
            rule.actions(self.clearance.levels)
        if any(backend.exchanges for backend in self.servers.values()) and not self.issuers:
            raise ValueError("token-exchange needs issuers: there is nothing to exchange but callers' access tokens")
        check_together(self.policy, ((name, backend.policy) for name, backend in self.servers.items()))
        self.pipe.check(self.keys)
        if self.single and len(self.servers) != 1:
            raise ValueError("expected one server")
        return self

    @cached_property
    def local(self) -> bool:
        """True if only this machine can be meant: a loopback address, and no other name leads to it."""
        from broker.edge_names import is_local_name

        address = ipaddress.ip_address(self.host)
        return address.is_loopback and all(is_local_name(entry) for entry in self.allowed_hosts)

    @cached_property
    def identifies(self) -> bool:
        """True if callers can show who they are."""
        return bool(self.keys or self.issuers or (self.tls is not None and self.tls.client_ca is not None))

    @cached_property
    def anonymous_allowed(self) -> bool:
        """True if callers without a credential are served."""
        return self.anonymous == "allow" or (self.anonymous == "auto" and self.local and not self.identifies)

    @property
    def measured(self) -> bool:
        """True if calls are measured."""
        return self.status.port is not None and self.telemetry.metrics

    @property
    def scheme(self) -> str:
        """How the broker itself is spoken to."""
        return "http" if self.tls is None else "https"

    @cached_property
    def revisions(self) -> tuple[str, ...]:
        """The revisions spoken towards clients, oldest first."""
        return tuple(known for known in SPOKEN if self.client_revisions == "all" or known in self.client_revisions)

    def path_of(self, name: str, end: str = "mcp") -> str:
        """The path a server is served at; `sse` and `messages` are the ends of the HTTP+SSE pair."""
        return f"/{end}" if self.single else f"/servers/{name}/{end}"

    def secrets(self) -> list[str]:
        """Every secret in the clear, for redaction."""
        headers = [value for backend in self.servers.values() for value in backend.request_headers().values()]
        headers += [value for backend in self.servers.values() for value in backend.environment().values()]
        signing = (backend.sign_in_options for backend in self.servers.values())
        headers += [options.client_secret for options in signing if options is not None and options.client_secret]
        tokens = (backend.token for backend in self.servers.values())
        asking = (each.introspection for each in self.issuers)
        headers += [each.client_secret.get_secret_value() for each in (*tokens, *asking) if each is not None]
        hashes = [] if self.sanitise.hash_key is None else [self.sanitise.hash_key]
        hooks = [*self.hooks, *(hook for backend in self.servers.values() for hook in backend.hooks)]
        signs = [hook.secret for hook in hooks if hook.secret is not None]
        return headers + [key.get_secret_value() for key in (*self.seal_keys, *hashes, *signs)]

    @classmethod
    def build(cls, tree: dict[str, Any]) -> Self:
        """Settings of a tree as a file holds it.

        Raises:
            SettingsError: with one line per problem.
        """
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise SettingsError(problems_of(error)) from None

    @classmethod
    def load(cls, path: Path | str, **overrides: Any) -> Self:
        """Settings of a YAML, TOML or JSON file; `overrides` replace members of the top.

        Raises:
            SettingsError: with one line per problem.
        """
        path = Path(path)
        try:
            tree = read(path)
            tree.pop("$schema", None)  # for editors
            if "single" in tree:
                raise SettingsError(["single: unknown key"])
            return cls.build({**tree, **overrides})
        except SettingsError as error:
            lines = [line if line.startswith(str(path)) else f"{path}: {line}" for line in error.problems]
            raise SettingsError(lines) from None

    @classmethod
    def for_proxy(
        cls, target: str | tuple[str, ...], *, backend: dict[str, Any] | None = None, **settings: Any
    ) -> Self:
        """Settings of `dragoman proxy`: one server, at /mcp, by its address or its command. `backend` adds members.

        Raises:
            SettingsError: with one line per problem.
        """
        where: dict[str, Any] = {"url": target} if isinstance(target, str) else {"command": target}
        return cls.build({**settings, "single": True, "servers": {PROXY_NAME: {**(backend or {}), **where}}})
