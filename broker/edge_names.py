"""Host and Origin names: one documented way of reading them, for the configuration and for requests.

Host (RFC 9110 7.2) is a name or address with an optional port; Origin (RFC 6454 7) is scheme, host and
optional port. Invariant: names are compared exactly, in lower case, with a numeric port; no suffix, prefix or
wildcard matches, and what cannot be read is nothing that could match.
"""

from __future__ import annotations

import ipaddress
import re

_HOST = re.compile(
    r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
)
DEFAULT_PORTS = {"http": 80, "https": 443}
LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")


def parse_host(value: str) -> tuple[str, int | None] | None:
    """`(name, port or None)` of a Host header or allow-list entry; None if it is not one.

    Upper case is folded; a trailing dot, a user, a path, an empty or non-numeric port are not accepted.
    """
    found = _HOST.fullmatch(value.lower()) if len(value) <= 255 else None
    if found is None:
        return None
    name, port = found["name"], found["port"]
    if port is not None and int(port) > 65535:
        return None
    if name.startswith("["):
        try:
            name = f"[{ipaddress.IPv6Address(name[1:-1])}]"
        except ValueError:
            return None
    return name, None if port is None else int(port)


def host_pattern(entry: str, port: int) -> set[str]:
    """The exact Host values an `allowed_hosts` entry stands for, lower case.

    `name:8443` stands for itself; `name` for the name alone (the default port, as behind a TLS terminator) and
    for the name with the port the broker listens on.

    Raises:
        ValueError: not a host.
    """
    parsed = parse_host(entry)
    if parsed is None:
        raise ValueError("allowed_hosts: expected host or host:port, without scheme or wildcard")
    name, given = parsed
    return {f"{name}:{given}"} if given is not None else {name, f"{name}:{port}"}


def parse_origin(value: str) -> str | None:
    """The origin in one spelling (lower case, default port left out), or None if it is not one."""
    scheme, separator, rest = value.partition("://")
    scheme = scheme.lower()
    if not separator or not re.fullmatch(r"[a-z][a-z0-9+.-]{0,31}", scheme):
        return None
    parsed = parse_host(rest)
    if parsed is None:
        return None
    name, port = parsed
    return f"{scheme}://{name}" if port in {None, DEFAULT_PORTS.get(scheme)} else f"{scheme}://{name}:{port}"


def origin_pattern(entry: str) -> str:
    """The one spelling of an `allowed_origins` entry.

    Raises:
        ValueError: not an origin.
    """
    origin = parse_origin(entry)
    if origin is None:
        raise ValueError("allowed_origins: expected scheme://host or scheme://host:port, without path or wildcard")
    return origin


def is_local_name(entry: str) -> bool:
    """True if a host entry names this machine for itself only."""
    parsed = parse_host(entry)
    return parsed is not None and parsed[0] in LOCAL_NAMES
