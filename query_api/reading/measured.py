"""The values of a run's samples, of its tasks' main metrics, as ClickHouse has them: what compares runs, and joins groups' tasks."""

import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import numpy as np

from infra.clickhouse import Rows
from schemas.runs import PlannedTask
from streams.boards.comparison import Measured, Sample
from streams.quality.adaptive import words
from streams.quality.ranges import countable
from streams.statistics.joining import Part

Asking = Callable[..., Awaitable[Rows]]


async def measured_of(rows: Asking, run_id: str, planned: Sequence[PlannedTask]) -> dict[str, Measured]:
    """These tasks of a run with the values of their samples. `rows` gives those of a named query."""
    chosen = [(one.task, one.main_metric, one.main_filter) for one in planned]
    samples: dict[str, dict[int, Sample]] = {one.task: {} for one in planned}
    for row in await rows("compared", run_id=run_id, chosen=chosen):
        samples[row["task"]][row["ordinal"]] = Sample(row["document"], row["mean"], row["passage"])
    numbers = {one.task: one.setup_numbers for one in planned if one.setups}
    if varied := [one for one in chosen if one[0] in numbers]:
        for row in await rows("compared_repeats", run_id=run_id, chosen=varied):
            own, means = samples[row["task"]], _by_setup(row["repeats"], numbers[row["task"]])
            own[row["ordinal"]] = replace(own[row["ordinal"]], by_setup=means)
    return {one.task: _as_measured(one, samples[one.task]) for one in planned}


def _by_setup(repeats: Sequence[tuple[int, float]], numbers: Sequence[int]) -> tuple[float, ...]:
    """The mean of a sample's repeats in each set-up; nothing where one of them is not there. `numbers`: each repeat's set-up."""
    found: dict[int, list[float]] = {number: [] for number in numbers}
    for repeat, value in repeats:
        found[numbers[repeat]].append(value)
    return tuple(statistics.fmean(found[number]) for number in sorted(found)) if all(found.values()) else ()


def _as_measured(planned: PlannedTask, samples: dict[int, Sample]) -> Measured:
    main = next((e for e in planned.expected if (e.metric, e.filter) == (planned.main_metric, planned.main_filter)), None)
    better, aggregation = (main.higher_is_better, main.aggregation) if main else (True, "mean")
    return Measured(
        planned.judged or planned.asked, planned.main_metric, planned.main_filter, better, aggregation, samples, planned.group,
        planned.samples, planned.documents, words(planned.adaptive) if planned.adaptive else None, planned.weight_by_size,
        planned.places,
    )  # fmt: skip


def part_of(one: Measured) -> Part:
    """What a task shares with others of its run."""
    samples = {ordinal: own for ordinal, own in sorted(one.samples.items()) if countable(own.value)}
    setups = max((len(own.by_setup) for own in samples.values()), default=0)
    gap = (np.nan,) * setups
    at = [one.places[ordinal] for ordinal in samples] if one.places else [*samples]
    return Part(
        np.array([own.value for own in samples.values()]), np.array(at, dtype=np.intp),
        [own.cluster or ordinal for ordinal, own in samples.items()] if any(own.cluster for own in samples.values()) else None,
        one.documents, np.array([own.by_setup or gap for own in samples.values()]) if setups else None,
    )  # fmt: skip
