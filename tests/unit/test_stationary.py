"""A load is steady where nothing rises or falls all through it."""

import numpy as np
import pytest
from scipy import stats

from streams.speed.stationary import ALPHA, BATCHES, LEAST, METHOD, steady


@pytest.mark.parametrize("n", [400, 413])
def test_the_test_is_scipys_kendall_over_the_batch_means(n: int) -> None:
    """Its tau of the means against their places, by the normal approximation; with the correction for continuity ours is a bit larger."""
    for seed, drift in ((1, 0.0), (2, 0.3), (3, -0.6)):
        took = (1e9 + 1e8 * np.random.default_rng(seed).normal(size=n) + drift * 1e8 * np.arange(n) / n).astype(np.int64)
        means = took[n % BATCHES :].reshape(BATCHES, -1).mean(axis=1)
        p = stats.kendalltau(np.arange(BATCHES), means, method="asymptotic").pvalue
        assert (steady(took).value == 0.0) == (p < ALPHA) or 0.8 * ALPHA < p < ALPHA


def test_of_steady_loads_few_are_said_to_have_a_trend_and_of_those_with_one_nearly_all() -> None:
    """One in a hundred of the first; a rise of a fifth of a standard deviation from end to end is found among 2,000 requests."""
    chance = np.random.default_rng(5)
    flat = [steady((1e9 + 1e8 * chance.exponential(size=500)).astype(np.int64)).value for _ in range(400)]
    assert np.mean([value == 0.0 for value in flat]) < 0.03
    rising = [steady((1e9 + 1e8 * chance.exponential(size=2000) + 2e7 * np.linspace(0, 2, 2000)).astype(np.int64)).value for _ in range(50)]
    assert np.mean([value == 0.0 for value in rising]) > 0.9


def test_what_has_a_trend_says_which() -> None:
    """In words, with both halves of the window."""
    figure = steady(np.arange(1, 101, dtype=np.int64) * 1_000_000)
    assert (figure.value, figure.method, figure.n) == (0.0, METHOD, 100)
    assert figure.origin == "E2E rises: 25.5 ms in the window's first half, 75.5 ms in its second (p below 0.0001)"
    assert "falls" in (steady(np.arange(100, 0, -1, dtype=np.int64)).origin or "")


def test_too_few_requests_tell_nothing() -> None:
    """Nor do equal ones tell of a trend."""
    few = steady(np.ones(LEAST - 1, dtype=np.int64))
    assert (few.value, few.why_undefined) == (None, "needs 40 requests")
    assert steady(np.full(LEAST, 7, dtype=np.int64)).value == 1.0
