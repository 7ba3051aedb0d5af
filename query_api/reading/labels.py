"""People's labels as they stand, and answers for people to label, read from ClickHouse."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from infra.clickhouse import Rows
from query_api.reading.paging import Listing
from query_api.reading.runs import Reading
from query_api.reading.samples import of_places
from streams.errors import Invalid
from streams.quality.judging import judged_name
from streams.quality.labels import Place, Scale, drawn, scale_of, word_of
from streams.trust.privacy import PRIVATE

LISTING: Final = Listing(
    "label_list",
    sorts={"task": "String", "labelled_us": "Int64"},
    key={
        "task": "String", "ordinal": "Int64", "repeat": "Int64", "request": "Int64", "draw": "Int64", "judgement": "String",
        "metric": "String", "against": "String", "by": "String",
    },
)  # fmt: skip
SAID: Final = ("judgement", "metric", "task", "ordinal", "repeat", "request", "draw", "by", "labelled_us")


async def labels(reading: Reading, run_id: str, *, sort: str, limit: int, cursor: str, **filters: str) -> tuple[Rows, str | None]:
    """A page of a run's labels, of each the newest revision, and the cursor of the next. Raises: NotFound, Malformed."""
    await reading.known(run_id)
    found, following = await reading.page(LISTING, sort=sort, limit=limit, cursor=cursor, run_id=run_id, **filters)
    return [_label(row) for row in found], following


def _label(row: Mapping[str, Any]) -> dict[str, Any]:
    word = word_of(row["label_value"], scale_of(row["judgement"], row["metric"]), swapped=row["label_swapped"])
    told = {name: row[name] for name in SAID} | {"against_run": row["against"] or None, "value": row["label_value"], "label": word}
    return told | {"swapped": row["label_swapped"], "note": row["label_note"], "revision": row["revisions"]}


async def places(reading: Reading, run_id: str, *, against_run: str | None, scale: Scale, judgement: str = "") -> list[Place]:
    """The answers of a run that people can label: written ones, which another run has too, where they are compared with its own.

    Raises: NotFound; Invalid where the judgement does not fit the runs, or one of them is private.
    """
    if scale.compares != (against_run is not None):
        wanted = "two runs: say with whose answers these are compared" if scale.compares else "one run: leave the other out"
        raise Invalid(f"judgement {scale.judgement} is about {wanted}", code="nobody-judged")
    if run_id == against_run:
        raise Invalid(f"run {run_id} cannot be compared with itself; name another", code="nobody-judged")
    each = [await _written(reading, one, judged_name(judgement)) for one in (run_id, against_run) if one is not None]
    shared = each[0].keys() & each[-1].keys()
    # Of two runs only what both were asked alike: the build is the same.
    return sorted(place for place in shared if each[0][place] == each[-1][place])


async def _written(reading: Reading, run_id: str, task: str) -> dict[Place, str]:
    """A run's written answers, each with the build that it answers."""
    await reading.known(run_id)
    (told, *_), tasks = await asyncio.gather(reading.rows("visibility", run_id=run_id), reading.planned(run_id))
    if told["visibility"] == PRIVATE:
        raise Invalid(f"run {run_id} is private: its answers are told to nobody, so that nobody can label them", code="private")
    builds = {one["task"]: one["build_id"] for one in tasks}
    if task and task not in builds:
        raise Invalid(f"run {run_id} has no task {task!r}; it has: {', '.join(builds) or 'none'}", code="no-such-task")
    rows = await reading.rows("written_answers", run_id=run_id, tasks=[task] if task else [])
    return {
        Place(row["task"], row["ordinal"], row["repeat"], request, draw): builds.get(row["task"], "")
        for row in rows for request, draw in row["written"]
    }  # fmt: skip


async def to_label(
    reading: Reading, run_id: str, *, judgement: str, against_run: str | None, count: int, seed: int
) -> list[dict[str, Any]]:
    """A random sample of answers for a person, with their prompts. Raises: as `places`; Invalid where there is nothing to label."""
    scale = scale_of(judgement)
    known = await places(reading, run_id, against_run=against_run, scale=scale, judgement=judgement)
    if not known:
        raise Invalid(f"run {run_id} has no written answers to label", code="nothing-to-judge")
    chosen = drawn(known, run_id=run_id, seed=seed, count=count)
    own, other = [await _texts(reading, one, [place for place, _ in chosen]) for one in (run_id, against_run or run_id)]
    rows = []
    for place, change in chosen:
        swapped = change and scale.compares
        both = (other[place][1], own[place][1]) if swapped else (own[place][1], other[place][1])
        rows.append({
            "task": place.task, "ordinal": place.ordinal, "repeat": place.repeat, "request": place.request, "draw": place.draw,
            "swapped": swapped, "prompt": own[place][0], "answer": both[0], "other": both[1] if scale.compares else None,
        })  # fmt: skip
    return rows


async def _texts(reading: Reading, run_id: str, chosen: Sequence[Place]) -> dict[Place, tuple[str, str]]:
    """Of each answer the whole prompt and the text."""
    samples, contents = await of_places(reading, run_id, {(one.task, one.ordinal, one.repeat) for one in chosen})
    found = {(one["task"], one["ordinal"], one["repeat"]): one for one in samples}
    told = {}
    for place in chosen:
        request = found[place.task, place.ordinal, place.repeat]["requests"][place.request]
        answer = next(one for one in request["answers"] if one["draw"] == place.draw)
        told[place] = (contents.get(request["prefix_ref"] or "", "") + request["context"], answer["output"])
    return told
