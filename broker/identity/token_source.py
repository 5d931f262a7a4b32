"""Asks an issuer for access tokens: the broker's own, or one for a caller in exchange for the caller's.

Follows RFC 6749 sections 2.3.1, 4.4 and 5, RFC 8693 and RFC 8707. Invariants: only the configured issuer is asked; what
it gives is a bearer token that can be sent as one, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from broker.backends.credentialed import NobodySignedInError
from broker.identity.client_auth import shown
from broker.identity.fetching import NotFetched, exchange, fetcher
from broker.identity.issuer import Issuer, Pace
from protocol_versions.strict import Refused, load

if TYPE_CHECKING:
    from broker.settings_token import BackendToken

EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 (the name of a kind)
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"


class NoTokenError(NobodySignedInError):
    """There is no token for this request."""

    failure: Literal["sign-in", "credential"] = "credential"


class Got(msgspec.Struct, frozen=True):
    """A token as the issuer gave it; it ends at `expires_at` in seconds of the clock, infinite if nobody knows."""

    token: str
    expires_at: float

    def __repr__(self) -> str:
        """Without the token."""
        return "<Got>"


class Source:
    """Asks the issuer of one server's tokens. `clock` gives seconds since the epoch, `monotonic` others."""

    def __init__(
        self,
        section: BackendToken,
        server: str,
        limits: Any,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        """Raises ValueError for authorities that cannot be read."""
        from broker.backends.tls import client_context

        self.section = section
        self.clock = clock
        self._server = server
        self._limits = limits
        self._tls = client_context(ca_file=section.ca_bundle)
        fetch = fetcher(max_bytes=limits.issuer_bytes, timeout_s=limits.issuer_answer_s, ca_file=section.ca_bundle)
        pace = Pace(limits.issuer_refresh_s, limits.issuer_retry_s, limits.issuer_stale_s)
        self._issuer = Issuer(section.issuer, jwks_uri="", fetch=fetch, pace=pace, clock=monotonic)

    async def ask(self, subject: str | None = None) -> Got:
        """A token of the broker's own or, with the token of a caller, for that caller.

        Raises:
            NoTokenError: the issuer gives none.
        """
        section = self.section
        form = {"resource": section.resource or self._server}
        if subject is None:
            form["grant_type"] = "client_credentials"
        else:
            form |= {"grant_type": EXCHANGE, "subject_token": subject, "subject_token_type": ACCESS_TOKEN,
                     "requested_token_type": ACCESS_TOKEN}  # fmt: skip
        if section.audience:
            form["audience"] = section.audience
        if section.scopes:
            form["scope"] = " ".join(section.scopes)
        headers = shown(section, form)
        began = self.clock()
        try:
            status, body = await exchange(
                "POST",
                section.token_endpoint or await self._endpoint(),
                self._tls,
                max_bytes=self._limits.issuer_bytes,
                timeout_s=self._limits.issuer_answer_s,
                form=form,
                headers=headers,
            )
        except NotFetched as error:
            raise NoTokenError(error.reason) from None
        if status != 200:
            raise NoTokenError(f"token-refused-{status}")
        return _got(body, began)

    async def _endpoint(self) -> str:
        found = (await self._issuer.metadata()).get("token_endpoint")
        if not isinstance(found, str):
            raise NotFetched("issuer-no-token-endpoint")
        return found  # `exchange` looks at where it leads

    async def close(self) -> None:
        """Nobody asks any more."""
        await self._issuer.close()


def _got(body: bytes, began: float) -> Got:
    from broker.signin.tokens import expiry_of, is_token

    try:
        said = load(body)
    except Refused:
        raise NoTokenError("token-garbage") from None
    if not isinstance(said, dict) or not is_token(said.get("access_token")):
        raise NoTokenError("token-garbage")
    kind = said.get("token_type")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise NoTokenError("token-of-another-kind")
    if said.get("issued_token_type", ACCESS_TOKEN) not in (ACCESS_TOKEN, JWT):
        raise NoTokenError("token-of-another-kind")
    return Got(said["access_token"], expiry_of(said.get("expires_in"), began) or float("inf"))
