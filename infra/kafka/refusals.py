"""Why the broker does not take this client: aiokafka's clients say only that they could not start, so it is asked once more."""

import ssl
from typing import Any, Final

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError, SaslAuthenticationFailed, UnsupportedSaslMechanismError
from aiokafka.protocol.metadata import MetadataRequest

from infra.settings import Settings

PROBE_MS: Final = 3000


async def refusal(settings: Settings, arguments: dict[str, Any]) -> str | None:
    """What the first broker has against this client and what to do, or None where it has nothing, or is away."""
    host, _, port = settings.kafka.split(",")[0].strip().rpartition(":")
    asked = arguments | {"request_timeout_ms": PROBE_MS}
    asked.pop("bootstrap_servers", None)
    try:
        connection = await create_conn(host, int(port), **asked)
        try:
            await connection.send(MetadataRequest([]))
        finally:
            connection.close()
    except (KafkaError, OSError, ValueError) as reason:
        hint = _hint(settings, reason)
        return hint and f"{str(reason) or type(reason).__name__}; {hint}"
    return None


def _hint(settings: Settings, reason: Exception) -> str | None:
    speaks = f"ASSAY_KAFKA_SECURITY, now {settings.kafka_security}, must be what its listener speaks"
    if settings.kafka_security.endswith("SSL") and settings.kafka_certificate is None:
        speaks += "; where it asks for a client's certificate, set ASSAY_KAFKA_CERTIFICATE"
    match reason:
        case SaslAuthenticationFailed():
            where = "ASSAY_KAFKA_PASSWORD_FILE" if settings.kafka_password_file else "ASSAY_KAFKA_PASSWORD"
            known = f"that the broker knows this user by {settings.kafka_mechanism}"
            return f"check {where} of ASSAY_KAFKA_USER={settings.kafka_user}, and {known}"
        case UnsupportedSaslMechanismError():
            return f"set ASSAY_KAFKA_MECHANISM, now {settings.kafka_mechanism}, to one that it takes"
        case ssl.SSLCertVerificationError():
            return f"ASSAY_KAFKA_CA, now {settings.kafka_ca or 'the system list'}, must name who signed its certificate"
        case ssl.SSLError():
            return speaks
        case ConnectionRefusedError() | TimeoutError() | ValueError():
            return None
        case ConnectionError() | KafkaError():
            return f"it takes connections and ends them: where it is not just starting, {speaks}"
    return None
