"""The log: publishing events, reading them by place, following topics. No consumer groups (those are Faust's)."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError, TopicAlreadyExistsError, for_code

from infra.identity import now_us, producer
from infra.registry import Registry
from infra.retrying import noticed, until_available
from infra.settings import Settings
from schemas.codec import Codec, Undecodable, UnknownSchema
from schemas.event import Event
from schemas.trust import DeadLettered
from streams.errors import Permanent, Unavailable
from streams.topics import TOPICS, Topic, topic_named, topic_of

MAX_RECORD_BYTES = 2 * 1024 * 1024
CHECK_S, CLOSE_S = 3.0, 5.0
TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
Ends = dict[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record lies."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Record:
    """A record read from the log. Exactly one of `event` and `fault` is there; `written_us` is Kafka's record time."""

    place: Place
    key: bytes | None
    payload: bytes
    written_us: int
    event: Event | None
    fault: Undecodable | None = None


class Log:
    """A connection to the log: one producer, any number of readers. Use it as an async context manager.

    While the broker is away, events wait here and are delivered in their order when it is back. `patience_s` is how long a caller
    waits for that before it is told: None is for ever, as a processor wants it, for whatever comes next waits for the same broker.
    `attempts` are those to reach registry and broker at the start; None is for ever again, 1 is for a command that a person waits for.
    """

    def __init__(self, settings: Settings, *, client_id: str, patience_s: float | None = None, attempts: int | None = None) -> None:
        self._settings = settings
        self._client_id = client_id
        self._patience_s = patience_s
        self._attempts = attempts
        self._registry = Registry(settings.registry)
        self.codec: Codec
        self._producer: AIOKafkaProducer
        self._closing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.codec = await until_available(self._registry.codec, what="schema registry", give_up_after=self._attempts)
        self._producer = await until_available(self._start_producer, what="kafka", give_up_after=self._attempts)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await _closed(self._producer)
        await self._registry.close()

    async def _start_producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka, client_id=self._client_id, acks="all", enable_idempotence=True,
            linger_ms=5, max_batch_size=256 * 1024, max_request_size=MAX_RECORD_BYTES, compression_type="gzip",
        )  # fmt: skip
        try:
            await producer.start()
        except (KafkaError, OSError) as error:
            await producer.stop()
            raise self._away(error) from error
        return producer

    async def check(self) -> None:
        """Returns once the broker has answered. Raises: Unavailable."""
        try:
            async with asyncio.timeout(CHECK_S):
                await self._producer.client.fetch_all_metadata()
        except (KafkaError, OSError, TimeoutError) as error:
            raise self._away(error) from error

    def _away(self, error: BaseException) -> Unavailable:
        told = str(error) or type(error).__name__
        hint = "`assay status` says whether it is up, and its log why not: a full disk, for one"
        return Unavailable(f"the Kafka broker at {self._settings.kafka} does not answer ({told}); {hint}", code="log-away")

    async def publish(self, event: Event) -> Place:
        """Where the event lies, once the broker has acknowledged it. Raises: as `publish_all`."""
        return (await self.publish_all([event]))[0]

    async def publish_all(self, events: Iterable[Event]) -> list[Place]:
        """Where the events lie, in their order, once the broker has acknowledged all of them.

        Raises: Unavailable (they may still arrive), Permanent where one is too large.
        """
        return await self._delivered(self._sent([(topic_of(e).name, self.codec.encode(e), e.partition_key(), None) for e in events]))

    async def publish_to(self, event: Event, *, partition: int) -> Place:
        """Like `publish`, to a partition of the caller's choice: leases and marks."""
        return (await self._delivered(self._sent([(topic_of(event).name, self.codec.encode(event), event.partition_key(), partition)])))[0]

    async def publish_raw(self, topic: str, payload: bytes, *, key: bytes | None) -> Place:
        """Puts bytes on a topic as they are: requeued dead letters."""
        return (await self._delivered(self._sent([(topic, payload, key, None)])))[0]

    async def _sent(self, records: list[tuple[str, bytes, bytes | None, int | None]]) -> list[Place]:
        acks = [await self._producer.send(topic, value, key=key, partition=place) for topic, value, key, place in records]
        done = await asyncio.gather(*acks)
        return [Place(meta.topic, meta.partition, meta.offset) for meta in done]

    async def _delivered(self, sending: Awaitable[list[Place]]) -> list[Place]:
        producer = self._producer
        try:
            async with asyncio.timeout(self._patience_s):
                return await noticed(sending, what="kafka")
        except TimeoutError as error:
            raise self._away(TimeoutError(f"nothing acknowledged for {self._patience_s} s")) from error
        except TOO_LARGE as error:
            raise Permanent(f"a record is larger than {MAX_RECORD_BYTES} bytes; make it smaller", code="record-too-large") from error
        except KafkaError as error:
            await self._renew(producer)
            raise self._away(error) from error

    async def _renew(self, failed: AIOKafkaProducer) -> None:
        """Another producer in the place of one that failed: the numbers that it gives its records have a gap now, which brokers refuse."""
        if self._producer is failed:
            self._producer = await self._start_producer()
            self._closing = asyncio.create_task(_closed(failed))

    async def decode(self, topic: str, payload: bytes) -> Event:
        """The event in a record's bytes; asks the registry for schemas not yet seen. Raises: Undecodable, Unavailable."""
        known = topic_named(topic)
        if known is None:
            raise Undecodable("unknown-topic", f"{topic} is no topic of Assay's; `assay topics` lists them")
        try:
            return self.codec.decode(payload, known.event)
        except UnknownSchema as unknown:
            self.codec.learn(unknown.schema_id, await self._registry.schema(unknown.schema_id))
        return self.codec.decode(payload, known.event)

    async def reader(self, *, max_wait_ms: int = 100) -> AIOKafkaConsumer:
        """A started consumer without a group; the caller assigns, seeks and stops it. Raises: Unavailable."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka, client_id=self._client_id, enable_auto_commit=False,
            auto_offset_reset="earliest", fetch_max_wait_ms=max_wait_ms, max_partition_fetch_bytes=8 * MAX_RECORD_BYTES,
        )  # fmt: skip
        try:
            await consumer.start()
        except (KafkaError, OSError) as error:
            await consumer.stop()
            raise self._away(error) from error
        return consumer

    async def ends(self, topics: Sequence[Topic]) -> Ends:
        """The next offset of every partition of the topics, as of now. Raises: Unavailable."""
        consumer = await self.reader()
        try:
            offsets = await consumer.end_offsets(_partitions(topics))
        except KafkaError as error:
            raise self._away(error) from error
        finally:
            await _stop(consumer)
        return {(tp.topic, tp.partition): offset for tp, offset in offsets.items()}

    async def read(
        self, topics: Sequence[Topic], *, until: Ends | None = None, since: Mapping[tuple[str, int], int] | None = None
    ) -> AsyncIterator[Record]:
        """Every record of the topics from the beginning (or `since`) up to `until` (now, where it is None), then ends."""
        until = until if until is not None else await self.ends(topics)
        async for record in self.follow(topics, since=since, until=until):
            yield record

    async def read_span(self, topic: Topic, *, partition: int, first: int, last: int) -> AsyncIterator[Record]:
        """The records of one partition between two offsets, both included."""
        since, until = {(topic.name, partition): first}, {(topic.name, partition): last + 1}
        async for record in self.follow([topic], since=since, until=until):
            yield record

    async def follow(
        self, topics: Sequence[Topic], *, since: Mapping[tuple[str, int], int] | None = None, until: Ends | None = None
    ) -> AsyncGenerator[Record, None]:
        """Records of the topics as they come. `since`: next offsets (elsewhere the beginning); `until`: where to end.

        With `until`, only its partitions are read.
        """
        consumer = await self.reader()
        try:
            partitions = [TopicPartition(*place) for place in until] if until is not None else _partitions(topics)
            consumer.assign(partitions)
            for tp in partitions:
                consumer.seek(tp, (since or {}).get((tp.topic, tp.partition), 0))
            async for record in self._records(consumer, partitions, until):
                yield record
        finally:
            await _stop(consumer)

    async def _records(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition], until: Ends | None) -> AsyncIterator[Record]:
        left = set(partitions)
        while True:
            if until is not None:
                left = {tp for tp in left if await consumer.position(tp) < until[tp.topic, tp.partition]}
                if not left:
                    return
            batches = await consumer.getmany(timeout_ms=200, max_records=5000)
            for tp, messages in batches.items():
                for message in messages:
                    if until is None or message.offset < until[tp.topic, tp.partition]:
                        yield await self.record(message)

    async def record(self, message: object) -> Record:
        """A consumer's message as a Record, decoded, or with the fault that says why not."""
        m: object = message
        place = Place(m.topic, m.partition, m.offset)  # type: ignore[attr-defined]  # aiokafka's ConsumerRecord is untyped
        payload: bytes = m.value or b""  # type: ignore[attr-defined]  # a null value is no event either
        event, fault = None, None
        try:
            event = await self.decode(place.topic, payload)
        except Undecodable as undecodable:
            fault = undecodable
        return Record(place, m.key, payload, m.timestamp * 1000, event, fault)  # type: ignore[attr-defined]

    async def offsets_at(self, topics: Sequence[Topic], *, written_us: int) -> Ends:
        """The first offset of every partition whose record was written at that time or later (the end, where none was)."""
        consumer = await self.reader()
        try:
            found = await consumer.offsets_for_times(dict.fromkeys(_partitions(topics), written_us // 1000))
            ends = await consumer.end_offsets(list(found))
        except KafkaError as error:
            raise self._away(error) from error
        finally:
            await _stop(consumer)
        return {(tp.topic, tp.partition): (at.offset if at else ends[tp]) for tp, at in found.items()}

    async def committed(self, group: str, places: Sequence[tuple[str, int]]) -> Ends:
        """The next offsets that a consumer group has committed, where it has any. Raises: Unavailable."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._settings.kafka, client_id=self._client_id)
        try:
            await admin.start()
            found = await admin.list_consumer_group_offsets(group, partitions=[TopicPartition(*place) for place in places])
        except (KafkaError, OSError) as error:
            raise Unavailable(f"cannot read the offsets of {group} at {self._settings.kafka}: {error}") from error
        finally:
            await admin.close()
        return {(tp.topic, tp.partition): meta.offset for tp, meta in found.items() if meta.offset >= 0}

    async def create_topics(self, topics: Sequence[Topic] = TOPICS, *, replication: int = 1) -> None:
        """Creates the topics that are not there yet. Raises: Unavailable, Permanent where a topic has other partitions."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._settings.kafka, client_id=self._client_id)
        try:
            await admin.start()
            there = set(await admin.list_topics())
            # A request that names a topic twice creates it not at all.
            missing = {topic.name: topic for topic in topics if topic.name not in there}
            answer = await admin.create_topics([_new_topic(topic, replication) for topic in missing.values()])
            _check_created(answer.topic_errors)
            await self._check_partitions(admin, [topic for topic in topics if topic.name in there])
        except (KafkaError, OSError) as error:
            raise Unavailable(f"cannot create topics at {self._settings.kafka}: {error}") from error
        finally:
            await admin.close()

    @staticmethod
    async def _check_partitions(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
        described = await admin.describe_topics([topic.name for topic in topics]) if topics else []
        counts = {row["topic"]: len(row["partitions"]) for row in described}
        for topic in topics:
            if counts.get(topic.name, topic.partitions) != topic.partitions:
                raise Permanent(f"{topic.name} has {counts[topic.name]} partitions, not {topic.partitions}; a count is fixed for life")

    def dead_letter(self, record: Record, *, code: str, message: str) -> DeadLettered:
        """The dead letter for a record that could not be decoded or processed."""
        letter = dead_letter(record.place, record.payload, code=code, message=message, service=self._client_id)
        return letter.model_copy(update={"visibility": record.event.visibility}) if record.event else letter


def dead_letter(place: Place, payload: bytes, *, code: str, message: str, service: str) -> DeadLettered:
    """A dead letter for the record at `place`; its time is the wall clock's, for it is about this moment's reader."""
    return DeadLettered(
        occurred_us=now_us(), producer=producer(service), topic=place.topic, partition=place.partition, offset=place.offset,
        reason_code=code, message=message, payload=payload,
    )  # fmt: skip


async def _closed(producer: AIOKafkaProducer) -> None:
    with suppress(KafkaError, TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await producer.stop()


async def _stop(consumer: AIOKafkaConsumer) -> None:
    # One turn of the loop first: aiokafka cancels a task of its own there, and one that never ran yet would cancel us.
    await asyncio.sleep(0)
    await consumer.stop()


def _partitions(topics: Sequence[Topic]) -> list[TopicPartition]:
    return [TopicPartition(topic.name, partition) for topic in topics for partition in range(topic.partitions)]


def _check_created(answers: Iterable[tuple[str, int, str | None]]) -> None:
    """Raises: KafkaError of the first topic that was refused; another process may have been faster, which is as good."""
    for topic, code, message in answers:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise for_code(code)(f"{topic}: {message}")


def _new_topic(topic: Topic, replication: int) -> NewTopic:
    config = {"retention.ms": str(topic.retention_ms), "cleanup.policy": "delete", "max.message.bytes": str(MAX_RECORD_BYTES)}
    return NewTopic(topic.name, topic.partitions, replication, topic_configs=config)
