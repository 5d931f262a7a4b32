"""Whose address a request comes from, where a proxy stands before the broker.

Follows RFC 7239 and the older X-Forwarded-For: each proxy adds, at the end, the address it was spoken to from.
Invariant: nothing is believed but what a proxy of the operator's wrote: entries are read from the end, as long as those
who wrote them are trusted, and one header alone is read, which is configured by its name.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Final

MAX_HOPS: Final = 32
"""Entries that are looked at; chains of proxies are shorter."""

_FOR: Final = re.compile(r'(?:^|;)\s*for\s*=\s*(?:"([^"]*)"|([^;,\s]*))', re.IGNORECASE)

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Addresses:
    """Reads the client's address; without trusted proxies, it is that of the connection."""

    __slots__ = ("_trusted", "header")

    def __init__(self, header: str = "", trusted: tuple[_Network, ...] = ()) -> None:
        self.header = header if trusted else ""
        self._trusted = trusted

    def said(self, headers: Any) -> str:
        """What the header says, all its lines in order; `headers` is a multi-dict that looks names up without case."""
        return ",".join(headers.getall(self.header, ())) if self.header else ""

    def of(self, peer: str, said: str) -> str:
        """The client's address, of the connection's and of what the header says."""
        if not said:
            return peer
        at = _read(peer)
        if at is None or not self._trusts(at):
            return peer
        found = peer
        for entry in reversed(said.split(",")[-MAX_HOPS:]):
            at = _read(_entry(entry, standard=self.header.lower() == "forwarded"))
            if at is None:
                break  # `unknown`, or what no proxy writes: the last one that is known counts
            found = str(at)
            if not self._trusts(at):
                break
        return found

    def _trusts(self, address: _Address) -> bool:
        return any(address in network for network in self._trusted)


def counted_as(address: str) -> str:
    """What an address counts as: an IPv6 client has a whole /64 to itself."""
    if ":" not in address:
        return address
    at = _read(address)
    return address if at is None or at.version == 4 else str(ipaddress.ip_network((at, 64), strict=False))


def _entry(text: str, *, standard: bool) -> str:
    text = text.strip()
    if standard:
        found = _FOR.search(text)
        text = "" if found is None else (found[1] or found[2] or "")
    if text.startswith("["):  # [2001:db8::1]:4711
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _read(text: str) -> _Address | None:
    try:
        at = ipaddress.ip_address(text)
    except ValueError:
        return None
    return at.ipv4_mapped or at if isinstance(at, ipaddress.IPv6Address) else at
