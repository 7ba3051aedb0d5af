"""Intervals, errors and paired tests are scipy's, where scipy has them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from streams.statistics.differences import deciding, detectable, mcnemar, sign_flip
from streams.statistics.intervals import clustered_t, mean_interval, standard_error, wilson


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(given_: tuple[int, int]) -> None:
    """The interval of any proportion."""
    successes, n = given_
    expected = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    found = wilson(successes, n)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_bootstrap_interval_agrees_with_scipys() -> None:
    """Two bootstraps of one mean differ by chance only."""
    values = np.random.default_rng(1).gamma(2.0, 3.0, 400)
    reference = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(2))
    found = mean_interval(list(values))
    width = reference.confidence_interval.high - reference.confidence_interval.low
    assert found is not None
    assert found[0] == pytest.approx(reference.confidence_interval.low, abs=0.08 * width)
    assert found[1] == pytest.approx(reference.confidence_interval.high, abs=0.08 * width)


def test_a_clustered_interval_is_scipys_of_the_cluster_means() -> None:
    """Where all clusters are of one size."""
    values = np.random.default_rng(6).random((12, 5))
    means = values.mean(axis=1)
    expected = stats.t.interval(0.95, 11, loc=means.mean(), scale=stats.sem(means))
    assert clustered_t(values.ravel(), [number for number in range(12) for _ in range(5)]) == pytest.approx(expected)


def test_without_shared_clusters_the_error_is_scipys() -> None:
    """s/√n."""
    values = np.random.default_rng(7).random(30)
    assert standard_error(values) == pytest.approx(stats.sem(values))
    assert standard_error(values, list(range(30))) == pytest.approx(stats.sem(values))
    assert standard_error(values[:1]) is None


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_scipys_binomial_test(better: int, worse: int) -> None:
    """Of the samples that differ, with probability ½ each."""
    expected = stats.binomtest(better, better + worse, 0.5).pvalue if better + worse else 1.0
    assert mcnemar(better, worse) == pytest.approx(expected, rel=1e-9)


def test_the_sign_flip_test_is_scipys_where_all_flips_can_be_tried() -> None:
    """Within what 9,999 draws can tell."""
    own = np.random.default_rng(1).normal(0.4, 1.0, 11)
    exact = stats.permutation_test((own,), _mean, permutation_type="samples", n_resamples=2**11).pvalue
    assert sign_flip(own) == pytest.approx(exact, abs=0.015)


def _mean(values: Any, axis: int) -> Any:
    return np.mean(values, axis=axis)


def test_how_many_samples_would_decide_has_the_power_that_it_says() -> None:
    """At that size a t-test finds the difference in 80 % of the cases. Scipy's noncentral t tells."""
    n = deciding(0.1, 1.0 / np.sqrt(50), 50)
    assert n is not None
    power = stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, 0.1 * np.sqrt(n))
    assert power == pytest.approx(0.8, abs=0.005)
    assert detectable(1.0 / np.sqrt(n)) == pytest.approx(0.1, rel=0.01)
