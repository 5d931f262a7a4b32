"""The token endpoint: a code for tokens, a refresh token for others, and taking them back.

Follows RFC 6749 sections 4.1.3, 5.1 and 6, OAuth 2.1 section 4.3 (rotation), RFC 8707 (the resource is always named)
and RFC 7009. Invariant: what goes into a header is proved to be one before it is kept.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus

import msgspec

from broker.signin.challenge import scopes_of
from broker.signin.errors import SignInError
from broker.signin.fetch import Answer, Fetcher
from broker.signin.grant import Client, Grant
from broker.signin.registration import refusal

MAX_TOKEN: Final = 8 * 1024
"""Characters of a token; servers of most kinds refuse a header field above that."""

LONGEST_S: Final = 365 * 24 * 3600.0
"""A life beyond it is taken for this long: no token is used unasked for a year."""

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


async def redeemed(grant: Grant, code: str, verifier: str, fetch: Fetcher, now: float) -> Grant:
    """The grant with the tokens that a code is worth.

    Raises:
        SignInError: it is worth none.
    """
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": grant.client.redirect_uri,
        "code_verifier": verifier,
        "resource": grant.resource,
    }
    return _with_tokens(grant, await _asked(grant, grant.token_endpoint, fields, fetch), now)


async def refreshed(grant: Grant, fetch: Fetcher, now: float) -> Grant:
    """The grant with new tokens; a refresh token that is not replaced stays.

    Raises:
        SignInError: `token-refused` if the issuer will not do it, so that a person must sign in again; otherwise it may
            do it later.
    """
    fields = {"grant_type": "refresh_token", "refresh_token": grant.refresh_token, "resource": grant.resource}
    return _with_tokens(grant, await _asked(grant, grant.token_endpoint, fields, fetch), now)


async def revoked(grant: Grant, fetch: Fetcher) -> bool:
    """Take the tokens back at the issuer; False if it cannot be done there."""
    if not grant.revocation_endpoint:
        return False
    for kind, token in (("refresh_token", grant.refresh_token), ("access_token", grant.access_token)):
        if token:
            answer = await _asked(grant, grant.revocation_endpoint, {"token": token, "token_type_hint": kind}, fetch)
            if answer.status != 200:
                return False
    return True


async def _asked(grant: Grant, url: str, fields: Mapping[str, str], fetch: Fetcher) -> Answer:
    headers: dict[str, str] = {}
    client = grant.client
    if client.auth_method == "client_secret_basic":
        headers["Authorization"] = f"Basic {_basic(client)}"
        return await fetch.post_form(url, fields, headers)
    shown = {"client_id": client.id}
    if client.auth_method == "client_secret_post":
        shown["client_secret"] = client.secret
    return await fetch.post_form(url, {**fields, **shown}, headers)


def _basic(client: Client) -> str:
    """RFC 6749 section 2.3.1: both are encoded as in a form first."""
    return base64.b64encode(f"{quote_plus(client.id)}:{quote_plus(client.secret)}".encode("ascii")).decode("ascii")


def _with_tokens(grant: Grant, answer: Answer, now: float) -> Grant:
    said = answer.document
    if answer.status != 200 or said is None:
        if answer.status in (400, 401, 403):
            raise SignInError("token-refused", f"the issuer {grant.issuer} gives no token ({refusal(said or {})})")
        raise SignInError("unreachable", f"the issuer {grant.issuer} gives no token now (status {answer.status})")
    access, refresh, kind = said.get("access_token"), said.get("refresh_token"), said.get("token_type")
    if not is_token(access) or not (refresh is None or is_token(refresh)):
        raise SignInError("answer-unusable", f"the issuer {grant.issuer} gave a token that cannot be sent")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise SignInError("answer-unusable", f"the issuer {grant.issuer} gave a token of another kind than Bearer")
    scope = said.get("scope")
    return msgspec.structs.replace(
        grant,
        access_token=str(access),
        refresh_token=str(refresh) if refresh is not None else grant.refresh_token,
        expires_at=expiry_of(said.get("expires_in"), now),
        scopes=scopes_of(scope) if isinstance(scope, str) else grant.scopes or grant.asked,
    )


def is_token(value: Any) -> bool:
    """True for what can be sent as a bearer token."""
    return isinstance(value, str) and len(value) <= MAX_TOKEN and _TOKEN.fullmatch(value) is not None


def expiry_of(life: Any, now: float) -> float:
    """When the token expires; a life that is none says nothing."""
    if isinstance(life, str) and life.isascii() and life.isdigit() and len(life) < 16:
        life = int(life)
    if isinstance(life, bool) or not isinstance(life, int | float) or not life >= 0:
        return 0.0
    return now + min(float(life), LONGEST_S)
