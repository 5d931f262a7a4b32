"""A pool whose requests carry a credential that can be renewed: what a server refuses for want of it is sent again.

Follows basic/authorization of every revision (access token usage, error handling). It stands before the one place all
legs send through, so that sessions, stateless requests, the HTTP+SSE pair and probes need not know of it. Invariants:
only an answer that proves that nothing ran (401, or 403 with a challenge) is followed by a second sending, and never
more than `MAX_SENDINGS`; a request's end is told exactly once; DELETE never makes anybody sign in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, Protocol

from broker.backends.http1_types import BackendFailure, Pool, Sink, Ticket, Timeouts

MAX_SENDINGS: Final = 4
"""Of one request: as it was, after a renewal, after signing in, and with further scopes; the specification says "no
more than a few times"."""

KEPT_BYTES: Final = 64 * 1024
"""Of a refusal's body, which is given on if nothing can be done; SDK servers send a line of JSON."""


class Credentials(Protocol):
    """Where the credential comes from. `line` is the whole header line as it is now, empty without one."""

    line: bytes
    renew_at: float
    """When `line` should be renewed before it is used, in seconds of `clock`; infinite if nobody knows."""

    def clock(self) -> float: ...

    async def renew(self) -> None:
        """Renew what is about to expire, if that can be done without a person.

        Raises:
            broker.backends.credentialed.NobodySignedInError: without it, the request is not to be sent at all.
        """

    async def answer(self, status: int, challenge: str, refused: bytes, sendings: int) -> bool:
        """What can be done about a refusal of the line `refused`, of a request that was sent so often: True if `line`
        is another one now.

        Raises:
            broker.backends.credentialed.NobodySignedInError: a person must sign in, and nobody did.
        """

    async def close(self) -> None:
        """End what is under way."""


class NobodySignedInError(Exception):
    """A person must sign in, and nobody did; the text is for the operator. `failure` is why the request fails."""

    failure: Literal["sign-in", "credential"] = "sign-in"


class CredentialedPool:
    """`Pool` in front of another. With `owns`, its end is that of the credentials too."""

    def __init__(self, pool: Pool, credentials: Credentials, *, owns: bool = False) -> None:
        self.pool = pool
        self.credentials = credentials
        self._owns = owns
        self.held: set[Signed] = set()
        """Requests that wait for a credential."""

    def send(
        self,
        method: bytes,
        headers: bytes,
        body: bytes,
        sink: Sink,
        *,
        timeouts: Timeouts,
        repeatable: bool = False,
        stream: bool | None = None,
        max_body: int | None = None,
    ) -> Ticket:
        """See `Pool`."""
        options = {"timeouts": timeouts, "repeatable": repeatable, "stream": stream, "max_body": max_body}
        call = Signed(self, method, headers, body, sink, options)
        if self.credentials.clock() < self.credentials.renew_at or method == b"DELETE":
            call.start()
        else:
            call.hold(self.credentials.renew)
        return call

    async def close(self) -> None:
        """See `Pool`."""
        for call in list(self.held):
            call.abort()
        if self._owns:
            await self.credentials.close()
        await self.pool.close()


class Signed:
    """One request, over all its sendings: the ticket of its sender, and the sink of each exchange."""

    __slots__ = (
        "_body", "_challenge", "_chunks", "_headers", "_kept", "_method", "_options", "_over", "_paused", "_pool",
        "_seen", "_sendings", "_sink", "_status", "_task", "_ticket", "_used", "body", "done", "failed",
    )  # fmt: skip

    def __init__(
        self, pool: CredentialedPool, method: bytes, headers: bytes, body: bytes, sink: Sink, options: dict[str, Any]
    ) -> None:
        self._pool = pool
        self._method = method
        self._headers = headers
        self._body = body
        self._sink = sink
        self._options = options
        self._sendings = 0
        self._used = b""
        self._status = 0
        self._seen: Mapping[str, str] = {}
        self._chunks: list[bytes] = []
        self._kept = 0
        self._ticket: Ticket | None = None
        self._task: asyncio.Task[None] | None = None
        self._paused = False
        self._over = False
        self.body = sink.body
        self.done = sink.done
        self.failed = sink.failed

    def start(self) -> None:
        """Send it, with the credential as it is now."""
        self._sendings += 1
        self._used = self._pool.credentials.line
        self.body, self.done, self.failed = self._sink.body, self._sink.done, self._sink.failed
        self._ticket = self._pool.pool.send(self._method, self._headers + self._used, self._body, self, **self._options)
        if self._paused:
            self._ticket.pause()

    # ---- what comes back (broker.backends.http1_types.Sink) ----------------------------------------------------------

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Anything but a refusal is the sender's own."""
        if status not in (401, 403) or self._method == b"DELETE" or self._sendings >= MAX_SENDINGS:
            self._sink.head(status, headers)
            return
        self._status, self._seen = status, headers
        self._chunks, self._kept = [], 0
        self.body, self.done, self.failed = self._keep, self._refused, self._broken

    def _keep(self, data: bytes) -> None:
        if self._kept < KEPT_BYTES:
            self._chunks.append(data)
            self._kept += len(data)

    def _refused(self) -> None:
        challenge, credentials = self._seen.get("www-authenticate", ""), self._pool.credentials
        self.hold(lambda: credentials.answer(self._status, challenge, self._used, self._sendings))

    def _broken(self, failure: BackendFailure) -> None:
        """The body of a refusal is of no importance: its head has said everything."""
        if failure.reason == "aborted":
            self._sink.failed(failure)
        else:
            self._refused()

    # ---- waiting for a credential ------------------------------------------------------------------------------------

    def hold(self, work: Callable[[], Awaitable[bool | None]]) -> None:
        """Wait for that, then send; or say what came of it."""
        self._ticket = None
        self._pool.held.add(self)
        self._task = asyncio.get_running_loop().create_task(self._wait(work))

    async def _wait(self, work: Callable[[], Awaitable[bool | None]]) -> None:
        try:
            again = await work()
        except NobodySignedInError as error:
            self._end(BackendFailure(error.failure, "no", str(error)))
            return
        except Exception as error:  # our bug; the call must not hang
            self._end(BackendFailure("sign-in", "no", type(error).__name__))
            raise
        finally:
            self._task = None
            self._pool.held.discard(self)
        if self._over:
            return
        if again is False:
            self._give_on()
        else:
            self.start()

    def _give_on(self) -> None:
        """Nothing can be done: the sender hears what the server said."""
        self._sink.head(self._status, self._seen)
        if self._chunks and not self._over:
            self._sink.body(b"".join(self._chunks))
        if not self._over:
            self._over = True
            self._sink.done()

    def _end(self, failure: BackendFailure) -> None:
        if not self._over:
            self._over = True
            self._sink.failed(failure)

    # ---- the sender's hold (broker.backends.http1_types.Ticket) ------------------------------------------------------

    def abort(self) -> None:
        """See `Ticket`."""
        if self._ticket is not None:
            self._ticket.abort()
        else:
            if self._task is not None:
                self._task.cancel()
                self._pool.held.discard(self)
            self._end(BackendFailure("aborted", "no", "the caller gave the call up"))

    def pause(self) -> None:
        """See `Ticket`."""
        self._paused = True
        if self._ticket is not None:
            self._ticket.pause()

    def resume(self) -> None:
        """See `Ticket`."""
        self._paused = False
        if self._ticket is not None:
            self._ticket.resume()
