"""A consumer's messages as records: decoded by the schemas that are known, and by those that the registry adds."""

from typing import Any

from infra.kafka.inflating import Withheld
from infra.kafka.records import Place, Record
from infra.registry import Registry
from infra.retrying import until_available
from schemas.codec import Codec, Undecodable, UnknownSchema
from schemas.event import Event
from schemas.jobs import misnamed
from streams.topics import topic_named
from streams.trust.dead_letters import WITHHELD


class Decoding:
    """The codec, and the registry that it asks."""

    def __init__(self, registry: str) -> None:
        self._registry = Registry(registry)
        self.codec: Codec

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

    async def record(self, message: object) -> Record:
        """A consumer's message as a Record, decoded, or with the fault that says why not."""
        m: object = message
        place = Place(m.topic, m.partition, m.offset)  # type: ignore[attr-defined]  # aiokafka's ConsumerRecord is untyped
        payload: bytes = b"" if m.value is None else m.value  # type: ignore[attr-defined]  # a null value is no event either
        event, fault = None, None
        try:
            event = await self.decode(place.topic, payload)
        except Undecodable as undecodable:
            fault = undecodable
        return Record(place, m.key, payload, m.timestamp * 1000, event, fault)  # type: ignore[attr-defined]
