"""Opens the socket of a connection: name look-up, a race over the addresses, TLS.

RFC 8305 (happy eyeballs): addresses of both families alternate, the next attempt starts a quarter second
after the last one or when it failed, the first to connect wins. uvloop's `create_connection` tries addresses
one after the other, so that one black hole would eat the whole deadline.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any, Final

from broker.backends.http1_head import Origin

# RFC 8305 section 5 recommends 250 ms between attempts.
ATTEMPT_DELAY_S: Final = 0.25

Address = tuple[int, tuple[Any, ...]]  # family, socket address


async def dial(origin: Origin, tls: ssl.SSLContext | None, protocol: asyncio.Protocol) -> None:
    """Connect `protocol` to the backend; over TLS when a context is given.

    Raises:
        OSError: no address could be looked up or connected, or TLS failed (`ssl.SSLError`).
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    sock = await first_connected(alternating((family, address) for family, _, _, _, address in found))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # The peer of a long stream may vanish without a word; the kernel notices in the end.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # From here on the transport owns the socket, also when the handshake fails.
    try:
        await loop.create_connection(
            lambda: protocol, sock=sock, ssl=tls, server_hostname=None if tls is None else origin.host
        )
    finally:
        if not isinstance(loop, asyncio.BaseEventLoop):
            # libuv closes the descriptor. A transport that is closed before uvloop 0.23 has attached the socket object
            # to it leaves that object open, which would later close a descriptor that is another connection's by then.
            sock.detach()


def alternating(addresses: Iterable[Address]) -> list[Address]:
    """The addresses in the resolver's order, the families taking turns."""
    families: dict[int, list[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    return [address for address in chain(*zip_longest(*families.values())) if address is not None]


async def first_connected(addresses: Sequence[Address]) -> socket.socket:
    """A socket connected to the address that answered first.

    Raises:
        OSError: every attempt failed; the first failure.
    """
    waiting = list(reversed(addresses))
    attempts: set[asyncio.Task[socket.socket]] = set()
    failures: list[BaseException] = []
    winner: socket.socket | None = None
    try:
        while winner is None and (waiting or attempts):
            if waiting:
                attempts.add(asyncio.ensure_future(_connected(waiting.pop())))
            done, attempts = await asyncio.wait(
                attempts,
                timeout=ATTEMPT_DELAY_S if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for attempt in done:
                failure = attempt.exception()
                if failure is not None:
                    failures.append(failure)
                elif winner is None:
                    winner = attempt.result()
                else:
                    attempt.result().close()
    finally:
        for attempt in attempts:
            attempt.add_done_callback(_close_late)
            attempt.cancel()
    if winner is None:
        raise failures[0] if failures else OSError("the name has no address")
    return winner


async def _connected(address: Address) -> socket.socket:
    family, where = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


def _close_late(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
