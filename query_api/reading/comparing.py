"""Two runs compared, as the API tells it: read from ClickHouse, reckoned by streams.boards.comparison."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from infra.clickhouse import Rows
from infra.kept import Kept
from query_api.reading.measured import measured_of
from query_api.reading.runs import Reading, unknown_run
from schemas.runs import Plan, PlannedTask
from streams.boards.comparison import (
    NOTHING,
    Asking,
    Comparison,
    GroupCompared,
    TaskCompared,
    compare,
    in_words,
    of_group,
)
from streams.errors import Invalid, NotFound
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
    measured = await asyncio.gather(*(measured_of(reading.rows, run_id, _asked(plan, task)) for run_id, plan in runs))
    if task is not None and not any(measured):
        known = ", ".join(sorted({name for _, plan in runs for one in plan.tasks for name in (one.task, one.group) if name})) or "none"
        raise NotFound(f"neither run has a task {task!r}; they have: {known}", code="unknown-task")
    return await asyncio.to_thread(lambda: _document(compare(measured[0], measured[1], asking=asking), asking))


def _asked(plan: Plan, task: str | None) -> list[PlannedTask]:
    """The plan's tasks; only that task, or the tasks of that group, where one is named."""
    return [one for one in plan.tasks if task in (None, one.task, one.group)]


def _planned(run_id: str, rows: Rows) -> tuple[dict[str, Any], Plan]:
    if not rows:
        raise unknown_run(run_id)
    if not rows[0]["plan"]:
        raise Invalid(f"run {run_id} is {rows[0]['state']} and has no plan, so there is nothing to compare", code="no-plan")
    return rows[0], Plan.model_validate(json.loads(rows[0]["plan"]))


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
    del told["difference"]["varied"]  # the run's score says what it varies with
    return told | {"samples": [asdict(sample) for sample in one.differing[:MOST_DIFFERING]]}


def _group(one: GroupCompared) -> dict[str, Any]:
    low, high = one.interval or (None, None)
    told = asdict(one) | {"words": of_group(one), "difference": {
        "value": one.difference, "low": low, "high": high, "n": one.n, "method": JOINED if one.interval else None,
    }}  # fmt: skip
    return {name: value for name, value in told.items() if name not in ("interval", "n")}
