"""A run's samples as people read them: what was asked, what was answered, what was expected, and how it scored.

The page's samples are found by their scores; their texts are then fetched by their events' ids, which are derived and hence known.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from infra.clickhouse import Rows
from query_api.paging import Listing
from query_api.reading import Reading
from schemas.event import derive_id

LISTING: Final = Listing(
    query="sample_list", sorts={"task": "String", "value": "Float64"}, key={"task": "String", "ordinal": "Int64", "repeat": "Int64"}
)
# The filters of `sample_lines`, all open.
LINE_FILTERS: Final[Mapping[str, Any]] = {"task": "", "metric": "", "filter": "", "doc_id": None, "min_value": None, "max_value": None}
Key = tuple[str, int, int]


async def page(reading: Reading, run_id: str, *, sort: str, limit: int, cursor: str, **filters: Any) -> dict[str, Any]:
    """A page of a run's samples, with the texts that their prompts begin with (`contents`, by id), and the next page's cursor."""
    found, next_page = await reading.page(LISTING, sort=sort, limit=limit, cursor=cursor, run_id=run_id, **filters)
    samples = await _whole(reading, run_id, found)
    references = {request["prefix_ref"] for sample in samples for request in sample["requests"] if request["prefix_ref"]}
    return {"samples": samples, "contents": await _contents(reading, references), "next": next_page}


async def _whole(reading: Reading, run_id: str, found: Rows) -> list[dict[str, Any]]:
    """The samples found, with their texts, answers and scores."""
    if not found:
        return []
    texts = await _texts(reading, found)
    answers = await _answers(reading, run_id, found)
    about: dict[str, Any] = {
        "run_id": run_id,
        "tasks": sorted({row["task"] for row in found}),
        "ordinals": [row["ordinal"] for row in found],
    }
    scores = _grouped(await reading.rows("sample_values", **about))
    faults = _grouped(await reading.rows("sample_faults", **about))
    return [_sample(row, texts=texts, answers=answers, scores=scores, faults=faults) for row in found]


def _sample(
    row: Mapping[str, Any], *, texts: Mapping[tuple[str, int], Any], answers: Mapping[Key, Any], scores: Mapping[Key, Rows],
    faults: Mapping[Key, Rows],
) -> dict[str, Any]:  # fmt: skip
    key, text = _key(row), texts.get((row["build_id"], row["ordinal"]))
    told = answers[key]
    requests = json.loads(text["requests"]) if text else []
    fault = next(iter(faults.get(key, ())), None)
    return {
        "task": row["task"], "ordinal": row["ordinal"], "repeat": row["repeat"], "build_id": row["build_id"], "seed": told["seed"],
        "doc_id": text["doc_id"] if text else None, "document": json.loads(text["document"]) if text else None,
        "target": text["target"] if text else None,
        "requests": [request | {"answers": _own(told["answers"], index)} for index, request in enumerate(requests)],
        "scores": [{name: score[name] for name in ("metric", "filter", "value")} for score in scores.get(key, ())],
        "not_scored": fault["reason"] if fault else None,
    }  # fmt: skip


def _own(answers: Sequence[Mapping[str, Any]], index: int) -> list[dict[str, Any]]:
    """The answers to one request, in the order in which they were drawn."""
    kept = ("draw", "output", "loglikelihood", "is_greedy", "finish_reason", "prompt_tokens", "output_tokens", "truncated_tokens", "error")
    own = sorted((answer for answer in answers if answer["request_index"] == index), key=lambda answer: int(answer["draw"]))
    return [{name: answer[name] for name in kept} for answer in own]


async def _texts(reading: Reading, found: Rows) -> dict[tuple[str, int], Any]:
    ids = sorted({derive_id("SampleBuilt", row["build_id"], row["ordinal"]) for row in found})
    return {(row["build_id"], row["ordinal"]): row for row in await reading.rows("sample_texts", event_ids=ids)}


async def _answers(reading: Reading, run_id: str, found: Rows) -> dict[Key, Any]:
    ids = [derive_id("SampleAnswered", run_id, row["build_id"], row["ordinal"], row["repeat"]) for row in found]
    rows = await reading.rows("sample_answers", run_id=run_id, event_ids=ids)
    return {_key(row): row | {"answers": json.loads(row["answers"])} for row in rows}


async def _contents(reading: Reading, references: Iterable[str]) -> dict[str, str]:
    """Contents by their ids, whole."""
    first = await _chunks(reading, [(name, 0) for name in sorted(references)])
    rest = await _chunks(reading, [(row["content_id"], chunk) for row in first for chunk in range(1, row["chunks"])])
    told: dict[str, str] = {}
    for row in [*first, *sorted(rest, key=lambda row: int(row["chunk"]))]:
        told[row["content_id"]] = told.get(row["content_id"], "") + row["text"]
    return told


async def _chunks(reading: Reading, wanted: Sequence[tuple[str, int]]) -> Rows:
    ids = [derive_id("ContentPublished", name, chunk) for name, chunk in wanted]
    return await reading.rows("contents_of", event_ids=ids) if ids else []


def _grouped(rows: Rows) -> dict[Key, Rows]:
    groups: dict[Key, Rows] = {}
    for row in rows:
        groups.setdefault(_key(row), []).append(row)
    return groups


def _key(row: Mapping[str, Any]) -> Key:
    return row["task"], row["ordinal"], row["repeat"]
