"""TLS towards clients, with certificates that can be read again while the broker serves.

A connection keeps what its handshake found; the next handshake finds what was read last. Invariants: TLS 1.2 or newer,
HTTP/1.1 alone; files that cannot be used change nothing, and it is said; where clients show certificates, TLS 1.3
without resumption, so that every connection's certificate is checked against the authorities of now.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from broker import telemetry

if TYPE_CHECKING:
    from broker.settings import Limits
    from broker.settings_identity import Tls

MIN_SHUTDOWN_S: Final = 0.1
"""How long the other side has at least to say goodbye; asyncio takes no zero."""


class ServerTls:
    """The context to listen with. Raises ValueError for files that cannot be used."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._now = _load(tls)
        self.context = _load(tls)
        # Called in every handshake, also where the client names no server.
        self.context.sni_callback = self._use_the_newest

    def options(self, limits: Limits) -> dict[str, Any]:
        """What a connection is made with."""
        return {
            "ssl": self.context,
            "ssl_handshake_timeout": limits.head_receipt_s,
            "ssl_shutdown_timeout": max(limits.linger_s, MIN_SHUTDOWN_S),
        }

    @property
    def files(self) -> list[Path]:
        """What it is made of."""
        tls = self._tls
        return [path for path in (tls.certificate, tls.key, tls.client_ca) if path is not None]

    def reload(self) -> bool:
        """Read the files again; False if they cannot be used, and what was read before stays."""
        try:
            self.adopt(self._tls, _load(self._tls))
        except ValueError as error:
            telemetry.log("error", "certificates not applied", problem=str(error))
            return False
        return True

    def prepare(self, tls: Tls) -> ssl.SSLContext:
        """Read other files, for `adopt`. Raises ValueError for those that cannot be used."""
        return _load(tls)

    def adopt(self, tls: Tls, context: ssl.SSLContext) -> None:
        """Show the certificate of these files from the next handshake on."""
        self._tls, self._now = tls, context
        telemetry.announce("certificates applied")

    def _use_the_newest(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._now


def _load(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # The empty password keeps an encrypted key from asking on the terminal.
        context.load_cert_chain(tls.certificate, tls.key, password="")
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"tls: cannot use the certificate {tls.certificate}") from error
    if tls.client_ca is not None:
        try:
            context.load_verify_locations(tls.client_ca)
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"tls: cannot read authorities from {tls.client_ca}") from error
        context.verify_mode = ssl.CERT_REQUIRED if tls.client_certificates == "required" else ssl.CERT_OPTIONAL
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    return context
