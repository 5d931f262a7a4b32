"""From the configuration of a server to the way to it: its address and connections, or its command and processes."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from broker import telemetry
from broker.backends.base import Reach
from broker.context import CLIENT_INFO
from broker.limit_values import pool_of, wire_of
from broker.wheel import Wheel

if TYPE_CHECKING:
    from broker.settings import Backend
    from broker.settings_limits import Limits


def reach_of(name: str, backend: Backend, limits: Limits, wheel: Wheel) -> Reach:
    """The way to one backend; nothing is opened or started yet."""
    return _command(name, backend, limits, wheel) if backend.command else _http(backend, limits, wheel)


def _http(backend: Backend, limits: Limits, wheel: Wheel) -> Reach:
    from broker.backends.http1 import Pool, make_pool
    from broker.backends.http_reach import HttpReach

    tls = _tls(backend)

    def pool_for(url: str) -> Pool:
        return make_pool(
            url,
            wheel=wheel,
            tls=tls,
            limits=pool_of(limits),
            headers=backend.request_headers(),
            proxy_env=os.environ if backend.proxy == "environment" else None,
        )

    sign_in = backend.sign_in_options
    pool: Pool = pool_for(backend.url)
    further: Callable[[str], Pool] = pool_for
    if sign_in is not None:
        from broker.signin.credentials import signed

        proxies = os.environ if backend.proxy == "environment" else None
        pool, further = signed(backend.url, pool, pool_for, sign_in, limits, tls=lambda: tls, proxy_env=proxies)
    return HttpReach(
        backend.url,
        pool,
        further,
        wire_of(limits),
        CLIENT_INFO,
        wheel,
        limits=limits,
        transport=backend.transport,
    )


def _command(name: str, backend: Backend, limits: Limits, wheel: Wheel) -> Reach:
    from broker.backends.child import Command
    from broker.backends.stdio_reach import StdioReach

    return StdioReach(
        Command(
            backend.command,
            backend.environment(),
            str(backend.cwd) if backend.cwd is not None else None,
            inherit=backend.inherit_env,
        ),
        wire_of(limits),
        CLIENT_INFO,
        wheel,
        limits=limits,
        log=lambda line, dropped: telemetry.server_said(name, line, dropped),
        violation=lambda reason: telemetry.note("violation", backend=name, reason=reason),
    )


def _tls(backend: Backend) -> ssl.SSLContext | None:
    """The context for a backend with authorities or a certificate of its own; None for the system's."""
    if backend.ca_bundle is None and backend.client_certificate is None:
        return None
    from broker.backends.tls import client_context

    return client_context(ca_file=backend.ca_bundle, cert_file=backend.client_certificate, key_file=backend.client_key)
