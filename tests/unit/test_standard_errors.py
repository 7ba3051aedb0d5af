"""Standard errors of aggregations that are lm-eval's own, held to its closed forms and to plain resampling."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from infra.harness.metrics.certainty import calibration
from infra.harness.uncertainty import KNOWN, stderr
from streams.quality.scores import interval_by_error

DRAW = np.random.default_rng(7)
PAIRS = [(int(gold), int(gold if DRAW.random() < 0.8 else not gold)) for gold in DRAW.random(300) < 0.4]
WORDS = ["the", "a", "house", "tree", "river", "runs", "stands", "old", "green", "small"]
TEXTS = [" ".join(DRAW.choice(WORDS, 8)) for _ in range(30)]
SEGMENTS = [(text, " ".join(word if DRAW.random() < 0.7 else "stone" for word in text.split())) for text in TEXTS]
VALUES = [float(value) for value in DRAW.exponential(size=200)]


def _has_error(function: Any) -> bool:
    from lm_eval.api.metrics import stderr_for_metric

    return callable(function) and stderr_for_metric(function, bootstrap_iters=1) is not None


def test_every_function_that_lm_eval_has_an_error_for_is_known() -> None:
    """Its bootstrapped ones and those with a closed form."""
    from lm_eval.api import metrics

    names = [name for name in vars(metrics) if _has_error(getattr(metrics, name))]
    assert {*names} == {*KNOWN}


def test_a_means_error_is_lm_evals() -> None:
    """And without the values that are none; one that is not known, or of one value, has none."""
    from lm_eval.api.metrics import mean_stderr

    assert stderr("mean", VALUES) == mean_stderr(VALUES)
    assert stderr("nanmean", [*VALUES, math.nan]) == mean_stderr(VALUES)
    assert stderr("mean", [1.0]) is None
    assert stderr("mine", VALUES) is None


def test_of_questions_that_count_only_whole_the_error_is_lm_evals() -> None:
    """A question's answers count together."""
    from lm_eval.api.metrics import acc_all_stderr

    items = [(n % 3 > 0, {"idx": {"paragraph": n // 4, "question": n // 2}, "label": 1}) for n in range(40)]
    assert stderr("acc_all", items) == acc_all_stderr(items)


@pytest.mark.parametrize(
    ("name", "items"),
    [("f1_score", PAIRS), ("matthews_corrcoef", PAIRS), ("median", VALUES), ("perplexity", [-one for one in VALUES]),
     ("bleu", SEGMENTS)],
)  # fmt: skip
def test_an_error_is_what_drawing_the_samples_anew_gives(name: str, items: list[Any]) -> None:
    """Over 60 draws, whose own error is 9 %: within 35 %."""
    from lm_eval.api import metrics

    draw, function = np.random.default_rng(3), getattr(metrics, name)
    drawn = [function([items[at] for at in draw.integers(0, len(items), len(items))]) for _ in range(60)]
    assert stderr(name, items) == pytest.approx(np.std(drawn, ddof=1), rel=0.35)
    assert stderr(name, items) == stderr(name, items)


@pytest.mark.parametrize(
    ("name", "items"),
    [("mean", VALUES), ("nanmean", VALUES), ("f1_score", PAIRS), ("matthews_corrcoef", PAIRS), ("median", VALUES),
     ("perplexity", [-one for one in VALUES]), ("bleu", SEGMENTS)],
)  # fmt: skip
def test_what_was_asked_five_times_is_no_surer(name: str, items: list[Any]) -> None:
    """Answers that are alike in every repeat of a document: the error is that of the documents, within the draws' own (CR2's: exactly)."""
    once, groups = stderr(name, items), [place for place in range(len(items)) for _ in range(5)]
    again = [item for item in items for _ in range(5)]
    assert once is not None and stderr(name, again, groups) == pytest.approx(once, rel=0.12)
    assert (stderr(name, again) or 0.0) < 0.6 * once
    assert stderr(name, again, [0] * len(again)) is None


@pytest.mark.parametrize("name", ["f1_score", "matthews_corrcoef"])
def test_answers_that_are_nearly_all_right_leave_an_error(name: str) -> None:
    """A hundred right, of both labels: about that of half a sample beside them; in tens that are alike, of ten samples. None is 0."""
    items = [(n % 2, n % 2) for n in range(100)]
    found, grouped = stderr(name, items), stderr(name, items, [n // 10 for n in range(100)])
    assert found is not None and grouped is not None
    assert 0.005 < found < 0.03
    assert grouped > 5 * found
    assert found < (stderr(name, [*items, (0, 1), (1, 0)]) or 0.0)


def test_where_there_is_no_score_there_is_no_error() -> None:
    """Without a label 1 there is no F1, with one label alone no correlation; answers that are all 1, and right, have an F1."""
    assert stderr("f1_score", [(0, 0)] * 20) == 0.0
    assert stderr("matthews_corrcoef", [(1, 1)] * 20) == stderr("matthews_corrcoef", [(1, 1), (1, 0)] * 20) == 0.0
    assert (stderr("f1_score", [(1, 1)] * 20) or 0.0) > 0


@pytest.mark.parametrize("n", [11, 40])
def test_the_medians_error_is_that_of_all_draws(n: int) -> None:
    """Exactly, of n values one after another: the chance that a draw's middle is the k-th is binomial (odd n); of even n, 20,000 draws."""
    values = [float(one**2) for one in range(n)]
    if n % 2:
        below = stats.binom.cdf((n - 1) // 2, n, np.arange(n + 1) / n)  # that the middle is beyond the k-th
        chances = -np.diff(below)
        exact = math.sqrt(chances @ np.square(values) - (chances @ values) ** 2)
    else:
        exact = np.median(np.random.default_rng(1).choice(values, (20_000, n)), axis=1).std()
    assert stderr("median", values) == pytest.approx(exact, rel=0.07)
    assert stderr("median", values, list(range(n))) == pytest.approx(exact, rel=0.07)


def test_an_f1_of_fewer_than_five_answers_has_no_error() -> None:
    """A label that one in fifty has: 0.81 to 0.85 of its intervals held. Of groups as many are wanted."""
    pairs = [(1, 1), (1, 0), (0, 1), (1, 1)] + [(0, 0)] * 96
    assert stderr("f1_score", pairs) == 0.0
    assert (stderr("f1_score", [*pairs, (1, 1)]) or 0.0) > 0
    assert stderr("f1_score", [*pairs, (1, 1)], [0, 0, *range(99)]) == 0.0


def test_a_model_that_is_nearly_sure_has_a_calibration_error_that_holds() -> None:
    """Sure of all by 0.9995, and right in 0.95: five wrong answers in a hundred may be two. 84 % of intervals held it."""
    draw = np.random.default_rng(4)
    found = [calibration([0.0] * 42 + [0.9995 * 100, float(right), 100.0]) for right in draw.binomial(100, 0.95, 200)]
    ends = [interval_by_error("ece", value, error)[1] for value, error in found]
    assert sum(one is not None and one[0] <= 0.0495 <= one[1] for one in ends) >= 184
