"""Writes every event to its fact table. An event that comes twice is two rows of one id, of which the table keeps the first."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from agents.app import consume
from infra.clickhouse import ClickHouse, migrate
from infra.identity import now_us
from infra.kafka import Log, Record
from infra.metrics import INSERT_DELAY, LAST_INSERT_DELAY
from infra.retrying import until_available
from infra.settings import Settings
from streams.projection import row, table_of
from streams.topics import TOPICS, jobs_topic


async def insert_all(clickhouse: ClickHouse, records: Sequence[Record]) -> None:
    """Makes the records durable in their tables. Raises: Unavailable."""
    rows: dict[Any, list[list[Any]]] = defaultdict(list)
    for record in records:
        if record.event:
            place = record.place
            rows[type(record.event)].append(row(record.event, partition=place.partition, offset=place.offset, written_us=record.written_us))
    for event, values in rows.items():
        await clickhouse.insert(table_of(event), values)
    if records:
        delay_s = (now_us() - min(record.written_us for record in records)) / 1e6
        INSERT_DELAY.observe(delay_s)
        LAST_INSERT_DELAY.set(delay_s)


async def main(settings: Settings) -> None:
    """Projects until SIGTERM."""
    await until_available(lambda: migrate(settings), what="clickhouse")
    topics = list(dict.fromkeys([*TOPICS, jobs_topic(settings.pool)]))
    async with Log(settings, client_id="agents.project") as log, ClickHouse(settings) as clickhouse:
        await consume("project", topics, lambda records: insert_all(clickhouse, records), log=log, settings=settings)
