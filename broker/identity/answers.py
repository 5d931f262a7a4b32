"""What an issuer answers about a token, judged as the claims of a JWT are. No I/O.

Follows RFC 7662 section 2.2, with the token handling of basic/authorization: a token that is not made out to this
server is none for it, whatever kind it is. Invariants: what is said of another issuer, another caller or another client
than the token itself says proves nothing; an answer takes away from what a JWT says and never adds to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from broker.identity.tokens import BadToken, Proven, Rules, audiences_of, check_binding, judged, scopes_of, time_of

_KINDS: Final[dict[str, frozenset[str]]] = {
    "token_type": frozenset(("bearer", "n_a")),
    "token_use": frozenset(("access_token", "access")),
    "typ": frozenset(("bearer", "jwt", "at+jwt", "application/at+jwt")),
}
"""What may be said of the kind: issuers also know refresh tokens, those of identity, and such as need a proof."""

_SAME: Final = ("client_id", "jti")


def proven(said: Mapping[str, Any], rules: Rules, now: float, certificate: bytes | None, digest: str) -> Proven:
    """What an answer proves of a token that is no JWT; its `exp` is optional. Raises BadToken."""
    _check_kind(said)
    if said.get("iss", rules.issuer) != rules.issuer:
        raise BadToken("token-issuer")
    return judged({**said, "iss": rules.issuer}, rules, now, certificate, digest)


def narrowed(jwt: Proven, said: Mapping[str, Any], rules: Rules, now: float, certificate: bytes | None) -> Proven:
    """What is left of what a JWT proves by an answer that says more or less of it. Raises BadToken."""
    _check_kind(said)
    check_binding(said, certificate)
    if said.get("iss", rules.issuer) != rules.issuer:
        raise BadToken("token-issuer")
    for name in (rules.name, *_SAME):
        if name in said and name in jwt.claims and said[name] != jwt.claims[name]:
            raise BadToken("token-other")
    scopes = jwt.scopes & scopes_of(said) if "scope" in said or "scp" in said else jwt.scopes
    audiences = jwt.audiences & audiences_of(said) if "aud" in said else jwt.audiences
    ends = [end for end in (jwt.expires_at, time_of(said, "exp")) if end is not None]
    if ends and now >= min(ends) + rules.leeway_s:
        raise BadToken("token-expired")
    # That a token is bound may be said here alone (RFC 8705 3.2).
    claims = {**jwt.claims, "cnf": said["cnf"]} if "cnf" in said else jwt.claims
    end = min(ends) if ends else None
    return msgspec.structs.replace(jwt, claims=claims, scopes=scopes, audiences=audiences, expires_at=end)


def _check_kind(said: Mapping[str, Any]) -> None:
    for name, known in _KINDS.items():
        kind = said.get(name)
        if name in said and not (isinstance(kind, str) and kind.lower() in known):
            raise BadToken("token-type")
