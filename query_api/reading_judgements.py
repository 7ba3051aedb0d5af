"""What judges said of a run's answers, read from ClickHouse, and whether they agree."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from query_api.reading import Reading, whom
from schemas.runs import Plan, PlannedTask
from streams.agreement import Alpha, Ratings, alpha
from streams.judging import by


async def judgements(reading: Reading, run_id: str) -> dict[str, Any]:
    """The runs that judge a run's answers, each with its figures, and how far judges of the same agree. Raises: NotFound."""
    await reading.known(run_id)
    rows = await reading.rows("judgements", run_id=run_id)
    plans = {row["run_id"]: Plan.model_validate_json(row["plan"]) for row in rows if row["plan"]}
    told = [row for row in rows if row["run_id"] not in plans or plans[row["run_id"]].subject]
    figures = await reading.rows("figures_of", run_ids=[row["run_id"] for row in told]) if told else []
    complete = {row["run_id"]: plan for row in told if row["state"] == "completed" and (plan := plans.get(row["run_id"]))}
    return {
        "run_id": run_id,
        "judgements": [_judgement(row, plans.get(row["run_id"]), figures) for row in told],
        "agreements": await _agreements(reading, complete),
    }


def _judgement(row: Mapping[str, Any], plan: Plan | None, figures: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    mine = [dict(figure) for figure in figures if figure["run_id"] == row["run_id"]]
    told = {"run_id": row["run_id"], "state": row["state"], "message": row["message"], "judge": row["model"], "engine": row["engine"]}
    main = {(one.task, one.main_metric, one.main_filter) for one in plan.tasks} if plan else set()
    scores = [
        {name: value for name, value in figure.items() if name != "run_id"}
        | {"main": (figure["task"], figure["metric"], figure["filter"]) in main}
        for figure in mine
    ]
    return told | whom(json.loads(row["plan"] or "{}")) | {"scores": scores}


async def _agreements(reading: Reading, plans: Mapping[str, Plan]) -> list[dict[str, Any]]:
    """For every derived task that several judges have judged; of several runs of one judge, the newest."""
    newest: dict[tuple[str, str], dict[str, tuple[str, PlannedTask]]] = {}
    for run_id, plan in plans.items():
        for task in plan.tasks:
            sides = " ".join(side.run_id for side in (plan.subject, plan.against) if side)
            newest.setdefault((task.task, sides), {})[by(plan)] = (run_id, task)
    several = [(task, list(judges.values())) for (task, _), judges in newest.items() if len(judges) > 1]
    return list(await asyncio.gather(*[_agreement(reading, task, judges) for task, judges in several]))


async def _agreement(reading: Reading, task: str, judges: Sequence[tuple[str, PlannedTask]]) -> dict[str, Any]:
    planned = judges[0][1]
    ratings, clusters = dict[int, list[float]](), dict[int, str]()
    for run_id, _ in judges:
        rows = await reading.rows("compared", run_id=run_id, chosen=[(task, planned.main_metric, planned.main_filter)])
        for row in rows:
            ratings.setdefault(row["ordinal"], []).append(row["mean"])
            clusters[row["ordinal"]] = row["passage"] or str(row["ordinal"])
    return {
        "task": task, "metric": planned.main_metric, "judges": len(judges), "runs": [run_id for run_id, _ in judges],
        **await asyncio.to_thread(_alphas, ratings, clusters),
    }  # fmt: skip


def _alphas(ratings: Ratings, clusters: Mapping[Any, Any]) -> dict[str, Any]:
    return {level: _figure(alpha(ratings, level=level, clusters=clusters)) for level in ("interval", "nominal")}


def _figure(found: Alpha) -> dict[str, Any]:
    low, high = found.interval or (None, None)
    return {"alpha": found.value, "low": low, "high": high, "answers": found.units, "why_undefined": found.why}
