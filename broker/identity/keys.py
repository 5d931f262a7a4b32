"""The public keys an issuer signs with, read from its JWK Set, and the one that a token names.

Follows RFC 7517 and RFC 7518. Invariants: a key is used with the algorithms of its own kind alone, so that no token can
choose how it is checked; secrets (`oct`), private members, keys for encryption and short RSA keys are passed over; a
`kid` is compared and nothing else, whatever it looks like.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from protocol_versions.strict import Refused, load

MAX_KEYS: Final = 100
"""Keys of one set that are read; large issuers publish below ten."""

MIN_RSA_BITS: Final = 2048  # RFC 7518 3.3 and 3.5

_CURVES: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_PUBLIC: Final = ("kty", "n", "e", "crv", "x", "y")

ALGORITHMS: Final = (*_RSA, *_CURVES.values(), "EdDSA")
"""Every algorithm a token may be signed with: asymmetric ones alone."""


class NoKeySet(ValueError):  # noqa: N818 (what was found, as the caller reads it)
    """The document is no JWK Set, or holds no key that could be used."""


class Key(msgspec.Struct, frozen=True):
    """One public key. `algorithms` are those it may be used with; `public` is `cryptography`'s object."""

    kid: str | None
    algorithms: frozenset[str]
    public: Any


def read_keys(document: bytes) -> tuple[Key, ...]:
    """The usable keys of a JWK Set.

    Raises:
        NoKeySet: there is none.
    """
    try:
        tree = load(document)
    except Refused as refused:
        raise NoKeySet(refused.reason) from None
    listed = tree.get("keys") if isinstance(tree, dict) else None
    if not isinstance(listed, list):
        raise NoKeySet("no-keys")
    found = [key for each in listed[:MAX_KEYS] if (key := _read(each)) is not None]
    if not found:
        raise NoKeySet("no-usable-key")
    return tuple(found)


def select(keys: tuple[Key, ...], kid: str | None, algorithm: str) -> Key | None:
    """The key a token names; without a name, the only one there is for its algorithm."""
    fits = [key for key in keys if algorithm in key.algorithms and (kid is None or key.kid == kid)]
    return fits[0] if len(fits) == 1 else None


def _read(member: Any) -> Key | None:
    """One member of `keys`; None for one that is for something else or cannot be read."""
    from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
    from jwt.exceptions import PyJWTError

    if not isinstance(member, dict) or member.get("use", "sig") != "sig":
        return None
    operations = member.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    kid = member.get("kid")
    if kid is not None and not isinstance(kid, str):
        return None
    public = {name: member[name] for name in _PUBLIC if name in member}
    kinds: dict[Any, tuple[Any, tuple[str, ...]]] = {
        "RSA": (RSAAlgorithm, _RSA),
        "EC": (ECAlgorithm, tuple(_CURVES[crv] for crv in [public.get("crv")] if crv in _CURVES)),
        "OKP": (OKPAlgorithm, ("EdDSA",) if public.get("crv") == "Ed25519" else ()),
    }
    reader, algorithms = kinds.get(str(public.get("kty")), (None, ()))
    only = member.get("alg")
    allowed = frozenset(algorithms if only is None else [each for each in algorithms if each == only])
    if not allowed:
        return None
    try:
        key = reader.from_jwk(public)
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError):  # of many kinds, by what is malformed
        return None
    if public["kty"] == "RSA" and key.key_size < MIN_RSA_BITS:
        return None
    return Key(kid, allowed, key)
