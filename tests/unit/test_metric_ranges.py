"""Every metric of ours has a range: without one, no interval can hold where rare values are not in the sample."""

import importlib

import pytest

from infra.harness.metrics.registry import METRICS
from streams.quality.labels import SCALES
from streams.quality.ranges import clipped, range_of
from streams.statistics.intervals import ANY


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_metric_of_ours_has_a_range(name: str) -> None:
    """At least one end of it."""
    assert range_of(name) != ANY


@pytest.mark.parametrize(("task", "metric"), [(task, metric) for task, scales in SCALES.items() for metric in scales])
def test_what_people_label_has_the_same_range_everywhere(task: str, metric: str) -> None:
    """On their scale and in every interval."""
    assert range_of(metric) == SCALES[task][metric]


@pytest.mark.parametrize(
    ("metric", "low", "high"),
    [
        ("flexible_f1", 0, 1), ("recall", 0, 1), ("partial_accuracy", 0, 1), ("extraction_rate", 0, 1), ("libra_score", 0, 1),
        ("prompt_level_strict_acc", 0, 1), ("code_sim_score", 0, 1), ("bleu_max", 0, 100), ("rougeL_max", 0, 100), ("bleu_avg", 0, 100),
        ("rouge1_diff", -100, 100), ("percent_parseable", 0, 100), ("amb_bias_score", -1, 1),
    ],
)  # fmt: skip
def test_what_lm_evals_tasks_measure_stays_in_its_range(metric: str, low: float, high: float) -> None:
    """No interval of theirs says more."""
    assert range_of(metric) == (low, high)
    assert clipped((low - 0.5, high + 0.5), metric, about=(low + high) / 2) == (low, high)


@pytest.mark.parametrize("name", ["truthfulqa", "graphwalks"])
def test_the_range_is_that_of_what_the_task_gives(name: str) -> None:
    """Of answers that are as right as can be, its greatest: 100 of TruthfulQA's best, 1 of a strict and a flexible F1."""
    utils = importlib.import_module(f"lm_eval.tasks.{name}.utils")
    if name == "truthfulqa":
        assert (utils.bleu([["a b c d e"]], ["a b c d e"]), utils.rouge(["a b"], ["a b"])["rougeLsum"]) == pytest.approx((100, 100))
    else:
        found = utils.process_results({"answer_nodes": ["x1", "y2"]}, ["Final Answer: [x1, y2]"])
        assert found == {"f1": 1.0, "flexible_f1": 1.0}
