"""Which addresses may be asked while somebody signs in: a server names them, and it may be an attacker's.

Follows the security best practices of 2026-07-28 (server-side request forgery) and basic/authorization (communication
security: https, but for loopback). Invariants: what the operator named may be asked wherever it is; an address that a
server named may not be nearer to this machine than that server is itself; every address a name has is looked at, and
the one that was looked at is the one that is connected to; no address is link-local, so that no cloud's metadata is.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final, Literal

from broker.backends.http1_head import Origin, parse_url
from broker.signin.errors import SignInError

URL_CHARS: Final = 2_048
"""Of an address that a server names; browsers and servers share this bound."""

Near = Literal["public", "private", "loopback"]
_ORDER: Final[tuple[Near, ...]] = ("public", "private", "loopback")

Address = IPv4Address | IPv6Address
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host and port."""

# RFC 6052: the last four octets; RFC 3056 and RFC 4380: the network's own place for them.
_NAT64: Final = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL: Final = IPv6Network("64:ff9b:1::/48")
_COMPATIBLE: Final = IPv6Network("::/96")
_ISATAP: Final = 0x5EFE


def near(address: Address) -> Near | None:
    """How near an address is, with every IPv4 address inside it looked at; None for one that is never asked."""
    inner: list[Address] = [*_inside(address)]
    judged = inner if isinstance(address, IPv6Address) and _only_carries(address) and inner else [address, *inner]
    found = [where for each in judged if (where := _plainly(each)) is not None]
    return max(found, key=_ORDER.index) if len(found) == len(judged) else None


def _plainly(address: Address) -> Near | None:
    if address.is_loopback:
        return "loopback"
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return None
    if isinstance(address, IPv6Address) and address in _NAT64_LOCAL:
        return None
    if address.is_global:
        return "public"
    # The ranges of organisations, and of providers (100.64.0.0/10); what is left is reserved for nobody to use.
    private = address.is_private or (isinstance(address, IPv4Address) and int(address) >> 22 == 0x6440 >> 6)
    return "private" if private and not address.is_reserved else None


def _only_carries(address: IPv6Address) -> bool:
    """True for a form that means an IPv4 address and nothing else."""
    return address.ipv4_mapped is not None or address in _NAT64 or address in _COMPATIBLE


def _inside(address: Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 address leads to: mapped, compatible, NAT64, 6to4, Teredo, ISATAP."""
    if isinstance(address, IPv4Address):
        return []
    number = int(address)
    found = [each for each in (address.ipv4_mapped, address.sixtofour) if each is not None]
    if address.teredo is not None:
        found += address.teredo
    if address in _NAT64 or (address in _COMPATIBLE and number > 1) or (number >> 32) & 0xFFFF == _ISATAP:
        found.append(IPv4Address(number & 0xFFFFFFFF))
    return found


async def looked_up(host: str, port: int) -> list[str]:
    """The addresses the system knows for a name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Guard:
    """Judges addresses for one server. `named` are further addresses the operator gave, such as the issuer."""

    def __init__(self, server: str, named: Collection[str] = (), *, lookup: Lookup = looked_up) -> None:
        self._server = parse_url(server)
        self._named = {(each.host, each.port) for each in (self._server, *map(parse_url, named))}
        self._lookup = lookup
        self._reach: Near | None = None

    def trust(self, host: str, port: int) -> None:
        """A proxy that the environment names is the operator's."""
        self._named.add((host.lower(), port))

    def origin(self, url: Any) -> Origin:
        """A URL, if it is one that may be asked or shown to a browser.

        Raises:
            SignInError: it is none.
        """
        if not isinstance(url, str) or len(url) > URL_CHARS:
            raise SignInError("address-refused", "an address that was named is none")
        try:
            found = parse_url(url)
        except ValueError:
            raise SignInError("address-refused", "an address that was named is no plain http or https URL") from None
        if found.scheme == "http" and not is_loopback_name(found.host):
            raise SignInError("address-refused", f"{found.host} is to be asked without TLS, which is for loopback only")
        literal = _literal(found.host)
        if literal is not None and (found.host, found.port) not in self._named and near(literal) is None:
            raise SignInError("address-refused", f"{found.host} is no address to ask")
        return found

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host that may be connected to: all of them, or none.

        Raises:
            SignInError: one of them may not; OSError: there is none.
        """
        literal = _literal(host)
        found = [str(literal)] if literal is not None else list(await self._lookup(host, port))
        if (host.lower(), port) in self._named:
            return found
        reach = await self._server_near()
        for text in found:
            where = near(ip_address(text.partition("%")[0]))
            if where is None or _ORDER.index(where) > _ORDER.index(reach):
                raise SignInError("address-refused", f"{host} is nearer to this machine than the server that named it")
        return found

    async def _server_near(self) -> Near:
        """How near the server is: as the farthest of its addresses, so that a mixed answer opens nothing."""
        reach = self._reach
        if reach is None:
            server = self._server
            literal = _literal(server.host)
            try:
                texts = [str(literal)] if literal is not None else await self._lookup(server.host, server.port)
            except OSError:  # only a proxy knows it
                texts = []
            places: list[Near] = [near(ip_address(text.partition("%")[0])) or "public" for text in texts]
            farthest: Near = min(places, key=_ORDER.index) if places else "public"
            reach = self._reach = farthest
        return reach


def is_loopback_name(host: str) -> bool:
    """True for `localhost`, and for a loopback address as it is usually written."""
    literal = _literal(host)
    return host == "localhost" or (literal is not None and literal.is_loopback)


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
