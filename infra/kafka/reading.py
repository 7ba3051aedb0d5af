"""Reading the log by place, without a consumer group (those are Faust's)."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from infra.kafka.connection import DENIED, Connection
from infra.kafka.decoding import Decoding, place_of
from infra.kafka.partitions import Partitions
from infra.kafka.records import MAX_RECORD_BYTES, Ends, Place, Record
from infra.kafka.telling import Telling
from schemas.trust import Stretch
from streams.errors import Permanent
from streams.topics import Topic

PATIENCE_MS = 100
Since = Mapping[tuple[str, int], int]
Wanted = Callable[[bytes | None, Place], bool]  # by a record's key and place, before it is decoded


class Reading:
    """Readers of the log, as many as are asked for."""

    def __init__(self, connection: Connection, decoding: Decoding, partitions: Partitions) -> None:
        self._connection = connection
        self._decoding = decoding
        self._partitions = partitions
        self._asks: AIOKafkaConsumer | None = None
        self._one_by_one = asyncio.Lock()

    async def close(self) -> None:
        """Lets go of what is kept for questions."""
        if self._asks is not None:
            await stop(self._asks)
            self._asks = None

    async def consumer(self, *, max_wait_ms: int = PATIENCE_MS) -> AIOKafkaConsumer:
        """A started consumer without a group; the caller assigns, seeks and stops it. Raises: Unavailable."""
        consumer = AIOKafkaConsumer(
            **self._connection.arguments, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=max_wait_ms,
            max_partition_fetch_bytes=8 * MAX_RECORD_BYTES,
        )  # fmt: skip
        return await self._connection.started(consumer, ending=consumer.stop)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[AIOKafkaConsumer]:
        """A consumer for a question, kept for the next one: making one takes longer than the answer. Raises: Unavailable."""
        async with self._one_by_one:
            consumer, self._asks = self._asks or await self.consumer(), None
            try:
                yield consumer
                self._asks = consumer
            except KafkaError as error:
                raise self._connection.away(error) from error
            finally:
                if self._asks is None:
                    await stop(consumer)

    async def ends(self, topics: Sequence[Topic]) -> Ends:
        """The next offset of every partition of the topics, as of now. Raises: Unavailable."""
        partitions = await self._partitions.all_of(topics)
        async with self._asking() as consumer:
            offsets = await consumer.end_offsets(partitions)
        return {(tp.topic, tp.partition): offset for tp, offset in offsets.items()}

    async def offsets_at(self, topics: Sequence[Topic], *, written_us: int) -> Ends:
        """The first offset of every partition whose record was written at that time or later (the end, where none was)."""
        partitions = await self._partitions.all_of(topics)
        async with self._asking() as consumer:
            found = await consumer.offsets_for_times(dict.fromkeys(partitions, written_us // 1000))
            ends = await consumer.end_offsets(list(found))
        return {(tp.topic, tp.partition): (at.offset if at else ends[tp]) for tp, at in found.items()}

    async def check(self, topics: Sequence[Topic]) -> None:
        """Returns where the topics may be read. Raises: Unavailable."""
        partitions = await self._partitions.all_of(topics, only=[0])
        consumer = await self.consumer()
        try:
            consumer.assign(partitions)
            await consumer.seek_to_end(*partitions)
            await consumer.getmany(timeout_ms=5 * PATIENCE_MS)
        except KafkaError as error:
            raise self._connection.away(error) from error
        finally:
            await stop(consumer)

    async def follow(
        self, topics: Sequence[Topic], *, since: Since | None, until: Ends | None, only: Sequence[int] | None = None,
        wanted: Wanted | None = None, patience_ms: int = PATIENCE_MS, told: str | None = None,
    ) -> AsyncGenerator[Record, None]:  # fmt: skip
        """Records of the topics as they come, from `since` (else the beginning) to `until`, whose partitions alone are read.

        Without `until`: those of every partition, or of `only` these. `patience_ms`: how long the broker keeps a question for which it has
        nothing. With several partitions, what comes on one may wait so long while another is quiet; an idle reader asks less often. `told`:
        the name of a log line that says, every few seconds, how far it is from `until`.
        """
        asked = [TopicPartition(*place) for place in until or ()]
        partitions = asked if until is not None else await self._partitions.all_of(topics, only=only)
        consumer = await self.consumer(max_wait_ms=patience_ms)
        try:
            consumer.assign(partitions)
            for tp in partitions:
                consumer.seek(tp, (since or {}).get((tp.topic, tp.partition), 0))
            async for batches in _batches(consumer, until, timeout_ms=2 * patience_ms, told=told):
                for tp, messages in batches.items():
                    end = until[tp.topic, tp.partition] if until is not None else None
                    async for record in self._records(tp, messages, end, wanted):
                        yield record
        except DENIED as error:
            raise self._connection.away(error) from error
        finally:
            await stop(consumer)

    async def messages(self, stretches: Iterable[Stretch]) -> AsyncGenerator[ConsumerRecord, None]:
        """The messages of some stretches as the broker has them, undecoded, one stretch after the other.

        Raises: Permanent where the log does not reach so far.
        """
        consumer = await self.consumer()
        try:
            for one in stretches:
                tp = TopicPartition(one.topic, one.partition)
                consumer.assign([tp])
                await _check_there(consumer, tp, one)
                consumer.seek(tp, one.first)
                async for batch in _batches(consumer, {(one.topic, one.partition): one.end}, timeout_ms=PATIENCE_MS, told=None):
                    for message in batch.get(tp, ()):
                        if message.offset < one.end:
                            yield message
        except KafkaError as error:
            raise self._connection.away(error) from error
        finally:
            await stop(consumer)

    async def _records(self, tp: TopicPartition, messages: Sequence[Any], end: int | None, wanted: Wanted | None) -> AsyncIterator[Record]:
        before = messages if end is None or not messages or messages[-1].offset < end else [m for m in messages if m.offset < end]
        async for record in self._decoding.records(before, wanted=lambda m: wanted is None or wanted(m.key, place_of(m))):
            yield record


async def _batches(
    consumer: AIOKafkaConsumer, until: Ends | None, *, timeout_ms: int, told: str | None
) -> AsyncIterator[Mapping[TopicPartition, Sequence[Any]]]:
    """What the consumer fetches, by partition; to `until`, or for ever."""
    telling = Telling(told)
    while True:
        if until is not None:
            left = await _left(consumer, until)
            if not left:
                return
            telling.left(left)
        yield await consumer.getmany(timeout_ms=timeout_ms, max_records=5000)


async def _check_there(consumer: AIOKafkaConsumer, tp: TopicPartition, wanted: Stretch) -> None:
    """Raises: Permanent where the log does not hold all of it."""
    begins, ends = (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]
    if wanted.first < begins or wanted.end > ends:
        raise Permanent(
            f"{tp.topic}/{tp.partition} has records {begins} to {ends - 1}: of {wanted.first} to {wanted.end - 1} some are gone",
            code="log-shorter",
        )


async def _left(consumer: AIOKafkaConsumer, until: Ends) -> int:
    """How many records lie between a consumer's places and these ends."""
    return sum([max(0, end - await consumer.position(TopicPartition(*place))) for place, end in until.items()])


async def stop(consumer: AIOKafkaConsumer) -> None:
    """Lets a consumer go. A broker that is away is left without a word: why the reading ended was told."""
    # One turn of the loop first: aiokafka cancels a task of its own there, and one that never ran yet would cancel us.
    await asyncio.sleep(0)
    with suppress(KafkaError):
        await consumer.stop()
