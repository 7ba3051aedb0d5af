"""The scores of groups of tasks: MMLU's over its subjects, each by its samples, or each alike where the group says so.

Source: lm-eval 0.4.13, api/metrics.py, aggregate_subtask_metrics, pooled_sample_stderr and unweighted_mean_stderr. The interval follows
from those of the tasks.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from streams.boards.weighing import greatest
from streams.statistics.intervals import JOINED, joint_interval, ratio_of

Row = Mapping[str, Any]
FEW = "few clusters"


def group_scores(planned: Sequence[Row], scores: Sequence[Row]) -> list[dict[str, Any]]:
    """A row for each group of which every planned task has its main metric.

    Where that is not the same in all of them, or no mean over samples by which its tasks count, there is no value but the reason.
    """
    grouped = sorted((task for task in planned if task.get("group")), key=lambda task: str(task["group"]))
    told = {(score["task"], score["metric"], score["filter"]): score for score in scores if score["value"] is not None}
    return [row for name, tasks in groupby(grouped, key=lambda task: str(task["group"])) for row in _group(name, list(tasks), told)]


def _group(name: str, tasks: Sequence[Row], told: Mapping[tuple[str, str, str], Row]) -> Iterator[dict[str, Any]]:
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
    known = _undefined(scores) if why else _joined(scores, by_size=by_size)
    yield {
        "group": name, "tasks": len(tasks), "metric": metric, "filter": filter_name, **known,
        "complete": all(score["complete"] for score in scores), "sequential": any(score["sequential"] for score in scores),
        "why_undefined": why, "by_size": by_size, "method": None if known["low"] is None else _method(scores),
        **{name: sum(score[name] for score in scores) for name in ("not_scored", "truncated")},
    }  # fmt: skip


def _method(scores: Sequence[Row]) -> str:
    """What made the interval; that the clusters of a task are few is said of the whole too."""
    few = any(FEW in (score.get("method") or "") for score in scores)
    return f"{JOINED}{f', {FEW}' if few else ''}"


def _aggregation(task: Row) -> str | None:
    main = (task["main_metric"], task["main_filter"])
    return next((str(one["aggregation"]) for one in task["expected"] if (one["metric"], one["filter"]) == main), None)


def _undefined(scores: Sequence[Row]) -> dict[str, Any]:
    return dict.fromkeys(("value", "stderr", "low", "high")) | {"samples": sum(int(score["samples"]) for score in scores)}


def _joined(scores: Sequence[Row], *, by_size: bool) -> dict[str, Any]:
    sizes = [int(score["samples"]) for score in scores]
    samples = sum(sizes)
    parts = [size / samples if by_size else 1 / len(sizes) for size in sizes]
    most = greatest(scores[0]["metric"])
    known = [
        ratio_of(score["value"] / most, (score["low"] / most, score["high"] / most))
        for score in scores if score["low"] is not None and score["high"] is not None
    ]  # fmt: skip
    values = [float(score["value"]) for score in scores]
    low, high = joint_interval(known, [most * part for part in parts]) if len(known) == len(scores) else (None, None)
    errors = [score["stderr"] for score in scores]
    return {
        "value": math.fsum(part * value for part, value in zip(parts, values, strict=True)),
        "stderr": _pooled(errors, sizes) if by_size else _even(errors), "low": low, "high": high, "samples": samples,
    }  # fmt: skip


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
