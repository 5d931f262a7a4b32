"""Accepting connections over TLS: one counts from the moment it is accepted, not from the end of its handshake.

asyncio's own server tells nobody of a connection before its handshake is over, so that a peer that begins handshakes
and goes on with none would have as many as it likes. Invariants: a connection that is one too many costs no
handshake; one whose handshake fails or takes longer than `head_receipt_s` gives its place back; closing ends what is
still greeted.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from broker import telemetry

if TYPE_CHECKING:
    from broker.serve_connection import Connection, Door

RETRY_S: Final = 1.0
"""How long nothing is accepted after the system had no descriptor or memory for it; as long as asyncio's own server."""

_SHORT: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Greeting:
    """Accepts on a listening socket, which it closes. `secured` is what a connection over TLS is made with."""

    def __init__(
        self, listener: socket.socket, door: Door, make: Callable[[], Connection], secured: dict[str, Any]
    ) -> None:
        self._door = door
        self._make = make
        self._secured = secured
        self._greeted: set[asyncio.Task[None]] = set()
        self._accepting = door.loop.create_task(self._accept(listener))

    def close(self) -> None:
        """Accept nothing more, and end the handshakes that are under way. Harmless when repeated."""
        self._accepting.cancel()
        for task in self._greeted:
            task.cancel()

    async def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                try:
                    found, address = await self._door.loop.sock_accept(listener)
                except OSError as error:
                    # Else the peer was gone before it was accepted.
                    if error.errno in _SHORT:
                        telemetry.log("error", "no connection accepted", problem=error.strerror, retry_s=RETRY_S)
                        await asyncio.sleep(RETRY_S)
                    continue
                self._take(found, str(address[0]))
                await asyncio.sleep(0)  # a flood of connections leaves the others their turn

    def _take(self, found: socket.socket, peer: str) -> None:
        if not self._door.has_room(peer):
            found.close()
            return
        connection = self._make()
        connection.count(peer)
        task = self._door.loop.create_task(self._greet(found, connection))
        self._greeted.add(task)
        task.add_done_callback(functools.partial(self._over, found, connection))

    async def _greet(self, found: socket.socket, connection: Connection) -> None:
        with contextlib.suppress(OSError):  # which everything else shows as well
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await self._door.loop.connect_accepted_socket(lambda: connection, found, **self._secured)

    def _over(self, found: socket.socket, connection: Connection, task: asyncio.Task[None]) -> None:
        """The handshake has ended, or was never begun."""
        self._greeted.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is None and not task.cancelled():
            return
        if connection.transport is None:
            connection.uncount()
            found.close()
        if failure is not None and not isinstance(failure, OSError):  # of TLS, of time, or of the connection
            telemetry.log("error", "internal error", kind=type(failure).__name__, where="handshake")
