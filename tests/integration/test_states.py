"""A run's state is one thing: the table's fold, the dispatcher's and ClickHouse's are held together over random histories."""

import asyncio
import random
from typing import get_args

import pytest

from infra.clickhouse import ClickHouse, migrate
from infra.retrying import until_available
from infra.settings import Settings
from query_api.reading.runs import Reading
from schemas.event import Event
from schemas.runs import RunChanged, RunState
from schemas.settled import LeftOut
from streams.projection import row, table_of
from streams.queue.dispatch import Pool
from streams.runs import state_of
from streams.trust.visibility import ALL
from tests.pool import STAMP, Told
from tests.runs import run_named
from tests.unit.test_results import planned
from tests.unit.test_settling import result_events

pytestmark = pytest.mark.integration
STATES: tuple[RunState, ...] = get_args(RunState)


def history(name: int, chance: random.Random) -> list[RunChanged]:
    """Any steps of a run, allowed or not; each says its place as its reason."""
    states = chance.choices(STATES, k=chance.randrange(1, 7))
    return [
        RunChanged(occurred_us=0, producer=STAMP, run_id=run_named(name), state=state, reason_code=f"{place}")
        for place, state in enumerate(states)
    ]  # fmt: skip


def test_the_fold_the_dispatcher_and_the_view_say_the_same_state(stack: Settings) -> None:
    """Also of a run that was planned and then rejected, or that ran before it was planned; rows that come twice change nothing."""
    chance, own = random.Random(), stack.model_copy(update={"database": "states"})
    changes = {run_named(n): history(n, chance) for n in range(300)}
    rows = [
        row(event, partition=0, offset=offset, written_us=0) for events in changes.values() for offset, event in enumerate(events)
    ]  # fmt: skip
    chance.shuffle(rows)

    async def act() -> dict[str, dict[str, object]]:
        await until_available(lambda: migrate(own), what="clickhouse")
        async with ClickHouse(own) as clickhouse:
            for _ in range(2):
                await clickhouse.insert(table_of(RunChanged), rows)
            found = await clickhouse.query("SELECT run_id, state, reason_code FROM run_states")
        return {told["run_id"]: told for told in found}

    found = asyncio.run(act())
    assert len(found) == len(changes)
    for run_id, events in changes.items():
        state, pool = state_of(events), Told(Pool("default")).tell(*events).pool
        assert found[run_id]["state"] == (state or "requested")
        assert (run_id in pool.over, pool.runs[run_id].state if run_id in pool.runs else state) == (run_id not in pool.runs, state)


def test_a_run_tells_what_could_not_be_worked_out_of_it_until_its_newest_result_lacks_nothing(stack: Settings) -> None:
    """Beside its plan's warnings: by which scorer, why, and that what it was stands."""
    own, run_id = stack.model_copy(update={"database": "left"}), run_named("1")
    scores, result = result_events("1", [1.0], model="m")
    missing = [LeftOut(task="t", scorer_version="2", why="Invalid: too large"), LeftOut(task=None, scorer_version=None, why="broken")]
    lacks = result.model_copy(update={"event_id": "lacks", "left_out": tuple(missing)})

    async def act(*events: Event) -> list[str]:
        async with ClickHouse(own) as clickhouse:
            for offset, event in enumerate(events):
                await clickhouse.insert(table_of(type(event)), [row(event, partition=0, offset=offset, written_us=0)])
            return list((await Reading(clickhouse, ALL).run(run_id))["warnings"])

    async def acts() -> None:
        await until_available(lambda: migrate(own), what="clickhouse")
        assert await act(planned(run_id, samples=1), scores, result, lacks) == [
            "t could not be scored by 2: Invalid: too large; what it had come to before stands",
            "its speed could not be worked out: broken",
        ]
        whole, less = result.model_copy(update={"event_id": "whole"}), lacks.model_copy(update={"event_id": "less", "final": False})
        assert await act(planned(run_id, samples=1), scores, result, lacks, whole) == []
        assert await act(planned(run_id, samples=1), scores, result, lacks, whole, less) == []

    asyncio.run(acts())
