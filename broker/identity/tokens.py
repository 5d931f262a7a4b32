"""Access tokens: JWTs signed by a configured issuer for this server, read and judged. No I/O; the clock is given.

Follows RFC 7519, RFC 8725 (best practices), RFC 9068 (access tokens) and basic/authorization of 2026-07-28 (token
handling). Invariants: nothing of a token but its issuer's name and its key's is used before the signature holds; what
was signed is what is read, by a strict parser; every claim that is there has to be well-formed; a token that is bound
to a key is no bearer token.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from broker.identity.keys import ALGORITHMS, Key
from protocol_versions.strict import Refused, load

MAX_KID: Final = 256
"""Characters of a key's name; the longest in use are digests of 64."""

MAX_SUBJECT: Final = 256
"""Characters of what names a caller; OpenID Connect bounds `sub` to 255."""

MAX_SCOPES: Final = 256
"""Scopes of one token that are read; a token of 8 KiB has room for a few hundred."""

TYPES: Final = frozenset(["jwt", "at+jwt", "application/at+jwt"])
"""What `typ` may say, in lower case: tokens of other kinds (of logout, of a device's proof) are not for access."""


class BadToken(Exception):  # noqa: N818 (what was found, as the caller reads it)
    """A token that proves nothing. `reason` is a slug for the audit; the caller is told nothing but that it is so."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Head(msgspec.Struct, frozen=True):
    """What a token says before anything of it is proven: which key would prove it."""

    algorithm: str
    kid: str | None
    issuer: str


class Rules(msgspec.Struct, frozen=True):
    """What one issuer's tokens have to say. `name` is the claim that names callers."""

    issuer: str
    algorithms: frozenset[str]
    name: str = "sub"
    leeway_s: float = 30.0


class Proven(msgspec.Struct, frozen=True):
    """What a token proves. `digest` is SHA-256 of the token, in hex; a token of no JWT may have no known end."""

    subject: str
    claims: Mapping[str, Any]
    scopes: frozenset[str]
    audiences: frozenset[str]
    expires_at: float | None
    digest: str


def looks_like_token(text: str) -> bool:
    """True if a bearer credential has the three parts of a signed JWT."""
    return text.count(".") == 2


def read_head(token: str) -> Head:
    """Which key has to be asked for. Raises BadToken."""
    parts = token.split(".")
    header, claims = _object(_decoded(parts[0])), _object(_decoded(parts[1]))
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise BadToken("token-algorithm")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise BadToken("token-type")
    if "crit" in header or "b64" in header:  # "MUST be understood": none of them is
        raise BadToken("token-critical")
    if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID):
        raise BadToken("token-kid")
    issuer = claims.get("iss")
    if not isinstance(issuer, str):
        raise BadToken("token-issuer")
    return Head(algorithm, kid, issuer)


def prove(token: str, head: Head, key: Key, rules: Rules, now: float, certificate: bytes | None = None) -> Proven:
    """What the token proves. `now` is in seconds since the epoch; `certificate` is the client's on this connection.

    Raises:
        BadToken: it proves nothing. The audience is for the caller to look at: it is another for each server.
    """
    if head.algorithm not in rules.algorithms or head.algorithm not in key.algorithms:
        raise BadToken("token-algorithm")
    claims = _object(_signed(token, head, key))
    if claims.get("iss") != rules.issuer:
        raise BadToken("token-issuer")
    if "exp" not in claims:
        raise BadToken("token-claims")
    return judged(claims, rules, now, certificate, digest_of(token))


def judged(claims: Mapping[str, Any], rules: Rules, now: float, certificate: bytes | None, digest: str) -> Proven:
    """What claims say that come from the issuer, which is `rules.issuer`. Raises BadToken."""
    expires_at = time_of(claims, "exp")
    if expires_at is not None and now >= expires_at + rules.leeway_s:
        raise BadToken("token-expired")
    for name in ("nbf", "iat"):
        at = time_of(claims, name)
        if at is not None and at > now + rules.leeway_s:
            raise BadToken("token-not-yet")
    check_binding(claims, certificate)
    return Proven(_subject(claims, rules.name), claims, scopes_of(claims), audiences_of(claims), expires_at, digest)


def digest_of(token: str) -> str:
    """By which a token is remembered: SHA-256 in hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def thumbprint_of(certificate: bytes) -> str:
    """How a token names the certificate it is bound to (RFC 8705 3.1): SHA-256 of the DER, in base64url."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode()


def _signed(token: str, head: Head, key: Key) -> bytes:
    from jwt import PyJWS
    from jwt.exceptions import PyJWTError

    try:
        checked = PyJWS(algorithms=[head.algorithm]).decode_complete(
            token, key.public, algorithms=[head.algorithm], options={"enforce_minimum_key_length": True}
        )
    except (PyJWTError, ValueError, TypeError) as error:
        raise BadToken("token-signature") from error
    payload: bytes = checked["payload"]
    return payload


def _decoded(part: str) -> bytes:
    if not part or len(part) % 4 == 1:
        raise BadToken("token-format")
    try:
        data = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise BadToken("token-format") from None
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != part:  # one spelling alone, or revoking misses others
        raise BadToken("token-format")
    return data


def _object(data: bytes) -> dict[str, Any]:
    try:
        tree = load(data)
    except Refused:
        raise BadToken("token-format") from None
    if not isinstance(tree, dict):
        raise BadToken("token-format")
    return tree


def time_of(claims: Mapping[str, Any], name: str) -> float | None:
    """A claim's NumericDate; None if it is absent."""
    value = claims.get(name)
    if name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise BadToken("token-claims")
    return float(value)


def _subject(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_SUBJECT or not value.isprintable():
        raise BadToken("token-subject")
    return value


def scopes_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """`scope` (RFC 8693 4.2: words), else `scp` (words, or a list of them)."""
    value = claims.get("scope", claims.get("scp", ""))
    words = value.split(" ") if isinstance(value, str) else value
    if not isinstance(words, list) or len(words) > MAX_SCOPES or not all(isinstance(word, str) for word in words):
        raise BadToken("token-claims")
    return frozenset(word for word in words if word)


def audiences_of(claims: Mapping[str, Any]) -> frozenset[str]:
    value = claims.get("aud")
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed or not all(isinstance(each, str) for each in listed):
        raise BadToken("token-audience")
    return frozenset(listed)


def check_binding(claims: Mapping[str, Any], certificate: bytes | None) -> None:
    """A token that is bound to a certificate needs that one (RFC 8705); other proofs are not asked for here."""
    if "cnf" not in claims:
        return
    bound = claims["cnf"]
    if not isinstance(bound, dict) or set(bound) != {"x5t#S256"} or certificate is None:
        raise BadToken("token-bound")
    if bound["x5t#S256"] != thumbprint_of(certificate):
        raise BadToken("token-bound")
