"""From the configuration of a server to the way to it: its address and connections, or its command and processes.

Invariant: nothing is loaded for a command that only an address needs, nor the other way about.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from broker import telemetry
from broker.backends.base import Reach
from broker.backends.hidden import NOTHING, Hidden, shown
from broker.context import CLIENT_INFO
from broker.limit_values import pool_of, wire_of
from broker.wheel import Wheel

if TYPE_CHECKING:
    import ssl

    from broker.backends.child import Command
    from broker.backends.http1 import Pool
    from broker.backends.http_reach import Transport
    from broker.settings import Backend
    from broker.settings_limits import Limits
    from broker.settings_token import BackendToken
    from broker.signin.options import SignInOptions


def reach_of(
    name: str,
    backend: Backend,
    limits: Limits,
    wheel: Wheel,
    *,
    sign_in: SignInOptions | None = None,
    log: Callable[[str, int], None] | None = None,
) -> Reach:
    """The way to one backend; nothing is opened or started yet.

    `sign_in` is how somebody signs in where the backend says nothing of that; `log(line, dropped)` takes what a command
    writes to standard error, in the place of the broker's log.
    """
    hidden = _hidden(name, backend)
    if not backend.command:
        return http_reach(
            backend.url,
            wheel,
            limits,
            tls=_tls(backend),
            headers=backend.request_headers(),
            proxy_env=os.environ if backend.proxy == "environment" else None,
            sign_in=backend.sign_in_options or sign_in,
            transport=backend.transport,
            token=None if backend.token is None else (name, backend.token),
            hidden=hidden,
        )
    from broker.backends.child import Command

    command = Command(
        backend.command,
        backend.environment(),
        str(backend.cwd) if backend.cwd is not None else None,
        inherit=backend.inherit_env,
    )
    say = log or (lambda line, dropped: telemetry.server_said(name, hidden.line(line), dropped))
    return command_reach(name, command, wheel, limits, log=say, hidden=hidden)


def _hidden(name: str, backend: Backend) -> Hidden:
    """What a backend must not say of what it is shown."""
    if not backend.hide_credentials:
        return NOTHING
    inherited = os.environ if backend.inherit_env else {}
    texts = shown(
        url=backend.url,
        headers=backend.request_headers(),
        variables={**inherited, **backend.environment()},
        injected=[(each.header or each.meta or each.argument or "", each.value) for each in backend.inject],
    )
    if backend.token is not None:
        texts.append(backend.token.client_secret.get_secret_value())
    return hidden_of(name, texts)


def hidden_of(name: str, texts: Iterable[str]) -> Hidden:
    """These texts, of whose being written back operators are told."""
    return Hidden(texts, lambda: telemetry.note("violation", backend=name, reason="credential-echoed"))


def http_reach(
    url: str,
    wheel: Wheel,
    limits: Any,
    *,
    tls: ssl.SSLContext | None,
    headers: dict[str, str],
    proxy_env: Mapping[str, str] | None,
    sign_in: SignInOptions | None,
    transport: Transport = "auto",
    token: tuple[str, BackendToken] | None = None,
    hidden: Hidden = NOTHING,
) -> Reach:
    """The way to an address. `limits` has the members of `broker.settings_limits.Limits`; `tls`: None for the system's.

    Through the proxy that `proxy_env` names, and with what somebody signed in to get, if there are `sign_in` options;
    `token`: a backend's name, and how the broker gets access tokens for it.
    """
    from broker.backends.http1 import make_pool
    from broker.backends.http_reach import HttpReach

    def pool_for(url: str) -> Pool:
        return make_pool(url, wheel=wheel, tls=tls, limits=pool_of(limits), headers=headers, proxy_env=proxy_env)

    pool: Pool = pool_for(url)
    further: Callable[[str], Pool] = pool_for
    if sign_in is not None:
        from broker.signin.credentials import signed

        pool, further = signed(
            url, pool, pool_for, sign_in, limits, tls=lambda: tls, proxy_env=proxy_env, hidden=hidden
        )
    callers = None
    if token is not None:
        from broker.identity.backend_tokens import supplied

        pool, further, callers = supplied(url, pool, pool_for, *token, limits, wheel.clock, hidden)
    return HttpReach(
        url,
        pool,
        further,
        wire_of(limits),
        CLIENT_INFO,
        wheel,
        limits=limits,
        transport=transport,
        callers=callers,
        hidden=hidden,
    )


def command_reach(
    name: str,
    command: Command,
    wheel: Wheel,
    limits: Any,
    *,
    log: Callable[[str, int], None],
    hidden: Hidden = NOTHING,
) -> Reach:
    """The way to a command, the backend `name`. `log(line, dropped)` takes what it writes to standard error."""
    from broker.backends.stdio_reach import StdioReach

    return StdioReach(
        command,
        wire_of(limits),
        CLIENT_INFO,
        wheel,
        limits=limits,
        log=log,
        violation=lambda reason: telemetry.note("violation", backend=name, reason=reason),
        hidden=hidden,
    )


def _tls(backend: Backend) -> ssl.SSLContext | None:
    """The context for a backend with authorities or a certificate of its own; None for the system's."""
    if backend.ca_bundle is None and backend.client_certificate is None:
        return None
    from broker.backends.tls import client_context

    return client_context(ca_file=backend.ca_bundle, cert_file=backend.client_certificate, key_file=backend.client_key)
