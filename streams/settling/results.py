"""What is said of a run: the scores of its tasks, its speed, and its result. Pure: agents/settle.py writes them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from schemas.codec import size
from schemas.event import Producer
from schemas.results import CostSummarised, PerformanceSummarised, RunScored, TaskStopped
from schemas.runs import PlannedTask, RunChanged, RunState
from schemas.settled import LeftOut, RunProgressed, RunSettled, TaskSettled
from streams.bounds import LEFT_OUT_BYTES, MOST_EVENT_BYTES, held
from streams.money.costs import FORMULA_VERSION as COST_FORMULA
from streams.money.costs import Summary
from streams.quality import adaptive, stopping
from streams.quality.scores import Aggregate, Key, TaskScores
from streams.settling import attempts
from streams.settling.documents import packed
from streams.settling.runs import Run
from streams.speed.performance import FORMULA_VERSION, digest, summary
from streams.speed.timings import Taken
from streams.statistics.intervals import Interval
from streams.times import moment

LONGEST_TOLD: Final = 1000
GRACE_US: Final = 10_000_000  # a dispatcher ends a run at its deadline to the second


def scored(run: Run, task: str, *, aggregate: Aggregate, stamp: Producer, taken: tuple[str, TaskScores] | None = None) -> RunScored | None:
    """A task's complete scores; None while they are not. Raises: whatever its aggregation raises, Invalid where no record holds them.

    `taken`: they, with their scorer's version, as they were at a moment: of a long task this takes seconds: another thread may do it.
    """
    found, planned = taken or run.complete_scores(task), run.planned(task)
    if found is None or planned is None:
        return None
    version, scores = found
    main, expected = (planned.main_filter, planned.main_metric), run.expected(task) or 0
    figures = scores.figures(aggregate, means=means(planned), sequential=_sequential(run, task, scores), setups=planned.setup_numbers)
    # What is scored after a task has stopped counts for nothing, also not for the time.
    latest_us = run.stops[task].occurred_us if task in run.stops else scores.latest_us
    return held(RunScored(
        occurred_us=latest_us, producer=stamp, organisation_id=run.organisation_id, visibility=run.visibility, run_id=run.run_id, task=task,
        scorer_version=version, complete=True, scored=scores.scored, expected=expected, inputs_digest=scores.digest(),
        figures=adaptive.figures(figures, planned, scores.values(main)),
        documents=packed(scores.values(main), scores.clusters(main)),
    ))  # fmt: skip


def means(planned: PlannedTask) -> frozenset[Key]:
    """The filters and metrics of a task whose value is the mean of their samples'."""
    return frozenset((one.filter, one.metric) for one in planned.expected if one.aggregation == "mean")


def progressed(run: Run, task: str, version: str, *, stamp: Producer) -> RunProgressed | None:
    """Where a task stands by one scorer, provisionally; None where it is complete, or not planned."""
    planned, expected, scores = run.planned(task), run.expected(task), run.scores[task, version]
    if planned is None or expected is None or scores.complete(expected):
        return None
    return RunProgressed(
        occurred_us=scores.latest_us, producer=stamp, organisation_id=run.organisation_id, visibility=run.visibility, run_id=run.run_id,
        task=task, scorer_version=version, scored=scores.scored, not_scored=len(scores.not_scored), expected=expected,
        figures=scores.provisional(means=means(planned) if planned.adaptive is None else ()),
    )  # fmt: skip


def stopped(run: Run, task: str, *, stamp: Producer) -> TaskStopped | None:
    """That a task is known well enough, by the scores of the newest scorer; None where it is not, or may not stop."""
    planned, versions = run.planned(task), [version for version in run.versions if (task, version) in run.scores]
    if planned is None or planned.stopping is None or task in run.stops or not versions:
        return None
    scores = run.scores[task, max(versions)]
    known = stopping.known(scores, planned)
    if known is None or known.samples == planned.samples:
        return None
    counting = scores.of(frozenset(stopping.order(planned.build_id, planned.samples)[: known.samples]))
    return TaskStopped(
        occurred_us=scores.latest_us, producer=stamp, organisation_id=run.organisation_id, visibility=run.visibility, run_id=run.run_id,
        task=task, scorer_version=max(versions), samples=known.samples * planned.repeats, planned=planned.samples * planned.repeats,
        not_scored=len(counting.not_scored), half_width=known.half_width, confidence=planned.stopping.confidence,
    )  # fmt: skip


def summarising(run: Run, job_id: str, *, stamp: Producer) -> Callable[[], PerformanceSummarised] | None:
    """What works out the speed of a workload from what is here now; None while its measurements are not all here.

    Of a long load that takes seconds: another thread may do it, while the run goes on. It raises Invalid where no record holds it.
    """
    speed = run.speeds[job_id]
    if not speed.complete:
        return None
    about = {
        "occurred_us": speed.measured_us, "producer": stamp, "organisation_id": run.organisation_id, "visibility": run.visibility,
        "run_id": run.run_id, "slo": run.slo,
    }  # fmt: skip
    return partial(_summarised, speed.taken(), about, {"elsewhere": run.served_elsewhere, "slo": run.slo, "asked": run.lengths})


def _summarised(taken: Taken, about: Mapping[str, object], held_to: Mapping[str, Any]) -> PerformanceSummarised:
    found, named = summary(taken, **held_to), digest(taken, **held_to)
    return held(PerformanceSummarised.model_validate({
        **about, "formula_version": FORMULA_VERSION, "complete": True, "inputs_digest": named, "figures": found.figures,
        "histograms": found.histograms, "steps": found.steps,
    }))  # fmt: skip


def changed(
    run: Run, state: RunState, *, stamp: Producer, at_us: int | None = None, code: str | None = None, message: str | None = None
) -> RunChanged:
    """That a run takes a step, at the time of its latest input unless another is told."""
    return RunChanged(
        occurred_us=run.latest_us if at_us is None else at_us, producer=stamp, organisation_id=run.organisation_id,
        visibility=run.visibility, run_id=run.run_id, state=state, reason_code=code, message=message,
    )  # fmt: skip


def given_up(run: Run, *, now_us: int, stamp: Producer) -> RunChanged | None:
    """That a run which nobody has begun is cancelled, as it was asked to, or long past its deadline; None where it is not.

    Where its pool has a dispatcher, that one says the same, and sooner.
    """
    if run.state != "planned":
        return None
    if run.asked:
        at_us, code, message = run.asked.occurred_us, "cancelled", run.asked.why
    elif run.deadline_us is not None and run.deadline_us + GRACE_US < now_us:
        at_us, code = run.deadline_us, "deadline"
        message = f"its deadline, {moment(at_us)}, is reached, and nobody has begun it: no dispatcher leads its pool"
    else:
        return None
    return changed(run, "cancelled", stamp=stamp, at_us=max(run.changed_us, at_us), code=code, message=message)


def left_out(task: str | None, scorer_version: str | None, error: Exception) -> LeftOut:
    """That a task's scores, or the speed, of a completed run cannot be worked out, in the error's words."""
    return LeftOut(task=task, scorer_version=scorer_version, why=f"{type(error).__name__}: {error}"[:LONGEST_TOLD])


def settled(
    run: Run, scores: Mapping[str, RunScored], speed: PerformanceSummarised | None, *, through: Mapping[str, int], stamp: Producer,
    missing: Sequence[LeftOut] = (),
) -> RunSettled:  # fmt: skip
    """What a run that is over has come to. `scores`: what was said of its tasks; `through`: how far each topic was read.

    `missing`: what could not be worked out: a run that has failed has said why. Of one that is scored anew, what was before stands.
    """
    assert run.state is not None
    missing = _shortened(missing) if run.state == "completed" else ()
    tasks = {task.task: task for task in run.before.tasks} if run.before else {}
    tasks |= {task: _task(run, task, said) for task, said in scores.items()}
    told = RunSettled(
        occurred_us=max([run.latest_us, run.before.occurred_us if run.before else 0, *(said.occurred_us for said in scores.values())]),
        producer=stamp,
        organisation_id=run.organisation_id,
        visibility=run.visibility,
        run_id=run.run_id,
        state=run.state,
        final=run.final,
        inputs_digest="",
        changed_us=run.changed_us,
        plan=run.plan,
        planned_at=run.planned_at,
        through=dict(through),
        served_elsewhere=run.served_elsewhere,
        engine=run.engine,
        environment_sha=run.environment_sha,
        environments=run.environments,
        attempts=run.used.told(),
        tasks=tuple(task for _, task in sorted(tasks.items())),
        speed=speed.figures if speed else (),
        speed_formula=speed.formula_version if speed else None,
        left_out=tuple(missing),
    )
    if run.before:
        kept = ("served_elsewhere", "engine", "environment_sha", "environments", "attempts", "speed", "speed_formula")
        told = told.model_copy(update={name: getattr(run.before, name) for name in kept})
    # How far it was read is no part of what it says, nor how attempts are packed, nor the words of an error.
    apart = dict.fromkeys(("event_id", "producer", "through", "attempts_packed", "attempts_untold"), True)
    body = told.model_dump_json(exclude=apart | {"left_out": {"__all__": {"why"}} if missing else True})
    return _folded(
        RunSettled.model_validate(
            {name: getattr(told, name) for name in RunSettled.model_fields if name != "event_id"}
            | {"inputs_digest": hashlib.sha256(body.encode()).hexdigest()}
        )
    )


def _shortened(missing: Sequence[LeftOut]) -> list[LeftOut]:
    """What is missing, in order; many share the room for words that a record has (a character takes four bytes at most)."""
    most = LEFT_OUT_BYTES // 4 // max(1, len(missing))
    in_order = sorted(missing, key=lambda one: (one.task or "", one.scorer_version or ""))
    return [one.model_copy(update={"why": one.why[:most]}) for one in in_order]


def _folded(told: RunSettled) -> RunSettled:
    """The result as a record can hold it: many attempts packed, and those that are too many even so left out, which is told."""
    if (count := len(told.attempts)) <= attempts.MOST_NAMED:
        return told
    told = told.model_copy(update={"attempts": (), "attempts_packed": attempts.packed(told.attempts, run_id=told.run_id)})
    if size(told) <= MOST_EVENT_BYTES:
        return told
    why = f"its {count:,} attempts are more than a record holds: what they used is not told; ask for several runs"
    return told.model_copy(update={"attempts_packed": None, "attempts_untold": why})


def cost(run: RunSettled, summary: Summary, *, stamp: Producer) -> CostSummarised:
    """What a run costs under one version of the price book; complete where its result is final."""
    return CostSummarised(
        occurred_us=summary.latest_us, producer=stamp, organisation_id=run.organisation_id, visibility=run.visibility, run_id=run.run_id,
        formula_version=COST_FORMULA, price_version=summary.price_version, complete=run.final, inputs_digest=summary.digest,
        figures=summary.figures,
    )  # fmt: skip


def _task(run: Run, task: str, said: RunScored) -> TaskSettled:
    planned = run.planned(task)
    assert planned is not None
    main = (planned.main_metric, planned.main_filter)
    figure = next((one for one in said.figures if (one.metric, one.filter) == main), None)
    return TaskSettled(task=task, scorer_version=said.scorer_version, documents=said.expected // planned.repeats, figure=figure)


def _sequential(run: Run, task: str, scores: TaskScores) -> Mapping[Key, Interval] | None:
    """The intervals of a task that stopped early; None of any other, also of one that might have: it was not known enough at any look."""
    planned = run.planned(task)
    return stopping.intervals(scores, planned, run.stretch(task, scores)) if planned and task in run.stops else None
