"""Records on their way into the log: in order, acknowledged by all replicas, none twice.

While the broker is away they wait here and are delivered in their order when it is back.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from infra.kafka.connection import Connection
from infra.kafka.records import MAX_RECORD_BYTES, Place
from infra.retrying import noticed, until_available
from streams.errors import Permanent

CHECK_S, CLOSE_S = 3.0, 5.0
TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be written. Its partition is its key's, unless it names one."""

    topic: str
    payload: bytes
    key: bytes | None
    partition: int | None = None


class Producing:
    """One producer, and another in its place where it failed. `patience_s`: how long a caller waits; None is for ever."""

    def __init__(self, connection: Connection, *, patience_s: float | None) -> None:
        self._connection = connection
        self._patience_s = patience_s
        self._producer: AIOKafkaProducer
        self._closing: asyncio.Task[None] | None = None

    async def start(self, *, attempts: int | None) -> None:
        """Returns once the broker is reached. Raises: Unavailable after so many attempts; None is for ever."""
        self._producer = await until_available(self._started, what="kafka", give_up_after=attempts)

    async def close(self) -> None:
        """Ends the producer, soon whatever the broker does."""
        await _closed(self._producer)

    async def counts(self, topics: Sequence[str]) -> dict[str, int]:
        """How many partitions the broker has of each topic, of those that are there. Raises: Unavailable."""
        try:
            async with asyncio.timeout(CHECK_S):
                cluster = await self._producer.client.fetch_all_metadata()
        except (KafkaError, OSError, TimeoutError) as error:
            raise self._connection.away(error) from error
        return {topic: len(found) for topic in topics if (found := cluster.partitions_for_topic(topic))}

    async def deliver(self, records: Sequence[Outgoing]) -> list[Place]:
        """Where the records lie, in their order, once all are acknowledged.

        Raises: Unavailable (they may still arrive), Permanent where one is too large.
        """
        if not records:
            return []
        producer = self._producer
        try:
            async with asyncio.timeout(self._patience_s):
                return await noticed(self._sent(records), what="kafka")
        except TimeoutError as error:
            raise self._connection.away(TimeoutError(f"nothing acknowledged for {self._patience_s} s")) from error
        except TOO_LARGE as error:
            raise Permanent(f"a record is larger than {MAX_RECORD_BYTES} bytes; make it smaller", code="record-too-large") from error
        except KafkaError as error:
            await self._renew(producer)
            raise self._connection.away(error) from error

    async def _sent(self, records: Sequence[Outgoing]) -> list[Place]:
        acks: list[Awaitable[Place]] = [await self._producer.send(r.topic, r.payload, key=r.key, partition=r.partition) for r in records]
        done = await asyncio.gather(*acks)
        return [Place(meta.topic, meta.partition, meta.offset) for meta in done]

    async def _started(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._connection.arguments, acks="all", enable_idempotence=True, linger_ms=5, max_batch_size=256 * 1024,
            max_request_size=MAX_RECORD_BYTES, compression_type="zstd",
        )  # fmt: skip
        return await self._connection.started(producer, ending=producer.stop)

    async def _renew(self, failed: AIOKafkaProducer) -> None:
        """Another producer in the place of one that failed: the numbers that it gives its records have a gap now, which brokers refuse."""
        if self._producer is failed:
            self._producer = await self._started()
            self._closing = asyncio.create_task(_closed(failed))


async def _closed(producer: AIOKafkaProducer) -> None:
    with suppress(KafkaError, TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await producer.stop()
