"""A request over which its planner breaks ends, with the reason: rejected where nothing is planned, else failed."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from agents.building import Building
from agents.care import Care
from agents.plan import Planning
from agents.preparing import Preparing
from infra.harness.building import Build, BuiltCall, BuiltSample
from infra.kafka import Log
from infra.models import ModelFacts
from infra.partitioning import partition_for
from infra.settings import Settings
from schemas.jobs import Job, JobPlanned, Need
from schemas.requests import EvaluationRequested
from schemas.runs import Plan, RunChanged, RunState
from schemas.trust import DeadLettered
from streams import planning
from streams.errors import Invalid, Permanent
from streams.quality import judging
from streams.runs import state_of
from streams.topics import DEAD_LETTERS, JOBS_PLANNED, REQUESTS, RUNS
from tests.in_memory import InMemory
from tests.runs import run_named
from tests.unit.test_bounds import PLACE, asked
from tests.unit.test_results import planned

R = run_named("r")
HEADER = {"organisation_id": "local", "visibility": "organisation"}  # of a build
HOME = partition_for(R.encode(), 4)
REQUEST = asked(run_id=R, tasks=[{"name": "t"}])


class Prepared:
    """A request's plan of 600 jobs, of which so many can be made; `gone`: the model is not here any more; `model`: which one is."""

    def __init__(self, *, makes: int = 600, gone: bool = False, model: str = "m") -> None:
        self.makes, self.gone, self.model = makes, gone, model

    async def brought(self, request: EvaluationRequested) -> tuple[EvaluationRequested, ModelFacts | None]:
        """The request, where its model is here."""
        if self.gone:
            raise Invalid("no model m", code="no-model")
        return request, None

    async def plan(
        self, request: EvaluationRequested, facts: ModelFacts | None, *, asked_us: int, before: Plan | None = None
    ) -> tuple[Plan, planning.Jobs]:
        """The plan, and its jobs."""
        jobs = planning.jobs(request, [planning.Chosen(request.tasks[0], PLACE, 600)], per_job=1, need=Need())
        plan = planned(R, samples=600).plan
        assert plan is not None
        return plan.model_copy(update={"jobs": jobs.count, "model_sha": self.model}), planning.Jobs(jobs.count, self._made(jobs.each))

    def _made(self, jobs: Iterator[Job]) -> Iterator[Job]:
        for number, job in enumerate(jobs):
            if number == self.makes:
                raise Permanent("a record is larger than 2097152 bytes; make it smaller", code="record-too-large")
            yield job


def planning_of(memory: InMemory, prepared: Prepared, home: Path) -> Planning:
    """A planner with as much of what it leans on as it needs."""
    log = cast("Log", memory)
    return Planning(log, cast("Preparing", prepared), Care("plan", log, Settings(home=home)))


def ended(home: Path, prepared: Prepared, *before: RunChanged) -> tuple[RunState | None, RunChanged, int]:
    """What a request comes to of which this was said before: its run's state, the last of its changes, how many jobs are planned."""
    memory = InMemory()
    plan = planning_of(memory, prepared, home)

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


def test_a_plan_whose_jobs_cannot_be_written_has_failed(tmp_path: Path) -> None:
    """What breaks once the plan is in the log is its run's failure, and no refusal, which would count no more."""
    state, last, jobs = ended(tmp_path, Prepared(makes=550))
    assert (state, last.reason_code, jobs) == ("failed", "planning-broke", 500)
    assert "a record is larger than 2097152 bytes" in (last.message or "")


def test_a_request_that_can_no_longer_be_planned_to_its_end_has_failed(tmp_path: Path) -> None:
    """Its planner ended behind the plan, and whoever plans it again finds no model."""
    state, last, _ = ended(tmp_path, Prepared(gone=True), planned(R, samples=600))
    assert (state, last.reason_code, last.message) == ("failed", "no-model", "no model m")


@pytest.mark.parametrize(("prepared", "comes_to", "jobs"), [(Prepared(gone=True), "rejected", 0), (Prepared(), "planned", 600)])
def test_a_request_is_rejected_or_planned(prepared: Prepared, comes_to: str, jobs: int, tmp_path: Path) -> None:
    """Where nothing breaks halfway."""
    state, _, written = ended(tmp_path, prepared)
    assert (state, written) == (comes_to, jobs)


@pytest.mark.parametrize(("model", "comes_to", "jobs"), [("m", "planned", 600), ("another", "failed", 0)])
def test_a_runs_jobs_are_all_of_one_plan(model: str, comes_to: str, jobs: int, tmp_path: Path) -> None:
    """Its planner ended behind the plan, and the model's files are others by now: its figures would be of both models."""
    plan, _ = asyncio.run(Prepared().plan(REQUEST, None, asked_us=0))
    state, last, written = ended(tmp_path, Prepared(model=model), planned(R, samples=600).model_copy(update={"plan": plan}))
    assert (state, written) == (comes_to, jobs)
    if state == "failed":
        assert last.reason_code == "planned-otherwise" and "another model is here now: ask again" in (last.message or "")


def test_judgements_that_cannot_be_asked_for_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is over, and stays what it is: a dead letter says so of its request, and nothing more is tried."""

    def broken(*_: object, **__: object) -> list[EvaluationRequested]:
        raise KeyError("planted")

    monkeypatch.setattr(judging, "requests_of", broken)
    judge = {"task": "judged", "model": {"uri": "judge"}, "engine": {"name": "echo"}}
    request, memory = asked(run_id=R, tasks=[{"name": "t"}], judgements=[judge]), InMemory()
    plan = planning_of(memory, Prepared(), tmp_path)

    async def act() -> None:
        state = plan.empty()
        steps = [planned(R, samples=1), RunChanged(occurred_us=1, producer=REQUEST.producer, run_id=R, state="completed")]
        job = next(planning.jobs(REQUEST, [planning.Chosen(REQUEST.tasks[0], PLACE, 1)], per_job=1, need=Need()).each)
        jobs = JobPlanned(occurred_us=1, producer=REQUEST.producer, pool=job.pool, job_id=job.job_id, run_id=R, job=job)
        for event in (request, *steps, jobs):
            await plan.fold(state, memory.write(event))
        await plan.say(state, HOME)
        await asyncio.gather(*plan._busy.values())
        assert state.open == {}

    asyncio.run(act())
    (letter,) = [one.event for (topic, _), records in memory.records.items() if topic == DEAD_LETTERS.name for one in records]
    assert isinstance(letter, DeadLettered) and (letter.topic, letter.reason_code) == (REQUESTS.name, "cannot-judge")
    assert letter.message == "its judgements cannot be asked for: KeyError: 'planted'"


def test_of_a_run_that_was_cancelled_nothing_is_said(tmp_path: Path) -> None:
    """It is over: another end would count nowhere."""
    cancelled = RunChanged(occurred_us=2, producer=REQUEST.producer, run_id=R, state="cancelled")
    state, last, _ = ended(tmp_path, Prepared(gone=True), planned(R, samples=600), cancelled)
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
