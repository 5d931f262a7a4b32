"""What clients read to find out whose access tokens a server takes.

Follows RFC 9728, at the well-known path with the server's own path behind it, as basic/authorization of 2025-06-18 and
later revisions have it; with one server, at the root as well. Clients of 2025-03-26 look for an authorization server's
metadata at the origin of the server they know, and believe what they find: they are given the first issuer's. What is
said is configuration, the issuer's own document, and the request's Host, which the door has compared with its list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from broker import edge, telemetry
from broker.edge import EdgeSettings, Refusal
from broker.identity.fetching import NotFetched

if TYPE_CHECKING:
    from broker.identity.admission import Admission
    from broker.identity.identities import Identities

RESOURCE: Final = "/.well-known/oauth-protected-resource"
SERVER: Final = "/.well-known/oauth-authorization-server"

_AWAY: Final = Refusal(503, "issuer-away", "Service Unavailable: the authorization server cannot be asked now", -32603)
_METHODS: Final = "GET"


class Place:
    """Where the broker is, as its clients write it."""

    def __init__(self, scheme: str, public_url: str, door: EdgeSettings) -> None:
        self._scheme = scheme
        self._public = public_url
        self._door = door

    def origin(self, request: web.BaseRequest) -> str:
        """The origin a client is to use: the configured one, else the allowed one it has used."""
        return self._public or f"{self._scheme}://{request.headers.get('Host', '').lower()}"

    def origins(self) -> tuple[str, ...]:
        """All of them."""
        return (self._public,) if self._public else tuple(f"{self._scheme}://{each}" for each in self._door.hosts)


class Metadata:
    """Handlers of one resource, at `path`."""

    def __init__(self, admission: Admission, place: Place, door: EdgeSettings, path: str, name: str) -> None:
        self._admission = admission
        self._place = place
        self._door = door
        self._path = path
        self._name = name

    def url(self, request: web.BaseRequest) -> str:
        """Where the metadata are; empty if no issuer's tokens are taken."""
        return self._place.origin(request) + RESOURCE + self._path if self._admission.identities.issuers else ""

    async def get(self, request: web.Request) -> web.StreamResponse:
        """The metadata of the protected resource."""
        refusal = edge.check_request(request, self._door)
        if refusal is not None:
            return _refused(request, refusal, self._name)
        document: dict[str, Any] = {
            "resource": self._place.origin(request) + self._path,
            "authorization_servers": list(self._admission.identities.issuers),
            "bearer_methods_supported": ["header"],
        }
        if self._admission.every_scope:
            document["scopes_supported"] = self._admission.every_scope
        if self._admission.identities.certificates is not None:
            document["tls_client_certificate_bound_access_tokens"] = True
        return _document(document)

    async def options(self, request: web.Request) -> web.StreamResponse:
        """CORS preflight."""
        return _preflight(request, self._door, self._name)


class OldClients:
    """Handlers of the metadata that clients of 2025-03-26 look for."""

    def __init__(self, identities: Identities, door: EdgeSettings) -> None:
        self._identities = identities
        self._door = door

    async def get(self, request: web.Request) -> web.StreamResponse:
        """The first issuer's metadata, as it publishes them."""
        refusal = edge.check_request(request, self._door)
        if refusal is not None:
            return _refused(request, refusal)
        issuer, _ = next(iter(self._identities.issuers.values()))
        try:
            return _document(await issuer.metadata())
        except NotFetched as error:
            return _refused(request, _AWAY, detail=error.reason)

    async def options(self, request: web.Request) -> web.StreamResponse:
        """CORS preflight."""
        return _preflight(request, self._door)


def routes_of(path: str, handler: Metadata | OldClients) -> dict[str, web.AbstractResource]:
    """The resource at a path."""
    routes = web.UrlDispatcher()
    routes.add_get(path, handler.get, allow_head=False)
    routes.add_options(path, handler.options)
    return {resource.canonical: resource for resource in routes.resources()}


def _document(tree: dict[str, Any]) -> web.Response:
    return web.Response(body=msgspec.json.encode(tree), content_type="application/json")


def _refused(request: web.BaseRequest, refusal: Refusal, backend: str = "", detail: str = "") -> web.Response:
    more = {"detail": detail} if detail else {}
    telemetry.audit("refused", reason=refusal.reason, backend=backend, peer=request.remote or "",
                    status=refusal.status, http_method=request.method, **more)  # fmt: skip
    return refusal.response()


def _preflight(request: web.Request, door: EdgeSettings, backend: str = "") -> web.StreamResponse:
    refusal = edge.check_request(request, door)
    return edge.preflight(request, door, _METHODS) if refusal is None else _refused(request, refusal, backend)
