"""How a process reaches the broker, and what it says when the broker is away."""

from dataclasses import dataclass
from typing import Any

from infra.settings import Settings
from streams.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the broker is, and the name that this process has there."""

    settings: Settings
    client_id: str

    @property
    def arguments(self) -> dict[str, Any]:
        """What every client of aiokafka's is given, producers, consumers and admins alike."""
        return {"bootstrap_servers": self.settings.kafka, "client_id": self.client_id}

    def away(self, error: BaseException) -> Unavailable:
        """The error for a broker that does not answer, with what to do."""
        told = str(error) or type(error).__name__
        hint = "`assay status` says whether it is up, and its log why not: a full disk, for one"
        return Unavailable(f"the Kafka broker at {self.settings.kafka} does not answer ({told}); {hint}", code="log-away")
