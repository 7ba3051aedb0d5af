"""Audits planned: the jobs of the run that is audited, read from the log, once more; its model must be here, and be the same."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing

from infra.kafka import Log
from infra.models import ModelFacts
from schemas.event import Visibility
from schemas.jobs import Job, JobPlanned
from schemas.requests import EvaluationRequested
from schemas.runs import Plan, RunChanged, RunState
from streams import planning
from streams.errors import Invalid
from streams.runs import step
from streams.topics import JOBS_PLANNED, RUNS
from streams.trust import again
from streams.trust.privacy import PRIVATE

Bring = Callable[[EvaluationRequested], Awaitable[tuple[EvaluationRequested, ModelFacts | None]]]


async def planned_again(request: EvaluationRequested, *, log: Log, bring: Bring) -> tuple[Plan, planning.Jobs]:
    """The plan and the jobs of an audit; `bring` brings its model. Raises: Invalid, where it cannot run again, or the model is another."""
    plan, visibility = await _audited(log, request)
    if visibility == PRIVATE and request.visibility != PRIVATE:
        raise Invalid(f"run {request.audit_of} is private: ask for its audit as private too", code=again.CODE)
    part = again.part_of(request, plan.tasks)
    jobs = list(again.jobs_again(request, plan, part, await _jobs(log, str(request.audit_of))))
    if not jobs:
        raise Invalid(f"run {request.audit_of} has no jobs whose answers could be compared", code=again.CODE)
    _, facts = await bring(again.asked(request, plan, credential_ref=jobs[0].credential_ref))
    again.check_model(str(request.audit_of), plan, facts.model_sha if facts else None)
    return again.plan_again(request, plan, part, jobs=len(jobs)), planning.Jobs(len(jobs), iter(jobs))


async def _audited(log: Log, request: EvaluationRequested) -> tuple[Plan, Visibility]:
    """The plan of the run that is audited, and who may see it. Raises: Invalid, where it cannot be audited (yet)."""
    state: RunState | None = None
    plan: Plan | None = None
    visibility: Visibility = "organisation"
    async with aclosing(log.of_key(RUNS, str(request.audit_of).encode())) as records:
        async for record in records:
            if isinstance(change := record.event, RunChanged):
                state = step(state, change.state)
                if change.plan and plan is None:
                    plan, visibility = change.plan, change.visibility
    again.check_run(request, state, plan)
    assert plan is not None
    return plan, visibility


async def _jobs(log: Log, run_id: str) -> list[Job]:
    """A run's jobs in their order; the first of each id counts. What they have in common is held once."""
    found: dict[str, Job] = {}
    shared: Job | None = None
    async with aclosing(log.of_key(JOBS_PLANNED, run_id.encode())) as records:
        async for record in records:
            if isinstance(record.event, JobPlanned) and record.event.job_id not in found:
                job = record.event.job
                shared = shared or job
                found[job.job_id] = job.model_copy(update={"model": shared.model, "engine": shared.engine, "chat": shared.chat})
    return list(found.values())
