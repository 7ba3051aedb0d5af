"""Two runs compared, as the API tells it: read from ClickHouse, reckoned by streams.comparison."""

import asyncio
import json
from dataclasses import asdict
from typing import Any

from infra.clickhouse import Rows
from query_api.reading import Reading, unknown_run
from schemas.runs import Plan, PlannedTask
from streams.comparison import Comparison, Measured, Sample, TaskCompared, compare, in_words
from streams.errors import Invalid, NotFound


async def compared(reading: Reading, a: str, b: str, *, task: str | None = None, limit: int = 50) -> dict[str, Any]:
    """Two runs' tasks compared, each with at most so many of the samples that differ. Raises: NotFound, Invalid."""
    states = await asyncio.gather(*(reading.rows("run", run_id=run_id) for run_id in (a, b)))
    runs = [_planned(run_id, rows) for run_id, rows in zip((a, b), states, strict=True)]
    measured = await asyncio.gather(*(_measured(reading, row["run_id"], plan, task) for row, plan in runs))
    if task is not None and not any(measured):
        known = ", ".join(sorted({planned.task for _, plan in runs for planned in plan.tasks})) or "none"
        raise NotFound(f"neither run has a task {task!r}; they have: {known}", code="unknown-task")
    found = await asyncio.to_thread(compare, measured[0], measured[1])
    sides = [{"run_id": row["run_id"], "model": row["model"], "state": row["state"]} for row, _ in runs]
    return {"a": sides[0], "b": sides[1], "summary": summary(found), **_document(found, limit=limit)}


def _planned(run_id: str, rows: Rows) -> tuple[dict[str, Any], Plan]:
    if not rows:
        raise unknown_run(run_id)
    if not rows[0]["plan"]:
        raise Invalid(f"run {run_id} is {rows[0]['state']} and has no plan, so there is nothing to compare", code="no-plan")
    return rows[0], Plan.model_validate(json.loads(rows[0]["plan"]))


async def _measured(reading: Reading, run_id: str, plan: Plan, task: str | None) -> dict[str, Measured]:
    planned = [one for one in plan.tasks if task in (None, one.task)]
    chosen = [(one.task, one.main_metric, one.main_filter) for one in planned]
    samples: dict[str, dict[int, Sample]] = {one.task: {} for one in planned}
    for row in await reading.rows("compared", run_id=run_id, chosen=chosen):
        samples[row["task"]][row["ordinal"]] = Sample(row["document"], row["mean"], row["passage"])
    return {one.task: _as_measured(one, samples[one.task]) for one in planned}


def _as_measured(planned: PlannedTask, samples: dict[int, Sample]) -> Measured:
    main = next((e for e in planned.expected if (e.metric, e.filter) == (planned.main_metric, planned.main_filter)), None)
    better, aggregation = (main.higher_is_better, main.aggregation) if main else (True, "mean")
    return Measured(planned.judged or planned.build_id, planned.main_metric, planned.main_filter, better, aggregation, samples)


def summary(found: Comparison) -> str:
    """What came of it, in a sentence."""
    if len(found.tasks) == 1:
        return in_words(found.tasks[0])
    ahead = {side: sum(1 for one in found.tasks if one.better == side) for side in ("a", "b")}
    open_ = len(found.tasks) - ahead["a"] - ahead["b"]
    return f"of {len(found.tasks)} tasks A is better on {ahead['a']}, B on {ahead['b']}; on {open_} no difference is shown"


def _document(found: Comparison, *, limit: int) -> dict[str, Any]:
    low, high = found.overall_interval or (None, None)
    return {
        "overall": {"difference": found.overall, "low": low, "high": high, "tasks": len(found.tasks)},
        "tasks": [_task(one, limit=limit) for one in found.tasks],
        "skipped": [{"task": name, "reason": reason} for name, reason in found.skipped.items()],
    }


def _task(one: TaskCompared, *, limit: int) -> dict[str, Any]:
    told = asdict(one) | {"words": in_words(one), "differing": len(one.differing)}
    return told | {"samples": [asdict(sample) for sample in one.differing[:limit]]}
