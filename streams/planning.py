"""How a request becomes a plan: its jobs, what each needs, and what it is estimated to take. Pure; agents/plan.py does the reaching."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product
from math import ceil

from schemas.jobs import BuildPlace, Job, Need
from schemas.requests import Chat, EvaluationRequested, TaskChoice
from schemas.runs import Estimate, Placement, Plan, PlannedTask
from streams import bounds, served
from streams.engines import check_model, is_elsewhere, kind_of, read_options, wants_key
from streams.errors import Invalid
from streams.quality import adaptive, stopping
from streams.quality.exposure import check_date
from streams.speed import workloads
from streams.trust import again, sealing

FEWEST_SETUPS = 3
PERF = "/perf"
LONGEST_INLINE = 200_000
CHUNK_BYTES = 2**20
LONGEST_CONTENT_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Chosen:
    """A task of a request with the build that serves it; `samples` of it will be run, in the order of `ordinals` where there are any.

    `places`: the build of each repeat, where they are not the same.
    """

    choice: TaskChoice
    place: BuildPlace
    samples: int
    ordinals: tuple[int, ...] = ()
    places: tuple[BuildPlace, ...] = ()


def check(request: EvaluationRequested) -> None:
    """Raises: Invalid, saying what to change, where a request can be seen to be impossible without looking at anything else."""
    bounds.check(request)
    sealing.check(request)
    _check_honoured(request)
    again.check(request)
    if not request.tasks and request.workload is None and request.audit_of is None:
        raise Invalid("nothing to do: name at least one task, or a workload", code="nothing-to-do")
    names = [choice.name for choice in request.tasks]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Invalid(f"task {twice[0]!r} is asked for twice; use repeats instead", code="task-twice")
    judges = [(one.engine, one.model, one.chat) for one in request.judgements]
    for engine, model, chat in ((request.engine, request.model, request.chat), *judges):
        kind_of(engine.name)
        check_model(engine.name, model)
        read_options(engine.name, engine.options)
        served.check(engine, chat)
    for choice in request.tasks:
        _check_choice(choice)
    asked = sum((choice.limit or 1) * choice.repeats for choice in request.tasks)
    bounds.check_sum(asked, sum(choice.repeats for choice in request.tasks), load=request.workload is not None)
    _check_chat(request.chat)
    if request.model_published is not None:
        check_date(request.model_published)
    stopping.check(request)
    adaptive.check(request)
    _check_vary(request)
    if request.workload:
        workloads.check(request.workload, engine=request.engine.name, slo=request.slo)


def _check_honoured(request: EvaluationRequested) -> None:
    """Refuses what the schema takes and nothing acts on yet: a run that seems to keep it would be shown as what it is not."""
    told = {
        "slo": (request.slo if request.workload is None else None, "a service level is for a load, and the request has no workload"),
        "stop_rule": (request.stop_rule, "stopping says when tasks may end"),
        "credential_ref": (None if _wants_key(request) else request.credential_ref, "it is shown to servers elsewhere and hubs alone"),
        "purpose": (request.purpose if request.purpose == "train" else None, f"nothing here does what purpose {request.purpose} is for"),
    }
    for name, (value, why) in told.items():
        if value is not None:
            raise Invalid(f"{name} would change nothing: {why}; leave it out", code="not-honoured")


def _goes_elsewhere(request: EvaluationRequested) -> bool:
    """Whether a server elsewhere is asked: for the run, its load or its judges."""
    engines = (request.engine, *(one.engine for one in request.judgements))
    return any(is_elsewhere(one.name) for one in engines) or bool(request.workload and request.workload.url)


def _wants_key(request: EvaluationRequested) -> bool:
    """Whether its key is shown to anybody."""
    asked = ((request.engine, request.model), *((one.engine, one.model) for one in request.judgements))
    return _goes_elsewhere(request) or any(wants_key(engine.name, model) for engine, model in asked)


def hub_credential(request: EvaluationRequested) -> str | None:
    """The credential that is shown to the hub that has the run's model; of a request that asks a server elsewhere it is for that."""
    return None if _goes_elsewhere(request) or not wants_key(request.engine.name, request.model) else request.credential_ref


def _check_choice(choice: TaskChoice) -> None:
    if choice.trust_code and choice.definition is None:
        raise Invalid(f"task {choice.name!r} brings no code to trust: trust_code goes with a definition", code="trust-code")
    _check_parts(choice)
    if choice.limit is not None and choice.limit < 1:
        raise Invalid(f"limit {choice.limit} of task {choice.name!r}: give 1 or more, or none for all samples", code="limit")
    if choice.limit_ratio is not None and not 0 < choice.limit_ratio < 1:
        told = f"limit_ratio {choice.limit_ratio:g} of task {choice.name!r}"
        raise Invalid(f"{told}: give a share above 0 and below 1, as 0.1, or none for all samples", code="limit")
    if choice.limit is not None and choice.limit_ratio is not None:
        raise Invalid(f"task {choice.name!r} has a limit of {choice.limit} samples and one of a share: give one of the two", code="limit")
    if choice.repeats < 1 or not choice.seeds:
        raise Invalid(f"task {choice.name!r} needs at least one repeat and one seed", code="repeats")
    if choice.fewshot is not None and choice.fewshot < 0:
        raise Invalid(f"fewshot {choice.fewshot} of task {choice.name!r}: give 0 or more", code="fewshot")


def _check_vary(request: EvaluationRequested) -> None:
    varied = [choice for choice in request.tasks if choice.vary]
    if few := next((choice for choice in varied if choice.repeats < FEWEST_SETUPS), None):
        raise Invalid(
            f"task {few.name!r} is to vary over {few.repeats} repeats, which do not tell how far set-ups differ: ask for repeats "
            f"{FEWEST_SETUPS} or more", code="vary",
        )  # fmt: skip
    if varied and request.stopping:
        raise Invalid("a task whose set-ups vary runs whole: leave out stopping (--until-within), or vary", code="vary")
    if varied and (request.parent_run or request.judges or request.judgements):
        raise Invalid("answers to prompts that vary are not judged yet: leave out vary, or the judges", code="vary")


def setups_there(choice: TaskChoice, *, formats: int, seeds: int) -> int:
    """How many set-ups a varied task's repeats have, of so many formats and seeds that it can have. Raises: Invalid where too few.

    Set-ups of one format go together whatever their seeds: each has a format of its own, where formats vary.
    """
    count = min(choice.repeats, formats) if "format" in choice.vary else choice.repeats if seeds > 1 else 1
    if count < FEWEST_SETUPS:
        few = {"seed": seeds < FEWEST_SETUPS, "format": formats < FEWEST_SETUPS}
        wanted = {"seed": "no few-shot examples that are drawn by chance (ask for --fewshot 5)",
                  "format": f"{formats} prompt formats (docs/variance.md), {FEWEST_SETUPS} at least are needed"}  # fmt: skip
        lacking = " and ".join(wanted[one] for one in sorted(set(choice.vary)) if few[one])
        way = "; vary the seed alone" if "seed" in choice.vary and not few["seed"] else ""
        raise Invalid(f"task {choice.name!r} cannot vary {' or '.join(choice.vary)}: it has {lacking}{way}", code="vary")
    if choice.repeats % count:
        raise Invalid(f"task {choice.name!r} has {count} prompt formats: ask for a multiple of {count} repeats, for {FEWEST_SETUPS} to "
                      f"{count}, or vary the seed alone", code="vary")  # fmt: skip
    return count


def _check_parts(choice: TaskChoice) -> None:
    if choice.parts and (choice.definition is None or choice.file is None):
        raise Invalid(f"task {choice.name!r} brings parts: give its definition, and as file its path among them", code="parts")
    paths = [path for path in (choice.file, *(one.path for one in choice.parts)) if path is not None]
    if (wrong := next((path for path in paths if not _is_below(path)), None)) is not None:
        raise Invalid(f"{wrong!r} of task {choice.name!r} is no path of a part; write it as folder/name, without ..", code="parts")
    if twice := next((path for path in paths if paths.count(path) > 1), None):
        raise Invalid(f"part {twice!r} of task {choice.name!r} is there twice; leave one out", code="parts")


def _is_below(path: str) -> bool:
    """A path, with slashes, leads to a file below the folder that it goes from."""
    return path.isprintable() and "\\" not in path and all(part not in ("", ".", "..") for part in path.split("/"))


def _check_chat(chat: Chat) -> None:
    if chat.template is None and (chat.multiturn or chat.thinking is not None or chat.fold_system):
        told = "chat.multiturn, chat.thinking and chat.fold_system"
        raise Invalid(f'{told} are for a template: give chat.template, "model" for the model\'s own', code="chat")
    if not chat.thinking and chat.thinking_tokens is not None:
        raise Invalid("chat.thinking_tokens is how long a model may think: set chat.thinking as well", code="chat")
    if chat.thinking_tokens is not None and chat.thinking_tokens < 1:
        raise Invalid(f"chat.thinking_tokens {chat.thinking_tokens}: give 1 or more, or none for no limit of its own", code="chat")
    if not chat.thinking_end:
        raise Invalid("chat.thinking_end is empty: give the text that ends the model's thinking, as </think>", code="chat")


def samples_of(choice: TaskChoice, there: int) -> int:
    """How many of a build's samples are asked: of a share, rounded up as lm-eval does (0.4.13, evaluator_utils.get_sample_size)."""
    if choice.limit_ratio is not None:
        return min(ceil(there * choice.limit_ratio), there)
    return min(choice.limit or there, there)


def board_of(request_suite: str | None, tasks: Sequence[PlannedTask]) -> str | None:
    """The board of a run: its suite, or its tasks' and groups' names joined; None for a run of one task, which has its task's board."""
    return request_suite or ("+".join(sorted({task.group or task.task for task in tasks})) if len(tasks) > 1 else None)


def content_id(text: str) -> str:
    """The name of a content: the SHA-256 of its UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def chunks(text: str) -> list[bytes]:
    """A content's bytes in pieces of at most 1 MiB. Raises: Invalid above 64 MiB."""
    body = text.encode()
    if len(body) > LONGEST_CONTENT_BYTES:
        raise Invalid(f"a text of {len(body) / 2**20:.0f} MiB is too long; 64 MiB is the most", code="content-too-long")
    return [body[first : first + CHUNK_BYTES] for first in range(0, len(body), CHUNK_BYTES)] or [b""]


@dataclass(frozen=True, slots=True)
class Jobs:
    """A run's jobs, in the order in which they should run: how many they are, and each as it is asked for."""

    count: int
    each: Iterator[Job]


def jobs(request: EvaluationRequested, chosen: list[Chosen], *, per_job: int, need: Need, model_sha: str | None = None) -> Jobs:
    """The run's jobs; a workload waits for the answers, so that it has the agent to itself.

    `model_sha`: the hash of the model that was planned; None where it has no files.
    Raises: Invalid, where they are more than one run may have, or one is more than a record holds; before any is written.
    """
    samples = sum(one.samples * one.choice.repeats for one in chosen)
    count = sum(_jobs_of(one, per_job=per_job) for one in chosen)
    bounds.check_sum(samples, count, load=request.workload is not None)
    for one in chosen:
        bounds.check_documents(one.choice.name, one.samples)
    alike = _job(request, job_id="", kind="answer", need=need).model_copy(update={"model_sha": model_sha})
    each = [_largest(request, one, alike, per_job=per_job) for one in chosen]
    sizes = [bounds.check_job(job) for job in each]
    if each:
        all_bytes = sum(_jobs_of(one, per_job=per_job) * size for one, size in zip(chosen, sizes, strict=True))
        bounds.check_jobs(count, all_bytes=all_bytes, largest=each[sizes.index(max(sizes))])
    answers = (job for one in chosen for job in _answer_jobs(request, one, alike, per_job=per_job))
    if request.workload is None:
        return Jobs(count, answers)
    load = _load(request, chosen, per_job=per_job, need=need, model_sha=model_sha)
    bounds.check_job(load)
    return Jobs(count + 1, chain(answers, [load]))


def _jobs_of(one: Chosen, *, per_job: int) -> int:
    return -(-one.samples // per_job) * one.choice.repeats


def _load(request: EvaluationRequested, chosen: list[Chosen], *, per_job: int, need: Need, model_sha: str | None) -> Job:
    """The load's job, which names those that it waits for."""
    here = request.workload is not None and request.workload.url is None
    names = tuple(_name(request, one, *at) for one in chosen for at in _order(one, per_job=per_job))
    return _job(request, job_id=f"{request.run_id}{PERF}", kind="perf", need=need if here else Need()).model_copy(update={
        "workload": request.workload, "slo": request.slo, "model_sha": model_sha, "depends_on": names,
        "credential_ref": hub_credential(request) if here else request.credential_ref,
    })  # fmt: skip


def _largest(request: EvaluationRequested, one: Chosen, alike: Job, *, per_job: int) -> Job:
    """A job of the task that has as many bytes as any; the others' numbers may take a few more."""
    place = max((one.place, *one.places), key=lambda place: len(place.contents))
    return next(_answer_jobs(request, replace(one, place=place, places=()), alike, per_job=per_job))


def _order(one: Chosen, *, per_job: int) -> Iterator[tuple[int, int]]:
    """Of each of a task's jobs the repeat and the place of its first sample, in the order in which they should run."""
    firsts, repeats = range(0, one.samples, per_job), range(one.choice.repeats)
    # A task that may stop early is known up to where all repeats are: they go together.
    return ((repeat, first) for first in firsts for repeat in repeats) if one.ordinals else product(repeats, firsts)


def _name(request: EvaluationRequested, one: Chosen, repeat: int, first: int) -> str:
    return f"{request.run_id}/{one.choice.name}/{repeat}/{first}"


def _answer_jobs(request: EvaluationRequested, one: Chosen, alike: Job, *, per_job: int) -> Iterator[Job]:
    choice = one.choice
    for repeat, first in _order(one, per_job=per_job):
        yield alike.model_copy(update={
            "job_id": _name(request, one, repeat, first),
            "build": one.places[repeat] if one.places else one.place, "repeat": repeat,
            "first_ordinal": first, "count": min(per_job, one.samples - first),
            "seed": choice.seeds[repeat % len(choice.seeds)],
            "generation_json": choice.generation.json_text if choice.generation else "{}",
            "ordinals": one.ordinals[first : first + per_job],
        })  # fmt: skip


def _job(request: EvaluationRequested, *, job_id: str, kind: str, need: Need) -> Job:
    return Job.model_validate({
        "run_id": request.run_id, "job_id": job_id, "kind": kind, "pool": request.pool, "submitter": request.submitter,
        "organisation_id": request.organisation_id, "priority": request.priority, "model": request.model.model_dump(),
        "engine": request.engine.model_dump(), "chat": request.chat.model_dump(), "need": need.model_dump(),
        "budget": request.budget.model_dump(), "visibility": request.visibility, "no_truncation": request.no_truncation,
        "credential_ref": request.credential_ref if is_elsewhere(request.engine.name) else hub_credential(request),
    })  # fmt: skip


def check_again(before: Plan | None, after: Plan) -> None:
    """Raises: Invalid where a run whose plan is in the log would have its other jobs from another one: its figures would be of both."""
    first, second = (_asked_by(plan) if plan else {} for plan in (before, after))
    if before and (differs := [name for name, asked in second.items() if first.get(name) != asked]):
        raise Invalid(
            f"its planner ended before all of its jobs were in the log, and another {' and '.join(differs)} is here now: ask again",
            code="planned-otherwise",
        )


def _asked_by(plan: Plan) -> dict[str, object]:
    """What the jobs of a plan rest on, by its name."""
    tasks = [(one.task, one.asked, one.samples, one.repeats, one.stopping, one.adaptive) for one in plan.tasks]
    return {
        "model": (plan.model, plan.model_sha), "tokenizer": (plan.tokenizer_sha, plan.chat_template_sha), "build of its tasks": tasks,
        "number of jobs": (plan.jobs, plan.perf_requests),
    }  # fmt: skip


def run_of(job_id: str) -> str:
    """The run that a job belongs to: its id begins with the run's."""
    return job_id.partition("/")[0]


def is_perf(job_id: str) -> bool:
    """The job is a run's workload."""
    return job_id.endswith(PERF)


def task_of(job_id: str) -> str:
    """The task whose samples a job answers."""
    return job_id.partition("/")[2].rsplit("/", 2)[0]


def need_of(request: EvaluationRequested, guess: Estimate, placement: Placement | None = None) -> Need:
    """What an agent must have to run the request's jobs: as they were placed, or, where no agent was known, as much memory as all takes."""
    if placement is not None:
        return Need(devices=placement.devices, memory_bytes=placement.needed_bytes, capabilities=placement.capabilities)
    memory = guess.weights_bytes + guess.kv_bytes + guess.activation_bytes + guess.overhead_bytes
    return Need(memory_bytes=memory if guess.weights_bytes else 0, capabilities=(f"engine:{request.engine.name}",))
