"""The log as every process has it: publishing events, reading them by place, following topics."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from infra.kafka.administering import Administering
from infra.kafka.connection import Connection
from infra.kafka.decoding import Decoding, Guard, Message
from infra.kafka.letters import letter_for
from infra.kafka.partitions import Partitions
from infra.kafka.producing import Outgoing, Producing
from infra.kafka.reading import PATIENCE_MS, Reading, Wanted
from infra.kafka.records import Ends, Place, Record
from infra.partitioning import partition_for
from infra.settings import Settings
from infra.vault import Vault
from schemas.codec import Codec
from schemas.event import Event
from schemas.trust import DeadLettered, Stretch
from streams.errors import Unavailable
from streams.topics import TOPICS, Topic, topic_of


class Log:
    """A connection to the log: one producer, any number of readers. Use it as an async context manager.

    While the broker is away, events wait here and are delivered in their order when it is back. `patience_s` is how long a caller
    waits for that before it is told: None is for ever, as a processor wants it, for whatever comes next waits for the same broker.
    `attempts` are those to reach registry and broker at the start; None is for ever again, 1 is for a command that a person waits for.
    """

    def __init__(self, settings: Settings, *, client_id: str, patience_s: float | None = None, attempts: int | None = None) -> None:
        self._connection = connection = Connection(settings, client_id)
        self._client_id = client_id
        self._attempts = attempts
        self._decoding = Decoding(settings)
        self._producing = Producing(connection, patience_s=patience_s)
        self._partitions = Partitions(self._producing.counts)
        self._reading = Reading(connection, self._decoding, self._partitions)
        self._administering = Administering(connection)
        self._cluster = ""
        self.vault = Vault(settings)

    async def __aenter__(self) -> Self:
        self.vault.keys.check()
        try:
            await self._decoding.start(attempts=self._attempts)
            await self._producing.start(attempts=self._attempts)
        except BaseException:
            await self._decoding.close()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._reading.close()
        await self._producing.close()
        await self._decoding.close()

    @property
    def codec(self) -> Codec:
        """What encodes and decodes events here."""
        return self._decoding.codec

    async def check(self) -> None:
        """Returns once the broker has answered. Raises: Unavailable."""
        await self._producing.counts(())

    def away(self, error: BaseException) -> Unavailable:
        """The error for a broker that does not answer, or does not let this process's user, with what to do."""
        return self._connection.away(error)

    async def partitions(self, topics: Sequence[Topic]) -> Mapping[str, int]:
        """How many partitions each topic has, by its name, as the broker says. Raises: Unavailable where one is not there."""
        return await self._partitions.of(topics)

    async def publish(self, event: Event) -> Place:
        """Where the event lies, once the broker has acknowledged it. Raises: as `publish_all`."""
        return (await self.publish_all([event]))[0]

    async def publish_all(self, events: Iterable[Event]) -> list[Place]:
        """Where the events lie, in their order, once the broker has acknowledged all of them.

        Texts of private ones are sealed first. Raises: Unavailable (they may still arrive), Permanent where one is too large, and what
        `Vault.sealed` raises: then none is written.
        """
        return await self.send([self.outgoing(event) for event in events])

    async def publish_to(self, event: Event, *, partition: int) -> Place:
        """Like `publish`, to a partition of the caller's choice: leases and marks."""
        return (await self.send([self.outgoing(event, partition=partition)]))[0]

    async def publish_raw(self, topic: str, payload: bytes, *, key: bytes | None) -> Place:
        """Puts bytes on a topic as they are: requeued dead letters."""
        return (await self.send([Outgoing(topic, payload, key)]))[0]

    async def send(self, records: Sequence[Outgoing]) -> list[Place]:
        """Where the records lie, in their order, once the broker has acknowledged all. Raises: Unavailable, Permanent as `publish_all`."""
        return await self._producing.deliver(records)

    def outgoing(self, event: Event, *, partition: int | None = None) -> Outgoing:
        """The event as it is written, its texts sealed: what is kept until it can be sent. Raises: what `Vault.sealed` raises."""
        event = self.vault.sealed(event)
        return Outgoing(topic_of(event).name, self.codec.encode(event), event.partition_key(), partition)

    async def decode(self, topic: str, payload: bytes) -> Event:
        """The event in a record's bytes; asks the registry for schemas not yet seen. Raises: Undecodable, Unavailable."""
        return await self._decoding.decode(topic, payload)

    def records(self, messages: Sequence[Message], *, wanted: Callable[[Message], bool] = lambda _message: True) -> AsyncIterator[Record]:
        """Those of a consumer's messages that are wanted as records, each decoded, or with the fault that says why not."""
        return self._decoding.records(messages, wanted=wanted)

    def decodes_by(self, guard: Guard) -> None:
        """From now on whatever is read here is decoded under that care."""
        self._decoding.guard = guard

    async def reader(self, *, max_wait_ms: int = 100) -> AIOKafkaConsumer:
        """A started consumer without a group; the caller assigns, seeks and stops it. Raises: Unavailable."""
        return await self._reading.consumer(max_wait_ms=max_wait_ms)

    async def ends(self, topics: Sequence[Topic]) -> Ends:
        """The next offset of every partition of the topics, as of now. Raises: Unavailable."""
        return await self._reading.ends(topics)

    async def check_reads(self, topics: Sequence[Topic]) -> None:
        """Returns where this process's user may read the topics. Raises: Unavailable."""
        await self._reading.check(topics)

    async def offsets_at(self, topics: Sequence[Topic], *, written_us: int) -> Ends:
        """The first offset of every partition whose record was written at that time or later (the end, where none was)."""
        return await self._reading.offsets_at(topics, written_us=written_us)

    async def read(
        self, topics: Sequence[Topic], *, until: Ends | None = None, since: Mapping[tuple[str, int], int] | None = None
    ) -> AsyncIterator[Record]:
        """Every record of the topics from the beginning (or `since`) up to `until` (now, where it is None), then ends."""
        until = until if until is not None else await self.ends(topics)
        async for record in self.follow(topics, since=since, until=until):
            yield record

    async def read_span(self, topic: Topic, *, partition: int, first: int, last: int) -> AsyncGenerator[Record, None]:
        """The records of one partition between two offsets, both included."""
        since, until = {(topic.name, partition): first}, {(topic.name, partition): last + 1}
        async with aclosing(self.follow([topic], since=since, until=until)) as records:
            async for record in records:
                yield record

    def follow(
        self,
        topics: Sequence[Topic],
        *,
        since: Mapping[tuple[str, int], int] | None = None,
        until: Ends | None = None,
        partitions: Sequence[int] | None = None,
        wanted: Wanted | None = None,
        patience_ms: int = PATIENCE_MS,
        told: str | None = None,
    ) -> AsyncGenerator[Record, None]:
        """Records of the topics as they come. `since`: next offsets (elsewhere the beginning); `until`: where to end.

        With `until`, only its partitions are read; else all of each topic, or those `partitions`. `wanted` says by key and place which
        records are worth decoding. `patience_ms`: how long the broker keeps a question for which it has nothing; a reader of one partition,
        or one that may be late, is patient. `told`: the name of a log line that says, every few seconds, how far it is from `until`.
        """
        return self._reading.follow(topics, since=since, until=until, only=partitions, wanted=wanted, patience_ms=patience_ms, told=told)

    def messages(self, stretches: Iterable[Stretch]) -> AsyncGenerator[ConsumerRecord, None]:
        """The messages of some stretches as the broker has them, undecoded, in order. Raises: Unavailable, Permanent where one is gone."""
        return self._reading.messages(stretches)

    async def canonical(self, topic: str, payload: bytes) -> tuple[bytes, dict[str, Any]]:
        """The canonical bytes of a record's event, and the schema that it was written under. Raises: Undecodable, Unavailable."""
        return await self._decoding.canonical(topic, payload)

    async def of_key(self, topic: Topic, key: bytes) -> AsyncGenerator[Record, None]:
        """Every record of a key, as of now: its partition is read, and nothing else in it is decoded."""
        ends = await self.ends([topic])
        at = (topic.name, partition_for(key, len(ends)))
        async with aclosing(self.follow([topic], until={at: ends[at]}, wanted=lambda found, _: found == key)) as records:
            async for record in records:
                yield record

    async def cluster(self) -> str:
        """The id of the cluster that the log lies in: another log has another one. Raises: Unavailable."""
        self._cluster = self._cluster or await self._administering.cluster()
        return self._cluster

    async def committed(self, group: str, places: Sequence[tuple[str, int]]) -> Ends:
        """The next offsets that a consumer group has committed, where it has any. Raises: Unavailable."""
        return await self._administering.committed(group, places)

    async def members(self, group: str) -> frozenset[str]:
        """The names (`client_id`) of those whom a consumer group knows now. Raises: Unavailable."""
        return await self._administering.members(group)

    async def create_topics(self, topics: Sequence[Topic] = TOPICS, *, replication: int | None = None) -> None:
        """Creates the topics that are not there yet, as the settings ask. Raises: Unavailable, Permanent where counts differ."""
        await self._administering.create_topics(topics, replication=replication)

    def dead_letter(self, record: Record, *, code: str, message: str) -> DeadLettered:
        """The dead letter for a record that could not be decoded or processed."""
        return letter_for(record, code=code, message=message, service=self._client_id)
