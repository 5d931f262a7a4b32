"""The door: what a request must look like before anything of it is believed.

Follows the transport pages of every revision (Origin, and localhost against DNS rebinding), RFC 9110 and the
Fetch standard. Invariant: every request of every method passes `check_request` before its body is read, and
what two readers of HTTP could understand differently is refused instead of interpreted.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import msgspec
from aiohttp import HttpVersion10, web
from aiohttp.web_protocol import RequestPayloadError
from msgspec import UNSET

from broker.edge_names import DEFAULT_PORTS, LOCAL_NAMES, host_pattern, origin_pattern, parse_host, parse_origin
from protocol_versions import jsonrpc

if TYPE_CHECKING:
    from broker.settings import Limits, Settings

HEADER_MISMATCH: Final = -32020  # 2026-07-28/basic/transports/streamable-http#error-codes
_CACHED: Final = 1024  # distinct header values remembered as good; one per client program, not per request

# Fields of which a second one could be read instead of the first.
_SINGLE: Final = frozenset(
    b"authorization content-encoding content-length content-type host last-event-id mcp-method mcp-name "
    b"mcp-protocol-version mcp-session-id origin transfer-encoding".split()
)
_QUERY_SECRETS: Final = frozenset(["access_token", "token", "api_key", "apikey", "key", "authorization", "bearer"])
_PATH: Final = re.compile(r"/|/\.well-known|(?:/\.well-known)?(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_JSON_TYPE: Final = re.compile(r'application/json[ \t]*(?:;[ \t]*charset=(?:utf-8|"utf-8")[ \t]*)?', re.IGNORECASE)

ALLOW_HEADERS: Final = (
    "content-type, authorization, mcp-protocol-version, mcp-session-id, mcp-method, mcp-name, last-event-id"
)
EXPOSE_HEADERS: Final = "Mcp-Session-Id, WWW-Authenticate"  # where pages read what to do about a refusal
_PREFLIGHT_AGE_S: Final = "7200"  # Chromium's ceiling for Access-Control-Max-Age


class Refusal(msgspec.Struct, frozen=True):
    """Why a request goes no further. `message` is frozen text; nothing of the request is in it."""

    status: int
    reason: str
    message: str
    code: int = jsonrpc.INVALID_REQUEST
    headers: dict[str, str] = {}

    def body(self) -> bytes:
        """The JSON-RPC error, without an id: nothing of the request was read."""
        data = {"origin": "broker", "reason": self.reason}
        return jsonrpc.encode(jsonrpc.error_response(UNSET, self.code, self.message, data))

    def response(self) -> web.Response:
        """The answer; its connection is closed when the body was refused or not awaited."""
        response = web.Response(
            status=self.status, body=self.body(), content_type="application/json", headers=self.headers
        )
        if self.status in {400, 408, 413}:
            response.force_close()
        return response


def _refusal(status: int, reason: str, message: str, code: int = jsonrpc.INVALID_REQUEST) -> Refusal:
    return Refusal(status, reason, message, code)


_BAD_TARGET = _refusal(400, "target", "Bad Request: the request target must be a path")
_BAD_PATH = _refusal(404, "path", "Not Found")
_QUERY_TOKEN = _refusal(400, "token-in-query", "Bad Request: credentials do not belong in the query")
_DUPLICATE = _refusal(400, "duplicate-header", "Bad Request: a header field is there twice")
_DUPLICATE_MCP = _refusal(400, "duplicate-header", "Header mismatch: a header field is there twice", HEADER_MISMATCH)
_NOT_ASCII = _refusal(400, "header-bytes", "Bad Request: header values must be visible ASCII")
_NOT_ASCII_MCP = _refusal(400, "header-bytes", "Header mismatch: header values must be visible ASCII", HEADER_MISMATCH)
_HOST = _refusal(421, "host", "Misdirected Request: this Host is not served here")
_ORIGIN = _refusal(403, "origin", "Forbidden: this Origin is not allowed")
_TYPE = _refusal(415, "content-type", "Unsupported Media Type: the body must be application/json")
_ENCODING = _refusal(415, "content-encoding", "Unsupported Media Type: compressed bodies are not accepted")
_UNEXPECTED_BODY = _refusal(400, "unexpected-body", "Bad Request: this method has no body")
_CHUNKED_10 = _refusal(400, "framing", "Bad Request: HTTP/1.0 has no transfer codings")
_TOO_LARGE = _refusal(413, "too-large", "Content Too Large")
_TOO_SLOW = _refusal(408, "body-receipt", "Request Timeout: the body did not arrive in time")
_BROKEN = _refusal(400, "framing", "Bad Request: the body is broken")


class EdgeSettings:
    """The allow-lists of one listener, compiled, and the values already found to be good."""

    __slots__ = ("cross_origins", "good_names", "good_paths", "good_sources", "good_types", "hosts", "origins")

    def __init__(self, hosts: set[str], origins: set[str], cross_origins: set[str]) -> None:
        self.hosts = frozenset(hosts)
        self.origins = frozenset(origins | cross_origins)
        self.cross_origins = frozenset(cross_origins)  # those who need CORS headers
        self.good_sources: set[tuple[str | None, str | None]] = set()
        self.good_names: set[tuple[bytes, ...]] = set()
        self.good_paths: set[str] = set()
        self.good_types: set[str] = set()

    @classmethod
    def of(cls, settings: Settings, port: int | None = None) -> EdgeSettings:
        """The allow-lists of `settings`, on the port that was really bound."""
        return cls.at(settings.host, settings.port if port is None else port, settings, settings.scheme)

    @classmethod
    def at(cls, host: str, port: int, settings: Settings, scheme: str = "http") -> EdgeSettings:
        """The allow-lists of another listener, at this address."""
        own = f"[{host}]" if ":" in host else host
        names = list(LOCAL_NAMES) if own in LOCAL_NAMES else [own]
        hosts = {host for name in names for host in host_pattern(name, port)}
        if port != DEFAULT_PORTS[scheme]:
            hosts -= set(names)  # without a port, a Host means 80, or 443 with TLS
        hosts |= {host for entry in settings.allowed_hosts for host in host_pattern(entry, port)}
        origins = {origin_pattern(f"{scheme}://{name}:{port}") for name in names}
        return cls(hosts, origins, {origin_pattern(entry) for entry in settings.allowed_origins})


def check_request(request: web.BaseRequest, edge: EdgeSettings) -> Refusal | None:
    """None if the request may be looked at, else why not. Reads no byte of the body."""
    message = request._message
    method, target = message.method, message.path
    if target not in edge.good_paths:
        refusal = _check_target(target, edge)
        if refusal is not None:
            return refusal
    fields = message.raw_headers
    names = tuple([name for name, _ in fields])
    if names not in edge.good_names or not b"".join([value for _, value in fields]).isascii():
        refusal = _check_fields(fields)
        if refusal is not None:
            return refusal
        _remember(edge.good_names, names)
    headers = message.headers
    source = (headers.get("Host"), headers.get("Origin"))
    if source not in edge.good_sources:
        refusal = _check_source(source, edge)
        if refusal is not None:
            return refusal
    if method == "POST":
        if "Content-Encoding" in headers:
            return _ENCODING
        kind = headers.get("Content-Type")
        if kind not in edge.good_types:
            if kind is None or not _JSON_TYPE.fullmatch(kind):
                return _TYPE
            _remember(edge.good_types, kind)
        if message.version == HttpVersion10 and "Transfer-Encoding" in headers:
            return _CHUNKED_10
    elif "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0":
        return _UNEXPECTED_BODY
    return None


def _remember(good: set[Any], value: Any) -> None:
    if len(good) >= _CACHED:
        good.clear()
    good.add(value)


def _check_target(target: str, edge: EdgeSettings) -> Refusal | None:
    if not target.startswith("/"):
        return _BAD_TARGET
    path, question, query = target.partition("?")
    if question:
        names = {name.lower() for name, _ in parse_qsl(query, keep_blank_values=True)}
        if names & _QUERY_SECRETS:
            return _QUERY_TOKEN
    # One spelling of every path: no escapes, empty or dot segments, parameters or controls.
    if not _PATH.fullmatch(path):
        return _BAD_PATH
    if not question:
        _remember(edge.good_paths, target)
    return None


def _check_fields(fields: tuple[tuple[bytes, bytes], ...]) -> Refusal | None:
    seen = set()
    for name, value in fields:
        folded = name.lower()
        if not value.isascii():
            return _NOT_ASCII_MCP if folded.startswith(b"mcp-") else _NOT_ASCII
        if folded in _SINGLE or folded.startswith(b"mcp-param-"):
            if folded in seen:
                return _DUPLICATE_MCP if folded.startswith(b"mcp-") else _DUPLICATE
            seen.add(folded)
    return None


def _check_source(source: tuple[str | None, str | None], edge: EdgeSettings) -> Refusal | None:
    host, origin = source
    if origin is not None:
        parsed = parse_origin(origin)
        if parsed is None or parsed not in edge.origins:
            return _ORIGIN
    named = parse_host(host) if host is not None else None
    if named is None:
        return _HOST
    name, port = named
    if (name if port is None else f"{name}:{port}") not in edge.hosts:
        return _HOST
    _remember(edge.good_sources, source)
    return None


async def read_body(request: web.BaseRequest, limits: Limits) -> bytes | Refusal:
    """The whole body, or why not: above `body_bytes`, slower than `body_receipt_s`, or broken."""
    content, cap = request.content, limits.body_bytes
    declared = request.content_length
    if declared is not None and declared > cap:
        return _TOO_LARGE
    try:
        if content.is_eof():
            data = content.read_nowait(-1)
            return data if len(data) <= cap else _TOO_LARGE
        pieces: list[bytes] = []
        size = 0
        async with asyncio.timeout(limits.body_receipt_s):
            while piece := await content.readany():
                size += len(piece)
                if size > cap:
                    return _TOO_LARGE
                pieces.append(piece)
    except TimeoutError:
        return _TOO_SLOW
    except RequestPayloadError:
        return _BROKEN
    return b"".join(pieces)


def cors_headers(origin: str | None, edge: EdgeSettings) -> dict[str, str]:
    """The headers that let a listed page read an answer; empty for everybody else."""
    if origin is None or not edge.cross_origins or parse_origin(origin) not in edge.cross_origins:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": EXPOSE_HEADERS,
        "Vary": "Origin",
    }


def preflight(request: web.BaseRequest, edge: EdgeSettings, methods: str = "GET, POST, DELETE") -> web.Response:
    """The answer to OPTIONS, after `check_request`: no wildcard, no credentials, only for listed pages."""
    headers = {"Allow": f"{methods}, OPTIONS"}
    granted = cors_headers(request.headers.get("Origin"), edge)
    if granted:
        headers |= granted
        headers["Access-Control-Allow-Methods"] = methods
        headers["Access-Control-Allow-Headers"] = ALLOW_HEADERS
        headers["Access-Control-Max-Age"] = _PREFLIGHT_AGE_S
    return web.Response(status=204, headers=headers)


def install_cors(app: web.Application, edge: EdgeSettings) -> None:
    """Give every answer to a listed page its CORS headers, streams included; free when no page is listed."""
    if not edge.cross_origins:
        return

    async def grant(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(cors_headers(request.headers.get("Origin"), edge))

    app.on_response_prepare.append(grant)
