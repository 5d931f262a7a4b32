"""Which client the broker is at an issuer: the operator's own, a metadata document, or one it registers itself.

Follows 2026-07-28 basic/authorization/client-registration (the order, and that credentials are bound to their issuer),
RFC 7591 and RFC 8252. Invariants: a client of one issuer is never shown to another one; a client the operator
registered is never replaced by one of ours in silence.
"""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

import msgspec

from broker.signin.discovery import Issuer
from broker.signin.errors import SignInError
from broker.signin.fetch import Fetcher
from broker.signin.grant import Client
from broker.signin.options import SignInOptions

NAME: Final = "Dragoman"
"""What an issuer shows to the person who is asked for consent."""

MAX_ID: Final = 2_048
"""Characters of an id or a secret an issuer gives; ids that are URLs are below that."""

Method = Literal["none", "client_secret_basic", "client_secret_post"]
_METHODS: Final[tuple[Method, ...]] = get_args(Method)


async def client_for(
    issuer: Issuer,
    options: SignInOptions,
    redirect_uri: str,
    scopes: tuple[str, ...],
    fetch: Fetcher,
    *,
    before: Client | None = None,
) -> Client:
    """The client to sign in as. `before` is one of an earlier time at the same issuer, which `still_fits`.

    Raises:
        SignInError: there is none.
    """
    if options.client_id and not options.is_document:
        method = _method(issuer, secret=bool(options.client_secret))
        return Client(options.client_id, "configured", method, options.client_secret, redirect_uri)
    if options.is_document and issuer.takes_documents:
        return Client(options.client_id, "document", "none", "", redirect_uri)
    if before is not None and (before.kind == "registered" or not options.client_id):
        return before
    if not issuer.registration_endpoint:
        raise SignInError(
            "no-client", f"the issuer {issuer.issuer} registers no clients by itself: register one there, and give its "
            "--client-id"
        )  # fmt: skip
    return await _registered(issuer, redirect_uri, scopes, fetch)


def still_fits(client: Client, redirect_uri: str, scopes: tuple[str, ...], now: float) -> bool:
    """Whether a client of an earlier time can be used again: one that the operator gave always can."""
    if client.kind != "registered":
        return True
    lives = not client.secret_expires_at or client.secret_expires_at > now
    covers = not client.scopes or set(scopes) <= set(client.scopes)
    return client.redirect_uri == redirect_uri and lives and covers


def _method(issuer: Issuer, *, secret: bool) -> Method:
    """How to show who we are; RFC 8414 section 2: an issuer that does not say takes Basic."""
    if not secret:
        return "none"
    offered = issuer.auth_methods
    return (
        "client_secret_post" if offered is not None and "client_secret_basic" not in offered else "client_secret_basic"
    )


async def _registered(issuer: Issuer, redirect_uri: str, scopes: tuple[str, ...], fetch: Fetcher) -> Client:
    offered = issuer.auth_methods
    wanted: Method = "none"
    if offered is not None:
        wanted = next(
            (each for each in ("none", "client_secret_post", "client_secret_basic") if each in offered), wanted
        )
    asked: dict[str, Any] = {
        "client_name": NAME,
        "application_type": "native",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": wanted,
    }
    if scopes:
        asked["scope"] = " ".join(scopes)
    answer = await fetch.post_json(issuer.registration_endpoint, msgspec.json.encode(asked))
    said = answer.document or {}
    if answer.status not in (200, 201):
        raise SignInError(
            "registration-refused", f"the issuer {issuer.issuer} does not register the broker ({refusal(said)}, status "
            f"{answer.status}): register a client there for the redirect {redirect_uri}, and give its --client-id"
        )  # fmt: skip
    client_id, secret = said.get("client_id"), said.get("client_secret", "")
    if not _usable(client_id) or not (secret in ("", None) or _usable(secret)):
        raise SignInError("answer-unusable", f"the issuer {issuer.issuer} gave no client id that can be used")
    method = said.get("token_endpoint_auth_method", wanted)
    if not secret:
        method = "none"
    elif method not in _METHODS or method == "none":
        method = "none" if method == "none" else _method(issuer, secret=True)
    expires = said.get("client_secret_expires_at", 0)
    given = said.get("scope")
    return Client(
        str(client_id),
        "registered",
        method,
        secret or "",
        redirect_uri,
        tuple(given.split()) if isinstance(given, str) else scopes,
        float(expires) if isinstance(expires, int | float) and 0 <= expires < 1e12 else 0.0,
    )


def _usable(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID and value.isascii() and value.isprintable()


def refusal(said: dict[str, Any]) -> str:
    """The error code an issuer gave, if it is one: words of peers are not shown."""
    code = said.get("error")
    known = isinstance(code, str) and 0 < len(code) <= 64 and code.replace("_", "").isalnum() and code.isascii()
    return str(code) if known else "no reason given"
