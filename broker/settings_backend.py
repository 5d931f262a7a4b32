"""The `servers` section: how one backend is reached, what it is told, and what of it may be seen.

Invariants: an unknown key is refused, an empty allow-list is not "allow all", no repr shows a secret, and a
header that the broker writes itself cannot be configured.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from broker.hosts.machine import startable
from broker.settings_definitions import Definitions
from broker.settings_file import read_secret
from broker.settings_inject import Injection, check_headers
from broker.settings_limits import Limits
from broker.settings_policy import OwnHook, Policy
from broker.settings_section import ExistingFile, Filter, Scope, Secret, Section, address_parts, known_revision
from broker.settings_token import BackendToken
from broker.signin.options import SignInOptions

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")  # RFC 9110 5.5, visible ASCII only
# The broker writes these itself, or they belong to one hop; a configured one would be a second truth.
_OWN_HEADERS = """
accept accept-encoding connection content-encoding content-length content-type host keep-alive last-event-id
mcp-method mcp-name mcp-protocol-version mcp-session-id proxy-connection te trailer transfer-encoding upgrade
"""


def _backend_revision(value: str) -> str:
    return value if value == "auto" else known_revision(value)


class SignIn(Section):
    """Who the broker is where its person signs in at a server, and for what."""

    client_id: str = Field(
        default="", description="Client registered at the issuer, or the https URL of a client's metadata document."
    )
    client_secret: Secret | None = Field(
        default=None, description="That client's secret: text | env:VAR | file:PATH; needs `issuer`."
    )
    issuer: str = Field(default="", description="The only issuer that is used, at whatever address.")
    scopes: tuple[str, ...] = Field(default=(), description="Asked for instead of what the server names.")
    redirect_port: int = Field(
        default=0, ge=0, le=65_535, description="Port of 127.0.0.1 the browser comes back to; 0: any."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        from broker.signin.options import problem

        if (wrong := problem(self.options())) is not None:
            raise ValueError(wrong)
        return self

    def options(self) -> SignInOptions:
        """With the secret in the clear: for signing in alone."""
        secret = self.client_secret.get_secret_value() if self.client_secret is not None else ""
        return SignInOptions(self.client_id, secret, self.issuer, self.scopes, self.redirect_port)


class Backend(Section):
    """One server behind the broker: at a `url`, or a `command` that is started."""

    url: str = Field(default="", description="http:// or https:// address of its endpoint.")
    command: tuple[str, ...] = Field(
        default=(), description="Instead of `url`: program and arguments of a server on standard input and output."
    )
    transport: Literal["auto", "streamable-http", "sse"] = Field(
        default="auto", description="Of a URL: `auto` finds out whether it is the HTTP+SSE pair of 2024-11-05 (`sse`)."
    )
    env: dict[str, Secret] = Field(
        default={}, description="Of a command: variables it is given: NAME: text | env:VAR | file:PATH."
    )
    inherit_env: bool = Field(
        default=False, description="Of a command: whether it is given the broker's whole environment as well."
    )
    cwd: Path | None = Field(default=None, description="Of a command: the folder it is started in.")
    revision: Annotated[str, AfterValidator(_backend_revision)] = Field(
        default="auto", description="`auto` (negotiate), or the revision it is pinned to."
    )
    face: Literal["mirror", "session", "stateless"] = Field(
        default="mirror", description="Which face of a server that has two is used: `mirror` takes the client's."
    )
    compare_lists: bool = Field(
        default=True,
        description="Of a stateless server: tell session clients of a changed list only if they would read another.",
    )
    session: Literal["pooled", "wrap", "shared"] = Field(
        default="pooled",
        description="Its sessions for 2026-07-28 clients: `pooled` per caller, `wrap` per request, `shared` by all.",
    )
    session_key: str | None = Field(
        default=None,
        description="`header:NAME` or `meta:KEY`: pooled sessions are also apart by what a request says there.",
    )
    park: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Whether it may ask 2026-07-28 clients during a call: `auto` if it has sessions and streams.",
    )
    attribution: Literal["auto", "exclusive", "newest"] = Field(
        default="auto",
        description="Calls whose questions could be confused: a session each (`exclusive`), or the newest is meant.",
    )
    unsolicited: Literal["error", "cancel"] = Field(
        default="error", description="The answer to an elicitation that belongs to no call."
    )
    list_ttl_ms: int = Field(
        default=0,
        ge=0,
        le=86_400_000,
        description="How long 2026-07-28 clients may keep lists it announces changes of.",
    )
    headers: dict[str, Secret] = Field(
        default={}, description="Sent with every request: NAME: text | env:VAR | file:PATH."
    )
    bearer_file: Path | None = Field(
        default=None, description="File (mode 0600) with the bearer token for this backend."
    )
    sign_in: bool | SignIn = Field(
        default=False, description="The person this runs for signs in there (OAuth); true, or more about it."
    )
    ca_bundle: ExistingFile | None = Field(default=None, description="PEM file that replaces the system's authorities.")
    client_certificate: ExistingFile | None = Field(default=None, description="PEM file to show to the backend.")
    client_key: ExistingFile | None = Field(default=None, description="PEM file with that certificate's key.")
    proxy: Literal["environment", "none"] = Field(
        default="none", description="`environment` goes through HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
    )
    result_bytes: int | None = Field(
        default=None,
        ge=1_024,
        le=1_073_741_824,
        description="Longest message it may send, where that is not `limits.result_bytes`.",
    )
    hide_credentials: bool = Field(
        default=True,
        description="Whether a credential it is shown and writes back is taken out of what it says.",
    )
    filter: Filter = Field(default=Filter(), description="What of it may be seen and used.")
    token: BackendToken | None = Field(default=None, description="Access tokens that the broker gets for it by itself.")
    scopes: tuple[Scope, ...] = Field(default=(), description="Scopes a caller needs for anything.")
    method_scopes: dict[Annotated[str, Field(min_length=1, max_length=128)], tuple[Scope, ...]] = Field(
        default={}, description="Scopes a caller needs besides, by globs of methods: tools/call: [write]"
    )
    inject: tuple[Injection, ...] = Field(
        default=(), description="What its requests are given that clients do not send."
    )
    policy: Policy = Field(default=Policy(), description="Rules on who may do what with it, besides those for all.")
    definitions: Definitions = Field(default=Definitions(), description="What becomes of its tools that change.")
    hooks: tuple[OwnHook, ...] = Field(default=(), description="Hooks of your own that judge what passes, after all's.")

    @field_validator("url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if not value:
            return value
        expected = "expected an http:// or https:// URL"
        parts = address_parts(value, expected)
        if parts.scheme not in {"http", "https"}:
            raise ValueError(expected)
        if parts.username is not None or parts.password is not None:
            raise ValueError("expected no user or password in the URL; use `headers` or `bearer_file`")
        if parts.fragment or any(ord(char) <= 0x20 or ord(char) == 0x7F for char in value):
            raise ValueError("expected an http:// or https:// URL without fragment, spaces or control characters")
        return value

    @field_validator("command")
    @classmethod
    def _startable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value and (not value[0] or any("\0" in part for part in value)):
            raise ValueError("expected a program and its arguments")
        return (startable(value[0]), *value[1:]) if value else value

    @field_validator("env")
    @classmethod
    def _nameable(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, secret in value.items():
            if not name or "=" in name or "\0" in name or "\0" in secret.get_secret_value():
                raise ValueError("expected names of variables without `=`, and values without NUL")
        return value

    @field_validator("session_key")
    @classmethod
    def _place(cls, value: str | None) -> str | None:
        kind, _, name = (value or "header:x").partition(":")
        if kind not in ("header", "meta") or not name or (kind == "header" and not _TOKEN.fullmatch(name)):
            raise ValueError("expected header:NAME or meta:KEY")
        return value

    @field_validator("headers")
    @classmethod
    def _sendable(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        seen = set()
        for name, secret in value.items():
            folded = name.lower()
            if not _TOKEN.fullmatch(name):
                raise ValueError("expected header names of letters, digits and -")
            if folded in _OWN_HEADERS.split():
                raise ValueError(f"{name} is written by the broker itself")
            if folded in seen:
                raise ValueError(f"{name} is there twice")
            if not _VALUE.fullmatch(secret.get_secret_value()):
                raise ValueError(f"the value of {name} must be visible ASCII without line breaks")
            seen.add(folded)
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.url) == bool(self.command):
            raise ValueError("expected either `url` or `command`")
        over_http = ("headers", "bearer_file", "ca_bundle", "client_certificate", "client_key")
        if self.command and any(getattr(self, name) for name in over_http):
            raise ValueError(f"a command has none of: {', '.join(over_http)}")
        if self.url and (self.env or self.cwd is not None or self.inherit_env):
            raise ValueError("only a command has env, inherit_env and cwd")
        check_headers(self.inject, self.headers, command=bool(self.command))
        if self.session_key is not None and self.session != "pooled":
            raise ValueError("session_key needs `session: pooled`")
        if self.client_key is not None and self.client_certificate is None:
            raise ValueError("client_key needs client_certificate")
        if self.sign_in:
            if self.command:
                raise ValueError("nobody signs in at a command")
            if self.bearer_file is not None or any(name.lower() == "authorization" for name in self.headers):
                raise ValueError("sign_in and another Authorization exclude each other")
        if self.bearer_file is not None:
            if any(name.lower() == "authorization" for name in self.headers):
                raise ValueError("bearer_file and an Authorization header exclude each other")
            if not _VALUE.fullmatch(read_secret(self.bearer_file)):
                raise ValueError(f"{self.bearer_file} must hold one line of visible ASCII")
        return self

    @property
    def sign_in_options(self) -> SignInOptions | None:
        """How its person signs in there, None if nobody does."""
        return self.sign_in.options() if isinstance(self.sign_in, SignIn) else SignInOptions() if self.sign_in else None

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if self.token is None:
            return self
        if self.command or self.sign_in or any(name.lower() == "authorization" for name in self.request_headers()):
            raise ValueError("token is for a URL, and excludes sign_in, bearer_file and an Authorization header")
        if self.exchanges and (self.session == "shared" or self.transport != "streamable-http"):
            # What all share would be somebody's; and the pair has connections of its own.
            raise ValueError("token-exchange needs `transport: streamable-http`, and no `session: shared`")
        return self

    @property
    def exchanges(self) -> bool:
        """True if it is shown a token of each caller's own."""
        return self.token is not None and self.token.grant == "token-exchange"

    @property
    def place(self) -> str:
        """Where it is, for people: its address without the query, which may hold a key, or its program."""
        return self.url.partition("?")[0] or self.command[0]

    def limits(self, limits: Limits) -> Limits:
        """The limits that hold for its answers, where these are those for all."""
        return limits if self.result_bytes is None else limits.model_copy(update={"result_bytes": self.result_bytes})

    def environment(self) -> dict[str, str]:
        """The configured variables with their secrets in the clear: for the process alone."""
        return {name: value.get_secret_value() for name, value in self.env.items()}

    def request_headers(self) -> dict[str, str]:
        """Every configured header with its secret in the clear: for the connection pool alone."""
        headers = {name: value.get_secret_value() for name, value in self.headers.items()}
        if self.bearer_file is not None:
            headers["Authorization"] = f"Bearer {read_secret(self.bearer_file)}"
        return headers
