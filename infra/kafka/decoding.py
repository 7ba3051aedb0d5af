"""A consumer's messages as records: decoded by the schemas that are known, and by those that the registry adds."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from infra.kafka.inflating import Withheld
from infra.kafka.records import Place, Record
from infra.registry import Registry
from infra.retrying import until_available
from infra.settings import Settings
from schemas.codec import Codec, Undecodable, UnknownSchema
from schemas.event import Event
from schemas.jobs import misnamed
from streams.money.prices import untimely
from streams.topics import topic_named
from streams.trust.dead_letters import WITHHELD

AT_ONCE = 200


class Message(Protocol):
    """What a consumer gives (aiokafka's ConsumerRecord is untyped)."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


Decode = Callable[[Message], Awaitable[Record]]


class Guard(Protocol):
    """Who looks after what is decoded."""

    def near(self, messages: Sequence[Message]) -> AbstractContextManager[None]:
        """While it lasts these are decoded, or passed over, and what they say is taken in."""
        ...

    async def decoded(self, message: Message, decode: Decode) -> Record:
        """A message as a record."""
        ...


class _Nobody:
    """Nobody looks after it."""

    def near(self, messages: Sequence[Message]) -> AbstractContextManager[None]:
        return nullcontext()

    async def decoded(self, message: Message, decode: Decode) -> Record:
        return await decode(message)


class Decoding:
    """The codec, and the registry that it asks. `guard` is who looks after what is decoded."""

    def __init__(self, settings: Settings) -> None:
        self._registry = Registry(settings)
        self.codec: Codec
        self.guard: Guard = _Nobody()

    async def start(self, *, attempts: int | None) -> None:
        """Returns once the registry has told its schemas. Raises: Unavailable after so many attempts; None is for ever."""
        self.codec = await until_available(self._registry.codec, what="schema registry", give_up_after=attempts)

    async def close(self) -> None:
        """Leaves the registry."""
        await self._registry.close()

    async def decode(self, topic: str, payload: bytes) -> Event:
        """The event in a record's bytes; asks the registry for schemas not yet seen. Raises: Undecodable, Unavailable."""
        if isinstance(payload, Withheld):
            raise Undecodable(WITHHELD, payload.why)
        known = topic_named(topic)
        if known is None:
            raise Undecodable("unknown-topic", f"{topic} is no topic of Assay's; `assay topics` lists them")
        try:
            event = self.codec.decode(payload, known.event)
        except UnknownSchema as unknown:
            self.codec.learn(unknown.schema_id, await self._registry.schema(unknown.schema_id))
            event = self.codec.decode(payload, known.event)
        if why := misnamed(event):
            raise Undecodable("invalid-event", f"{known.event.__name__}: {why}")
        return event

    async def canonical(self, topic: str, payload: bytes) -> tuple[bytes, dict[str, Any]]:
        """The canonical bytes of a record's event, and the schema that it was written under. Raises: Undecodable, Unavailable."""
        known = topic_named(topic)
        if known is None:
            raise Undecodable("unknown-topic", f"{topic} is no topic of Assay's; `assay topics` lists them")
        try:
            return self.codec.canonical(payload, known.event), self.codec.writer(payload).schema
        except UnknownSchema as unknown:
            self.codec.learn(unknown.schema_id, await self._registry.schema(unknown.schema_id))
            return self.codec.canonical(payload, known.event), self.codec.writer(payload).schema

    async def records(
        self, messages: Sequence[Message], *, wanted: Callable[[Message], bool] = lambda _message: True
    ) -> AsyncIterator[Record]:
        """Those of a consumer's messages that are wanted as records, each decoded, or with the fault that says why not.

        Of each it is asked when all before it were taken in, for these may say that it is not wanted.
        """
        for first in range(0, len(messages), AT_ONCE):
            with self.guard.near(some := messages[first : first + AT_ONCE]):
                for message in some:
                    if wanted(message):
                        yield await self.guard.decoded(message, self._record)

    async def _record(self, message: Message) -> Record:
        place, payload = place_of(message), _payload(message)
        event, fault = None, None
        try:
            event = await self.decode(place.topic, payload)
            if why := untimely(event, written_us=message.timestamp * 1000):
                raise Undecodable("invalid-event", f"{type(event).__name__}: {why}")
        except Undecodable as undecodable:
            event, fault = None, undecodable
        return Record(place, message.key, payload, message.timestamp * 1000, event, fault)


def place_of(message: Message) -> Place:
    """Where a message lies."""
    return Place(message.topic, message.partition, message.offset)


def _payload(message: Message) -> bytes:
    """A null value is no event either; an empty one may be Withheld, and stays it."""
    return b"" if message.value is None else message.value


def undecoded(message: Message, *, code: str, why: str) -> Record:
    """A message that nobody decodes, as a record that says why."""
    return Record(place_of(message), message.key, _payload(message), message.timestamp * 1000, None, Undecodable(code, why))
