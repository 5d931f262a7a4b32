"""Request heads: where a backend lives, the constant part of every head, and the check of the varying part.

RFC 9110 section 5.5 (field values), RFC 9112 section 3.2 (origin form), RFC 3986 section 3.2 (authority).
Invariant: what is written is exactly one request head, whatever the configured and the per-request values
hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

# No version: a backend gets no hint which broker bugs to try, and start-up reads no package metadata.
USER_AGENT: Final = "dragoman"
METHODS: Final = (b"POST", b"GET", b"DELETE")
# Fields the pool writes itself or that change the framing; nobody else may set them.
RESERVED: Final = (
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "accept-encoding",
    "expect",
    "upgrade",
    "te",
    "trailer",
    "keep-alive",
    "proxy-connection",
)

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105
_VALUE = r"[\t\x20-\x7e\x80-\xff]*"
_RESERVED = "(?!(?i:" + "|".join(RESERVED) + "):)"
_LINES: Final = re.compile(f"(?:{_RESERVED}{_TOKEN}: ?{_VALUE}\r\n)*".encode("latin-1"))
_NAME: Final = re.compile(_RESERVED[:-1].replace("):", ")$") + ")" + _TOKEN)
_TEXT: Final = re.compile(r"[\t\x20-\x7e]*")

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>/[!$&'()*+,\-./0-9:;=@A-Z_a-z~%]*)?(?P<query>\?[!$&'()*+,\-./0-9:;=?@A-Z_a-z~%]*)?",
    re.IGNORECASE,
)


class Origin(msgspec.Struct, frozen=True):
    """One backend's address: `host` without brackets, `target` in origin form (path and query)."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The value of Host: a default port is left out, an IPv6 address bracketed."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"


def parse_url(url: str) -> Origin:
    """The origin and target of an http or https URL, read strictly.

    Raises:
        ValueError: another scheme, user information, a fragment, white space, or a malformed host or port.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError("not a plain http(s) URL (no user information, no fragment, no white space)")
    scheme = match["scheme"].lower()
    port = int(match["port"]) if match["port"] else 443 if scheme == "https" else 80
    if not 0 < port < 65536:
        raise ValueError("the URL's port is out of range")
    if match["six"]:
        from ipaddress import IPv6Address

        host = str(IPv6Address(match["six"]))
    else:
        host = match["name"].lower()
        if ".." in host:
            raise ValueError("the URL's host has an empty label")
    return Origin(scheme, host, port, (match["target"] or "/") + (match["query"] or ""))


def constant_heads(origin: Origin, headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """Per method, the part of the head that is the same for every request to this backend.

    Raises:
        ValueError: a configured header's name is no token or is reserved, or its value holds control
        characters.
    """
    lines = [f"host: {origin.authority}", "accept-encoding: identity"]
    if not any(name.lower() == "user-agent" for name in headers):
        lines.append(f"user-agent: {USER_AGENT}")
    lines += checked_headers(headers)
    fields = "\r\n".join(lines)
    return {
        method: b"%b %b HTTP/1.1\r\n%b\r\n" % (method, origin.target.encode("ascii"), fields.encode("ascii"))
        for method in METHODS
    }


def checked_headers(headers: Mapping[str, str]) -> list[str]:
    """The configured headers as lines.

    Raises:
        ValueError: as `constant_heads`.
    """
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _TEXT.fullmatch(value):
            raise ValueError(f"header {name!r} cannot be sent to a backend")
    return [f"{name}: {value.strip()}" for name, value in headers.items()]


def lines_are_sound(lines: bytes) -> bool:
    """Whether `lines` is any number of whole header lines, none of them reserved or holding control
    characters.
    """
    return _LINES.fullmatch(lines) is not None
