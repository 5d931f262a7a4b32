"""From a refusal to an issuer and its endpoints: protected-resource metadata, then authorization-server metadata.

Follows basic/authorization of 2025-03-26 to 2026-07-28, RFC 9728 section 3, RFC 8414 section 3 and OpenID Connect
Discovery section 4. Invariants: metadata that names another resource or another issuer than was asked for is not used;
an issuer that does not say that it takes S256 is refused; only a server that has no metadata of either kind is taken
for one of 2025-03-26 with endpoints at its origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from broker.backends.http1_head import Origin, parse_url
from broker.signin.challenge import Challenge, scopes_of
from broker.signin.errors import SignInError
from broker.signin.fetch import Fetcher
from broker.signin.places import canonical_of
from protocol_versions import REVISIONS

RESOURCE: Final = "/.well-known/oauth-protected-resource"
OAUTH: Final = "/.well-known/oauth-authorization-server"
OPENID: Final = "/.well-known/openid-configuration"

VERSION: Final = {"MCP-Protocol-Version": REVISIONS[-1].id}
"""2025-03-26: clients SHOULD say it when they look for metadata."""

MAX_ISSUERS: Final = 16
"""Issuers of one server that are looked at; servers name one, or one for each region."""


class Resource(msgspec.Struct, frozen=True):
    """What a server says of itself. `uri` is its name for issuers; no issuers: it has no metadata."""

    uri: str
    issuers: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


class Issuer(msgspec.Struct, frozen=True):
    """An authorization server, as its metadata says; `names_itself`: its answers hold `iss`."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    registration_endpoint: str = ""
    revocation_endpoint: str = ""
    auth_methods: tuple[str, ...] | None = None
    scopes: tuple[str, ...] = ()
    takes_documents: bool = False
    names_itself: bool = False


async def resource_of(server: str, challenge: Challenge, fetch: Fetcher) -> Resource:
    """The metadata of a server: at the address it named, else at the well-known ones, the path's own first.

    Raises:
        SignInError: it is another's, or cannot be used.
    """
    origin = parse_url(server)
    root, path = _root(origin), origin.target.partition("?")[0]
    places = [challenge.metadata] if challenge.metadata else []
    places += [root + RESOURCE + (path if path != "/" else "")]
    places += [root + RESOURCE] if path != "/" else []
    for place in dict.fromkeys(places):
        try:
            answer = await fetch.get(place, VERSION)
        except SignInError as error:
            if place == challenge.metadata and error.reason == "address-refused":
                continue  # servers behind a proxy that ends TLS name themselves without it
            raise
        if answer.status == 200 and answer.document is not None:
            return _resource(origin, answer.document)
        if answer.status >= 500:
            raise SignInError("unreachable", f"the metadata of {origin.host} cannot be had (status {answer.status})")
    return Resource(canonical_of(origin))


async def issuer_of(server: str, resource: Resource, fetch: Fetcher, *, pinned: str = "", known: str = "") -> Issuer:
    """The issuer to use: the pinned one, else the one that is known already, else the first.

    Raises:
        SignInError: the pinned one is not among them, or what it says of itself cannot be used.
    """
    root = _root(parse_url(server))
    if not resource.issuers:
        if pinned and pinned.rstrip("/") != root:
            return await _described(pinned, fetch)
        return await _at_the_origin(root, fetch)
    if pinned and pinned not in resource.issuers:
        raise SignInError("issuer-changed", f"the server does not name the issuer {pinned} any more")
    chosen = pinned or (known if known in resource.issuers else resource.issuers[0])
    return await _described(chosen, fetch)


async def _described(issuer: str, fetch: Fetcher) -> Issuer:
    """RFC 8414 with the path inserted, then OpenID Connect with the path inserted, then with it appended."""
    origin = fetch.guard.origin(issuer)
    if "?" in origin.target:
        raise SignInError("metadata-unusable", "an issuer with a query is none")
    root, path = _root(origin), origin.target.rstrip("/")
    for place in dict.fromkeys((root + OAUTH + path, root + OPENID + path, root + path + OPENID)):
        answer = await fetch.get(place, VERSION)
        if answer.status == 200 and answer.document is not None:
            return _issuer(answer.document, (issuer,), fetch)
        if answer.status >= 500:
            raise SignInError("unreachable", f"the issuer {origin.host} is not available (status {answer.status})")
    raise SignInError("metadata-unusable", f"the issuer {issuer} says nothing about itself")


async def _at_the_origin(root: str, fetch: Fetcher) -> Issuer:
    """2025-03-26: the server is its own issuer, and its endpoints have default places."""
    for place in (root + OAUTH, root + OPENID):
        answer = await fetch.get(place, VERSION)
        if answer.status == 200 and answer.document is not None:
            return _issuer(answer.document, (root, f"{root}/"), fetch)
        if answer.status >= 500:
            raise SignInError("unreachable", f"the metadata of the server cannot be had (status {answer.status})")
    return Issuer(root, f"{root}/authorize", f"{root}/token", f"{root}/register")


def _root(origin: Origin) -> str:
    return f"{origin.scheme}://{origin.authority}"


def _resource(server: Origin, document: dict[str, Any]) -> Resource:
    uri = document.get("resource")
    if not isinstance(uri, str) or not covers(uri, server):
        raise SignInError("wrong-resource", "the server's metadata is that of another one")
    issuers = _texts(document, "authorization_servers")
    if not issuers:
        raise SignInError("metadata-unusable", "the server's metadata names no issuer")
    return Resource(uri, issuers[:MAX_ISSUERS], _scopes(document))


def covers(uri: str, server: Origin) -> bool:
    """True if a resource's URI is that of the server, or of a folder it is in at the same origin."""
    try:
        named = parse_url(uri)
    except ValueError:
        return False
    if (named.scheme, named.host, named.port) != (server.scheme, server.host, server.port):
        return False
    path, query, _ = named.target.partition("?")
    folder = path.rstrip("/")
    own = server.target.partition("?")[0]
    return not query and (own.rstrip("/") == folder or own.startswith(f"{folder}/"))


def _issuer(document: dict[str, Any], expected: Sequence[str], fetch: Fetcher) -> Issuer:
    issuer = document.get("issuer")
    if issuer not in expected:
        raise SignInError("wrong-issuer", f"the metadata of {expected[0]} is that of another issuer")
    methods = _texts(document, "code_challenge_methods_supported")
    if "S256" not in methods:
        raise SignInError("no-pkce", f"the issuer {issuer} does not say that it takes PKCE with S256")
    endpoints: dict[str, str] = {}
    for name in ("authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint"):
        url = document.get(name)
        if url is not None:
            fetch.guard.origin(url)
            endpoints[name] = url
    if "authorization_endpoint" not in endpoints or "token_endpoint" not in endpoints:
        raise SignInError("metadata-unusable", f"the issuer {issuer} names no endpoints for signing in")
    name = "token_endpoint_auth_methods_supported"
    return Issuer(
        issuer=str(issuer),
        **endpoints,
        auth_methods=_texts(document, name) if name in document else None,
        scopes=_scopes(document),
        takes_documents=document.get("client_id_metadata_document_supported") is True,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _scopes(document: dict[str, Any]) -> tuple[str, ...]:
    return scopes_of(" ".join(_texts(document, "scopes_supported")))


def _texts(document: dict[str, Any], name: str) -> tuple[str, ...]:
    found = document.get(name)
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()
