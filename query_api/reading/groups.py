"""The scores of groups of tasks: MMLU's over its subjects, each by its samples, or each alike where the group says so.

Source: lm-eval 0.4.13, api/metrics.py, aggregate_subtask_metrics, pooled_sample_stderr and unweighted_mean_stderr. The interval follows
from those of the tasks. What tasks over the same documents, or asked in the same set-ups, share is added to both, from the values of their
samples.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from streams.boards.weighing import greatest
from streams.statistics.intervals import beside, joined_by, joint_interval, ratio_of
from streams.statistics.joining import Part, shared

Row = Mapping[str, Any]
FEW = "few clusters"
_UNSURE = dict.fromkeys(("stderr", "low", "high"))


def sharing(planned: Sequence[Row]) -> set[str]:
    """The tasks that share documents, or set-ups, with others of their group: what joins them needs the values of their samples."""
    grouped = [task for task in planned if task.get("group")]
    marks = {
        str(task["task"]): [(task["group"], mark) for mark in (task.get("documents"), bool(task.get("setups"))) if mark] for task in grouped
    }
    counts = Counter(mark for own in marks.values() for mark in own)
    return {task for task, own in marks.items() if any(counts[mark] > 1 for mark in own)}


def group_scores(planned: Sequence[Row], scores: Sequence[Row], parts: Mapping[str, Part] | None = None) -> list[dict[str, Any]]:
    """A row for each group of which every planned task has its main metric. `parts`: the values of the tasks that share something.

    Where that is not the same in all of them, or no mean over samples by which its tasks count, there is no value but the reason. Of what
    tasks share without being means over samples nothing is known: then the reason stands beside the value, which has no interval.
    """
    grouped = sorted((task for task in planned if task.get("group")), key=lambda task: str(task["group"]))
    told = {(score["task"], score["metric"], score["filter"]): score for score in scores if score["value"] is not None}
    return [
        row for name, tasks in groupby(grouped, key=lambda task: str(task["group"])) for row in _group(name, list(tasks), told, parts or {})
    ]


def _group(
    name: str, tasks: Sequence[Row], told: Mapping[tuple[str, str, str], Row], parts: Mapping[str, Part]
) -> Iterator[dict[str, Any]]:
    main = {(task["main_metric"], task["main_filter"], _aggregation(task)) for task in tasks}
    found = [told.get((task["task"], task["main_metric"], task["main_filter"])) for task in tasks]
    scores = [score for score in found if score and score["samples"]]
    if len(tasks) < 2 or len(scores) < len(tasks):
        return
    metric, filter_name, aggregation = min(main, key=repr)
    by_size, why = all(task.get("weight_by_size", True) for task in tasks), None
    if len(main) > 1:
        why = f"its tasks have different main metrics: {', '.join(sorted({metric for metric, *_ in main}))}"
    elif by_size and aggregation != "mean":
        why = f"{metric} is not a mean over samples"
    elif any(task.get("adaptive") for task in tasks):
        why = "its tasks are asked adaptively, and are estimated each by itself"
    known = _undefined(scores) if why else _joined(scores, parts, by_size=by_size)
    if not why and aggregation != "mean" and sharing(tasks):
        why, known = f"its tasks share documents or set-ups, and {metric} is not a mean over samples", known | _UNSURE
    yield {
        "group": name, "tasks": len(tasks), "metric": metric, "filter": filter_name, **known,
        "complete": all(score["complete"] for score in scores), "sequential": any(score["sequential"] for score in scores),
        "why_undefined": why, "by_size": by_size, "method": _method(scores, known, metric),
        **{name: sum(score[name] for score in scores) for name in ("not_scored", "truncated")},
    }  # fmt: skip


def _method(scores: Sequence[Row], known: Row, metric: str) -> str | None:
    """What made the interval; that the clusters of a task are few is said of the whole too."""
    if known["low"] is None:
        return None
    few = any(FEW in (score.get("method") or "") for score in scores)
    return f"{joined_by(known['value'] / greatest(metric))}{f', {FEW}' if few else ''}"


def _aggregation(task: Row) -> str | None:
    main = (task["main_metric"], task["main_filter"])
    return next((str(one["aggregation"]) for one in task["expected"] if (one["metric"], one["filter"]) == main), None)


def _undefined(scores: Sequence[Row]) -> dict[str, Any]:
    return dict.fromkeys(("value", "stderr", "low", "high")) | {"samples": sum(int(score["samples"]) for score in scores)}


def _joined(scores: Sequence[Row], parts: Mapping[str, Part], *, by_size: bool) -> dict[str, Any]:
    sizes = [int(score["samples"]) for score in scores]
    samples = sum(sizes)
    weights = [size / samples if by_size else 1 / len(sizes) for size in sizes]
    own = [(parts[score["task"]], weight) for score, weight in zip(scores, weights, strict=True) if score["task"] in parts]
    together = shared([part for part, _ in own], [weight for _, weight in own])
    most = greatest(scores[0]["metric"])
    known = [
        ratio_of(score["value"] / most, (score["low"] / most, score["high"] / most))
        for score in scores if score["low"] is not None and score["high"] is not None
    ]  # fmt: skip
    values = [float(score["value"]) for score in scores]
    documents = [parts[score["task"]].documents if score["task"] in parts else None for score in scores]
    families = [number if name is None else name for number, name in enumerate(documents)]
    whole = len(known) == len(scores)
    low, high = joint_interval(known, [most * weight for weight in weights], together, families=families) if whole else (None, None)
    errors = [score["stderr"] for score in scores]
    alone = _pooled(errors, sizes) if by_size else _even(errors)
    error = _with(alone, together, weights, errors)
    return {
        "value": math.fsum(weight * value for weight, value in zip(weights, values, strict=True)),
        "stderr": error if error is None or low is None or high is None else beside(error, (low, high)),
        "low": low, "high": high, "samples": samples,
    }  # fmt: skip


def _with(alone: float | None, together: float, weights: Sequence[float], errors: Sequence[float | None]) -> float | None:
    """The standard error with what tasks share: never below that of the least sure alone, as the interval."""
    if alone is None or not together:
        return alone
    return math.sqrt(max(alone**2 + together, *((weight * (error or 0.0)) ** 2 for weight, error in zip(weights, errors, strict=True))))


def _pooled(errors: Sequence[float | None], sizes: Sequence[int]) -> float | None:
    """√(Σ (nᵢ - 1)·nᵢ·sᵢ² / (N - k) / N), of k tasks with N samples; None where a task has no standard error."""
    known = [error for error in errors if error is not None]
    if len(known) < len(errors) or sum(sizes) <= len(sizes):
        return None
    squares = math.fsum((size - 1) * size * error**2 for size, error in zip(sizes, known, strict=True))
    return math.sqrt(squares / (sum(sizes) - len(sizes)) / sum(sizes))


def _even(errors: Sequence[float | None]) -> float | None:
    """√(Σ sᵢ²) / k, of k tasks; None where a task has no standard error."""
    known = [error for error in errors if error is not None]
    return math.sqrt(math.fsum(error**2 for error in known)) / len(known) if len(known) == len(errors) else None
