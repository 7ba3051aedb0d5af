"""What a request would come to, with nothing produced: its tasks, requests, jobs, memory, and, where a like run was measured, its time.

What `agents.plan` would reject is refused here with the same reason.
"""

import functools
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stdout
from typing import Any

from infra.settings import Settings
from infra.trust import allows_tasks
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.pulling import bar
from query_api.drawing.dressing import placed, provenance
from schemas.requests import EvaluationRequested, TaskChoice
from schemas.runs import ExpectedMetric, Placement, PlannedTask
from streams import bounds, hub_names
from streams.errors import AssayError, Invalid, NotFound, Permanent
from streams.placing.ways import Machine
from streams.quality import adaptive, judging, pins, skipping, stopping

# Of the memory that a run needs: fields of Estimate, and what people call them.
PARTS = {"weights": "weights", "kv": "keys and values", "activation": "activations", "overhead": "runtime"}
Told = Callable[[str], None]


def try_dry(body: dict[str, Any], models: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Prints what a request would come to, for each of several models. Raises: Invalid, NotFound, where it would be rejected."""
    os.environ["ASSAY_ALLOW_TASK_CODE"] = str(allows_tasks(Settings()))  # here, and in the processes that build
    settings = Settings()
    os.environ["TQDM_DISABLE"] = "1"  # lm-eval's own progress bars would stand among our lines
    bodies = [body | {"model": model} for model in models] or [body]
    plans = [estimated(one, settings, told=lambda text: None if as_json else showing.remark(text), quiet=as_json) for one in bodies]
    if as_json:
        showing.document(plans[0] if len(plans) == 1 else {"plans": plans})
        return
    for plan in plans:
        shown(plan)


def estimated(body: dict[str, Any], settings: Settings, *, told: Told, quiet: bool) -> dict[str, Any]:
    """The plan and its estimate, a bar of what is fetched unless `quiet`. Raises: Invalid, NotFound: it would be rejected."""
    from infra.harness.catalogue import DERIVED_TASKS
    from infra.preparing import brought, dress_of, estimate_of, expanded, leaves_of, put, remarks_of
    from query_api.operations.parsing import validated
    from query_api.producing.submitting import Submission, requested
    from streams.planning import need_of
    from streams.speed import workloads

    request = requested(validated(json.dumps(body).encode(), Submission), organisation=settings.organisation)
    judging.check_judges(request, DERIVED_TASKS)
    judging.check_request(request, DERIVED_TASKS)
    with bar(request.model.uri, quiet=quiet or hub_names.named(request.model) is None) as fetching:
        request, facts = brought(request, settings=settings, told=fetching)
    choices = expanded(request.tasks, [leaves_of(choice) for choice in request.tasks])
    tasks, skipped, warnings = _built(request, facts, choices, dress_of(request, facts), settings, told=told)
    placement, agents = _placed(request, facts, settings)
    request = put(request, facts, placement)
    guess = estimate_of(facts, engine=request.engine, placement=placement)
    samples = sum(task["samples"] * task["repeats"] for task in tasks)
    jobs = sum(math.ceil(task["samples"] / settings.samples_per_job) * task["repeats"] for task in tasks)
    return {
        "model": request.model.uri, "engine": request.engine.name, "parameters": facts.parameters if facts else None,
        "revision": request.model.revision, "licence": facts.licence if facts else None,
        "tasks": tasks, "skipped": skipped, "warnings": [*remarks_of(request, facts), *warnings],
        "samples": samples, "requests": sum(task["requests"] * task["repeats"] for task in tasks),
        "jobs": jobs + (1 if request.workload else 0), "perf_requests": workloads.requests(request.workload),
        "memory": {**{f"{name}_bytes": getattr(guess, f"{name}_bytes") for name in PARTS},
                   "needed_bytes": need_of(request, guess, placement).memory_bytes},
        "placement": placement.model_dump() if placement else None, "agents": agents,
        **_measured(request.model.uri, request.engine.name, samples, settings),
    }  # fmt: skip


def _placed(request: EvaluationRequested, facts: Any, settings: Settings) -> tuple[Placement | None, int | None]:
    """Where the model would go, and how many agents of the pool are alive (null: nobody could be asked). Raises: Invalid: it fits none."""
    from infra.preparing import placed

    try:
        told = Client(settings).whole("/v1/agents", "agents")["agents"]
    except AssayError:
        return None, None
    alive = [one for one in told if one["alive"] and not one["draining"] and one["pool"] == request.pool]
    return placed(request, facts, [_machine(one) for one in alive]), len(alive)


def _machine(agent: Mapping[str, Any]) -> Machine:
    devices = tuple(one["memory_bytes"] for one in agent["devices"])
    return Machine(agent["agent_id"], frozenset(agent["capabilities"]), devices, agent["total_bytes"])


def _built(
    request: EvaluationRequested, facts: Any, choices: Sequence[TaskChoice], dress: Any, settings: Settings, *, told: Told
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    """The tasks as they would be built, those that would be skipped, and what is remarked. Raises: Permanent, where none would run."""
    from infra.harness.examples import own_examples
    from streams.planning import samples_of

    tasks, errors, planned = list[dict[str, Any]](), dict[str, Permanent](), list[PlannedTask]()
    differences, remarks = list[str](), list[str]()
    for choice in choices:
        told(f"building {choice.name} …")
        try:
            made, expected = _apart(functools.partial(_made, request, facts, choice, dress, settings), choice.name, settings.build_limit_s)
        except NotFound:
            raise
        except Permanent as error:
            errors[choice.name] = error
            continue
        differences += pins.differences(choice, version=made.task_version, data_sha=made.data_sha)
        remarks += own_examples(made.task, made.own_examples, samples=len(made.samples))
        remarks += filter(None, [
            skipping.told_of(made.task, made.rows_skipped, made.skipped_first),
            skipping.told_of_examples(made.task, made.examples_skipped, made.examples_skipped_first),
        ])  # fmt: skip
        kept = made.samples[: samples_of(choice, len(made.samples))]
        if request.adaptive is not None and len(kept) > request.adaptive:
            remarks.append(adaptive.foretold(made.task, asked=request.adaptive, documents=len(kept)))
            kept = kept[: request.adaptive]
        main = made.main_filter, made.main_metric
        planned.append(PlannedTask(
            task=made.task, task_version=made.task_version, build_id=made.build_id, samples=len(kept), repeats=choice.repeats,
            expected=expected, main_metric=made.main_metric, main_filter=made.main_filter,
            stopping=stopping.rule_of(request.stopping, expected, main=main),
        ))  # fmt: skip
        tasks.append({
            "task": made.task, "task_version": made.task_version, "fewshot": made.fewshot, "samples": len(kept), "repeats": choice.repeats,
            "requests": sum(len(sample.requests) for sample in kept), "metric": made.main_metric, "filter": made.main_filter,
            "metrics": sorted({one.metric for one in expected}),
            "data_source": made.data_source, "licence": made.licence,
        })  # fmt: skip
    if errors and not (request.skip_missing and tasks):
        raise pins.refused(errors, asked=len(choices))
    pins.check(differences, pinned=request.pinned)
    remarks += stopping.told_of(request.stopping, planned)
    return tasks, [{"task": name, "reason": str(error)} for name, error in errors.items()], differences + remarks


def _apart(work: Callable[[], Any], name: str, limit_s: float) -> Any:
    """What the work gives, done in a process of its own: a task's own code may end it, and whatever it prints is none of our output.

    Raises: Permanent.
    """
    from infra.harness.limits import bounded
    from infra.pools import apart

    try:
        return apart(functools.partial(bounded, functools.partial(_unheard, work), name, limit_s))
    except BrokenProcessPool as error:
        told = f"building {name!r} ended its process, as what takes longer than {limit_s:g} s (ASSAY_BUILD_LIMIT_S) and hears nothing does"
        raise Invalid(f"{told}; what stands above may say where", code="builder-died") from error


def _unheard(work: Callable[[], Any]) -> Any:
    os.dup2(2, 1)
    with redirect_stdout(sys.stderr):
        return work()


def _made(
    request: EvaluationRequested, facts: Any, choice: TaskChoice, dress: Any, settings: Settings
) -> tuple[Any, tuple[ExpectedMetric, ...]]:
    """The task as a builder's process would make it, and its figures, those beside its own too. Raises: Permanent; MemoryError."""
    from infra.harness.building import beside, build, identify, setups_of
    from infra.task_fitness import check_asked

    setups = setups_of(choice, dress=dress, settings=settings)  # what cannot vary is refused here too
    check_asked(identify(choice, dress=dress, settings=settings), choice, request, facts)
    made = build(choice, dress=dress, settings=settings)
    bounds.check_setups(made.task, documents=len(made.samples), setups=len({one.build_id for one in setups}))
    return made, (*made.expected, *beside(made.config_json, choice.metrics))


def _measured(model: str, engine: str, samples: int, settings: Settings) -> dict[str, Any]:
    """Seconds and USD by the newest completed run of this model; null where not known."""
    told: dict[str, Any] = {"s": None, "usd": None, "price_version": None, "from_run": None}
    client = Client(settings)
    try:
        runs = client.get("/v1/runs", state="completed", model=model, limit=500)["runs"]
        like = next((run for run in runs if (run["model"], run["engine"]) == (model, engine) and run["expected"]), None)
        return told | _as(like, samples, client) if like and samples else told
    except AssayError:
        return told


def _as(run: dict[str, Any], samples: int, client: Client) -> dict[str, Any]:
    """What so many samples take and cost if each is as this run's were."""
    share = samples / run["expected"]
    newest = next((one for one in client.get(f"/v1/runs/{run['run_id']}/cost")["versions"] if one["newest"]), None)
    usd = newest["run_usd"] * share if newest and newest["run_usd"] is not None else None
    took_s = (run["changed_us"] - run["requested_us"]) / 1e6
    return {"s": took_s * share, "usd": usd, "price_version": newest and newest["price_version"], "from_run": run["run_id"]}


def shown(plan: dict[str, Any]) -> None:
    """Prints the plan."""
    told = ("task", "fewshot", "samples", "repeats", "data_source", "licence")
    rows = [
        (*(one[name] for name in told[:4]), one["requests"] * one["repeats"], _metrics(one), *(one[name] for name in told[4:]))
        for one in plan["tasks"]
    ]
    showing.say((showing.short(plan["model"]), "bold"), f" by {plan['engine']}")
    showing.table(["task", ">few-shot", ">samples", ">repeats", ">requests", "metric", "data", "licence"], rows)
    for line in _lines(plan):
        showing.say(line)


def _metrics(task: Mapping[str, Any]) -> str:
    """The main metric, and how many there are beside it."""
    return str(task["metric"]) + (f" + {more}" if (more := len(task["metrics"]) - 1) else "")


def _lines(plan: dict[str, Any]) -> Iterator[showing.Part]:
    if where := provenance(plan):
        yield f"model: {where}"
    yield from ((warning, "yellow") for warning in plan["warnings"])
    yield from ((f"{one['task']} would be skipped: {one['reason']}", "yellow") for one in plan["skipped"])
    load = f", a load of {plan['perf_requests'] or 'as many as its duration lets'} requests" if plan["perf_requests"] is not None else ""
    yield f"{plan['requests']} requests for {plan['samples']} samples in {plan['jobs']} jobs{load}"
    memory = plan["memory"]
    yield from _memory(memory) if memory["needed_bytes"] else ("memory: not known; the model has no files here",)
    if memory["needed_bytes"]:
        yield _whereto(plan)
    yield _time_and_cost(plan)
    yield "nothing was produced"


def _whereto(plan: Mapping[str, Any]) -> showing.Part:
    """Whom it fits; where that cannot be told, why."""
    if where := placed(plan):
        return where
    if plan["agents"]:
        return f"no agent of its pool has engine {plan['engine']}: the run would wait for one", "yellow"
    return "no agent of its pool is alive: the run would wait for one" if plan["agents"] == 0 else "no agent was asked: no API is here"


def _memory(memory: Mapping[str, int]) -> Iterator[str]:
    """The memory needed and its parts, each on a line; in hundredths of a GiB, rounded up, so that the sum is that of the parts shown."""
    parts = {what: math.ceil(100 * memory[f"{name}_bytes"] / 2**30) for name, what in PARTS.items()}
    yield f"memory: {sum(parts.values()) / 100:.2f} GiB"
    yield from (f"  {hundredths / 100:.2f} GiB {what}" for what, hundredths in parts.items())


def _time_and_cost(plan: dict[str, Any]) -> str:
    if plan["s"] is None:
        return "time and cost: not known; no run of this model is measured yet"
    priced = plan["usd"] is not None
    cost = f"about {plan['usd']:.6f} USD by prices {plan['price_version']}" if priced else "not known; `assay prices` lists the prices"
    return f"time: about {plan['s']:.0f} s; cost: {cost}; both as run {plan['from_run']} was"
