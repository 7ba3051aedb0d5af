"""How a client proves itself to the broker, and knows that the broker is the one: TLS and SASL, from the settings."""

import ssl
from pathlib import Path
from typing import Any

from infra.settings import Settings
from streams.errors import Invalid


def security_arguments(settings: Settings) -> dict[str, Any]:
    """What producer, consumer, admin and Faust's credentials are made of, as aiokafka names it.

    Keys: security_protocol; ssl_context with TLS; sasl_mechanism, sasl_plain_username, sasl_plain_password with a password.
    Raises: Invalid where what the protocol needs is not there.
    """
    protocol = settings.kafka_security
    given: dict[str, Any] = {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        given["ssl_context"] = _context(settings)
    if protocol.startswith("SASL"):
        given |= {
            "sasl_mechanism": settings.kafka_mechanism,
            "sasl_plain_username": _user(settings),
            "sasl_plain_password": _password(settings),
        }
    return given


def _user(settings: Settings) -> str:
    if not settings.kafka_user:
        raise Invalid(f"ASSAY_KAFKA_SECURITY={settings.kafka_security} needs a user; set ASSAY_KAFKA_USER", code="kafka-settings")
    return settings.kafka_user


def _password(settings: Settings) -> str:
    if settings.kafka_password_file is not None:
        return _read(settings.kafka_password_file, "ASSAY_KAFKA_PASSWORD_FILE").rstrip("\r\n")
    if password := settings.kafka_password.get_secret_value():
        return password
    raise Invalid(
        f"ASSAY_KAFKA_SECURITY={settings.kafka_security} needs a password; set ASSAY_KAFKA_PASSWORD_FILE or ASSAY_KAFKA_PASSWORD",
        code="kafka-settings",
    )


def _read(path: Path, variable: str) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, variable, error) from error


def _context(settings: Settings) -> ssl.SSLContext:
    ca, certificate = settings.kafka_ca, settings.kafka_certificate
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:  # ssl.SSLError is one
        raise _unreadable(ca, "ASSAY_KAFKA_CA", error) from error
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, settings.kafka_key, password="")
        except OSError as error:
            named = " with ASSAY_KAFKA_KEY" if settings.kafka_key else ""
            raise _unreadable(certificate, f"ASSAY_KAFKA_CERTIFICATE{named}", error) from error
    return context


def _unreadable(path: Path | None, variable: str, error: Exception) -> Invalid:
    return Invalid(
        f"{variable}={path} cannot be used ({error}); name a file that is there, may be read, and holds what the setting says",
        code="kafka-settings",
    )
