"""Who is calling: a static bearer key by its hash, or nobody in particular.

Follows the authorization page (bearer tokens in the Authorization header, 401 with a challenge). Invariants: a
credential that cannot be verified is refused and never downgraded to anonymous; keys are kept and compared as
SHA-256 digests, in constant time; nothing the caller says about itself makes it somebody.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

if TYPE_CHECKING:
    from broker.identity.tokens import Rules
    from broker.settings import Settings

KEY_PREFIX: Final = "dgm_"  # makes a leaked key recognisable to secret scanners
RETRY_AFTER_S: Final = "5"  # an issuer that is away is asked again a moment later
KEY_BYTES: Final = 32  # 256 random bits: a plain hash cannot be searched, so no slow derivation per request
_LONGEST: Final = 512  # characters of a bearer key that is hashed at all

_CHALLENGE: Final = 'Bearer realm="dragoman"'


class Proof:
    """A token that was verified. Nothing shows it but `token`."""

    __slots__ = ("token",)

    def __init__(self, token: str) -> None:
        self.token = token


class Principal(msgspec.Struct, frozen=True):
    """One caller. Sessions, streams and questions belong to exactly one; `id` is safe to log.

    Two of the same `id` are the same caller, whose credential was renewed: `claims` (of a token, as verified), `scopes`
    and `expires_at` (seconds since the epoch; None: no end is known) are those of the credential of one message, and
    `credential` is its SHA-256, in hex. `proof` is the token itself, where servers are shown others in exchange for it,
    and `rules` those of its issuer that it was verified by. `answer` is the number of what its issuer said of it.
    """

    id: str
    kind: Literal["key", "token", "certificate", "local", "anonymous", "shared"]
    claims: Mapping[str, Any] = {}
    scopes: frozenset[str] = frozenset()
    expires_at: float | None = None
    credential: str = ""
    proof: Proof | None = None
    rules: Rules | None = None
    answer: int = 0

    @property
    def per_call_sessions(self) -> bool:
        """True if calls must not share a backend session: several people may be behind this name."""
        return self.kind == "anonymous"

    @property
    def input_capabilities(self) -> bool:
        """True if backends may ask this caller questions (elicitation, sampling, roots)."""
        return self.kind != "anonymous"


class Refused(msgspec.Struct, frozen=True):
    """No identity (401), too little of it (403), or none that can be checked now (503). `message` is frozen text.

    `reason` is the slug the caller is told, `detail` what the audit says beside it; `challenge` is the
    WWW-Authenticate header.
    """

    reason: Literal[
        "no-credential", "bad-credential", "unsupported-credential", "insufficient-scope", "issuer-away"
    ]  # fmt: skip
    challenge: str
    message: str
    status: int = 401
    detail: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What the answer's head says beside its status."""
        return {"WWW-Authenticate": self.challenge} if self.challenge else {"Retry-After": RETRY_AFTER_S}


LOCAL: Final = Principal("local", "local")
ANONYMOUS: Final = Principal("anonymous", "anonymous")
SHARED: Final = Principal("", "shared")
"""Whom a session belongs to that all callers share."""

NO_CREDENTIAL: Final = Refused("no-credential", _CHALLENGE, "Unauthorized: a bearer key of this broker is required")
BAD_CREDENTIAL: Final = Refused(
    "bad-credential",
    f'{_CHALLENGE}, error="invalid_token"',
    "Unauthorized: this is not a key of this broker, and credentials are never passed on to backends",
)
UNSUPPORTED: Final = Refused(
    "unsupported-credential",
    f'{_CHALLENGE}, error="invalid_request"',
    "Unauthorized: expected Authorization: Bearer KEY",
)


def nobody(settings: Settings) -> Principal | Refused:
    """The caller of a request without a credential."""
    if not settings.anonymous_allowed:
        return NO_CREDENTIAL
    return LOCAL if settings.local else ANONYMOUS


def bearer(credential: str) -> str | None:
    """The bearer credential of an Authorization header; None if it holds something else."""
    scheme, _, token = credential.partition(" ")
    token = token.strip(" ")
    return token if scheme.lower() == "bearer" and token and token.isascii() else None


def may_be_opaque(token: str) -> bool:
    """True for what may be an access token that is no JWT: no key of this broker, even if it is nobody's."""
    return not token.startswith(KEY_PREFIX) and all("!" <= char <= "~" for char in token)


def by_key(token: str, settings: Settings) -> Principal | None:
    """The caller whose key this is; None if it is nobody's."""
    digest = digest_of(token) if len(token) <= _LONGEST else ""
    found = None
    for name, caller in settings.keys.items():
        # Every key is compared, so that the time says nothing about which one is close.
        if hmac.compare_digest(digest, caller.sha256):
            found = name
    return (
        None
        if found is None
        else Principal(f"key:{found}", "key", scopes=frozenset(settings.keys[found].scopes), credential=digest)
    )


def digest_of(key: str) -> str:
    """What the configuration holds of a key: SHA-256 in hex."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_key() -> tuple[str, str]:
    """A fresh `(key, digest)`."""
    key = KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)
    return key, digest_of(key)
