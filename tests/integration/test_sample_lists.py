"""Lists of samples on the real engine: whatever came twice, late or not at all, each sample is listed once, by the value that counts."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from agents.project import insert_all
from benchmarks.making import answered, life, run_id, scored
from infra.clickhouse import DDL, ClickHouse, migrate, statements
from infra.kafka import Place, Record
from infra.settings import Settings
from query_api.reading import samples as reading_samples
from query_api.reading.runs import Reading
from schemas.event import Event, Text
from streams.projection import BY_PLACE, table_of
from streams.topics import topic_of
from streams.trust.visibility import Seen

pytestmark = pytest.mark.integration
TASKS, SAMPLES, RUN, OTHER = 2, 7, 0, 1
# What another run scored otherwise.
FLIPPED = [("task-0", 1), ("task-0", 2), ("task-0", 6), ("task-1", 0), ("task-1", 5)]
OPEN: dict[str, Any] = {**reading_samples.LINE_FILTERS, "differs_from": ""}


def records(events: Sequence[Event], *, first: int) -> list[Record]:
    """The events as the log has them, from an offset on."""
    return [Record(Place(topic_of(one).name, 0, first + n), None, b"", one.occurred_us, one) for n, one in enumerate(events)]


def value(number: int, new: float | None, *, task: str = "task-0") -> Event:
    """A score of a sample with that value."""
    return scored(number, run=RUN, task=task).model_copy(update={"value": new})


@pytest.fixture(scope="module")
def database(stack: Settings) -> Iterator[Settings]:
    """A run of two tasks, of which all came twice, two samples were scored a second time otherwise, one has no value, one no score."""
    own = stack.model_copy(update={"database": "sample_lists"})
    events = [one for one in life(RUN, tasks=TASKS, samples=SAMPLES, first=SAMPLES) if one != scored(6, run=RUN, task="task-1")]
    other = [one for one in life(OTHER, tasks=TASKS, samples=SAMPLES, first=SAMPLES) if one != scored(5, run=OTHER, task="task-0")]
    flipped = [scored(number, run=OTHER, task=task).model_copy(update={"value": 0.5}) for task, number in FLIPPED]
    late = [value(0, 9.0), value(1, -9.0), answered(2, run=RUN, task="task-1")]
    null = value(6, None)

    async def fill() -> None:
        await migrate(own)
        async with ClickHouse(own) as clickhouse:
            await insert_all(clickhouse, records([null, *flipped, *events, *other], first=0))
            await insert_all(clickhouse, records([*late, *events], first=1000))

    asyncio.run(fill())
    yield own


def listed(own: Settings, *, limit: int = 3, sort: str = "task", **filters: Any) -> list[tuple[str, int]]:
    """The task and ordinal of each sample, page by page."""

    async def act() -> list[tuple[str, int]]:
        found, cursor = list[tuple[str, int]](), ""
        async with ClickHouse(own) as clickhouse:
            while True:
                told = await reading_samples.page(
                    Reading(clickhouse, Seen()), run_id(RUN), sort=sort, limit=limit, cursor=cursor, **(OPEN | filters)
                )
                found += [(sample["task"], sample["ordinal"]) for sample in told["samples"]]
                if told["next"] is None:
                    return found
                cursor = told["next"]

    return asyncio.run(act())


ALL = [(f"task-{task}", number) for task in range(TASKS) for number in range(SAMPLES)]
NONE = [("task-0", 6), ("task-1", 6)]
WRONG = [(task, number) for task, number in ALL if number % 2 == 0 and (task, number) not in NONE]
RIGHT = [(task, number) for task, number in ALL if number % 2 == 1]


@pytest.mark.parametrize("limit", [1, 3, 50])
@pytest.mark.parametrize("down", [False, True])
def test_by_place(database: Settings, limit: int, down: bool) -> None:
    """In both directions, in pages of any size."""
    assert listed(database, limit=limit, sort="-task" if down else "task") == (ALL[::-1] if down else ALL)


@pytest.mark.parametrize("limit", [1, 3, 50])
@pytest.mark.parametrize("down", [False, True])
def test_by_value(database: Settings, limit: int, down: bool) -> None:
    """What has none is the least; of a sample that was scored twice the first value counts, not the other, which is far off."""
    expected = NONE + WRONG + RIGHT
    assert listed(database, limit=limit, sort="-value" if down else "value") == (expected[::-1] if down else expected)


def test_bounds_and_documents(database: Settings) -> None:
    """In order of place and of value; what has no value is within no bounds."""
    for sort in ("task", "value"):
        assert listed(database, sort=sort, max_value=0.5) == WRONG
        assert listed(database, sort=sort, min_value=0.5) == RIGHT
        assert listed(database, sort=sort, min_value=2.0) == listed(database, sort=sort, max_value=-1.0) == []
        assert listed(database, sort=sort, doc_id=3) == [("task-0", 3), ("task-1", 3)]
        assert listed(database, sort=sort, task="task-1", min_value=0.5) == [one for one in RIGHT if one[0] == "task-1"]


def test_another_metric_is_another_value(database: Settings) -> None:
    """None has it: all are listed, and none lies within bounds."""
    assert listed(database, sort="value", metric="f1") == ALL
    assert listed(database, metric="f1", max_value=9.0) == []


def test_a_run_differs_from_itself_in_nothing(database: Settings) -> None:
    """And from a run that is not there there is nothing to differ."""
    assert listed(database, differs_from=run_id(RUN)) == listed(database, differs_from="none") == []


@pytest.mark.parametrize("limit", [1, 2, 50])
@pytest.mark.parametrize("window", [1, 3, 5, 1000])
def test_a_run_differs_from_another(database: Settings, monkeypatch: pytest.MonkeyPatch, limit: int, window: int) -> None:
    """Where both have a value, and another; however many samples are looked at first, and by value too."""
    monkeypatch.setattr(reading_samples, "WINDOW", window)
    expected = [one for one in FLIPPED if one not in NONE]
    assert listed(database, limit=limit, differs_from=run_id(OTHER)) == expected
    assert listed(database, limit=limit, differs_from=run_id(OTHER), task="task-1") == expected[-2:]
    assert sorted(listed(database, limit=limit, differs_from=run_id(OTHER), sort="value")) == expected


def test_progress_counts_each_sample_once(database: Settings) -> None:
    """Whatever came how often."""

    async def act() -> list[tuple[int, ...]]:
        async with ClickHouse(database) as clickhouse:
            rows = await clickhouse.query(
                "SELECT * FROM run_progress WHERE run_id = {run_id:String} ORDER BY task", {"run_id": run_id(RUN)}
            )
        return [tuple(row[name] for name in ("expected", "answered", "scored", "not_scored")) for row in rows]

    assert asyncio.run(act()) == [(SAMPLES, SAMPLES, SAMPLES, 0), (SAMPLES, SAMPLES, SAMPLES - 1, 0)]


def test_a_database_from_before_is_brought_along(stack: Settings) -> None:
    """Its tables lie by place then, with all of their rows, and what is kept beside them is filled."""
    own = stack.model_copy(update={"database": "from_before"})
    events = list(life(RUN, tasks=TASKS, samples=SAMPLES, first=SAMPLES))

    async def act() -> None:
        async with ClickHouse(stack, database="default") as server:
            await server.command(f"CREATE DATABASE {own.database}")
        async with ClickHouse(own) as clickhouse:
            paths = sorted(DDL.glob("*.sql"))
            await _run(clickhouse, [one for path in paths if path.name < "0008" for one in statements(path.read_text())])
            for event in BY_PLACE:
                table = table_of(event)
                await _run(clickhouse, [f"CREATE TABLE older AS {table.name} ENGINE = ReplacingMergeTree(log_version) ORDER BY event_id",
                                        f"EXCHANGE TABLES older AND {table.name}", "DROP TABLE older"])  # fmt: skip
            await insert_all(clickhouse, records(events, first=0))
        await migrate(own)
        async with ClickHouse(own) as clickhouse:
            keys = await clickhouse.query("SELECT name, sorting_key FROM system.tables WHERE database = {d:String}", {"d": own.database})
        told = {row["name"]: row["sorting_key"] for row in keys}
        assert {told[table_of(event).name] for event in BY_PLACE} == {", ".join(order) for order in BY_PLACE.values()}

    asyncio.run(act())
    assert listed(own) == ALL
    assert listed(own, sort="value") == [one for one in ALL if one[1] % 2 == 0] + RIGHT


async def _run(clickhouse: ClickHouse, sql: Sequence[str]) -> None:
    for statement in sql:
        await clickhouse.command(statement)


def test_truncated_samples_are_counted_by_task_once_each(stack: Settings) -> None:
    """However often they were answered, and however many of their requests were truncated; an answer's own words are no count."""
    own = stack.model_copy(update={"database": "truncated_samples"})
    quoting = Text.plain('he wrote "truncated_tokens":5 there')
    whole = [answered(number, run=RUN, task="task-0") for number in range(4)]

    def changed(number: int, **told: Any) -> Event:
        return whole[number].model_copy(update={"answers": tuple(one.model_copy(update=told) for one in whole[number].answers)})

    events = [whole[0], changed(1, truncated_tokens=5), changed(2, truncated_tokens=12), changed(3, output=quoting)]

    async def act() -> list[tuple[str, int, int]]:
        await migrate(own)
        async with ClickHouse(own) as clickhouse:
            for first in (0, 1000):
                await insert_all(clickhouse, records(events, first=first))
            rows = await Reading(clickhouse, Seen()).rows("progress", run_id=run_id(RUN))
        return [(row["task"], row["answered"], row["truncated"]) for row in rows]

    assert asyncio.run(act()) == [("task-0", 4, 2)]
