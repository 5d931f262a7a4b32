"""Who is calling one server: every kind of credential, and what a caller who is refused is told to do.

Follows basic/authorization of 2025-06-18 to 2026-07-28: bearer tokens in the Authorization header, 401 with a challenge
that names the protected-resource metadata (RFC 9728 5.1), 403 `insufficient_scope` with the scopes that are needed.
Invariants: a credential that cannot be verified is refused and never downgraded, to a certificate or to nobody; a token
is for the server it was made out to; whatever fails, nobody gets in; what was verified is not believed beyond its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from broker.identity.fetching import NotFetched
from broker.identity.principal import (
    BAD_CREDENTIAL,
    NO_CREDENTIAL,
    UNSUPPORTED,
    Principal,
    Proof,
    Refused,
    bearer,
    by_key,
    may_be_opaque,
    nobody,
)
from broker.identity.scopes import TOO_LITTLE, Needed

if TYPE_CHECKING:
    from broker.identity.identities import Identities
    from broker.identity.introspection import Said
    from broker.identity.issuer import Issuer
    from broker.identity.tokens import Head, Proven, Rules
    from broker.settings import Backend

_AWAY: Final = Refused("issuer-away", "", "Service Unavailable: the credential cannot be checked now", 503)
_NEEDED: Final = "Unauthorized: an access token for this server is required"
_FAILED: Final = "Unauthorized: this is no valid access token for this server"


class Admission:
    """The identity of one server's callers. `urls` are its addresses, the first of them the canonical one."""

    def __init__(self, name: str, backend: Backend, identities: Identities, urls: tuple[str, ...]) -> None:
        self.identities = identities
        self._name = name
        self._own = frozenset(urls)
        self._needed = Needed.by(backend)
        self.per_method = bool(self._needed.by_method)
        """Whether what a caller may do depends on the method."""
        self.nobody = self._told(nobody(identities.settings), "")

    def identify(
        self, headers: Mapping[str, str], certificate: bytes | None, metadata: str
    ) -> Principal | Refused | None:
        """The caller, by what can be known at once; None if an issuer has to be asked.

        `headers` look names up without case; `certificate` (DER) is that of the connection; `metadata` is where a
        caller that is refused reads what to do, if there is such a place.
        """
        found = self._credential(headers, certificate)
        return None if found is None else self._told(found, metadata)

    async def verify(self, headers: Mapping[str, str], certificate: bytes | None, metadata: str) -> Principal | Refused:
        """As `identify`, asking the issuer."""
        token = bearer(headers.get("Authorization", ""))
        assert token is not None
        try:
            found = await self._asked(token, headers, certificate)
        except NotFetched as error:
            return _away(error.reason)
        return self._told(found if found is not None else _bad("token-key"), metadata)

    async def _asked(
        self, token: str, headers: Mapping[str, str], certificate: bytes | None
    ) -> Principal | Refused | None:
        from broker.identity.tokens import BadToken, digest_of, looks_like_token, read_head

        identities = self.identities
        issuer, _ = identities.asked.opaque or (None, None)
        if looks_like_token(token):
            try:
                head = read_head(token)
                issuer, _ = identities.issuers[head.issuer]
            except (BadToken, KeyError):
                return None
            if await issuer.find(head.kid, head.algorithm) is None:
                return None
        found = self._credential(headers, certificate)
        if found is not None or issuer is None or issuer.introspection is None:
            return found
        self._check_trusted(issuer)
        said = await issuer.introspection.ask(token, digest_of(token))
        self._check_trusted(issuer)
        return self._token(token, certificate, said)

    def _check_trusted(self, issuer: Issuer) -> None:
        """A configuration may have come meanwhile, by which another is asked: what this one says counts no more."""
        now, _ = self.identities.issuers.get(issuer.name, (None, None))
        if now is not issuer:
            raise NotFetched("issuer-replaced")

    def lacking(self, principal: Principal, method: str, metadata: str) -> Refused | None:
        """The refusal of a method that needs scopes the caller does not have (2026-07-28 basic/authorization)."""
        needed = self._needed.of(method)
        if needed <= principal.scopes:
            return None
        # What the operation needs, and nothing of the catalogue beside it.
        challenge = self._challenge(metadata, error="insufficient_scope", scopes=needed)
        return Refused("insufficient-scope", challenge, TOO_LITTLE, 403)

    def lapsed(self, principal: Principal) -> str:
        """Why a credential that was good is good no more; empty if it still is."""
        return self.identities.lapsed(principal)

    @property
    def every_scope(self) -> list[str]:
        """All scopes that anything here needs."""
        return sorted(self._needed.every)

    # ---- credentials ------------------------------------------------------------------------------------------------

    def _credential(self, headers: Mapping[str, str], certificate: bytes | None) -> Principal | Refused | None:
        identities = self.identities
        credential = headers.get("Authorization")
        if credential is None:
            if certificate is None or identities.certificates is None:
                return self.nobody
            caller = identities.certificates.caller(certificate)
            return _bad("certificate-of-nobody") if caller is None else self._held(caller)
        token = bearer(credential)
        if token is None:
            return UNSUPPORTED
        keyed = by_key(token, identities.settings)
        if keyed is not None:
            return self._held(keyed)
        return self._token(token, certificate) if identities.issuers else BAD_CREDENTIAL

    def _token(self, token: str, certificate: bytes | None, said: Said | None = None) -> Principal | Refused | None:
        """The caller of an access token; `said` is what its issuer has just said of it. None if it has to be asked."""
        from broker.identity.tokens import BadToken, digest_of, looks_like_token

        identities = self.identities
        if len(token) > identities.settings.limits.token_bytes:
            return _bad("token-size")
        signed = looks_like_token(token)
        if not signed and (identities.asked.opaque is None or not may_be_opaque(token)):
            return BAD_CREDENTIAL
        digest = digest_of(token)
        known = identities.recall(self._name, digest) if certificate is None else None
        if known is not None:
            return known
        try:
            found = (self._signed if signed else self._opaque)(token, digest, certificate, said)
        except BadToken as bad:
            return _bad(bad.reason)
        if not isinstance(found, Principal):
            return found
        held = self._held(found)
        if held is found and "cnf" not in found.claims:
            identities.remember(self._name, found)
        return held

    def _signed(
        self, token: str, digest: str, certificate: bytes | None, said: Said | None
    ) -> Principal | Refused | None:
        from broker.identity.tokens import BadToken, prove, read_head

        identities = self.identities
        head: Head = read_head(token)
        trusted = identities.issuers.get(head.issuer)
        if trusted is None:
            raise BadToken("token-issuer")
        issuer, rules = trusted
        if head.algorithm not in rules.algorithms:
            raise BadToken("token-algorithm")
        key = issuer.known(head.kid, head.algorithm)
        if key is None:
            return None
        proven = prove(token, head, key, rules, identities.wall(), certificate)
        self._check_audience(proven, rules)
        if issuer.introspection is not None:
            from broker.identity.answers import narrowed

            said = said or issuer.introspection.known(digest)
            if said is None or said.claims is None:
                return None if said is None else _not_good(said)
            proven = narrowed(proven, said.claims, rules, identities.wall(), certificate)
            self._check_audience(proven, rules)
        return self._named(token, proven, rules, said)

    def _opaque(
        self, token: str, digest: str, certificate: bytes | None, said: Said | None
    ) -> Principal | Refused | None:
        from broker.identity.answers import proven as proven_by

        identities = self.identities
        assert identities.asked.opaque is not None
        issuer, rules = identities.asked.opaque
        assert issuer.introspection is not None
        said = said or issuer.introspection.known(digest)
        if said is None or said.claims is None:
            return None if said is None else _not_good(said)
        proven = proven_by(said.claims, rules, identities.wall(), certificate, digest)
        self._check_audience(proven, rules)
        return self._named(token, proven, rules, said)

    def _check_audience(self, proven: Proven, rules: Rules) -> None:
        from broker.identity.tokens import BadToken

        if proven.audiences.isdisjoint(self._own | self.identities.audiences[rules.issuer]):
            raise BadToken("token-audience")

    def _named(self, token: str, proven: Proven, rules: Rules, said: Said | None) -> Principal:
        """The caller, by what its issuer has said of the token, if it was asked: it will be again."""
        return Principal(
            f"token:{rules.issuer} {proven.subject}",
            "token",
            proven.claims,
            proven.scopes,
            proven.expires_at,
            proven.digest,
            Proof(token) if said is not None or self.identities.keeps_tokens else None,
            rules,
            0 if said is None else said.number,
        )

    def _held(self, principal: Principal) -> Principal | Refused:
        why = self.lapsed(principal)
        if why == "unchecked":  # what was open of it may have ended so: now it has been checked
            why = ""
        if self.identities.lapses and not why:
            self.identities.seen(principal)
        return _bad(f"credential-{why}") if why else principal

    # ---- refusals ---------------------------------------------------------------------------------------------------

    def _told(self, found: Principal | Refused, metadata: str) -> Principal | Refused:
        """What is found, or the refusal with this server's challenge."""
        if isinstance(found, Principal):
            if self._needed.always <= found.scopes:
                return found
            if found.credential:
                return self.lacking(found, "", metadata) or found
            found = NO_CREDENTIAL  # somebody has to be named before it is asked what they may
        if not self.identities.issuers or found.status != 401:
            return found
        if found.reason == "no-credential":
            challenge = self._challenge(metadata, scopes=self._needed.always)
            return msgspec.structs.replace(found, challenge=challenge, message=_NEEDED)
        error = "invalid_request" if found is UNSUPPORTED else "invalid_token"
        message = found.message if found is UNSUPPORTED else _FAILED
        challenge = self._challenge(metadata, error=error, scopes=self._needed.always)
        return msgspec.structs.replace(found, challenge=challenge, message=message)

    def _challenge(self, metadata: str, *, error: str = "", scopes: frozenset[str] = frozenset()) -> str:
        parts = {"error": error, "scope": " ".join(sorted(scopes)), "resource_metadata": metadata}
        return ", ".join(['Bearer realm="dragoman"', *(f'{name}="{value}"' for name, value in parts.items() if value)])


def _not_good(said: Said) -> Refused:
    """The refusal of a token that is good for nothing, or about which nobody can be asked."""
    return _away(said.reason) if said.away else _bad(said.reason)


def _away(reason: str) -> Refused:
    return msgspec.structs.replace(_AWAY, detail=reason)


def _bad(detail: str) -> Refused:
    return msgspec.structs.replace(BAD_CREDENTIAL, detail=detail)
