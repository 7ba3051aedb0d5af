"""How a client proves itself to the broker, and knows that the broker is the one: TLS and SASL, from the settings."""

import ssl
from typing import Any

from infra.proving import context_of, password_of, unusable
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
    if password := password_of("kafka", settings):
        return password
    raise Invalid(
        f"ASSAY_KAFKA_SECURITY={settings.kafka_security} needs a password; set ASSAY_KAFKA_PASSWORD_FILE or ASSAY_KAFKA_PASSWORD",
        code="kafka-settings",
    )


def _context(settings: Settings) -> ssl.SSLContext:
    context, certificate = context_of("kafka", settings), settings.kafka_certificate
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, settings.kafka_key, password="")
        except OSError as error:
            named = " with ASSAY_KAFKA_KEY" if settings.kafka_key else ""
            raise unusable(certificate, f"ASSAY_KAFKA_CERTIFICATE{named}", error, code="kafka-settings") from error
    return context
