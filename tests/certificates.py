"""Certificates for tests: an authority, and a key with a certificate that it signed, as PEM."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.UTC)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _signed(subject: x509.Name, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey, *, issuer: x509.Name) -> x509.Certificate:
    builder = x509.CertificateBuilder(
        issuer, subject, key.public_key(), x509.random_serial_number(), NOW - datetime.timedelta(1), NOW + datetime.timedelta(1)
    )
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    extended = builder.add_extension(x509.BasicConstraints(ca=subject == issuer, path_length=None), critical=True)
    return (extended if subject == issuer else extended.add_extension(here, critical=False)).sign(by, hashes.SHA256())


def certificates(folder: Path) -> tuple[Path, Path]:
    """The authority's certificate, and a file with key and certificate of a server on loopback."""
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = _named("authority of the tests")
    ca, own = _signed(issuer, authority, authority, issuer=issuer), _signed(_named("broker"), server, authority, issuer=issuer)
    pem, pkcs8, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "server.pem").write_bytes(server.private_bytes(pem, pkcs8, plain) + own.public_bytes(pem))
    return folder / "ca.pem", folder / "server.pem"
