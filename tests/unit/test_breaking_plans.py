"""A request over which its planner breaks ends, with the reason: rejected where nothing is planned, else failed."""

import asyncio
from collections.abc import Iterator
from typing import cast

import pytest

from agents.building import Building
from agents.plan import Planning
from agents.preparing import Preparing
from infra.harness.building import Build, BuiltCall, BuiltSample
from infra.kafka import Log
from infra.models import ModelFacts
from infra.partitioning import partition_for
from schemas.jobs import Job, Need
from schemas.requests import EvaluationRequested
from schemas.runs import Plan, RunChanged, RunState
from streams import planning
from streams.errors import Invalid, Permanent
from streams.runs import state_of
from streams.topics import JOBS_PLANNED, RUNS
from tests.in_memory import InMemory
from tests.runs import run_named
from tests.unit.test_bounds import PLACE, asked
from tests.unit.test_results import planned

R = run_named("r")
HEADER = {"organisation_id": "local", "visibility": "organisation"}  # of a build
HOME = partition_for(R.encode(), 4)
REQUEST = asked(run_id=R, tasks=[{"name": "t"}])


class Prepared:
    """A request's plan of 600 jobs, of which so many can be made; `gone`: the model is not here any more."""

    def __init__(self, *, makes: int = 600, gone: bool = False) -> None:
        self.makes, self.gone = makes, gone

    async def brought(self, request: EvaluationRequested) -> tuple[EvaluationRequested, ModelFacts | None]:
        """The request, where its model is here."""
        if self.gone:
            raise Invalid("no model m", code="no-model")
        return request, None

    async def plan(self, request: EvaluationRequested, facts: ModelFacts | None, *, asked_us: int) -> tuple[Plan, planning.Jobs]:
        """The plan, and its jobs."""
        jobs = planning.jobs(request, [planning.Chosen(request.tasks[0], PLACE, 600)], per_job=1, need=Need())
        plan = planned(R, samples=600).plan
        assert plan is not None
        return plan.model_copy(update={"jobs": jobs.count}), planning.Jobs(jobs.count, self._made(jobs.each))

    def _made(self, jobs: Iterator[Job]) -> Iterator[Job]:
        for number, job in enumerate(jobs):
            if number == self.makes:
                raise Permanent("a record is larger than 2097152 bytes; make it smaller", code="record-too-large")
            yield job


def ended(prepared: Prepared, *before: RunChanged) -> tuple[RunState | None, RunChanged, int]:
    """What a request comes to of which this was said before: its run's state, the last of its changes, how many jobs are planned."""
    memory = InMemory()
    plan = Planning(cast("Log", memory), cast("Preparing", prepared))  # as much of them as it needs

    async def act() -> None:
        state = plan.empty()
        for event in (REQUEST, *before):
            await plan.fold(state, memory.write(event))
        await plan.say(state, HOME)
        await asyncio.gather(*plan._busy.values())
        assert not [one for one in state.open.values() if one.unplanned]

    asyncio.run(act())
    changes = [cast("RunChanged", one.event) for one in memory.records[RUNS.name, HOME]]
    return state_of(changes), changes[-1], len(memory.records[JOBS_PLANNED.name, HOME])


def test_a_plan_whose_jobs_cannot_be_written_has_failed() -> None:
    """What breaks once the plan is in the log is its run's failure, and no refusal, which would count no more."""
    state, last, jobs = ended(Prepared(makes=550))
    assert (state, last.reason_code, jobs) == ("failed", "planning-broke", 500)
    assert "a record is larger than 2097152 bytes" in (last.message or "")


def test_a_request_that_can_no_longer_be_planned_to_its_end_has_failed() -> None:
    """Its planner ended behind the plan, and whoever plans it again finds no model."""
    state, last, _ = ended(Prepared(gone=True), planned(R, samples=600))
    assert (state, last.reason_code, last.message) == ("failed", "no-model", "no model m")


@pytest.mark.parametrize(("prepared", "comes_to", "jobs"), [(Prepared(gone=True), "rejected", 0), (Prepared(), "planned", 600)])
def test_a_request_is_rejected_or_planned(prepared: Prepared, comes_to: str, jobs: int) -> None:
    """Where nothing breaks halfway."""
    state, _, written = ended(prepared)
    assert (state, written) == (comes_to, jobs)


def test_of_a_run_that_was_cancelled_nothing_is_said() -> None:
    """It is over: another end would count nowhere."""
    cancelled = RunChanged(occurred_us=2, producer=REQUEST.producer, run_id=R, state="cancelled")
    state, last, _ = ended(Prepared(gone=True), planned(R, samples=600), cancelled)
    assert (state, last) == ("cancelled", cancelled)


def test_a_build_that_no_record_holds_says_what_would_be_smaller() -> None:
    """It names the place of each of its few-shot examples."""
    building = Building(cast("Log", InMemory()), processes=1, limit_s=1.0)

    def made(count: int) -> Build:
        samples = [
            BuiltSample(number, number, "{}", (BuiltCall("loglikelihood", f"example {number}", "", " a", None, 1),), "sum")
            for number in range(count)
        ]
        return Build("b", "t", "1", "1", "", "", None, 5, 0, "", samples, (), "acc", "none", None, "{}")

    try:
        built = asyncio.run(building._publish(made(100), dict(HEADER)))
        assert len(built.contents) == 100
        with pytest.raises(Invalid, match=r"its TaskBuilt has 2,\d+,\d+ bytes, .* without few-shot examples \(--fewshot 0\)"):
            asyncio.run(building._publish(made(30_000), dict(HEADER)))
    finally:
        building.close()
