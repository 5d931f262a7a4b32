"""The configuration, validated once: who is served, where to, and within which limits.

`Settings.load(path)` reads a file, `Settings.for_proxy(...)` builds the one-server form of `dragoman proxy`.
Invariants: unknown keys are refused, an empty allow-list allows nothing, no repr shows a secret, and what
would make the broker open to the network without a key is refused unless it was asked for by name.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from broker.settings_file import SettingsError, problems_of, read, read_secret, resolve
from broker.settings_limits import Limits
from protocol_versions import REVISIONS

__all__ = ["Backend", "Filter", "Limits", "Log", "Rule", "Settings", "SettingsError"]

DEFAULT_PORT = 8808
PROXY_NAME = "default"  # the one server of `dragoman proxy`, served at /mcp

_NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
_TOKEN = re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")  # RFC 9110 5.6.2
_VALUE = re.compile(r"^[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?$")  # RFC 9110 5.5, visible ASCII only
# The broker writes these itself, or they belong to one hop; a configured one would be a second truth.
_OWN_HEADERS = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _known_revision(value: str) -> str:
    known = [revision.id for revision in REVISIONS]
    if value not in known:
        raise ValueError(f"expected one of {', '.join(known)}")
    return value


def _backend_revision(value: str) -> str:
    return value if value == "auto" else _known_revision(value)


def _secret(value: Any) -> Any:
    return SecretStr(resolve(value)) if isinstance(value, str) else value


RevisionId = Annotated[str, AfterValidator(_known_revision)]
Secret = Annotated[SecretStr, BeforeValidator(_secret)]
ExistingFile = Annotated[Path, AfterValidator(lambda path: _existing(path))]


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


class Rule(_Section):
    """Globs over exact names (or URIs): denied names are hidden; with `allow`, only those are shown."""

    allow: tuple[str, ...] | None = Field(default=None, description="Globs of what is shown; absent: everything.")
    deny: tuple[str, ...] = Field(default=(), description="Globs of what is hidden; stronger than `allow`.")

    @field_validator("allow", "deny")
    @classmethod
    def _not_blank(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value == ():
            raise ValueError("an empty list; leave it out, or deny '*' to hide everything")
        if value is not None and any(not glob or len(glob) > 512 for glob in value):
            raise ValueError("expected globs of 1 to 512 characters")
        return value


class Filter(_Section):
    """What of a backend may be seen and used, by kind."""

    tools: Rule = Rule()
    prompts: Rule = Rule()
    resources: Rule = Rule()
    templates: Rule = Rule()


class Backend(_Section):
    """One server behind the broker."""

    url: str = Field(description="http:// or https:// address of its Streamable HTTP endpoint.")
    revision: Annotated[str, AfterValidator(_backend_revision)] = Field(
        default="auto", description="`auto` (negotiate), or the revision it is pinned to."
    )
    headers: dict[str, Secret] = Field(
        default={}, description="Sent with every request: NAME: text | env:VAR | file:PATH."
    )
    bearer_file: Path | None = Field(
        default=None, description="File (mode 0600) with the bearer token for this backend."
    )
    ca_bundle: ExistingFile | None = Field(default=None, description="PEM file that replaces the system's authorities.")
    client_certificate: ExistingFile | None = Field(default=None, description="PEM file to show to the backend.")
    client_key: ExistingFile | None = Field(default=None, description="PEM file with that certificate's key.")
    proxy: Literal["environment", "none"] = Field(
        default="none", description="`environment` goes through HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
    )
    filter: Filter = Field(default=Filter(), description="What of it may be seen and used.")

    @field_validator("url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            port = parts.port
        except ValueError:
            raise ValueError("expected an http:// or https:// URL") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname or not value.isascii() or port == 0:
            raise ValueError("expected an http:// or https:// URL")
        if parts.username is not None or parts.password is not None:
            raise ValueError("expected no user or password in the URL; use `headers` or `bearer_file`")
        if parts.fragment or any(ord(char) <= 0x20 or ord(char) == 0x7F for char in value):
            raise ValueError("expected an http:// or https:// URL without fragment, spaces or control characters")
        return value

    @field_validator("headers")
    @classmethod
    def _sendable(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        seen = set()
        for name, secret in value.items():
            folded = name.lower()
            if not _TOKEN.match(name):
                raise ValueError("expected header names of letters, digits and -")
            if folded in _OWN_HEADERS:
                raise ValueError(f"{name} is written by the broker itself")
            if folded in seen:
                raise ValueError(f"{name} is there twice")
            if not _VALUE.match(secret.get_secret_value()):
                raise ValueError(f"the value of {name} must be visible ASCII without line breaks")
            seen.add(folded)
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.client_key is not None and self.client_certificate is None:
            raise ValueError("client_key needs client_certificate")
        if self.bearer_file is not None:
            if any(name.lower() == "authorization" for name in self.headers):
                raise ValueError("bearer_file and an Authorization header exclude each other")
            if not _VALUE.match(read_secret(self.bearer_file)):
                raise ValueError(f"{self.bearer_file} must hold one line of visible ASCII")
        return self

    def request_headers(self) -> dict[str, str]:
        """Every configured header with its secret in the clear: for the connection pool alone."""
        headers = {name: value.get_secret_value() for name, value in self.headers.items()}
        if self.bearer_file is not None:
            headers["Authorization"] = f"Bearer {read_secret(self.bearer_file)}"
        return headers


class Log(_Section):
    """How the broker reports on stderr."""

    format: Literal["auto", "json", "pretty"] = Field(default="auto", description="`auto`: pretty on a terminal.")
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(_Section):
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
    keys: dict[Annotated[str, Field(pattern=_NAME)], Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = Field(
        default={}, description="Callers: NAME: sha256 of the bearer key in hex; `dragoman key new` makes both."
    )
    anonymous: Literal["auto", "allow", "refuse"] = Field(
        default="auto",
        description="`auto`: callers without a key are served on loopback while no keys are configured.",
    )
    limits: Limits = Field(default=Limits(), description="Deadlines and limits.")
    tap: Path | None = Field(default=None, description="Write every frame to this file, as JSON lines.")
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
    def _different(cls, value: dict[str, str]) -> dict[str, str]:
        if len(set(value.values())) != len(value):
            raise ValueError("two names have the same key")
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
        if not self.local and not self.keys and self.anonymous == "auto":
            raise ValueError("others than this machine can reach the broker: configure keys, or `anonymous: allow`")
        if self.anonymous == "refuse" and not self.keys:
            raise ValueError("`anonymous: refuse` without keys would refuse everybody")
        if self.single and len(self.servers) != 1:
            raise ValueError("expected one server")
        return self

    @property
    def local(self) -> bool:
        """True if only this machine can be meant: a loopback address, and no other name leads to it."""
        from broker.edge_names import is_local_name

        address = ipaddress.ip_address(self.host)
        return address.is_loopback and all(is_local_name(entry) for entry in self.allowed_hosts)

    @property
    def anonymous_allowed(self) -> bool:
        """True if callers without a credential are served."""
        return self.anonymous == "allow" or (self.anonymous == "auto" and self.local and not self.keys)

    @property
    def revisions(self) -> tuple[str, ...]:
        """The revisions spoken towards clients, oldest first."""
        return tuple(r.id for r in REVISIONS if self.client_revisions == "all" or r.id in self.client_revisions)

    def path_of(self, name: str) -> str:
        """The path a server is served at."""
        return "/mcp" if self.single else f"/servers/{name}/mcp"

    def secrets(self) -> list[str]:
        """Every secret in the clear, for redaction."""
        return [value for backend in self.servers.values() for value in backend.request_headers().values()]

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
            if "single" in tree:
                raise SettingsError(["single: unknown key"])
            return cls.build({**tree, **overrides})
        except SettingsError as error:
            lines = [line if line.startswith(str(path)) else f"{path}: {line}" for line in error.problems]
            raise SettingsError(lines) from None

    @classmethod
    def for_proxy(cls, url: str, *, backend: dict[str, Any] | None = None, **settings: Any) -> Self:
        """Settings of `dragoman proxy URL`: one server, at /mcp. `backend` adds members of its section.

        Raises:
            SettingsError: with one line per problem.
        """
        return cls.build({**settings, "single": True, "servers": {PROXY_NAME: {**(backend or {}), "url": url}}})
