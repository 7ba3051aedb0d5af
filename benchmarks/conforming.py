"""What a run of Assay's came to against what lm_eval.simple_evaluate says of the same task, model and samples: every answer and value."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.measurements import Answer, SampleAnswered
from schemas.results import Figure, RunScored, SampleScored

CLOSE = 1e-4  # relative, for what is continuous


@dataclass(slots=True)
class Ours:
    """A task of a run as the log tells it: answers by ordinal, items of metrics by (ordinal, filter, metric), and figures."""

    answers: dict[int, tuple[Answer, ...]] = field(default_factory=dict)
    items: dict[tuple[int, str, str], Any] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    doc_ids: dict[int, int] = field(default_factory=dict)


def of_events(events: Sequence[Any]) -> dict[str, Ours]:
    """A run's answers, scores and final figures by task."""
    tasks = dict[str, Ours]()
    for event in events:
        told = tasks.setdefault(event.task, Ours())
        if isinstance(event, SampleAnswered):
            told.answers[event.ordinal] = event.answers
        elif isinstance(event, SampleScored):
            told.items[event.ordinal, event.filter, event.metric] = json.loads(event.parts_json or "null")
            told.doc_ids[event.ordinal] = event.doc_id
        elif isinstance(event, RunScored) and event.complete:
            told.figures = event.figures
    return tasks


def compared(ours: Ours, reference: Mapping[str, Any], task: str) -> dict[str, Any]:
    """A task's row of the report. `reference` is what simple_evaluate returns for this task alone."""
    rows, ordinals = reference["samples"][task], {doc: ordinal for ordinal, doc in ours.doc_ids.items()}
    told: dict[str, Any] = {"task": task, "samples": len(ours.answers), "texts_differ": 0, "argmax_differ": [], "max_relative": 0.0}
    for row in {row["doc_id"]: row for row in rows}.values():
        _answers(told, ours.answers.get(ordinals.get(row["doc_id"], -1), ()), row)
    pairs = [pair for row in rows for pair in _values(ours, ordinals.get(row["doc_id"], -1), row)]
    discrete = [pair for pair in pairs if pair[1] in (0, 1)]
    aggregates = [_aggregate(figure, reference["results"][task]) for figure in ours.figures]
    there = len({row["doc_id"] for row in rows})
    return told | {
        "samples_there": there, "values": len(pairs), "values_equal": sum(1 for mine, yours in pairs if close(mine, yours)),
        "discrete": len(discrete), "discrete_equal": sum(1 for mine, yours in discrete if mine == yours), "aggregates": aggregates,
        "equal": there == told["samples"] and not told["argmax_differ"] and not told["texts_differ"] and bool(aggregates)
        and all(close(mine, yours) for mine, yours in pairs) and all(one["equal"] for one in aggregates),
    }  # fmt: skip


def close(mine: Any, yours: Any) -> bool:
    """Whether two values are equal, what is continuous within 1e-4 relative; sequences item by item."""
    if isinstance(yours, (list, tuple)):
        return isinstance(mine, (list, tuple)) and len(mine) == len(yours) and all(map(close, mine, yours))
    if isinstance(yours, dict):
        return isinstance(mine, dict) and mine.keys() == yours.keys() and all(close(mine[name], yours[name]) for name in yours)
    if isinstance(mine, (int, float)) and isinstance(yours, (int, float)):
        return mine == yours or (math.isnan(mine) and math.isnan(yours)) or abs(mine - yours) <= CLOSE * abs(yours)
    return bool(mine == yours)


def _answers(told: dict[str, Any], answers: Sequence[Answer], row: Mapping[str, Any]) -> None:
    """Notes where texts, or the likeliest of several, differ; and how far log-likelihoods do."""
    mine, yours = list[float](), list[float]()
    for index, draws in enumerate(row["resps"]):
        own = next((answer for answer in answers if answer.request_index == index), None)
        first = draws[0]
        if isinstance(first, str):
            told["texts_differ"] += own is None or own.output is None or own.output.read() != first
        else:
            yours.append(float(first[0] if isinstance(first, (list, tuple)) else first))
            mine.append(own.loglikelihood if own and own.loglikelihood is not None else math.nan)
    if yours:
        told["max_relative"] = max(told["max_relative"], *(_relative(one, other) for one, other in zip(mine, yours, strict=True)))
    if len(yours) > 1 and mine.index(max(mine)) != yours.index(max(yours)):
        best = sorted(yours, reverse=True)
        told["argmax_differ"].append({"doc_id": row["doc_id"], "margin_nats": best[0] - best[1]})


def _relative(mine: float, yours: float) -> float:
    return 0.0 if mine == yours else abs(mine - yours) / abs(yours) if yours else math.inf


def _values(ours: Ours, ordinal: int, row: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    for metric in row["metrics"]:
        yield ours.items.get((ordinal, row["filter"], metric)), plain(row[metric])


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    return json.loads(json.dumps(value, default=lambda one: one.tolist()))


def _aggregate(figure: Figure, results: Mapping[str, Any]) -> dict[str, Any]:
    value, stderr = (results.get(f"{figure.metric}{part},{figure.filter}") for part in ("", "_stderr"))
    there = (_known(value), _known(stderr))
    return {
        "metric": figure.metric, "filter": figure.filter, "here": figure.value, "there": there[0], "stderr_here": figure.stderr,
        # Of samples that are all alike lm-eval says 0, which no sample can know: here the interval's own stands.
        "stderr_there": there[1], "equal": close(figure.value, there[0]) and (there[1] == 0 or close(figure.stderr, there[1])),
    }  # fmt: skip


def _known(value: Any) -> float | None:
    return None if value is None or value == "N/A" or math.isnan(float(value)) else float(value)
