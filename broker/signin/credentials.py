"""A person's access to one server, for the pools that lead there: kept, renewed, and asked for when it is refused.

Follows basic/authorization of every revision. Loaded with every server at an address, so that everything heavy is
loaded when there is something to do. Invariants: one attempt at a time, in this process and over all of them; whoever
comes while one is under way shares it; a browser is not opened again and again for what nobody did before; a grant that
another process put in its place is used before anybody is asked.

    refused                                    then
    another line was used than is there now    send again
    401, with a refresh token                  refresh; if the issuer refuses that, sign in
    401 otherwise, or once more                sign in, unless somebody did just now
    403 insufficient_scope                     sign in with the scopes of both, unless they were granted already
    403 otherwise                              nothing
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from broker.backends.credentialed import CredentialedPool
from broker.backends.hidden import NOTHING, Hidden
from broker.backends.http1_types import Pool
from broker.signin.errors import SignInError
from broker.signin.options import SignInOptions
from broker.signin.places import canonical, file_of, folder

if TYPE_CHECKING:
    from broker.signin.fetch import Fetcher
    from broker.signin.flow import Person
    from broker.signin.grant import Grant
    from broker.signin.store import Store

RENEW_BEFORE_S = 30.0
"""A token is renewed this long before it expires: clocks differ, and a request takes its time."""

RENEW_SHARE = 0.25
"""And never earlier than with this share of its life left: some issuers give tokens for seconds."""

PAUSE_S = 60.0
"""After an attempt that failed nobody is asked again for so long; hosts start over within seconds."""

RENEWAL_GRACE_S = 2.0
"""How long a process that ends waits for a renewal: issuers answer within a second, and a lost one is a lost grant."""

AGAIN_S = 10.0
"""After a renewal that failed the next one waits so long, while the token is still good."""


def on_stderr(line: str) -> None:
    """A line for whoever reads standard error: the person, or the host's log."""
    print(f"dragoman: {line}", file=sys.stderr, flush=True)


def signed(
    server: str,
    pool: Pool,
    pool_for: Callable[[str], Pool],
    options: SignInOptions,
    limits: Any,
    **more: Any,
) -> tuple[Pool, Callable[[str], Pool]]:
    """The pools of a server, in front of which a person's credentials stand; `more` as `PersonCredentials` takes it.

    Raises:
        ValueError: the server's address is none.
    """
    credentials = PersonCredentials(server, options, limits, **more)
    credentials.look()

    def signed_for(url: str) -> Pool:
        return CredentialedPool(pool_for(url), credentials)

    return CredentialedPool(pool, credentials, owns=True), signed_for


class PersonCredentials:
    """`broker.backends.credentialed.Credentials` of the person this runs for. `limits` has `sign_in_s` and
    `sign_in_request_s`; `who` is who is asked, by default whoever sits before this machine; `tls` is what the server
    itself is reached with.
    """

    def __init__(
        self,
        server: str,
        options: SignInOptions,
        limits: Any,
        *,
        tls: Callable[[], Any] = lambda: None,
        proxy_env: Mapping[str, str] | None = None,
        store: Store | None = None,
        who: Person | None = None,
        clock: Callable[[], float] = time.time,
        report: Callable[[str], None] | None = None,
        hidden: Hidden = NOTHING,
    ) -> None:
        self.server = server
        self.line = b""
        self.renew_at = float("inf")
        self.clock = clock
        self._hidden = hidden
        self._name = canonical(server)
        self._options = options
        self._limits = limits
        self._tls = tls
        self._proxy_env = proxy_env
        self._store = store
        self._who = who
        self._report = report or _noted
        self._grant: Grant | None = None
        self._refreshed = (
            b""  # the line that came of a refresh: for a request that was refused with it too, another is no use
        )
        self._flight: asyncio.Task[bool] | None = None
        self._renewing = False
        self._paused_until = 0.0
        self._settled_until = 0.0

    def look(self) -> None:
        """Take what somebody gave before; what cannot be used is said when the server refuses without it."""
        place = self._store.place if self._store is not None else folder()
        if not (place / file_of(self._name)).exists():
            return  # most servers want nobody: not to load the rest is all there is to do
        try:
            self._take(self._files().load(self._name))
        except SignInError as error:
            on_stderr(str(error))

    # ---- broker.backends.credentialed.Credentials --------------------------------------------------------------------

    async def renew(self) -> None:
        """See `Credentials`."""
        if self.clock() >= self.renew_at:
            await self._share(self._renewed)

    async def answer(self, status: int, challenge: str, refused: bytes, sendings: int) -> bool:
        """See `Credentials`."""
        while self._flight is not None:
            await asyncio.shield(self._flight)
        if self.line != refused:
            return True
        if status == 403 and "insufficient_scope" not in challenge:
            return False
        return await self._share(lambda: self._answered(status, challenge, refused, sendings))

    async def close(self) -> None:
        """See `Credentials`."""
        flight = self._flight
        if flight is not None:
            if self._renewing:  # the issuer may have taken the old refresh token back already
                await asyncio.wait([flight], timeout=RENEWAL_GRACE_S)
            flight.cancel()
            await asyncio.wait([flight])

    # ---- inside ------------------------------------------------------------------------------------------------------

    async def _share(self, work: Callable[[], Awaitable[bool]]) -> bool:
        """Do it, or wait for what is under way already."""
        if self._flight is None:
            self._flight = asyncio.ensure_future(self._run(work))
        return await asyncio.shield(self._flight)

    async def _run(self, work: Callable[[], Awaitable[bool]]) -> bool:
        try:
            return await work()
        except SignInError as error:
            self._report(error.reason)
            if error.reason != "paused":
                say = self._who.say if self._who is not None else on_stderr
                say(
                    f"nobody is signed in at {self._name}: {error}. To do it yourself, run: dragoman login {self._name}"
                )
            raise
        finally:
            self._flight = None

    async def _renewed(self) -> bool:
        try:
            async with self._files().lock(self._name, self._limits.sign_in_request_s):
                grant = self._current()
                return grant is not None and self.clock() >= self.renew_at and await self._refresh(grant)
        except SignInError as error:  # the token that is there may still do; if not, its refusal is answered
            self._report(error.reason)
            self.renew_at = self.clock() + AGAIN_S
            return False

    async def _answered(self, status: int, header: str, refused: bytes, sendings: int) -> bool:
        from broker.signin.challenge import read

        async with self._files().lock(self._name, self._limits.sign_in_s):
            grant = self._current()
            if self.line and self.line != refused:
                return True  # another process was faster
            challenge = read(header)
            renewed = sendings > 1 and refused == self._refreshed
            if status == 401 and grant is not None and grant.refresh_token and not renewed:
                try:
                    return await self._refresh(grant)
                except SignInError as error:
                    if error.reason != "token-refused":
                        raise
            if status == 403 and grant is not None and set(challenge.scopes) <= set(grant.asked):
                return False  # it was asked for, and it did not help
            if status == 401 and self.clock() < self._settled_until:
                return False  # somebody signed in just now, and the server does not want that either
            return await self._sign_in(challenge, grant)

    async def _refresh(self, grant: Grant) -> bool:
        from broker.signin.tokens import refreshed

        if self._options.issuer and self._options.issuer != grant.issuer:
            raise SignInError("token-refused", "the operator names another issuer now")
        self._renewing = True
        try:
            async with self._fetcher(grant.issuer) as fetch:
                fresh = await refreshed(grant, fetch, self.clock())
            self._files().save(fresh)
        finally:
            self._renewing = False
        self._take(fresh)
        self._refreshed = self.line
        return True

    async def _sign_in(self, challenge: Any, before: Grant | None) -> bool:
        from broker.signin.flow import person, sign_in

        if not self._options.asks:
            return False
        if self.clock() < self._paused_until:
            raise SignInError("paused", f"nobody signed in a moment ago; run: dragoman login {self._name}")
        watched = sys.stderr is not None and sys.stderr.isatty()
        who = self._who or person(on_stderr, self._limits.sign_in_s, watched=watched)
        try:
            async with self._fetcher() as fetch:
                grant = await sign_in(
                    self.server, challenge, self._options, fetch, who, before=before, clock=self.clock
                )
            self._files().save(grant)
        except SignInError:
            self._paused_until = self.clock() + PAUSE_S
            raise
        self._take(grant)
        self._settled_until = self.clock() + PAUSE_S
        who.say(f"signed in at {self._name}")
        return True

    def _fetcher(self, issuer: str = "") -> Fetcher:
        """Its guard lets the issuer be where it was when somebody signed in there."""
        from broker.signin.addresses import Guard
        from broker.signin.fetch import Fetcher

        named = [each for each in (self._options.issuer, issuer) if each]
        return Fetcher(
            Guard(self.server, named),
            request_s=self._limits.sign_in_request_s,
            tls=self._tls(),
            proxy_env=self._proxy_env,
        )

    def _files(self) -> Store:
        if self._store is None:
            from broker.signin.store import Store

            self._store = Store()
        return self._store

    def _current(self) -> Grant | None:
        """What is on disk now, which may be newer than what is here."""
        found = self._files().load(self._name)
        if found != self._grant:
            self._take(found)
        return found

    def _take(self, grant: Grant | None) -> None:
        if grant is not None and self._options.issuer and grant.issuer != self._options.issuer:
            grant = None  # the operator means another issuer's
        self._grant = grant
        self.line = grant.line if grant is not None else b""
        if grant is not None and self._hidden is not NOTHING:
            self._hidden.renewed(grant.access_token)
        self._refreshed = b""
        self.renew_at = float("inf")
        if grant is not None and grant.expires_at and grant.refresh_token:
            left = max(0.0, grant.expires_at - self.clock())
            self.renew_at = grant.expires_at - min(RENEW_BEFORE_S, left * RENEW_SHARE)


def _noted(reason: str) -> None:
    from broker import telemetry

    telemetry.audit("sign-in-failed", reason=reason)
