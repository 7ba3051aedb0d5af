"""`python -m benchmarks.projecting WHO NAME DATABASE [SHARE OF]`: one process that takes scores and token timings to their tables.

WHO is `faust` (the projector as it is shipped, under a group of its own name) or `floor` (aiokafka's getmany, fastavro, and the same
insert; no group but every OF-th partition from SHARE on, no validation, no dead letters: what no projector in this language goes below).
It waits for a line on stdin before it inserts anything, and prints one JSON document at its end: events, and from its first batch to its
last the seconds and CPU-seconds.
"""

import asyncio
import io
import json
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import fastavro

from agents.app import consume
from agents.project import insert_all
from infra.clickhouse import ClickHouse
from infra.kafka import Log, Record
from infra.settings import Settings, of_process
from schemas.avro import avro_schema
from streams.projection import table_of, version
from streams.topics import SCORES, TOKEN_TIMINGS

TOPICS = (SCORES, TOKEN_TIMINGS)
FRAME_BYTES = 5


class Meter:
    """Events, and what they took from the first batch on."""

    def __init__(self) -> None:
        self.events = 0
        self._began: tuple[float, float] | None = None
        self._ended = (0.0, 0.0)
        self._go = asyncio.Event()

    async def measured(self, count: int, insert: Callable[[], Awaitable[None]]) -> None:
        """Inserts a batch once told to go; counts it."""
        await self._go.wait()
        await insert()
        self.events, self._ended = self.events + count, (time.perf_counter(), time.process_time())

    async def until_told(self) -> None:
        """Waits for the line on stdin, from which on time counts."""
        await asyncio.to_thread(sys.stdin.readline)
        self._began = (time.perf_counter(), time.process_time())
        self._go.set()

    def told(self) -> dict[str, float]:
        """The figures."""
        wall, cpu = (end - begin for end, begin in zip(self._ended, self._began or (0.0, 0.0), strict=True))
        return {"events": self.events, "wall_s": wall, "cpu_s": cpu}


async def faust(settings: Settings, name: str, meter: Meter) -> None:
    """The shipped path: agents.app's consumer with agents.project's effect."""
    async with Log(settings, client_id=name) as log, ClickHouse(settings) as clickhouse:

        async def handle(records: Sequence[Record]) -> None:
            await meter.measured(len(records), lambda: insert_all(clickhouse, records))

        await consume(name, TOPICS, handle, log=log, settings=settings)


async def floor(settings: Settings, name: str, meter: Meter, *, share: int, of: int) -> None:
    """The least that can be done: fetch, decode, insert; of its share of the partitions."""
    schemas = {topic.name: (table_of(topic.event), fastavro.parse_schema(avro_schema(topic.event))) for topic in TOPICS}
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with Log(settings, client_id=name) as log, ClickHouse(settings) as clickhouse:
        consumer = await log.reader()
        consumer.assign((await _partitions(log))[share::of])
        while not stopped.is_set():
            rows: dict[str, list[list[Any]]] = defaultdict(list)
            for message in await _batch(consumer, settings.batch_events):
                fields = fastavro.schemaless_reader(io.BytesIO(message.value[FRAME_BYTES:]), schemas[message.topic][1])
                rows[message.topic].append(_row(fields, message))
            if rows:
                await meter.measured(sum(map(len, rows.values())), lambda: _insert(clickhouse, schemas, rows))  # noqa: B023
        await consumer.stop()


async def _batch(consumer: Any, most: int) -> list[Any]:
    """As many records as are wanted, or as come within a tenth of a second."""
    batch: list[Any] = []
    while len(batch) < most and (fetched := await consumer.getmany(timeout_ms=100, max_records=most - len(batch))):
        batch += [message for messages in fetched.values() for message in messages]
    return batch


async def _partitions(log: Log) -> list[Any]:
    from aiokafka import TopicPartition

    return [TopicPartition(*place) for place in sorted(await log.ends(TOPICS))]


def _row(fields: dict[str, Any], message: Any) -> list[Any]:
    cells = [json.dumps(cell) if isinstance(cell, (dict, list)) else cell for cell in fields.values()]
    return [*cells, message.partition, message.offset, version(message.partition, message.offset), message.timestamp * 1000]


async def _insert(clickhouse: ClickHouse, schemas: dict[str, Any], rows: dict[str, list[list[Any]]]) -> None:
    for topic, values in rows.items():
        await clickhouse.insert(schemas[topic][0], values)


async def main(who: str, name: str, database: str, share: str = "0", of: str = "1") -> None:
    """Projects until SIGTERM."""
    meter, settings = Meter(), of_process().model_copy(update={"database": database})
    waiting = asyncio.create_task(meter.until_told())
    await (faust(settings, name, meter) if who == "faust" else floor(settings, name, meter, share=int(share), of=int(of)))
    await waiting
    print(json.dumps(meter.told()), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
    os._exit(0)  # no wait for the thread that reads stdin
