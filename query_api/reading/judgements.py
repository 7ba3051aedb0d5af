"""What judges said of a run's answers, read from ClickHouse, and whether they agree."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from query_api.reading.paging import LIMIT, Listing
from query_api.reading.runs import Reading, whom
from schemas.runs import Plan, PlannedTask
from streams.quality.judging import by
from streams.statistics.agreement import METHOD, Alpha, Ratings, alpha

LISTING: Final = Listing(
    "judgement_list", sorts={"requested_us": "Int64", "changed_us": "Int64", "judge": "String"}, key={"run_id": "String"}
)
FILTERS: Final = {"state": "", "judge": "", "task": ""}
TOLD: Final = ("run_id", "state", "message", "judge", "engine", "requested_us", "changed_us")


async def judgements(
    reading: Reading, run_id: str, *, sort: str = "requested_us", limit: int = LIMIT, cursor: str = "", **filters: str
) -> dict[str, Any]:
    """A page of the runs that judge a run's answers, each with its figures; and how far judges of the same agree, over all of them.

    `filters`: see FILTERS. Raises: NotFound, Malformed.
    """
    _, judging = await asyncio.gather(reading.known(run_id), reading.rows("judging", judged=run_id))
    if not judging and not cursor:  # as of most runs, which thus cost no more than the question
        return {"run_id": run_id, "judgements": [], "agreements": [], "next": None}
    asked = {"judged": run_id} | FILTERS | filters
    (told, following), judges = await asyncio.gather(
        reading.page(LISTING, sort=sort, limit=limit, cursor=cursor, **asked), reading.rows("judges", judged=run_id)
    )
    figures = await reading.rows("figures_of", run_ids=[row["run_id"] for row in told]) if told else []
    return {
        "run_id": run_id,
        "judgements": [_judgement(row, figures) for row in told],
        "agreements": await _agreements(reading, {row["run_id"]: Plan.model_validate_json(row["plan"]) for row in judges}),
        "next": following,
    }


def _judgement(row: Mapping[str, Any], figures: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    mine = [dict(figure) for figure in figures if figure["run_id"] == row["run_id"]]
    told = {name: row[name] for name in TOLD}
    main = {(one.task, one.main_metric, one.main_filter) for one in Plan.model_validate_json(row["plan"]).tasks} if row["plan"] else set()
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
    return {level: _figure(alpha(ratings, level=level, clusters=clusters)) for level in ("interval", "ordinal", "nominal")}


def _figure(found: Alpha) -> dict[str, Any]:
    low, high = found.interval or (None, None)
    method = METHOD if found.interval else None
    return {"alpha": found.value, "low": low, "high": high, "answers": found.units, "why_undefined": found.why, "method": method}
