"""Links that lead a person or a browser where nobody would go who read them, for `broker.hooks.sanitise_detect`.

    script-links   what runs where it is opened: `javascript:`, `vbscript:`, documents in a `data:` URL
    odd-links      addresses that are not what they look like: a user before the host, hosts in other scripts
    inside-links   addresses of this machine and of networks inside: `file:`, loopback, private, link-local

Addresses are read as browsers read them (WHATWG URL): back-slashes, one slash, numbers of one to four parts in any
base. Nothing is looked up, and no link is ever followed. Invariant: what cannot be read is not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, ip_address
from typing import Final
from urllib.parse import unquote

_REST: Final = r"[^\s\"'<>`]"
SCRIPT: Final = (
    rf"(?i)\b(?:javascript|vbscript):{_REST}+"
    rf"|\bdata:(?:text/(?:html|xml|javascript)|application/(?:xhtml\+xml|xml|javascript)){_REST}*"
)
WEB: Final = rf"(?i)\b(?:https?|wss?|ftp):[/\\]{{1,3}}{_REST}+"
INSIDE: Final = rf"{WEB}|\bfile:[/\\]{_REST}*"

_AUTHORITY: Final = re.compile(r"[A-Za-z]+:[/\\]+([^/\\?#]*)")
_INSIDE_NAMES: Final = ("localhost", "local", "internal", "localdomain", "intranet", "home.arpa")
_HOST: Final = re.compile(r"\[[^\]]*\]?|[^:)\]},;!*|]*")
"""What of an authority is a host: the port, and the mark of a text that the link ends in, are not."""


def odd(text: str) -> Iterator[tuple[int, int]]:
    """All of an address that is not what it looks like."""
    found = _AUTHORITY.match(text)
    authority = "" if found is None else found[1]
    host = _host(authority)
    spelled = host[:1] != "[" and unquote(host) != host
    if "@" in authority or spelled or not host.isascii() or any(label.startswith("xn--") for label in host.split(".")):
        yield 0, len(text)


def inside(text: str) -> Iterator[tuple[int, int]]:
    """All of an address that leads inside."""
    found = _AUTHORITY.match(text)
    if text[:5].lower() == "file:" or (found is not None and _leads_inside(_host(found[1]))):
        yield 0, len(text)


def _host(authority: str) -> str:
    found = _HOST.match(authority.rpartition("@")[2])
    return "" if found is None else found.group().lower().rstrip(".")


def _leads_inside(host: str) -> bool:
    if "%" in host and host[0] != "[":
        host = unquote(host).lower().rstrip(".")
    if any(host == name or host.endswith("." + name) for name in _INSIDE_NAMES):
        return True
    from broker.signin.addresses import near  # who has no rule about links does without it

    try:
        address = ip_address(host[1:-1].partition("%")[0]) if host.startswith("[") else _number(host)
    except ValueError:
        return False
    return address is not None and near(address) != "public"


def _number(host: str) -> IPv4Address | None:
    """An IPv4 address in any of its spellings, None for a name."""
    parts = host.split(".")
    if len(parts) > 4 or not all(re.fullmatch(r"0x[0-9a-f]*|[0-9]+", part) for part in parts):
        return None
    numbers = [
        int(part[2:] or "0", 16) if part[:2] == "0x" else int(part, 8 if part[0] == "0" else 10) for part in parts
    ]
    *first, last = numbers
    if any(each > 255 for each in first) or last >= 256 ** (5 - len(parts)):
        raise ValueError("no address")
    return IPv4Address(sum(each << (8 * (3 - at)) for at, each in enumerate(first)) + last)
