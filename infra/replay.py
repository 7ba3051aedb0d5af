"""Rebuilds every projection from the log into a second database, and compares it with the live one.

The cut is the log's ends at the start. The live projector must have passed it (its committed offsets say so); then both databases
are compared over exactly the records below it, by order-independent digests of all columns.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.clickhouse import ClickHouse, migrate
from infra.kafka import Ends, Log, Record
from infra.settings import Settings
from schemas.event import Event
from streams.errors import Unavailable
from streams.projection import Table, row, table_of
from streams.topics import FOREVER_MS, TOPICS, Topic

# What passes expires, in the log and in its table: it is no record to be compared.
COMPARED = tuple(topic for topic in TOPICS if topic.retention_ms == FOREVER_MS)
BATCH = 5000
PATIENCE_S = 120.0
Told = Callable[[str], None]
# What views keep beside the facts, each as its members, by their hashes and in words. Of values in order those count that the facts have.
KEPT_BESIDE = {
    "sample_sets": """
        SELECT cityHash64(run_id, task, kind, filter, metric, repeat, arraySort(bitmapToArray(groupBitmapMergeState(ordinals)))) AS h,
            concat('the samples of ', run_id, ', ', task, ' that are ', kind) AS what
        FROM {database}.sample_sets WHERE {where} GROUP BY run_id, task, kind, filter, metric, repeat""",
    "sample_order": """
        SELECT DISTINCT cityHash64(run_id, value, task, ordinal, repeat, metric, filter) AS h,
            concat('sample ', toString(ordinal), ' of ', run_id, ', ', task, ', ', metric) AS what
        FROM {database}.sample_order WHERE {where}""",
}


@dataclass(frozen=True, slots=True)
class Digest:
    """A table's rows below the cut, and a digest of all their columns."""

    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the live projections are what the log says; the first row that is not."""

    equal: bool
    tables: Mapping[str, Digest]
    difference: str | None

    def document(self) -> dict[str, Any]:
        """As the command line prints it."""
        tables = {name: {"rows": one.rows, "digest": one.digest} for name, one in self.tables.items()}
        return {"equal": self.equal, "tables": tables, "difference": self.difference}


async def verify(settings: Settings, *, run_id: str | None, told: Told, keep: bool = False) -> Verdict:
    """The verdict. Raises: Unavailable where the live projector has not passed the cut within two minutes."""
    second = f"{settings.database}_replay_{time.time_ns()}"
    async with Log(settings, client_id="replay", attempts=1) as log:
        ends = await log.ends(COMPARED)
        told(f"replaying {sum(ends.values())} records into {second}")
        await migrate(settings, database=second)
        async with ClickHouse(settings, database=second) as rebuilt, ClickHouse(settings) as live:
            try:
                await _rebuild(log, rebuilt, ends, run_id=run_id)
                await _until_passed(log, ends, told=told)
                return await _compared(live, rebuilt, ends, run_id=run_id)
            finally:
                if not keep:
                    await live.command(f"DROP DATABASE IF EXISTS {second}")


async def _rebuild(log: Log, into: ClickHouse, ends: Ends, *, run_id: str | None) -> None:
    waiting: dict[type[Event], list[list[Any]]] = {}
    held = 0
    async for record in log.read(COMPARED, until=ends):
        if record.event is None or (run_id is not None and getattr(record.event, "run_id", None) != run_id):
            continue
        waiting.setdefault(type(record.event), []).append(_row(record))
        held += 1
        if held >= BATCH:
            await _flush(into, waiting)
            held = 0
    await _flush(into, waiting)


def _row(record: Record) -> list[Any]:
    assert record.event is not None
    return row(record.event, partition=record.place.partition, offset=record.place.offset, written_us=record.written_us)


async def _flush(into: ClickHouse, waiting: dict[type[Event], list[list[Any]]]) -> None:
    for event, rows in waiting.items():
        await into.insert(table_of(event), rows)
    waiting.clear()


async def _until_passed(log: Log, ends: Ends, *, told: Told) -> None:
    give_up = time.monotonic() + PATIENCE_S
    written = [place for place, end in ends.items() if end > 0]
    while behind := await _behind(log, ends, written):
        if time.monotonic() > give_up:
            (topic, partition), end = next(iter(behind.items()))
            raise Unavailable(f"the projector has not passed {topic}/{partition} at {end}; is agents.project up? `assay status`")
        told(f"waiting for the projector: {len(behind)} partitions behind")
        await asyncio.sleep(0.5)


async def _behind(log: Log, ends: Ends, places: list[tuple[str, int]]) -> Ends:
    passed = await log.committed("assay-project", places) if places else {}
    return {place: ends[place] for place in places if passed.get(place, 0) < ends[place]}


async def _compared(live: ClickHouse, rebuilt: ClickHouse, ends: Ends, *, run_id: str | None) -> Verdict:
    tables: dict[str, Digest] = {}
    difference = None
    for topic in COMPARED:
        table = table_of(topic.event)
        if run_id is not None and "run_id" not in table.columns:
            continue
        below = _below(topic, ends, table, run_id)
        one, other = [await _digest(database, table, below) for database in (live, rebuilt)]
        tables[table.name.removeprefix("fact_")] = other
        if one != other and difference is None:
            difference = await _first_difference(live, rebuilt, table, below)
    for name, sql in KEPT_BESIDE.items():
        both = [sql.format(database=database.database, where=_over(run_id, rebuilt)) for database in (live, rebuilt)]
        one, other = [await _digest_of_kept(live, members) for members in both]
        tables[name] = other
        if one != other and difference is None:
            difference = f"{name}: {await _first_kept(live, both)}"
    return Verdict(difference is None, tables, difference)


def _over(run_id: str | None, rebuilt: ClickHouse) -> str:
    """The condition that holds for runs that were over at the cut."""
    over = f"run_id IN (SELECT run_id FROM {rebuilt.database}.run_states WHERE state IN ('completed', 'failed', 'cancelled', 'rejected'))"
    return f"{over} AND run_id = '{_quoted(run_id)}'" if run_id is not None else over


async def _digest_of_kept(live: ClickHouse, members: str) -> Digest:
    """Of what is kept beside the facts: sets, of the runs that were over at the cut; what came twice is in them once."""
    (found,) = await live.query(f"SELECT count() AS n, groupBitXor(h) AS x FROM ({members})")
    return Digest(int(found["n"]), f"{int(found['x']):016x}")


async def _first_kept(live: ClickHouse, both: Sequence[str]) -> str:
    """The first member, in the order of their names, that only one of the two has."""
    for here, there, where in ((*both, "live"), (*reversed(both), "rebuilt")):
        if found := await live.query(f"SELECT what FROM ({here}) WHERE h NOT IN (SELECT h FROM ({there})) ORDER BY what LIMIT 1"):
            return f"{found[0]['what']} is so in the {where} database alone"
    return "the digests differ"


def _below(topic: Topic, ends: Ends, table: Table, run_id: str | None) -> str:
    """The condition that holds for records below the cut."""
    limits = " OR ".join(f"(log_partition = {n} AND log_offset < {end})" for (name, n), end in ends.items() if name == topic.name)
    return f"({limits})" + (f" AND run_id = '{_quoted(run_id)}'" if run_id is not None and "run_id" in table.columns else "")


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _hash(table: Table) -> str:
    """Of all columns but the one that only says which of several rows of an id is kept."""
    return f"cityHash64(toString(tuple({', '.join(f'`{name}`' for name in table.columns if name != 'log_version')})))"


async def _digest(database: ClickHouse, table: Table, below: str) -> Digest:
    sql = f"SELECT count() AS _rows, sum({_hash(table)}) AS _sum, groupBitXor({_hash(table)}) AS _xor FROM {table.name} FINAL WHERE {below}"
    (found,) = await database.query(sql)
    return Digest(int(found["_rows"]), f"{int(found['_sum']):016x}{int(found['_xor']):016x}")


async def _first_difference(live: ClickHouse, rebuilt: ClickHouse, table: Table, below: str) -> str:
    """The first row in the log's order that only one of the two has, or has otherwise."""
    names = {"live": f"{live.database}.{table.name}", "rebuilt": f"{rebuilt.database}.{table.name}"}
    hashed = _hash(table)
    for here, there in (("live", "rebuilt"), ("rebuilt", "live")):
        sql = (
            f"SELECT event_id, log_partition, log_offset FROM {names[here]} FINAL WHERE {below} AND (event_id, {hashed}) NOT IN "
            f"(SELECT event_id, {hashed} FROM {names[there]} FINAL WHERE {below}) ORDER BY log_partition, log_offset LIMIT 1"
        )
        if found := await live.query(sql):
            first = found[0]
            where = f"partition {first['log_partition']}, offset {first['log_offset']}"
            inside = f"is in the {here} database otherwise than in the {there} one"
            differing = await _otherwise(live, names, table, str(first["event_id"]))
            return f"{table.name}: event {first['event_id']} ({where}) {inside}: {differing}"
    return f"{table.name}: the digests differ"


async def _otherwise(live: ClickHouse, names: Mapping[str, str], table: Table, event_id: str) -> str:
    """The columns of an event's row that differ between the two."""
    of_each = [await live.query(f"SELECT * FROM {name} FINAL WHERE event_id = '{_quoted(event_id)}'") for name in names.values()]
    if not all(of_each):
        return "only one of them has it"
    return ", ".join(column for column in table.columns if of_each[0][0][column] != of_each[1][0][column]) or "there is more than one"
