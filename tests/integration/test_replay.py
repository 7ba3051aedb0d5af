"""`replay --verify`: the projections are what the log says; and where one is not, its first row is named."""

import asyncio
import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from infra.clickhouse import ClickHouse, statements
from infra.deriving import derive
from infra.identity import now_us, producer
from infra.kafka import Log
from infra.replay import Verdict, verify
from infra.settings import Settings
from schemas.catalogue import EVENTS
from schemas.event import Event
from schemas.requests import CancellationRequested, EngineChoice, EvaluationRequested, Stopping, TaskChoice, Workload
from schemas.results import SampleScored
from streams.projection import facts_ddl, row, table_of
from streams.topics import FOREVER_MS, RESULTS, SCORES, STOPS, TOPICS
from tests.flow import PATIENCE_S, events_of, request, until_row, until_state
from tests.strategies import events

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def verdict(flow: Settings, run_id: str | None = None) -> Verdict:
    """What verify says."""
    return asyncio.run(verify(flow, run_id=run_id, told=lambda _text: None))


def test_the_live_projections_equal_the_log(flow: Settings) -> None:
    """After a run, with its request delivered twice; and no database is left behind."""

    async def act() -> str:
        asked = request("assay_agreement", limit=10)
        async with Log(flow, client_id="test") as log:
            await log.publish_all([asked, asked])
        await until_state(flow, asked.run_id, "completed")
        return asked.run_id

    run_id = asyncio.run(act())
    whole = verdict(flow)
    assert whole.equal, whole.difference
    assert whole.tables["scores"].rows >= 10
    one = verdict(flow, run_id)
    assert one.equal
    assert (one.tables["requests"].rows, one.tables["scores"].rows) == (1, 10)
    left = asyncio.run(asked_of(flow, "SELECT name FROM system.databases WHERE name LIKE '%replay%'"))
    assert left == []


async def asked_of(flow: Settings, sql: str) -> list[dict[str, Any]]:
    """A query's rows."""
    async with ClickHouse(flow) as clickhouse:
        return await clickhouse.query(sql)


def test_what_was_said_of_a_run_is_what_the_folds_give(flow: Settings) -> None:
    """Scores, speed, result and costs, recomputed from what was measured; a score that came after all was said is found."""

    async def act() -> None:
        asked = request("assay_agreement", limit=10, workload=Workload(requests=3, warmup_requests=0, input_tokens=4, output_tokens=4))
        async with Log(flow, client_id="test") as log:
            await log.publish(asked)
            await until_state(flow, asked.run_id, "completed")
            async with asyncio.timeout(PATIENCE_S):
                while not any(event.final for event in await events_of(log, RESULTS, asked.run_id)):  # noqa: ASYNC110  # the log is read
                    await asyncio.sleep(0.2)
            found = await derive(flow, told=lambda _text: None, run_id=asked.run_id)
            assert found.equal, found.difference
            assert {kind: found.counts[kind] for kind in ("run_scores", "performance", "results")} == {
                "run_scores": 1, "performance": 1, "results": 1
            }  # fmt: skip
            (first, *_) = await events_of(log, SCORES, asked.run_id)
            await log.publish(SampleScored.model_validate(first.model_dump(exclude={"event_id"}) | {"ordinal": 10, "value": 1.0}))
            found = await derive(flow, told=lambda _text: None, run_id=asked.run_id)
            assert found.difference is not None and f"run_scores of {asked.run_id}" in found.difference

    asyncio.run(act())


def of_every_kind() -> dict[str, EvaluationRequested]:
    """Runs of tasks and of a load, in set-ups, that stop early, are cancelled and fail; each with the state that it ends in."""
    slow, broken = EngineChoice(name="echo", options={"delay_ms": "1000"}), EngineChoice(name="echo", options={"fail": "load"})
    varied = TaskChoice(name="assay_copy", limit=8, fewshot=2, repeats=4, vary=("seed", "format"))
    return {
        "completed quality": request("assay_agreement", "assay_text", limit=10),
        "completed load": request(workload=Workload(requests=8, warmup_requests=1, input_tokens=4, output_tokens=4)),
        "completed varied": request(tasks=(varied,)),
        "completed stopped": request("assay_agreement", limit=None, model="stops-early", stopping=Stopping(half_width=0.2)),
        "cancelled": request("assay_agreement", limit=40, engine=slow),
        "failed": request("assay_agreement", limit=10, engine=broken),
    }


def test_runs_of_every_kind_are_what_the_log_and_the_folds_say(flow: Settings) -> None:
    """Each one's events follow from what was measured, and all of them are in the tables so."""
    runs = of_every_kind()

    async def act() -> None:
        async with Log(flow, client_id="test") as log:
            await log.publish_all(runs.values())
            cancelled = runs["cancelled"].run_id
            await until_row(flow, f"SELECT 1 FROM fact_answers WHERE run_id = '{cancelled}' LIMIT 1", holds=bool)
            await log.publish(CancellationRequested(occurred_us=now_us(), producer=producer("test"), run_id=cancelled, by="me"))
            for kind, asked in runs.items():
                assert (await until_state(flow, asked.run_id, "completed", "cancelled", "failed"))["state"] == kind.split()[0], kind
                async with asyncio.timeout(PATIENCE_S):
                    while not any(event.final for event in await events_of(log, RESULTS, asked.run_id)):  # noqa: ASYNC110  # the log is read
                        await asyncio.sleep(0.2)
            assert [one.task for one in await events_of(log, STOPS, runs["completed stopped"].run_id)] == ["assay_agreement"]

    asyncio.run(act())
    for kind, asked in runs.items():
        found = asyncio.run(derive(flow, told=lambda _text: None, run_id=asked.run_id))
        assert found.equal and found.in_flight == [], (kind, found.difference)
        counts = found.counts["results"], found.counts["run_scores"], found.counts["performance"]
        assert counts == {"completed quality": (1, 2, 0), "completed load": (1, 0, 1)}.get(kind, (1, int("completed" in kind), 0)), kind
    whole = verdict(flow)
    assert whole.equal, whole.difference


def test_a_row_that_was_changed_by_hand_is_named(flow: Settings) -> None:
    """A score is made better than the log says; verify names its event; mended, it is equal again. So is what is kept beside it: values in
    order, and which samples are scored.
    """

    async def act() -> str:
        asked = request("assay_agreement", limit=5)
        async with Log(flow, client_id="test") as log:
            await log.publish(asked)
        await until_state(flow, asked.run_id, "completed")
        return asked.run_id

    run_id = asyncio.run(act())
    find = f"SELECT event_id FROM fact_scores WHERE run_id = '{run_id}' ORDER BY log_offset LIMIT 1"
    event_id = asyncio.run(until_row(flow, find, holds=bool))[0]["event_id"]

    async def change(by: float) -> None:
        where = f"run_id = '{run_id}' AND event_id = '{event_id}'"
        async with ClickHouse(flow) as clickhouse:
            await clickhouse.command(f"ALTER TABLE fact_scores UPDATE value = value + {by} WHERE {where} SETTINGS mutations_sync = 1")

    asyncio.run(change(0.5))
    found = verdict(flow, run_id)
    asyncio.run(change(-0.5))
    assert not found.equal
    assert found.difference is not None and event_id in found.difference
    assert verdict(flow, run_id).equal

    async def command(sql: str) -> None:
        async with ClickHouse(flow) as clickhouse:
            await clickhouse.command(sql)

    columns = "task, ordinal, repeat, metric, filter FROM sample_order"
    asyncio.run(command(f"INSERT INTO sample_order SELECT run_id, value + 7, {columns} WHERE run_id = '{run_id}' LIMIT 1"))
    found = verdict(flow, run_id)
    asyncio.run(command(f"ALTER TABLE sample_order DELETE WHERE run_id = '{run_id}' AND value >= 7 SETTINGS mutations_sync = 1"))
    named = rf"sample_order: sample \d of {run_id}, assay_agreement, \w+ is so in the live database alone"
    assert not found.equal and re.fullmatch(named, found.difference or "")

    sets = "INSERT INTO sample_sets SELECT run_id, task, 'scored', filter, metric, repeat, groupBitmapState(toUInt64({})) FROM fact_scores"
    of_run = f"WHERE run_id = '{run_id}' GROUP BY run_id, task, filter, metric, repeat"
    asyncio.run(command(f"{sets.format('ordinal + 70')} {of_run}"))
    found = verdict(flow, run_id)
    asyncio.run(command(f"ALTER TABLE sample_sets DELETE WHERE run_id = '{run_id}' AND kind = 'scored' SETTINGS mutations_sync = 1"))
    lost = verdict(flow, run_id)
    asyncio.run(command(f"{sets.format('ordinal')} {of_run}"))
    what = f"sample_sets: the samples of {run_id}, assay_agreement that are scored is so in the {{}} database alone"
    assert (found.difference, lost.difference) == (what.format("live"), what.format("rebuilt"))
    assert verdict(flow, run_id).equal


EXPIRING = {topic.event.__name__ for topic in TOPICS if topic.retention_ms != FOREVER_MS}  # these would be very old, and gone at once


def cells(row: Iterable[Any]) -> list[Any]:
    """A row's cells; arrays of any kind as lists."""
    return [cell if cell is None or isinstance(cell, str | bytes | int | float) else list(cell) for cell in row]


@pytest.mark.parametrize("name", sorted(EVENTS.keys() - EXPIRING))
def test_any_event_is_a_row_that_clickhouse_takes_and_gives_back(stack: Settings, name: str) -> None:
    """Every event type, with any content: texts, infinities, nulls."""
    table = table_of(EVENTS[name])

    @settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate], derandomize=True)
    @given(st.lists(events(EVENTS[name]), min_size=1, max_size=4))
    def check(made: list[Event]) -> None:
        asyncio.run(inserted(made))

    async def inserted(made: list[Event]) -> None:
        database = f"{stack.database}_rows"
        async with ClickHouse(stack, database="default") as server:
            await server.command(f"CREATE DATABASE IF NOT EXISTS {database}")
        async with ClickHouse(stack, database=database) as own:
            for statement in statements(facts_ddl([EVENTS[name]])):
                await own.command(statement)
            await own.command(f"TRUNCATE TABLE {table.name}")
            rows = [row(event, partition=0, offset=n, written_us=1) for n, event in enumerate(made)]
            await own.insert(table, rows)
            back = await own.query(f"SELECT * FROM {table.name} FINAL")
        first = {values[0]: cells(values) for values in reversed(rows)}
        assert {one["event_id"]: cells(one.values()) for one in back} == first

    check()
