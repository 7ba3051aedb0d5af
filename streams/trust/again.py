"""A run once more: what an audit asks, from the plan and the jobs of the run that it audits. Nothing is resolved or built anew.

Which runs a lottery draws, and which documents a part has, follows from the Ed25519 signature of the run's seal: nobody knows either while
the run is under way, nobody who asks can choose it, and anybody can work both out again.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import Any, Final

from schemas.jobs import Job
from schemas.requests import EvaluationRequested, TaskChoice
from schemas.runs import Plan, PlannedTask, RunChanged, RunState
from streams.errors import Invalid
from streams.quality import stopping
from streams.runs import TERMINAL
from streams.trust.privacy import PRIVATE

CODE: Final = "audit"
ASKED: Final = (
    "tasks", "workload", "parent_run", "against_run", "judges", "judgements", "stopping", "adaptive", "suite", "model_licences",
    "data_licences", "non_commercial",
)  # fmt: skip
LOTTERY: Final = b"assay-lottery-1\x00"
PART: Final = b"assay-part-1\x00"
Part = Mapping[str, tuple[int, ...]]  # task → the ordinals that are asked again, where those are not all


def check(request: EvaluationRequested) -> None:
    """Raises: Invalid, saying what to change, where a request is no audit, or half of one."""
    if (request.purpose == "audit") != (request.audit_of is not None):
        raise Invalid("purpose audit and audit_of go together: name the run that is to be run again, or neither", code=CODE)
    if request.audit_of is None:
        if request.audit_ratio is not None:
            raise Invalid("audit_ratio is the share of an audited run's documents: give audit_of too, or leave it out", code=CODE)
        return
    if told := next((name for name in ASKED if getattr(request, name)), None):
        raise Invalid(f"an audit asks what run {request.audit_of} was asked, and nothing else: leave {told} out", code=CODE)
    if request.audit_ratio is not None and not 0 < request.audit_ratio <= 1:
        raise Invalid(f"audit_ratio {request.audit_ratio:g}: give a share above 0 and up to 1, as 0.1, or none for all", code=CODE)


def check_run(request: EvaluationRequested, state: RunState | None, plan: Plan | None) -> None:
    """Raises: Invalid, saying what to do, where a run cannot be run again by that request (yet)."""
    run = f"run {request.audit_of}"
    if state is None:
        raise Invalid(f"{run} is not in the log; `assay runs` lists those that are", code=CODE)
    if state not in TERMINAL:
        raise Invalid(f"{run} is {state}: it is audited once it is over; `assay run {request.audit_of} --wait`", code=CODE)
    if plan is None:
        raise Invalid(f"{run} was {state} before it was planned: there is nothing to run again", code=CODE)
    if plan.audit_of is not None:
        raise Invalid(f"{run} is an audit itself: audit run {plan.audit_of} again", code=CODE)
    if not plan.tasks:
        raise Invalid(f"{run} has no task: an audit compares answers, and a load has none to compare", code=CODE)
    if (request.model, request.engine) != (plan.model, plan.engine):
        raise Invalid(f"{run} had another model or engine: name both as its plan does, or audit it by `assay audit`", code=CODE)


def check_access(request: EvaluationRequested, planned: RunChanged) -> None:
    """Raises: Invalid, where who asks would see of an audit what they may not see of the run."""
    if planned.visibility == PRIVATE and request.visibility != PRIVATE:
        raise Invalid(f"run {request.audit_of} is private: ask for its audit as private too", code=CODE)
    if planned.visibility != "public" and planned.organisation_id != request.organisation_id:
        raise Invalid(f"run {request.audit_of} is another organisation's: ask for its audit in theirs", code=CODE)


def check_model(run_id: str, plan: Plan, found: str | None) -> None:
    """Raises: Invalid, where the model's files are not those of the run; `found`: their hash, None where it has none."""
    if found is not None and found != plan.model_sha:
        raise Invalid(
            f"{plan.model.uri} has other files (SHA-256 {found[:16]}…) than run {run_id} had ({plan.model_sha[:16]}…): bring them back",
            code="model-differs",
        )


def asked(request: EvaluationRequested, plan: Plan, *, credential_ref: str | None) -> EvaluationRequested:
    """The request as the audited run's was, as far as the model's preparation looks at it."""
    tasks = tuple(TaskChoice(name=task.task) for task in plan.tasks)
    return request.model_copy(update={"chat": plan.chat, "tasks": tasks, "credential_ref": credential_ref})


def is_part(request: EvaluationRequested) -> bool:
    """Whether not all is asked again: then the seal of the run says what is."""
    return request.audit_ratio is not None and request.audit_ratio < 1


def part_of(request: EvaluationRequested, tasks: Iterable[PlannedTask], *, seal: bytes | None, stops: Mapping[str, int]) -> Part:
    """The documents that are asked again of each task of which those are not all.

    `seal`: the signature of the run's first seal, by which a part is drawn; None where it has none. `stops`: after how many samples, with
    repeats, a task stopped early: what it did not ask then is not asked. Raises: Invalid, where a part is asked of a run without a seal.
    """
    if not is_part(request):
        return {task.task: _there(task, stops) for task in tasks if task.stopping}
    if seal is None:
        raise Invalid(
            f"run {request.audit_of} is not sealed yet, and its seal says which documents a part has: wait until it is sealed "
            f"(`assay run {request.audit_of}` says so), or audit all of it", code=CODE,
        )  # fmt: skip
    return {task.task: _drawn(task.task, _there(task, stops), seal, request.audit_ratio or 1) for task in tasks}


def _there(task: PlannedTask, stops: Mapping[str, int]) -> tuple[int, ...]:
    """The documents that the run asked."""
    if task.stopping and task.task in stops:
        return stopping.order(task.build_id, task.samples)[: stops[task.task] // task.repeats]
    return task.adaptive.ordinals if task.adaptive else tuple(range(task.samples))


def _drawn(task: str, there: Sequence[int], seal: bytes, ratio: float) -> tuple[int, ...]:
    """So many of them as that share is, rounded up: those with the lowest hashes."""
    lowest = sorted(there, key=lambda one: hashlib.sha256(PART + seal + f"/{task}/{one}".encode()).digest())
    return tuple(sorted(lowest[: ceil(ratio * len(there))]))


def plan_again(request: EvaluationRequested, plan: Plan, part: Part, *, jobs: int) -> Plan:
    """The plan of the audit."""
    tasks = [
        task.model_copy(update={"samples": len(part[task.task]), "stopping": None, "adaptive": None}) if task.task in part else task
        for task in plan.tasks
    ]
    return plan.model_copy(update={
        "submitter": request.submitter, "tasks": tuple(tasks), "jobs": jobs, "perf_requests": None, "skipped": (), "warnings": (),
        "audit_of": request.audit_of,
    })  # fmt: skip


def jobs_again(request: EvaluationRequested, plan: Plan, part: Part, jobs: Iterable[Job]) -> Iterator[Job]:
    """The run's jobs once more, as the audit's: with its seeds, prompts and settings, on the samples that are asked again."""
    builds = {task.task: task.builds for task in plan.tasks}
    own = {
        "run_id": request.run_id, "pool": request.pool, "submitter": request.submitter, "organisation_id": request.organisation_id,
        "priority": request.priority, "budget": request.budget, "visibility": request.visibility, "model": plan.model,
        "engine": plan.engine, "chat": plan.chat,
    }  # fmt: skip
    for job in jobs:
        if job.kind != "answer" or job.build is None or job.build.build_id not in builds.get(job.build.task, ()):
            continue
        task = job.build.task
        wanted = frozenset(part[task]) if task in part else None
        samples = tuple(job.samples) if wanted is None else tuple(one for one in job.samples if one in wanted)
        if samples:
            cut = {"ordinals": samples, "count": len(samples)} if wanted is not None else {}
            yield job.model_copy(update=own | cut | {"job_id": f"{request.run_id}/{job.job_id.partition('/')[2]}"})


def is_drawn(seal: bytes, share: float) -> bool:
    """Whether a lottery of that share draws the run of whose seal this is the signature."""
    return int.from_bytes(hashlib.sha256(LOTTERY + seal).digest()[:8]) < share * 2**64


def request_of(audited: str, plan: Plan, **told: Any) -> EvaluationRequested:
    """The request of an audit of a run: `told` are its id, its header, who asks, where it runs, and its share."""
    return EvaluationRequested.model_validate(
        {"purpose": "audit", "audit_of": audited, "model": plan.model.model_dump(), "engine": plan.engine.model_dump()} | told
    )
