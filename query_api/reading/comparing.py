"""Two runs compared, as the API tells it: read from ClickHouse, reckoned by streams.boards.comparison."""

import asyncio
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from infra.clickhouse import Rows
from infra.kept import Kept
from query_api.reading.runs import Reading, unknown_run
from schemas.runs import Plan, PlannedTask
from streams.boards.comparison import (
    NOTHING,
    Asking,
    Comparison,
    GroupCompared,
    Measured,
    Sample,
    TaskCompared,
    compare,
    in_words,
    of_group,
)
from streams.errors import Invalid, NotFound
from streams.quality.adaptive import words
from streams.statistics.differences import JOINED

KEPT: Final = 16
MOST_DIFFERING: Final = 500


class Comparisons:
    """Comparisons of two runs. One that was reckoned is kept until either run has other scores, for it is reckoned over all samples."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._kept: Kept[str, dict[str, Any]] = Kept(KEPT)

    async def of(self, a: str, b: str, *, task: str | None = None, limit: int = 50, asking: Asking = NOTHING) -> dict[str, Any]:
        """Two runs' tasks compared, each with at most so many of the samples that differ. Raises: NotFound, Invalid."""
        states = await asyncio.gather(*(self._reading.rows("run", run_id=run_id) for run_id in (a, b)))
        runs = [_planned(run_id, rows) for run_id, rows in zip((a, b), states, strict=True)]
        sides = [{"run_id": row["run_id"], "model": row["model"], "state": row["state"]} for row, _ in runs]
        scored = await asyncio.gather(*(self._reading.rows("scored_as_of", run_id=run_id) for run_id in (a, b)))
        key = json.dumps([a, b, task, scored, asdict(asking)])
        plans = [(run_id, plan) for run_id, (_, plan) in zip((a, b), runs, strict=True)]
        told = await self._kept.of(key, lambda: _reckoned(self._reading, plans, task, asking))
        tasks = [one | {"samples": one["samples"][:limit]} for one in told["tasks"]]
        return {"a": sides[0], "b": sides[1]} | told | {"tasks": tasks}


async def _reckoned(reading: Reading, runs: Sequence[tuple[str, Plan]], task: str | None, asking: Asking) -> dict[str, Any]:
    measured = await asyncio.gather(*(measured_of(reading, run_id, plan, task=task) for run_id, plan in runs))
    if task is not None and not any(measured):
        known = ", ".join(sorted({name for _, plan in runs for one in plan.tasks for name in (one.task, one.group) if name})) or "none"
        raise NotFound(f"neither run has a task {task!r}; they have: {known}", code="unknown-task")
    return await asyncio.to_thread(lambda: _document(compare(measured[0], measured[1], asking=asking), asking))


def _planned(run_id: str, rows: Rows) -> tuple[dict[str, Any], Plan]:
    if not rows:
        raise unknown_run(run_id)
    if not rows[0]["plan"]:
        raise Invalid(f"run {run_id} is {rows[0]['state']} and has no plan, so there is nothing to compare", code="no-plan")
    return rows[0], Plan.model_validate(json.loads(rows[0]["plan"]))


async def measured_of(reading: Reading, run_id: str, plan: Plan, *, task: str | None = None) -> dict[str, Measured]:
    """A run's tasks with the values of their samples; only that task, or the tasks of that group, where one is named."""
    planned = [one for one in plan.tasks if task in (None, one.task, one.group)]
    chosen = [(one.task, one.main_metric, one.main_filter) for one in planned]
    samples: dict[str, dict[int, Sample]] = {one.task: {} for one in planned}
    for row in await reading.rows("compared", run_id=run_id, chosen=chosen):
        samples[row["task"]][row["ordinal"]] = Sample(row["document"], row["mean"], row["passage"])
    numbers = {one.task: one.setup_numbers for one in planned if one.setups}
    if varied := [one for one in chosen if one[0] in numbers]:
        for row in await reading.rows("compared_repeats", run_id=run_id, chosen=varied):
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
    )  # fmt: skip


def summary(found: Comparison, asking: Asking = NOTHING) -> str:
    """What came of it, in a sentence."""
    if len(found.tasks) == 1:
        return in_words(found.tasks[0], asking)
    ahead = {side: sum(1 for one in found.tasks if one.better == side) for side in ("a", "b")}
    open_ = len(found.tasks) - ahead["a"] - ahead["b"]
    return f"of {len(found.tasks)} tasks A is better on {ahead['a']}, B on {ahead['b']}; on {open_} no difference is shown"


def _document(found: Comparison, asking: Asking) -> dict[str, Any]:
    low, high = found.overall_interval or (None, None)
    return {
        "summary": summary(found, asking),
        "overall": {
            "difference": found.overall,
            "low": low,
            "high": high,
            "tasks": len(found.tasks),
            "units": found.units,
            "method": JOINED if found.overall_interval else None,
        },
        "tasks": [_task(one, asking) for one in found.tasks],
        "groups": [_group(one) for one in found.groups],
        "skipped": [{"task": name, "reason": reason} for name, reason in found.skipped.items()],
    }


def _task(one: TaskCompared, asking: Asking) -> dict[str, Any]:
    told = asdict(one) | {"words": in_words(one, asking), "differing": len(one.differing)}
    return told | {"samples": [asdict(sample) for sample in one.differing[:MOST_DIFFERING]]}


def _group(one: GroupCompared) -> dict[str, Any]:
    low, high = one.interval or (None, None)
    told = asdict(one) | {"words": of_group(one), "difference": {
        "value": one.difference, "low": low, "high": high, "n": one.n, "method": JOINED if one.interval else None,
    }}  # fmt: skip
    return {name: value for name, value in told.items() if name not in ("interval", "n")}
