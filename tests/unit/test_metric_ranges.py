"""Every metric of ours has a range: without one, no interval can hold where rare values are not in the sample."""

import importlib
import re
from pathlib import Path

import lm_eval
import lm_eval.api.metrics  # which registers them
import pytest
from lm_eval.api.registry import METRIC_REGISTRY

from infra.harness.metrics.registry import METRICS
from streams.quality.labels import SCALES
from streams.quality.ranges import clipped, known_range, range_of
from streams.statistics.intervals import ANY

# As lm-eval's files name metrics: by a name, or a function's.
METRIC = re.compile(r"""^[ ]*-?[ ]*metric:\s*(!function\s+)?["']?([^\s"'#,}]+)""", re.MULTILINE)
NAMED = 193
WITHOUT_ENDS = {
    "asian_bias", "black_bias", "bleurt", "female_bias", "hispanic_bias", "likelihood", "likelihood_diff", "native_american_bias",
    "non_binary_bias",
}  # fmt: skip


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
        ("score", 0, 1), ("bert_score", -1, 1), ("per_option_accuracy_A", 0, 1), ("per_option_macro_accuracy_J", 0, 1),
        ("3_accuracy", 0, 1), ("9_macro_accuracy", 0, 1), ("pct_invalid", 0, 1), ("131072", 0, 1), ("acc_norm_definició", 0, 1),
        ("exact_match_B1", 0, 1), ("disamb_bias_score_Race_x_SES", -1, 1), ("pearsonr", -1, 1), ("difference_male_female", -1, 1),
    ],
)  # fmt: skip
def test_what_lm_evals_tasks_measure_stays_in_its_range(metric: str, low: float, high: float) -> None:
    """No interval of theirs says more."""
    assert range_of(metric) == (low, high)
    assert clipped((low - 0.5, high + 0.5), metric, about=(low + high) / 2) == (low, high)


def test_an_error_rate_has_a_least_value_and_no_greatest() -> None:
    """More words may be put in than there are."""
    assert range_of("wer") == (0, float("inf"))
    assert clipped((-0.25, 1.5), "wer", about=0.5) == (0, 1.5)


@pytest.mark.slow
def test_every_metric_that_a_file_of_lm_evals_names_is_in_the_table() -> None:
    """A new one is noticed. Without ends are coefficients, differences of log-likelihoods and a learned score."""
    tasks = Path(lm_eval.__file__).parent / "tasks"
    named = {
        name.rpartition(".")[2] if function else name
        for file in tasks.rglob("*.y*ml")
        for function, name in METRIC.findall(file.read_text())
    }
    assert len(named) == NAMED
    assert not {name for name in named if known_range(name) is None}
    assert {name for name in named if range_of(name) == ANY} == WITHOUT_ENDS


def test_every_metric_that_lm_eval_registers_is_in_the_table() -> None:
    """By whose name any task's definition may ask for it; `bypass` is none, for it has no value."""
    assert len(METRIC_REGISTRY) > 15
    assert {name for name in METRIC_REGISTRY if known_range(name) is None} == {"bypass"}


def test_a_difference_of_log_likelihoods_and_a_learned_score_may_lie_anywhere() -> None:
    """lm-eval's own aggregation of `likelihood` gives both signs; no interval is cut where the figure may go on."""
    from_lm_eval = importlib.import_module("lm_eval.tasks.e2lmc.mmlu_early_training.custom_metrics").loglikelihood_diff
    assert from_lm_eval([(0, [-9.0, -1.0, -3.0])]) == -7 and from_lm_eval([(1, [-9.0, -1.0, -3.0])]) == 5
    for metric in ("likelihood", "bleurt"):
        assert clipped((-0.5, 1.5), metric, about=0.5) == (-0.5, 1.5)


@pytest.mark.parametrize("name", ["truthfulqa", "graphwalks"])
def test_the_range_is_that_of_what_the_task_gives(name: str) -> None:
    """Of answers that are as right as can be, its greatest: 100 of TruthfulQA's best, 1 of a strict and a flexible F1."""
    utils = importlib.import_module(f"lm_eval.tasks.{name}.utils")
    if name == "truthfulqa":
        assert (utils.bleu([["a b c d e"]], ["a b c d e"]), utils.rouge(["a b"], ["a b"])["rougeLsum"]) == pytest.approx((100, 100))
    else:
        found = utils.process_results({"answer_nodes": ["x1", "y2"]}, ["Final Answer: [x1, y2]"])
        assert found == {"f1": 1.0, "flexible_f1": 1.0}
