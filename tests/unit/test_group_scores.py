"""Scores of groups, as the API tells them: lm-eval's, over the samples of all of a group's tasks."""

from typing import Any

import numpy as np
import pytest
from lm_eval.api.metrics import aggregate_subtask_metrics, pooled_sample_stderr, unweighted_mean_stderr

from query_api.reading.groups import group_scores, sharing
from streams.statistics.components import crossed
from streams.statistics.intervals import mean_of
from streams.statistics.joining import Part

SIZES, VALUES, ERRORS = [100, 250, 11], [0.25, 0.5, 0.9], [0.043, 0.031, 0.09]


def planned(task: str, *, group: str | None = "mmlu", metric: str = "acc", aggregation: str = "mean") -> dict[str, Any]:
    """A task of a plan."""
    return {"task": task, "group": group, "main_metric": metric, "main_filter": "none",
            "expected": [{"metric": metric, "filter": "none", "aggregation": aggregation}]}  # fmt: skip


def score(at: int, **told: Any) -> dict[str, Any]:
    """The score of the task of that place."""
    low, high = VALUES[at] - 1.96 * ERRORS[at], min(1.0, VALUES[at] + 1.96 * ERRORS[at])
    return {"task": f"t{at}", "metric": "acc", "filter": "none", "value": VALUES[at], "stderr": ERRORS[at], "low": low, "high": high,
            "samples": SIZES[at], "not_scored": at, "truncated": 1, "complete": True, "sequential": False} | told  # fmt: skip


TASKS, SCORES = [planned(f"t{at}") for at in range(3)], [score(at) for at in range(3)]


def test_a_group_has_the_value_and_the_standard_error_of_lm_eval() -> None:
    """Each task counts by its samples; other metrics of the tasks change nothing."""
    (row,) = group_scores([*TASKS, planned("alone", group=None)], [*SCORES, score(0, metric="acc_norm", value=1.0)])
    assert row["value"] == pytest.approx(aggregate_subtask_metrics(VALUES, SIZES))
    assert row["stderr"] == pytest.approx(pooled_sample_stderr(ERRORS, SIZES))
    assert row["low"] < row["value"] < row["high"] and row["high"] - row["low"] < 0.12
    assert {name: row[name] for name in ("group", "tasks", "samples", "not_scored", "truncated", "complete")} == {
        "group": "mmlu", "tasks": 3, "samples": 361, "not_scored": 3, "truncated": 3, "complete": True,
    }  # fmt: skip


@pytest.mark.parametrize("aggregation", ["mean", "aggregate_scores"])
def test_a_group_whose_tasks_count_alike_has_the_value_and_the_standard_error_of_lm_eval(aggregation: str) -> None:
    """Whatever makes the tasks' figures: the smallest counts as much as the largest."""
    tasks = [planned(f"t{at}", aggregation=aggregation) | {"weight_by_size": False} for at in range(3)]
    (row,) = group_scores(tasks, SCORES)
    assert row["value"] == pytest.approx(aggregate_subtask_metrics(VALUES, SIZES, weight_by_size=False))
    assert row["stderr"] == pytest.approx(unweighted_mean_stderr(ERRORS))
    assert row["low"] < row["value"] < row["high"] and row["why_undefined"] is None
    (unsure,) = group_scores(tasks, [score(0, stderr=None, low=None, high=None), *SCORES[1:]])
    assert (unsure["value"], unsure["stderr"], unsure["low"]) == (row["value"], None, None)


@pytest.mark.parametrize("varied", [False, True])
def test_tasks_of_a_group_that_share_documents_or_set_ups_are_no_surer_for_their_number(varied: bool) -> None:
    """Three names of one and the same task: its interval, and its standard error."""
    draw = np.random.default_rng(2)
    table = (draw.random((200, 3)) < np.array([0.4, 0.6, 0.7])).astype(np.float64)
    values = table.mean(axis=1) if varied else table[:, 0]
    found = mean_of(values.tolist(), within=(0.0, 1.0), varied=crossed(table) if varied else None)
    assert found.interval is not None
    told = {"value": found.value, "stderr": found.stderr, "low": found.interval[0], "high": found.interval[1], "samples": 200}
    tasks = [one | {"documents": "d", "setups": [1, 2, 3] if varied else []} for one in TASKS]
    assert sharing(tasks) == {"t0", "t1", "t2"} and not sharing(TASKS)
    scores = [score(at, **told) for at in range(3)]
    part = Part(values, np.arange(200), None, "d", table if varied else None)
    (row,) = group_scores(tasks, scores, dict.fromkeys(("t0", "t1", "t2"), part))
    (apart,) = group_scores(TASKS, scores)
    alone, width = found.interval[1] - found.interval[0], row["high"] - row["low"]
    assert 0.99 * alone < width < (1.15 if varied else 1.01) * alone and width > 1.6 * (apart["high"] - apart["low"])
    assert found.stderr is not None and row["stderr"] > 0.99 * found.stderr
    alike = [task | {"weight_by_size": False} | planned(task["task"], aggregation="aggregate_scores") for task in tasks]
    (unsure,) = group_scores([one | {"documents": "d"} for one in alike], scores)
    assert unsure["value"] == pytest.approx(found.value) and (unsure["stderr"], unsure["low"]) == (None, None)
    assert "share documents" in unsure["why_undefined"]


def test_a_group_is_provisional_as_its_tasks_are() -> None:
    """One is enough."""
    (row,) = group_scores(TASKS, [score(0, complete=False, sequential=True), *SCORES[1:]])
    assert (row["complete"], row["sequential"]) == (False, True)


def test_what_is_not_known_of_a_task_is_not_known_of_its_group() -> None:
    """Its standard error, its interval."""
    (row,) = group_scores(TASKS, [score(0, stderr=None, low=None, high=None), *SCORES[1:]])
    assert (row["stderr"], row["low"], row["high"]) == (None, None, None)


def test_a_group_without_a_mean_says_why() -> None:
    """Its tasks' main metrics differ, or are no means."""
    mixed = [*TASKS[:2], planned("t2", metric="f1")], [*SCORES[:2], score(2, metric="f1")]
    sums = [planned(f"t{at}", aggregation="perplexity") for at in range(3)], SCORES
    for (tasks, scores), why in ((mixed, "different main metrics: acc, f1"), (sums, "acc is not a mean over samples")):
        (row,) = group_scores(tasks, scores)
        assert (row["value"], row["low"], row["stderr"]) == (None, None, None)
        assert why in row["why_undefined"]


@pytest.mark.parametrize(
    ("tasks", "scores"),
    [
        (TASKS, SCORES[:2]), (TASKS, [score(0, value=None), *SCORES[1:]]), (TASKS[:1], SCORES),
        ([*TASKS[:2], planned("t2", metric="f1")], SCORES),
        ([], []),
    ],
    ids=["a task lacks", "a value lacks", "one task", "a metric lacks", "nothing"],
)  # fmt: skip
def test_no_row_where_there_is_no_mean_over_all_of_a_group(tasks: list[dict[str, Any]], scores: list[dict[str, Any]]) -> None:
    """Of half of a group a mean would be another figure."""
    assert group_scores(tasks, scores) == []


@pytest.mark.parametrize("documents", [None, "asked"])
def test_the_standard_error_of_a_group_whose_tasks_are_all_right_says_what_its_interval_says(documents: str | None) -> None:
    """Of twenty tasks of 20 documents it was four times too large; of tasks over the same ones four times too small."""
    own = mean_of([1.0] * 20)
    assert own.interval is not None
    rows = [score(0, task=f"t{at}", value=1.0, stderr=own.stderr, low=own.interval[0], high=1.0, samples=20) for at in range(20)]
    parts = {f"t{at}": Part(np.ones(20), np.arange(20), documents=documents or f"d{at}") for at in range(20)}
    (row,) = group_scores([planned(f"t{at}") for at in range(20)], rows, parts)
    assert 0.799 <= (row["high"] - row["low"]) / 2 / 1.96 / row["stderr"] <= 3.001


@pytest.mark.parametrize(("metric", "value", "method"), [("acc", 0.5, "Wilson, joined"), ("likelihood", -3.0, "normal, joined")])
def test_what_joined_the_tasks_is_said(metric: str, value: float, method: str) -> None:
    """Of means that are no ratios it is no Wilson interval."""
    rows = [score(at, metric=metric, value=value, low=value - 0.1, high=value + 0.1) for at in range(3)]
    (row,) = group_scores([planned(f"t{at}", metric=metric) for at in range(3)], rows)
    assert row["method"] == method
