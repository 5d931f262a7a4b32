"""The HTTP/1.1 client of the hot path: a keep-alive pool per backend, driven by callbacks (public face).

`make_pool` gives the pool for a backend; the words of its interface are in `http1_types`. Nothing here
imports aiohttp unless a proxy has to be used (start-up time of the stdio face).
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from broker.backends.http1_head import Origin, parse_url
from broker.backends.http1_pool import DirectPool
from broker.backends.http1_proxy import proxy_for
from broker.backends.http1_types import BackendFailure, Limits, Pool, Reason, Sink, Ticket, Timeouts
from broker.wheel import Wheel

__all__ = [
    "BackendFailure",
    "DirectPool",
    "Limits",
    "Origin",
    "Pool",
    "Reason",
    "Sink",
    "Ticket",
    "Timeouts",
    "make_pool",
    "parse_url",
]


def make_pool(
    url: str,
    *,
    wheel: Wheel,
    tls: ssl.SSLContext | None = None,
    proxy_env: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    headers: Mapping[str, str] | None = None,
) -> Pool:
    """The pool for the backend at `url`.

    `tls` is used for https and defaults to the system's authorities. `proxy_env` is the environment to read
    HTTPS_PROXY, HTTP_PROXY and NO_PROXY from, None to connect directly. `headers` are sent with every
    request.

    Raises:
        ValueError: the URL, a header or a proxy's address cannot be used.
    """
    origin = parse_url(url)
    if origin.scheme == "https" and tls is None:
        from broker.backends.tls import client_context

        tls = client_context()
    tls = tls if origin.scheme == "https" else None
    proxy = proxy_for(origin, proxy_env) if proxy_env is not None else None
    if proxy is not None:
        from broker.backends.via_proxy import ProxyPool

        return ProxyPool(origin, proxy, wheel=wheel, tls=tls, limits=limits, headers=headers)
    return DirectPool(origin, wheel=wheel, tls=tls, limits=limits, headers=headers)
