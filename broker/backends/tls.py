"""TLS towards backends: verification is always on, and the peer's name is always checked.

The only knobs are which authorities to trust and which certificate to show.
"""

from __future__ import annotations

import ssl
from pathlib import Path


def client_context(
    *,
    ca_file: Path | str | None = None,
    cert_file: Path | str | None = None,
    key_file: Path | str | None = None,
) -> ssl.SSLContext:
    """A context for connections to backends, TLS 1.2 or newer, offering HTTP/1.1 only.

    `ca_file` (PEM) replaces the system's authorities. `cert_file` (PEM, chain included) and `key_file`
    identify the broker to the backend; the key may be in the certificate's file.

    Raises:
        ValueError: a file is missing, unreadable or not what it should be, or a key comes without a
        certificate.
    """
    if key_file is not None and cert_file is None:
        raise ValueError("a client key needs a client certificate")
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"cannot read certificate authorities from {ca_file}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if cert_file is not None:
        try:
            # The empty password keeps an encrypted key from asking on the terminal.
            context.load_cert_chain(cert_file, key_file, password="")
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"cannot use the client certificate {cert_file}") from error
    return context
