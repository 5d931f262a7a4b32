"""One authorization server: its metadata and its signing keys, read when they are needed and kept within bounds.

Follows RFC 8414 (and OpenID Connect discovery) and RFC 7517. Known keys are used at once, and read again beside
that once they are old:

    known, younger than `refresh_s`     used
    known, older                        used, while one reading is under way
    older than `stale_s`                not used: an issuer that cannot be read for so long may have withdrawn them
    not known                           one reading, unless there was one within `retry_s`

Invariants: one reading at a time, whoever waits; a reading that fails changes nothing that is known; what an issuer
publishes leads to no host that the operator has not named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from broker import telemetry
from broker.identity.fetching import Fetch, NotFetched, is_fetchable
from broker.identity.keys import Key, NoKeySet, read_keys, select
from protocol_versions.strict import Refused, load

if TYPE_CHECKING:
    from broker.identity.introspection import Introspection

OAUTH: Final = "/.well-known/oauth-authorization-server"
OPENID: Final = "/.well-known/openid-configuration"


class Pace(msgspec.Struct, frozen=True):
    """How often an issuer is read, and how long it is believed; see `broker.settings_limits`."""

    refresh_s: float
    retry_s: float
    stale_s: float


class Issuer:
    """An issuer by its name. `clock` gives monotonic seconds."""

    def __init__(
        self,
        name: str,
        *,
        jwks_uri: str,
        fetch: Fetch,
        pace: Pace,
        clock: Callable[[], float],
    ) -> None:
        self.name = name
        self._jwks_uri = jwks_uri
        self._fetch = fetch
        self._pace = pace
        self._clock = clock
        self._keys: tuple[Key, ...] = ()
        self._read_at = 0.0
        self._tried_at: float | None = None
        self._failed = False
        self._metadata: tuple[dict[str, Any], float] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._discovering: asyncio.Task[dict[str, Any]] | None = None
        self.introspection: Introspection | None = None
        """Where it is asked about each token, if it is."""

    # ---- keys -------------------------------------------------------------------------------------------------------

    def known(self, kid: str | None, algorithm: str) -> Key | None:
        """The key, if it is known now; keys that are old are read again meanwhile."""
        if not self._usable:
            return None
        key = select(self._keys, kid, algorithm)
        if key is not None and self._clock() - self._read_at >= self._pace.refresh_s and self._may_try:
            self._begin()
        return key

    async def find(self, kid: str | None, algorithm: str) -> Key | None:
        """The key, after reading the issuer's keys if that may be done now; None if it has none of this name.

        Raises:
            NotFetched: nothing is known of its keys, and they cannot be read.
        """
        key = self.known(kid, algorithm)
        if key is None and (self._reading is not None or self._may_try):
            # Whoever gives up waiting does not end it for the others, nor is ended with it at a reload.
            await asyncio.wait([self._begin()])
            key = self.known(kid, algorithm)
        if key is None and (self._failed or not self._usable):
            raise NotFetched("issuer-unreachable")
        return key

    @property
    def _usable(self) -> bool:
        return bool(self._keys) and self._clock() - self._read_at < self._pace.stale_s

    @property
    def _may_try(self) -> bool:
        return self._tried_at is None or self._clock() - self._tried_at >= self._pace.retry_s

    def _begin(self) -> asyncio.Task[None]:
        if self._reading is None:
            self._tried_at = self._clock()
            self._reading = asyncio.get_running_loop().create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        try:
            address = self._jwks_uri or await self._discovered_keys()
            self._keys = read_keys(await self._fetch(address))
            self._read_at = self._clock()
            self._failed = False
        except (NotFetched, NoKeySet) as error:
            self._fail(error.reason if isinstance(error, NotFetched) else "issuer-no-keys")
        except Exception as error:  # a bug of ours must not leave callers waiting, and opens nothing
            self._fail(f"internal:{type(error).__name__}")
        finally:
            self._reading = None

    def _fail(self, reason: str) -> None:
        self._failed = True
        telemetry.audit("issuer-not-read", reason=reason, issuer=self.name, keys=len(self._keys) if self._usable else 0)

    # ---- metadata ---------------------------------------------------------------------------------------------------

    async def metadata(self) -> dict[str, Any]:
        """What the issuer publishes of itself. Raises NotFetched."""
        now = self._clock()
        if self._metadata is not None and now - self._metadata[1] < self._pace.refresh_s:
            return self._metadata[0]
        if self._discovering is None:
            self._discovering = asyncio.get_running_loop().create_task(self._discover())
            self._discovering.add_done_callback(self._discovered)
        task = self._discovering
        await asyncio.wait([task])
        if task.cancelled():
            raise NotFetched("issuer-gone")
        return task.result()

    def _discovered(self, task: asyncio.Task[dict[str, Any]]) -> None:
        self._discovering = None
        if not task.cancelled() and task.exception() is None:
            self._metadata = task.result(), self._clock()

    async def _discover(self) -> dict[str, Any]:
        error = NotFetched("issuer-no-metadata")
        for address in addresses(self.name):
            try:
                tree = load(await self._fetch(address))
            except NotFetched as failed:
                if not 400 <= failed.status < 500:  # not found there: the next place; else it is away
                    raise
                error = failed
                continue
            except Refused:
                raise NotFetched("issuer-garbage") from None
            # "The issuer value returned MUST be identical" (RFC 8414 3.3): else any server could speak for another.
            if not isinstance(tree, dict) or tree.get("issuer") != self.name:
                raise NotFetched("issuer-not-itself")
            return tree
        raise error

    async def _discovered_keys(self) -> str:
        address = (await self.metadata()).get("jwks_uri")
        if not isinstance(address, str) or not is_fetchable(address):
            raise NotFetched("issuer-no-jwks-uri")
        if urlsplit(address).netloc.lower() != urlsplit(self.name).netloc.lower():
            raise NotFetched("issuer-jwks-elsewhere")  # `jwks_uri` in the configuration allows it
        return address

    async def close(self) -> None:
        """Nobody asks any more."""
        tasks = [task for task in (self._reading, self._discovering) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.introspection is not None:
            await self.introspection.close()


def addresses(issuer: str) -> list[str]:
    """Where an issuer's metadata may be (2026-07-28 basic/authorization: the path inserted, then appended)."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    found = [origin + OAUTH + path, origin + OPENID + path, origin + path + OPENID]
    return list(dict.fromkeys(found))
