"""How a process reaches the broker, and what it says when the broker is away or refuses it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from aiokafka.errors import ClusterAuthorizationFailedError, GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError

from infra.kafka.refusals import refusal
from infra.kafka.security import security_arguments
from infra.settings import Settings
from streams.errors import Unavailable


class Client(Protocol):
    """A client of aiokafka's."""

    async def start(self) -> None:
        """Reaches the broker."""


C = TypeVar("C", bound=Client)
# The broker knows who this is, and does not let them.
DENIED: Final = (TopicAuthorizationFailedError, GroupAuthorizationFailedError, ClusterAuthorizationFailedError)


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the broker is, the name that this process has there, and how it proves itself. Raises: Invalid for settings that do not do."""

    settings: Settings
    client_id: str
    _security: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_security", security_arguments(self.settings))

    @property
    def arguments(self) -> dict[str, Any]:
        """What every client of aiokafka's is given, producers, consumers and admins alike."""
        return {"bootstrap_servers": self.settings.kafka, "client_id": self.client_id, **self._security}

    async def started(self, client: C, *, ending: Callable[[], Awaitable[None]]) -> C:
        """The client, once it has reached the broker; else `ending` is awaited. Raises: Unavailable, with the reason."""
        try:
            await client.start()
        except (KafkaError, OSError) as error:
            await ending()
            raise await self._unreached(error) from error
        return client

    def away(self, error: BaseException) -> Unavailable:
        """The error for a broker that does not answer, or does not let this user, with what to do."""
        told = str(error) or type(error).__name__
        if isinstance(error, DENIED):
            return Unavailable(denied(self.settings, told), code="log-denies")
        hint = "`assay status` says whether it is up, and its log why not: a full disk, for one"
        return Unavailable(f"the Kafka broker at {self.settings.kafka} does not answer ({told}); {hint}", code="log-away")

    async def _unreached(self, error: BaseException) -> Unavailable:
        if told := await refusal(self.settings, self.arguments):
            return Unavailable(f"the Kafka broker at {self.settings.kafka} refuses this client: {told}", code="log-refuses")
        return self.away(error)


def denied(settings: Settings, told: str) -> str:
    """What to do where the broker does not let this process's user."""
    user = settings.kafka_user or "of this client's certificate"
    return (
        f"the Kafka broker at {settings.kafka} does not let user {user} do that ({told}): `python -m infra.kafka.acls` says what gives "
        "each process its rights, and ASSAY_KAFKA_USER who this one is"
    )
