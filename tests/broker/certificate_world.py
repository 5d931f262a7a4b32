"""Authorities and certificates that are made for one test."""

from __future__ import annotations

import datetime
import hashlib
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def named(name: str) -> x509.Name:
    """A subject of an organisation."""
    parts = [(NameOID.ORGANIZATION_NAME, "Example"), (NameOID.COMMON_NAME, name)]
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])


def spelled(name: str) -> str:
    """The same as RFC 4514 writes it."""
    return named(name).rfc4514_string()


class Authority:
    """Signs certificates; its files are in `folder`."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = named(name)
        subject = self._sign(self._name, self._key, [], authority=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(subject.public_bytes(serialization.Encoding.PEM))

    def make(self, file: str, name: str, *alternatives: x509.GeneralName, days: int = 1) -> Path:
        """A PEM file with a certificate and its key; `days` below 0: it ended so long ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        found = self._sign(named(name), key, list(alternatives), days=days)
        path = self._folder / file
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(found.public_bytes(serialization.Encoding.PEM) + private)
        return path

    def server(self, file: str = "server.pem") -> Path:
        """A certificate for this machine."""
        return self.make(file, "localhost", x509.DNSName("localhost"))

    def client(self, pem: Path | None = None) -> ssl.SSLContext:
        """How a client of this authority's servers connects, showing what is in a file."""
        context = ssl.create_default_context(cafile=str(self.file))
        if pem is not None:
            context.load_cert_chain(pem)
        return context

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        alternatives: list[x509.GeneralName],
        *,
        authority: bool = False,
        days: int = 1,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - 3 * DAY).not_valid_after(now + days * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        mine = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(mine, critical=False)
        if authority:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def der(pem: Path) -> bytes:
    """The certificate in a file."""
    found = x509.load_pem_x509_certificate(pem.read_bytes())
    return found.public_bytes(serialization.Encoding.DER)


def digest(pem: Path) -> str:
    """SHA-256 of that, in hex."""
    return hashlib.sha256(der(pem)).hexdigest()
