"""Which proxy, if any, the environment asks for.

Follows the reading Go's net/http made common: HTTPS_PROXY and HTTP_PROXY by the backend's scheme, lower-case
spelling first, NO_PROXY with hosts, domains, addresses, CIDR blocks and ports; loopback is never proxied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from broker.backends.http1_head import Origin

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address


def proxy_for(origin: Origin, env: Mapping[str, str]) -> str | None:
    """The URL of the proxy to use for this backend, None for a direct connection.

    Raises:
        ValueError: the variable does not name an http or https proxy.
    """
    name = f"{origin.scheme}_proxy"
    proxy = env.get(name) or env.get(name.upper()) or ""
    if name == "http_proxy" and "REQUEST_METHOD" in env and not env.get(name):
        return None  # under CGI HTTP_PROXY is the request's Proxy header ("httpoxy", CVE-2016-5385)
    if not proxy or _bypassed(origin, env.get("no_proxy") or env.get("NO_PROXY") or ""):
        return None
    url = proxy if "://" in proxy else f"http://{proxy}"
    if not re.fullmatch(r"https?://(?:[^\s/@]*@)?(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?/?", url):
        raise ValueError(f"{name.upper()} does not name an http(s) proxy")
    return url


def _bypassed(origin: Origin, no_proxy: str) -> bool:
    from ipaddress import ip_address  # most have no proxy to think about

    host = origin.host.rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(_matches(entry, host, address, origin.port) for entry in re.split(r"[,\s]+", no_proxy.lower()) if entry)


def _matches(entry: str, host: str, address: IPv4Address | IPv6Address | None, port: int) -> bool:
    from ipaddress import ip_network

    if entry == "*":
        return True
    try:
        block = ip_network(entry, strict=False)
    except ValueError:
        pass
    else:
        return address is not None and address in block
    with_port = re.fullmatch(r"(?:\[(.+)\]|([^:]+)):([0-9]+)", entry)
    if with_port:
        if int(with_port[3]) != port:
            return False
        entry = with_port[1] or with_port[2]
    if address is not None:
        return entry.strip("[]") == str(address)
    if entry.startswith(("*.", ".")):
        return host.endswith(entry.removeprefix("*"))
    return host == entry or host.endswith(f".{entry}")
