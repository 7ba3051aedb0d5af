"""A run's samples as people read them: what was asked, what was answered, what was expected, and how it scored.

A page is proposed by what lies in its order (the answers by place, `sample_order` by value), and decided by the facts: what is not the
first in the log is left out, so that such a page is shorter than it was asked to be. A sample's value is that of one metric under one
filter: the metric that was asked for, else its task's main one.
"""

import asyncio
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from infra.clickhouse import Rows
from query_api.reading.paging import Listing, Span, after, following, span
from query_api.reading.runs import Reading
from streams.trust.privacy import PRIVATE

LISTING: Final = Listing(
    query="sample_list", sorts={"task": "String", "value": "Float64"}, key={"task": "String", "ordinal": "Int64", "repeat": "Int64"}
)
# The filters of `sample_lines`, all open.
LINE_FILTERS: Final[Mapping[str, Any]] = {"task": "", "metric": "", "filter": "", "doc_id": None, "min_value": None, "max_value": None}
# So many samples of each of two runs are read before all of them are.
WINDOW: Final = 1_000
BOUNDS: Final = ("min_value", "max_value")
Key = tuple[str, int, int]
# A task, and the metric and the filter that its samples' value is of.
Chosen = tuple[str, str, str]


async def page(reading: Reading, run_id: str, *, sort: str, limit: int, cursor: str, **filters: Any) -> dict[str, Any]:
    """A page of a run's samples, with the texts that their prompts begin with (`contents`, by id), and the next page's cursor."""
    asked = filters | {"run_id": run_id}
    begins = after(cursor, LISTING, sort, asked=asked)
    chosen = await _chosen(reading, **asked)
    proposed = await _near(reading, begins, sort, limit=limit, chosen=chosen, **asked)
    if proposed is None:
        proposed = await _proposed(reading, span(LISTING, sort, after=begins, limit=limit), sort, chosen=chosen, **asked)
    found, next_page = following(proposed[: limit + 1], LISTING, sort, asked=asked, limit=limit)
    samples = await _whole(reading, run_id, found, chosen)
    references = {request["prefix_ref"] for sample in samples for request in sample["requests"] if request["prefix_ref"]}
    return {"samples": samples, "contents": await _contents(reading, references), "next": next_page}


async def of_places(reading: Reading, run_id: str, places: Iterable[Key]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The samples at these places, whole, and the texts that their prompts begin with, by id."""
    rows = [{"task": task, "ordinal": ordinal, "repeat": repeat} for task, ordinal, repeat in sorted(set(places))]
    samples = await _whole(reading, run_id, rows, ())
    return samples, await _contents(reading, {r["prefix_ref"] for one in samples for r in one["requests"] if r["prefix_ref"]})


async def _chosen(reading: Reading, *, run_id: str, metric: str, filter: str, differs_from: str, **_: Any) -> list[Chosen]:
    """What the value of each task's samples is of. Of a run that is to differ from another, only the tasks that are built alike count."""
    tasks = await reading.planned(run_id)
    if differs_from:
        other = {_asked(task) for task in await reading.planned(differs_from)}
        tasks = [task for task in tasks if _asked(task) in other]
    return [(task["task"], *measure_of(task, metric=metric, filter=filter)) for task in tasks]


def _asked(task: Mapping[str, Any]) -> frozenset[str]:
    """The builds of a planned task, of each set-up where its repeats have several."""
    return frozenset((task["build_id"], *(one["build_id"] for one in task.get("setups", ()))))


def measure_of(task: Mapping[str, Any], *, metric: str, filter: str) -> tuple[str, str]:
    """The metric and the filter that are meant of a planned task: its main ones, where they are among those asked for, else the first."""
    main = (task["main_metric"], task["main_filter"])
    known = [main, *((one["metric"], one["filter"]) for one in task["expected"])]
    fitting = [one for one in known if metric in ("", one[0]) and filter in ("", one[1])]
    return fitting[0] if fitting else (metric or main[0], filter or main[1])


async def _near(
    reading: Reading, begins: Sequence[Any] | None, sort: str, *, limit: int, run_id: str, differs_from: str, **asked: Any
) -> Rows | None:
    """The page of two runs that differ often, from the next samples of both; None where these do not tell, and of other lists."""
    if not differs_from or sort != "task" or asked["doc_id"] is not None or any(asked[name] is not None for name in BOUNDS):
        return None
    window = span(LISTING, sort, after=begins, limit=WINDOW - 1)
    about = {name: asked[name] for name in ("task", "chosen")}
    both = (reading.behind(window, "samples_valued", run_id=one, **about) for one in (run_id, differs_from))
    own, other = await asyncio.gather(*both)
    # Of the last one that was read there may be more.
    ends = [_key(rows[-1]) for rows in (own, other) if len(rows) == WINDOW]
    values, others = _least(own), _least(other)
    found = [key for key in values if key in others and values[key] != others[key] and all(key < end for end in ends)]
    if ends and len(found) <= limit:
        return None
    return [dict(zip(LISTING.key, key, strict=True)) | {"value": values[key]} for key in found[: limit + 1]]


def _least(rows: Rows) -> dict[Key, float]:
    told: dict[Key, float] = {}
    for row in rows:
        told[_key(row)] = min(row["value"], told.get(_key(row), math.inf))
    return told


async def _proposed(reading: Reading, place: Span, sort: str, *, chosen: Sequence[Chosen], **asked: Any) -> Rows:
    """The samples at that place of the list, in its order; those in a list by value, or chosen by it, each with the value that it is said
    to have."""
    names = _sources(sort, **asked)
    told = await asyncio.gather(*(reading.behind(place, name, chosen=chosen, **asked) for name in names))
    columns = LISTING.columns(sort)
    return sorted(chain.from_iterable(told), key=lambda row: [row[name] for name in columns], reverse=sort.startswith("-"))


def _sources(sort: str, *, doc_id: int | None, differs_from: str, **asked: Any) -> list[str]:
    """The queries whose rows together are the list."""
    bounded = any(asked[name] is not None for name in BOUNDS)
    if differs_from:
        return ["samples_differing"]
    if doc_id is not None or (bounded and not sort.endswith("value")):
        return ["samples_scored"]
    if sort.endswith("value"):
        return ["samples_by_value"] if bounded else ["samples_by_value", "samples_without_value"]
    return ["samples_by_place"]


async def _whole(reading: Reading, run_id: str, found: Rows, chosen: Sequence[Chosen]) -> list[dict[str, Any]]:
    """The samples found, with their texts, answers and scores."""
    if not found:
        return []
    about: dict[str, Any] = {"run_id": run_id, "places": sorted(set(map(_key, found)))}
    told = await asyncio.gather(*(reading.rows(name, **about) for name in ("sample_answers", "sample_values", "sample_faults")))
    answers, scores, faults = {_key(row): row for row in told[0]}, _grouped(told[1]), _grouped(told[2])
    true = dict.fromkeys(_key(row) for row in found if _so(row, scores.get(_key(row), ()), chosen))
    kept = [answers[key] for key in true if key in answers]
    texts = await _texts(reading, [row for row in kept if row["visibility"] != PRIVATE])
    return [_sample(row, texts=texts, scores=scores, faults=faults) for row in kept]


def _so(row: Mapping[str, Any], scores: Iterable[Mapping[str, Any]], chosen: Sequence[Chosen]) -> bool:
    """Whether a sample has the value that it is said to have."""
    own = [one["value"] for one in scores if (row["task"], one["metric"], one["filter"]) in chosen and one["value"] is not None]
    return "value" not in row or row["value"] == min(own, default=-math.inf)


def _sample(
    row: Mapping[str, Any], *, texts: Mapping[tuple[str, int], Any], scores: Mapping[Key, Rows], faults: Mapping[Key, Rows]
) -> dict[str, Any]:
    key, text = _key(row), texts.get((row["build_id"], row["ordinal"]))
    requests = json.loads(text["requests"]) if text else []
    answers = json.loads(row["answers"])
    fault = next(iter(faults.get(key, ())), None)
    return {
        "task": row["task"], "ordinal": row["ordinal"], "repeat": row["repeat"], "build_id": row["build_id"], "seed": row["seed"],
        "doc_id": text["doc_id"] if text else None, "document": json.loads(text["document"]) if text else None,
        "target": text["target"] if text else None,
        "requests": [request | {"answers": _own(answers, index)} for index, request in enumerate(requests)],
        "scores": [{name: score[name] for name in ("metric", "filter", "value")} for score in scores.get(key, ())],
        "not_scored": fault["reason"] if fault else None, "private": row["visibility"] == PRIVATE,
    }  # fmt: skip


def _own(answers: Sequence[Mapping[str, Any]], index: int) -> list[dict[str, Any]]:
    """The answers to one request, in the order in which they were drawn."""
    kept = ("draw", "output", "loglikelihood", "is_greedy", "finish_reason", "prompt_tokens", "output_tokens", "truncated_tokens", "error")
    own = sorted((answer for answer in answers if answer["request_index"] == index), key=lambda answer: int(answer["draw"]))
    return [{name: answer[name] for name in kept} for answer in own]


async def _texts(reading: Reading, kept: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], Any]:
    places = sorted({(row["build_id"], row["ordinal"]) for row in kept})
    return {(row["build_id"], row["ordinal"]): row for row in await reading.rows("sample_texts", places=places)}


async def _contents(reading: Reading, references: Iterable[str]) -> dict[str, str]:
    """Contents by their ids, whole."""
    first = await _chunks(reading, [(name, 0) for name in sorted(references)])
    rest = await _chunks(reading, [(row["content_id"], chunk) for row in first for chunk in range(1, row["chunks"])])
    told: dict[str, str] = {}
    for row in [*first, *sorted(rest, key=lambda row: int(row["chunk"]))]:
        told[row["content_id"]] = told.get(row["content_id"], "") + row["text"]
    return told


async def _chunks(reading: Reading, places: Sequence[tuple[str, int]]) -> Rows:
    return await reading.rows("contents_of", places=places) if places else []


def _grouped(rows: Rows) -> dict[Key, Rows]:
    groups: dict[Key, Rows] = {}
    for row in rows:
        groups.setdefault(_key(row), []).append(row)
    return groups


def _key(row: Mapping[str, Any]) -> Key:
    return row["task"], row["ordinal"], row["repeat"]
