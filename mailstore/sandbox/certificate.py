"""The certificate that the sandbox shows: made at start, self-signed, like that of a fresh installation."""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

_ALWAYS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate and its private key, both in memory only."""

    certificate: bytes
    """The certificate as PEM."""

    key: bytes = field(repr=False)
    """The private key as PEM."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 fingerprint of the certificate: ``sha256:`` and hex pairs joined by colons."""
        encoded = ssl.PEM_cert_to_DER_cert(self.certificate.decode("ascii"))
        return "sha256:" + hashlib.sha256(encoded).digest().hex(":").upper()

    def context(self) -> ssl.SSLContext:
        """Return the context of a server that shows this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # A ticket is sent after the handshake: to a client that has left by then, it is an error.
        context.num_tickets = 0
        # Python loads a key from a file only; this one is gone a moment later.
        with tempfile.TemporaryDirectory(prefix="mailstore-sandbox-") as directory:
            path = Path(directory, "key.pem")
            path.touch(mode=0o600)
            path.write_bytes(self.key + self.certificate)
            context.load_cert_chain(path)
        return context


def self_signed(host: str) -> Certificate:
    """Make a certificate for a host, localhost and the loopback addresses.

    Raises:
        ImportError: The extra ``sandbox`` is not installed.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError as error:
        raise ImportError("the sandbox makes a certificate and needs: pip install 'mailstore[sandbox]'") from error

    def alternative(name: str) -> x509.GeneralName:
        try:
            return x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            return x509.DNSName(name)

    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "MailStore Sandbox")])
    now = datetime.now(UTC)
    names = [alternative(each) for each in dict.fromkeys((host, *_ALWAYS))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        # Python 3.13 and later refuse certificates without these two.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Certificate(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
