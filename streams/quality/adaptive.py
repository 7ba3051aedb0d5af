"""Tasks of which a part is asked, and the whole estimated: on which runs of other models that rests, what is asked, and the figure.

The part is chosen when the run is planned, from what the log holds by then: the plan names the runs, so that anybody can fit and choose
again (streams/statistics/items.py). Its documents were chosen for what they tell of a model's ability; no mean over them says anything of
the task, so that the main metric's estimate is its only figure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.requests import EvaluationRequested
from schemas.results import Figure
from schemas.runs import Adaptive, PlannedTask
from streams.errors import Invalid
from streams.settling.documents import Columns
from streams.statistics.items import Part, estimate, fitted, held_out, informative, part_of
from streams.statistics.spreads import Floats

FEWEST_RUNS: Final = 12
MOST_RUNS: Final = 100  # the newest; more would tell little more
FEWEST_DOCUMENTS: Final = 20
CODE: Final = "adaptive"


@dataclass(frozen=True, slots=True)
class Source:
    """A completed run's task: as it was planned, when (in µs), and its documents' values."""

    run_id: str
    model_sha: str
    planned_us: int
    planned: PlannedTask
    columns: Columns


def check(request: EvaluationRequested) -> None:
    """Raises: Invalid, saying what to change, where a request cannot be asked adaptively."""
    if request.adaptive is None:
        return
    if not request.tasks:
        raise Invalid("adaptive is for tasks: name at least one, or leave adaptive out", code=CODE)
    if request.adaptive < FEWEST_DOCUMENTS:
        raise Invalid(f"adaptive {request.adaptive}: give {FEWEST_DOCUMENTS} documents or more, such as 100", code=CODE)
    told = {
        "stopping (--until-within)": request.stopping is not None, "vary": any(one.vary for one in request.tasks),
        "repeats": any(one.repeats > 1 for one in request.tasks), "judges": bool(request.judges or request.judgements),
        "parent_run": request.parent_run is not None,
    }  # fmt: skip
    if wrong := next((name for name, there in told.items() if there), None):
        raise Invalid(f"adaptive does not go with {wrong} yet: leave out one of the two", code=CODE)


def adapted(task: str, build_id: str, sources: Iterable[Source], *, documents: int, asked: int) -> Adaptive | None:
    """The part of a task that is asked, by other models' runs; None where all of its `documents` are no more than may be asked.

    Raises: Invalid, saying how many runs there are and how many are needed.
    """
    if documents <= asked:
        return None
    ordered = sorted(sources, key=lambda one: (one.planned_us, one.run_id))
    newest = {one.model_sha: one for one in ordered if _serves(one, build_id, documents)}
    chosen = [one for one in ordered if newest.get(one.model_sha) is one][-MOST_RUNS:]
    if len(chosen) < FEWEST_RUNS:
        raise Invalid(
            f"task {task!r} cannot be asked adaptively: {len(chosen)} other models have run it whole (the same build, each answer right or "
            f"wrong), and {FEWEST_RUNS} are needed; leave out adaptive, or run it whole by more models first", code=CODE,
        )  # fmt: skip
    answers = np.stack([one.columns.values[:documents] for one in chosen])
    return _told(answers, [one.run_id for one in chosen], asked)


def _serves(one: Source, build_id: str, documents: int) -> bool:
    """The run asked all of these documents once, each of which is right or wrong."""
    planned, columns = one.planned, one.columns
    plain = not (planned.stopping or planned.adaptive or planned.setups or planned.judged) and planned.repeats == 1
    main = (planned.main_metric, planned.main_filter, "mean")
    plain = plain and any((told.metric, told.filter, told.aggregation) == main for told in planned.expected)
    if not plain or planned.build_id != build_id or len(columns.ordinals) < documents:
        return False
    values = columns.values[:documents]
    return bool((columns.ordinals[:documents] == np.arange(documents)).all() and np.isin(values, (0.0, 1.0)).all())


def _told(answers: Floats, runs: Sequence[str], asked: int) -> Adaptive:
    items = fitted(answers)
    chosen = informative(items, asked)
    held = held_out(answers, asked)
    part = part_of(items, chosen, misfit=held.misfit, runs=len(runs))
    return Adaptive(
        documents=answers.shape[1], fitted_runs=tuple(runs), ordinals=chosen, slopes=tuple(part.slopes), intercepts=tuple(part.intercepts),
        rest_mean=tuple(part.rest_mean), rest_variance=tuple(part.rest_variance), misfit=part.misfit,
        error_ratio=held.error_ratio,
    )  # fmt: skip


def words(*parts: Adaptive) -> str:
    """What a figure over these parts rests on: adaptive, 100 of 1,319, IRT from 12 runs."""
    asked, documents = sum(len(one.ordinals) for one in parts), sum(one.documents for one in parts)
    counts = [len(one.fitted_runs) for one in parts]
    runs = f"{min(counts):,}" + (f" to {max(counts):,}" if len(set(counts)) > 1 else "")
    return f"adaptive, {asked:,} of {documents:,}, IRT from {runs} runs"


def foretold(task: str, *, asked: int, documents: int) -> str:
    """What is said of a task before it is planned, while nobody has counted the runs that it could rest on."""
    return (
        f"{task}: adaptive, {asked:,} of {documents:,}; it is planned where {FEWEST_RUNS} other models or more have run it whole, and "
        "refused where fewer have"
    )


def told_of(asked: int | None, tasks: Sequence[PlannedTask]) -> Iterable[str]:
    """What a run says of tasks that are asked adaptively, and of those that are whole all the same."""
    for task in tasks if asked is not None else ():
        if task.adaptive:
            yield f"{task.task}: {words(task.adaptive)}; only {task.main_metric} is estimated{_gained(task.adaptive)}"
        else:
            yield f"{task.task} is asked whole: it has {task.samples:,} documents, no more than {asked:,}"


def _gained(told: Adaptive) -> str:
    """That nothing is gained, where the source runs show it."""
    ratio = told.error_ratio
    return f"; nothing is gained: on those runs its error is {ratio:.1f} times that of as many documents at random" if ratio > 1 else ""


def figures(found: Sequence[Figure], planned: PlannedTask, values: Mapping[int, float]) -> tuple[Figure, ...]:
    """A task's figures, of one that is asked adaptively for the whole; `values`: the main metric's, by ordinal."""
    if planned.adaptive is None:
        return tuple(found)
    main = (planned.main_metric, planned.main_filter)
    return tuple(
        _estimated(one, planned.adaptive, values) if (one.metric, one.filter) == main
        else _without(one, f"asked adaptively: only {planned.main_metric} is estimated for the whole task")
        for one in found
    )  # fmt: skip


def _estimated(figure: Figure, told: Adaptive, values: Mapping[int, float]) -> Figure:
    answers = np.asarray([values.get(ordinal, np.nan) for ordinal in told.ordinals], dtype=np.float64)
    if np.isnan(answers).all() or np.nanmin(answers) < 0 or np.nanmax(answers) > 1:
        return _without(figure, "asked adaptively: no answer is right or wrong")
    part = Part(
        np.asarray(told.slopes), np.asarray(told.intercepts), told.documents - len(told.ordinals), np.asarray(told.rest_mean),
        np.asarray(told.rest_variance), told.misfit, len(told.fitted_runs),
    )  # fmt: skip
    found = estimate(part, answers)
    low, high = found.interval
    return _without(figure, None).model_copy(
        update={"value": found.value, "stderr": found.stderr, "low": low, "high": high, "method": words(told)}
    )


def _without(figure: Figure, why: str | None) -> Figure:
    """The figure without all that is said of a mean over its documents."""
    nothing = ("value", "stderr", "low", "high", "method", "between", "within")
    return figure.model_copy(update=dict.fromkeys(nothing) | {"why_undefined": why})
