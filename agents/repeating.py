"""Audits planned: the jobs of the run that is audited, read from the log, once more; its model must be here, and be the same."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing

from infra.first_seals import FirstSeals
from infra.kafka import Log
from infra.models import ModelFacts
from schemas.jobs import Job, JobPlanned
from schemas.requests import EvaluationRequested
from schemas.results import TaskStopped
from schemas.runs import Plan, RunChanged, RunState
from streams import planning
from streams.errors import Invalid
from streams.runs import step
from streams.topics import JOBS_PLANNED, RUNS, STOPS
from streams.trust import again
from streams.trust.visibility import Seen

Bring = Callable[[EvaluationRequested], Awaitable[tuple[EvaluationRequested, ModelFacts | None]]]


async def planned_again(request: EvaluationRequested, *, log: Log, seals: FirstSeals, bring: Bring) -> tuple[Plan, planning.Jobs]:
    """The plan and the jobs of an audit; `bring` brings its model. Raises: Invalid, where it cannot run again, or the model is another."""
    run_id, plan = str(request.audit_of), await _audited(log, request)
    seal = await seals.of(run_id) if again.is_part(request) else None
    part = again.part_of(request, plan.tasks, seal=seal, stops=await _stops(log, run_id, plan))
    jobs = list(again.jobs_again(request, plan, part, await _jobs(log, run_id)))
    if not jobs:
        raise Invalid(f"run {run_id} has no jobs whose answers could be compared", code=again.CODE)
    _, facts = await bring(again.asked(request, plan, credential_ref=jobs[0].credential_ref))
    again.check_model(run_id, plan, facts.model_sha if facts else None)
    return again.plan_again(request, plan, part, jobs=len(jobs)), planning.Jobs(len(jobs), iter(jobs))


async def _audited(log: Log, request: EvaluationRequested) -> Plan:
    """The plan of the run that is audited. Raises: Invalid, where it cannot be audited by who asks, or not yet."""
    state: RunState | None = None
    planned: RunChanged | None = None
    async with aclosing(log.of_key(RUNS, str(request.audit_of).encode())) as records:
        async for record in records:
            if isinstance(record.event, RunChanged) and Seen(request.organisation_id).takes(record.event):
                change = log.vault.opened(record.event)
                state = step(state, change.state)
                planned = planned or (change if change.plan else None)
    again.check_run(request, state, planned.plan if planned else None)
    assert planned is not None and planned.plan is not None
    again.check_access(request, planned)
    return planned.plan


async def _stops(log: Log, run_id: str, plan: Plan) -> dict[str, int]:
    """After how many samples, repeats included, tasks of a run stopped early."""
    found: dict[str, int] = {}
    if any(task.stopping for task in plan.tasks):
        async with aclosing(log.of_key(STOPS, run_id.encode())) as records:
            async for record in records:
                if isinstance(record.event, TaskStopped):
                    found.setdefault(record.event.task, record.event.samples)
    return found


async def _jobs(log: Log, run_id: str) -> list[Job]:
    """A run's jobs in their order; the first of each id counts. What they have in common is held once."""
    found: dict[str, Job] = {}
    shared: Job | None = None
    async with aclosing(log.of_key(JOBS_PLANNED, run_id.encode())) as records:
        async for record in records:
            if isinstance(record.event, JobPlanned) and record.event.job_id not in found:
                job = log.vault.opened(record.event).job
                shared = shared or job
                found[job.job_id] = job.model_copy(update={"model": shared.model, "engine": shared.engine, "chat": shared.chat})
    return list(found.values())
