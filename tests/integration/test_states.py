"""A run's state is one thing: the table's fold, the dispatcher's and ClickHouse's are held together over random histories."""

import asyncio
import random
from typing import get_args

import pytest

from infra.clickhouse import ClickHouse, migrate
from infra.retrying import until_available
from infra.settings import Settings
from schemas.runs import RunChanged, RunState
from streams.projection import row, table_of
from streams.queue.dispatch import Pool
from streams.runs import state_of
from tests.pool import STAMP, Told
from tests.runs import run_named

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
