"""What Faust's own clients prove themselves with: the same as every other client's."""

import faust
from faust.types.auth import CredentialsT

from infra.kafka.security import security_arguments
from infra.settings import Settings


def credentials(settings: Settings) -> CredentialsT | None:
    """Faust's `broker_credentials`; None where Kafka asks for none. Raises: Invalid."""
    given = security_arguments(settings)
    if given["security_protocol"] == "PLAINTEXT":
        return None
    if given["security_protocol"] == "SSL":
        return faust.SSLCredentials(given["ssl_context"])
    return faust.SASLCredentials(
        username=given["sasl_plain_username"], password=given["sasl_plain_password"], mechanism=given["sasl_mechanism"],
        ssl_context=given.get("ssl_context"),
    )  # fmt: skip
