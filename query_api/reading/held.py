"""Judges held to people, and the strengths of models that judges compared in pairs, as the API tells them."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from infra.clickhouse import Rows
from query_api.reading.runs import Reading
from schemas.runs import Plan, PlannedTask
from streams.quality.held import Held, held
from streams.quality.judging import PAIRWISE, by, derived_name, judged_name, named
from streams.quality.labels import SCALES, Place, scale_of
from streams.quality.pairing import Pair, of_judge, of_person
from streams.statistics.agreement import METHOD as OF_ALPHA
from streams.statistics.agreement import Alpha
from streams.statistics.differences import Difference
from streams.statistics.intervals import Mean
from streams.statistics.pairs import METHOD as OF_STRENGTH
from streams.statistics.pairs import Bout, Estimate, strengths

Sides = tuple[str, str]  # a run, and the one that it is compared with or nothing
People = dict[tuple[Sides, str, str], dict[Place, dict[str, tuple[float, bool]]]]
PEOPLE = "people"
NO_SPREAD = "too few, or all are equal: nothing tells how far they spread"


async def corrections(reading: Reading, run_id: str) -> list[dict[str, Any]]:
    """Of every judge of a run's answers and every metric that people labelled: what both say. Raises: NotFound."""
    _, rows = await asyncio.gather(reading.known(run_id), reading.rows("judges", judged=run_id))
    plans = {row["run_id"]: Plan.model_validate_json(row["plan"]) for row in rows}
    people = await _people(reading, {run_id, *(side for plan in plans.values() for side in _sides(plan) if side)})
    if not people:
        return []
    newest = {(by(plan), _sides(plan), task.task): (judging, plan, task) for judging, plan in plans.items() for task in plan.tasks}
    found = await asyncio.gather(*[_corrected(reading, *one, people) for one in newest.values()])
    return [one for several in found for one in several]


def _sides(plan: Plan) -> Sides:
    return plan.subject.run_id if plan.subject else "", plan.against.run_id if plan.against else ""


async def _people(reading: Reading, run_ids: Iterable[str]) -> People:
    """What people said of answers of these runs, by whose they are, judgement and metric; of each person with the order of the two."""
    found: People = {}
    for row in await reading.rows("labels_of", run_ids=sorted(run_ids)):
        place = Place(row["task"], row["ordinal"], row["repeat"], row["request"], row["draw"])
        value, swapped = row["label_value"], row["label_swapped"]
        about = (row["run_id"], row["against"])
        found.setdefault((about, row["judgement"], row["metric"]), {}).setdefault(place, {})[row["by"]] = (value, swapped)
        if row["against"]:  # the same, told from the other side
            turned = found.setdefault(((row["against"], row["run_id"]), row["judgement"], row["metric"]), {})
            turned.setdefault(place, {}).setdefault(row["by"], (1 - value, not swapped))
    return found


async def _corrected(reading: Reading, judging: str, plan: Plan, task: PlannedTask, people: People) -> list[dict[str, Any]]:
    name, judged = derived_name(task.task), judged_name(task.task)
    told = []
    for metric in SCALES.get(name, {}):
        said = {place: own for place, own in people.get((_sides(plan), name, metric), {}).items() if place.task == judged}
        expected = [one.filter for one in task.expected if one.metric == metric]
        if not said or not expected:
            continue
        values, clusters = await _values(reading, judging, task, (task.task, metric, expected[0]))
        labelled = {place: {person: value for person, (value, _) in own.items()} for place, own in said.items()}
        found = await asyncio.to_thread(held, values, labelled, clusters, scale_of(name, metric))
        if found is not None:
            about = {
                "run_id": judging,
                "judge": plan.model.uri,
                "task": task.task,
                "metric": metric,
                "against_run": _sides(plan)[1] or None,
            }
            told.append(about | _held(found))
    return told


async def _values(
    reading: Reading, judging: str, task: PlannedTask, chosen: tuple[str, str, str]
) -> tuple[dict[Place, float], dict[Place, str]]:
    """A judge's values by the answers that they are of, and which answers depend on one another."""
    scores, places = await asyncio.gather(
        reading.rows("compared", run_id=judging, chosen=[chosen]), reading.rows("judged_answers", build_id=task.build_id)
    )
    of = _places(places, task)
    told = [(of[row["ordinal"]], row) for row in scores if row["ordinal"] in of]
    return {place: row["mean"] for place, row in told}, {place: row["passage"] or str(row["ordinal"]) for place, row in told}


def _places(rows: Rows, task: PlannedTask) -> dict[int, Place]:
    judged = judged_name(task.task)
    return {row["ordinal"]: Place(judged, row["judged"], row["repeat"], row["request"], row["draw"]) for row in rows}


def _held(one: Held) -> dict[str, Any]:
    corrected = one.corrected
    return {
        "judged": _figure(one.judge), "people": _figure(one.people),
        "corrected": {
            "value": corrected.value, "stderr": corrected.stderr, **_ends(corrected.interval), "n": corrected.answers,
            "method": corrected.method, "why_undefined": corrected.why,
        },
        "tuning": corrected.tuning, "bias": _figure(one.bias), "agreement": _alpha(one.agreement), "among_people": _alpha(one.among),
        "labels": one.corrected.labels, "persons": one.persons, "unmatched": one.unmatched,
    }  # fmt: skip


def _ends(interval: tuple[float, float] | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {"low": low, "high": high}


def _figure(one: Mean | Difference) -> dict[str, Any]:
    ends = _ends(one.interval) if isinstance(one, Mean) else {"low": one.low, "high": one.high}
    why = NO_SPREAD if ends["low"] is None else None
    return {"value": one.value, "stderr": one.stderr, **ends, "n": one.n, "method": one.method, "why_undefined": why}


def _alpha(one: Alpha) -> dict[str, Any]:
    method = OF_ALPHA if one.interval else None
    return {"alpha": one.value, **_ends(one.interval), "answers": one.units, "why_undefined": one.why, "method": method}


async def standing(reading: Reading, run_id: str) -> list[dict[str, Any]]:
    """Strengths of the models that one judge compared in pairs on what a run answered; and of people's labels of the same answers.

    Raises: NotFound.
    """
    _, rows = await asyncio.gather(reading.known(run_id), reading.rows("judges", judged=run_id))
    mine = {row["run_id"]: Plan.model_validate_json(row["plan"]) for row in rows}
    if not any(plan.against for plan in mine.values()):
        return []
    every = {row["run_id"]: Plan.model_validate_json(row["plan"]) for row in await reading.rows("pairwise_runs", judgement=PAIRWISE)}
    wanted = dict.fromkeys(_judged(plan, task) for plan in mine.values() if plan.against for task in plan.tasks)
    found = await asyncio.gather(*[_strengths(reading, key, every) for key in wanted])
    return [one for several in found for one in several]


def _judged(plan: Plan, task: PlannedTask) -> tuple[str, str, str | None]:
    """Comparisons of which can be taken together: by one judge, of answers to one build."""
    return named(plan), task.task, task.judged


async def _strengths(reading: Reading, key: tuple[str, str, str | None], every: Mapping[str, Plan]) -> list[dict[str, Any]]:
    newest: dict[Sides, tuple[str, Plan, PlannedTask]] = {}
    for judging, plan in every.items():
        for task in plan.tasks:
            if _judged(plan, task) == key:
                a, b = sorted(_sides(plan))
                newest[a, b] = (judging, plan, task)
    people = await _people(reading, {side for sides in newest for side in sides})
    each = await asyncio.gather(*[_bouts(reading, *one, people) for one in newest.values()])
    told = []
    for who, bouts in ((key[0], [b for own, _ in each for b in own]), (PEOPLE, [b for _, own in each for b in own])):
        if bouts:
            told.append({"judge": who, "task": key[1], "comparisons": len(newest), **await asyncio.to_thread(_fitted, bouts)})
    return told


async def _bouts(reading: Reading, judging: str, plan: Plan, task: PlannedTask, people: People) -> tuple[list[Bout], list[Bout]]:
    """What the judge said of each pair in either order, and what people said of it."""
    assert plan.subject is not None and plan.against is not None
    rows, places = await asyncio.gather(
        reading.rows("pairwise_verdicts", run_id=judging, task=task.task), reading.rows("judged_answers", build_id=task.build_id)
    )
    lengths, of = {row["ordinal"]: row for row in places}, _places(places, task)
    said = people.get((_sides(plan), PAIRWISE, "preference"), {})
    own, theirs = list[Bout](), list[Bout]()
    for row in rows:
        if (at := lengths.get(row["ordinal"])) is None:
            continue
        cluster = row["passage"] or str(row["ordinal"])
        pair = Pair(named(plan.subject), named(plan.against), at["own_length"], at["other_length"], cluster)
        own += of_judge(pair, preference=row["preferred"], first_preferred=row["first"])
        theirs += [of_person(pair, value=value, swapped=turn) for value, turn in said.get(of[row["ordinal"]], {}).values()]
    return own, theirs


def _fitted(bouts: list[Bout]) -> dict[str, Any]:
    """Strengths as they are, and as they were if all answers were equally long."""
    plain, equal = strengths(bouts), strengths(bouts, length=True)
    level = {one.model: one for one in equal.models}
    return {
        "bouts": plain.bouts, "documents": plain.clusters, "why_undefined": plain.why,
        "models": [
            {
                "model": one.model, "bouts": one.bouts, "strength": _estimate(one.strength), "points": _estimate(one.points),
                "equally_long": _estimate(level[one.model].strength if one.model in level else Estimate(None, why=equal.why)),
            }
            for one in plain.models
        ],
        "order": _estimate(plain.order), "ties": _estimate(plain.ties), "length": _estimate(equal.length),
    }  # fmt: skip


def _estimate(one: Estimate) -> dict[str, Any]:
    return {"value": one.value, **_ends(one.interval), "why_undefined": one.why, "method": OF_STRENGTH if one.interval else None}
