"""Callers by the certificates of their connections.

The handshake has proven that an authority of the operator's signed the certificate, that its time is now, and that the
client has its key; here it gets its name. Invariants: one certificate is one caller; where callers are named in the
configuration, a certificate of none of them is no credential.
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Final

from broker.identity.principal import Principal

if TYPE_CHECKING:
    from broker.settings_identity import ClientName, Tls

MAX_SUBJECT: Final = 1_024
"""Characters of a subject that names a caller."""

MAX_READ: Final = 1_024
"""Certificates whose callers are remembered."""


class Certificates:
    """Who is who."""

    def __init__(self, tls: Tls) -> None:
        self._clients = tls.clients
        self.caller = functools.lru_cache(maxsize=MAX_READ)(self._caller)

    def _caller(self, certificate: bytes) -> Principal | None:
        """The caller who showed this certificate (DER); None if it is nobody's."""
        from cryptography import x509

        digest = hashlib.sha256(certificate).hexdigest()
        try:
            read = x509.load_der_x509_certificate(certificate)
            subject = read.subject.rfc4514_string()
            names = _alternatives(read)
        except ValueError:  # OpenSSL took what this reader does not
            return None
        end = read.not_valid_after_utc.timestamp()
        if not self._clients:
            if not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
                return None
            return Principal(f"certificate:{subject}", "certificate", {"subject": subject, **names}, expires_at=end,
                             credential=digest)  # fmt: skip
        found = [name for name, client in self._clients.items() if _is(client, subject, names, digest)]
        if len(found) != 1:  # two callers' patterns in one certificate: it is not clear whose it is
            return None
        scopes = frozenset(self._clients[found[0]].scopes)
        claims = {"subject": subject, **names}
        return Principal(f"certificate:{found[0]}", "certificate", claims, scopes, end, digest)


def _is(client: ClientName, subject: str, names: dict[str, list[str]], digest: str) -> bool:
    if client.subject is not None:
        return client.subject == subject
    if client.sha256 is not None:
        return client.sha256 == digest
    return any(wanted is not None and wanted in names[kind] for kind in names for wanted in [getattr(client, kind)])


def _alternatives(read: object) -> dict[str, list[str]]:
    """The subject's alternative names by kind."""
    from cryptography import x509

    assert isinstance(read, x509.Certificate)
    try:
        found = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return {"uri": [], "dns": [], "email": []}
    return {
        "uri": found.get_values_for_type(x509.UniformResourceIdentifier),
        "dns": found.get_values_for_type(x509.DNSName),
        "email": found.get_values_for_type(x509.RFC822Name),
    }
