"""A run's plan is looked for where it must lie, and no further than until it is found."""

import asyncio
from typing import cast

import pytest
from uuid6 import uuid7

from infra.identity import now_us, producer
from infra.kafka import Log
from infra.partitioning import partition_for
from infra.plans import Plans, drawn_us
from schemas.builds import TaskBuilt
from schemas.requests import Chat, EngineChoice, ModelRef
from schemas.runs import Estimate, ExpectedMetric, Plan, PlannedTask, RunChanged
from streams.topics import RUNS
from tests.in_memory import InMemory

HERE, HOUR_US = producer("test"), 3600 * 1_000_000
PLAN = Plan(
    submitter="me", model=ModelRef(uri="m"), model_sha="1", tokenizer_sha="2", chat_template_sha="",
    engine=EngineChoice(name="echo"), chat=Chat(), suite=None, licences=(), skipped=(), estimate=Estimate(), jobs=1,
    tasks=(PlannedTask(task="t", task_version="1", build_id="b", samples=1, repeats=1, main_metric="acc", main_filter="none",
                       expected=(ExpectedMetric(filter="none", metric="acc"), ExpectedMetric(filter="none", metric="rouge"))),),
)  # fmt: skip
BUILT = TaskBuilt(
    occurred_us=1, producer=HERE, build_id="b", task="t", task_version="1", harness_version="1", data_sha="", data_source="", licence=None,
    fewshot=0, seed=0, chat_sha="", samples=1, partition=0, first_offset=0, last_offset=0,
    expected=(ExpectedMetric(filter="none", metric="acc"),),
)  # fmt: skip


def planned(run_id: str) -> RunChanged:
    """The event that tells a run's plan."""
    return RunChanged(occurred_us=1, producer=HERE, run_id=run_id, state="planned", plan=PLAN)


def in_one_partition(count: int) -> list[str]:
    """Runs that lie together."""
    drawn = (str(uuid7()) for _ in range(count * 100))
    return [run for run in drawn if partition_for(run.encode(), 4) == 1][:count]


@pytest.mark.parametrize(("behind_us", "reads"), [(0, 1), (-HOUR_US // 2, 1), (-3 * HOUR_US, 140)], ids=["now", "ahead", "far ahead"])
def test_a_plan_is_found_from_its_runs_own_time_on_even_where_its_clock_was_ahead(behind_us: int, reads: int) -> None:
    """A hundred older runs of its partition are not read, nor what came behind it; of other partitions nothing ever is."""
    log, before = InMemory(), now_us() - 24 * HOUR_US
    runs = in_one_partition(140)
    for run in runs[:100]:
        log.write(planned(run), written_us=before)
    mine = runs[100]
    log.write(planned(mine), written_us=drawn_us(mine) + behind_us)
    for run in runs[101:]:
        log.write(planned(run), written_us=drawn_us(run) + 1)
    found = asyncio.run(Plans(cast("Log", log)).beside(mine, BUILT))  # as much of a log as it needs
    assert found == (("none", "rouge"),)
    assert (log.passed, log.given) == (reads, 1)
    assert {place for ends in log.ends_read for place in ends} == {(RUNS.name, 1)}


def test_a_plan_that_is_nowhere_costs_its_partition_once() -> None:
    """No record is read twice, and the next question reads none."""
    log, runs = InMemory(), in_one_partition(20)
    for run in runs[:10]:
        log.write(planned(run), written_us=1)
    for run in runs[10:19]:
        log.write(planned(run), written_us=now_us())

    async def act() -> list[tuple[object, ...]]:
        plans = Plans(cast("Log", log))  # as much of a log as it needs
        return [await plans.beside(runs[19], BUILT) for _ in range(2)]

    assert asyncio.run(act()) == [(), ()]
    assert (log.passed, log.given) == (19, 0)
