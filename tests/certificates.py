"""Certificates for tests: an authority, and keys with certificates that it signed, as PEM."""

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


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """The authority's certificate, and files with key and certificate of a server on loopback and of a client."""
    pem, pkcs8, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    issuer, authority = _named("authority of the tests"), ec.generate_private_key(ec.SECP256R1())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ca.pem").write_bytes(_signed(issuer, authority, authority, issuer=issuer).public_bytes(pem))
    for name in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        own = _signed(_named(name), key, authority, issuer=issuer)
        (folder / f"{name}.pem").write_bytes(key.private_bytes(pem, pkcs8, plain) + own.public_bytes(pem))
    return folder / "ca.pem", folder / "server.pem", folder / "client.pem"
