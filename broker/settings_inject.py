"""The `inject` section of a server: what its requests are given that clients do not send.

Invariants: a value has one source and one place; a header that the broker writes itself, that carries a credential or
says where a request came from cannot be injected, and a member of `_meta` that is the protocol's own cannot either.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from broker.hooks.inject_context import MAX_HEADER
from broker.settings_section import Section

FromCaller = Literal[
    "principal", "kind", "scopes", "client_name", "client_version", "client_revision", "backend_revision"
]
FromRequest = Literal["method", "target", "backend", "round"]

RESERVED: Final = frozenset(
    (
        "accept", "accept-encoding", "authorization", "connection", "content-encoding", "content-length",
        "content-type", "cookie", "forwarded", "host", "keep-alive", "last-event-id", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    )
)  # fmt: skip
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
# Prefixes with `modelcontextprotocol` or `mcp` as a label are the protocol's (basic/index, `_meta`).
_VISIBLE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_LABEL: Final = r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_META: Final = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*/)?[\w.-]+")
_RESERVED_META: Final = re.compile(
    r"(?:[^./]+\.)?(?:modelcontextprotocol|mcp)(?:\.[^/]*)?/|(?:progressToken|traceparent|tracestate|baggage)$"
)
"""Of a prefix, the first or second label; and the names without a prefix that the protocol defines."""


class Injection(Section):
    """One value, and where requests are given it."""

    argument: str | None = Field(
        default=None, min_length=1, description="An argument; it vanishes from what is listed."
    )
    meta: str | None = Field(default=None, description="A member of `_meta`.")
    header: str | None = Field(default=None, description="A header, of servers with a URL.")
    value: Any = Field(default=None, description="A constant; of a header, visible ASCII.")
    claim: str | None = Field(default=None, description="A claim of the caller's token; dots lead into objects.")
    caller: FromCaller | None = Field(
        default=None, description="What is known of the caller; what its client says of itself is not proven."
    )
    request: FromRequest | None = Field(default=None, description="What is known of the request.")
    tools: tuple[str, ...] | None = Field(default=None, description="Globs of tools; absent: all.")
    prompts: tuple[str, ...] | None = Field(default=None, description="Instead: globs of prompts.")
    methods: tuple[str, ...] = Field(
        default=("*",), min_length=1, description="Of `meta` and `header`: globs of methods."
    )
    given: Literal["refuse", "overwrite"] = Field(
        default="refuse", description="Of `argument`: what becomes of a request whose client sends it all the same."
    )
    missing: Literal["refuse", "omit"] = Field(
        default="refuse", description="What becomes of a request for which there is no such value."
    )

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if sum(place is not None for place in (self.argument, self.meta, self.header)) != 1:
            raise ValueError("expected one of `argument`, `meta` and `header`")
        if sum(source is not None for source in (self.value, self.claim, self.caller, self.request)) != 1:
            raise ValueError("expected one of `value`, `claim`, `caller` and `request`")
        if self.argument is None and (self.prompts is not None or self.given != "refuse"):
            raise ValueError("`prompts` and `given` belong to an `argument`")
        if self.tools is not None and self.prompts is not None:
            raise ValueError("expected `tools` or `prompts`")
        if self.argument is not None and self.methods != ("*",):
            raise ValueError("`methods` belongs to `meta` and `header`")
        if self.meta is not None and (not _META.fullmatch(self.meta) or _RESERVED_META.match(self.meta)):
            raise ValueError("expected a name of `_meta` that is not the protocol's own")
        if self.header is not None:
            self._sendable(self.header.lower())
        return self

    def _sendable(self, name: str) -> None:
        if not _NAME.fullmatch(name) or name in RESERVED or name.startswith(("mcp-", "x-forwarded-")):
            raise ValueError(f"{name} is no header that can be injected")
        if self.value is None:
            return
        text = str(self.value)
        if not isinstance(self.value, str | int | float) or len(text) > MAX_HEADER or not _VISIBLE.fullmatch(text):
            raise ValueError(f"the value of {name} must be visible ASCII without line breaks")


def check_headers(injections: Sequence[Injection], headers: Collection[str], *, command: bool) -> None:
    """Check the headers of a server's injections; `headers` are those it is sent anyway.

    Raises:
        ValueError: it is sent none, or one of them twice.
    """
    ours = [each.header.lower() for each in injections if each.header is not None]
    if command and ours:
        raise ValueError("a command is sent no headers: `inject` can add none")
    if len(set(ours)) != len(ours) or any(name.lower() in ours for name in headers):
        raise ValueError("`inject` adds a header that is there already")
