"""Intervals, errors and paired tests are scipy's, where scipy has them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from streams.statistics.differences import Difference, difference, equivalent, mcnemar
from streams.statistics.intervals import mean_interval, skewed, skewed_p, wilson
from streams.statistics.power import detectable, needed
from streams.statistics.resampling import percentile_interval, resampled_means
from streams.statistics.spreads import Spread, spread


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(given_: tuple[int, int]) -> None:
    """The interval of any proportion."""
    successes, n = given_
    expected = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert wilson(successes / n, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_bootstrap_interval_agrees_with_scipys() -> None:
    """Two bootstraps of one mean differ by chance only."""
    values = np.random.default_rng(1).gamma(2.0, 3.0, 400)
    reference = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(2))
    found = percentile_interval(resampled_means(values[np.newaxis], stream=0)[0], n=400)
    width = reference.confidence_interval.high - reference.confidence_interval.low
    assert found[0] == pytest.approx(reference.confidence_interval.low, abs=0.08 * width)
    assert found[1] == pytest.approx(reference.confidence_interval.high, abs=0.08 * width)


def test_a_mean_of_skewed_values_reaches_as_far_as_scipys_bca_and_no_less_than_students() -> None:
    """Of exponential values: the upper end is BCa's within a tenth of the width, the lower one Student's."""
    values = np.random.default_rng(3).exponential(size=60)
    reference = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=9999, rng=np.random.default_rng(2)).confidence_interval
    found, plain = mean_interval(values.tolist()), stats.t.interval(0.95, 59, loc=values.mean(), scale=stats.sem(values))
    assert found is not None
    assert found[0] == pytest.approx(plain[0])
    assert found[1] > plain[1]
    assert found[1] == pytest.approx(reference.high, abs=0.1 * (reference.high - reference.low))


# SciPy warns of means so near 0 that what it divides by them is infinite, as of 1e-311.
THOUSANDTHS = st.integers(-9_000, 9_000).map(lambda number: number / 1000)


def of(values: list[float]) -> Spread:
    """How sure their mean is."""
    own = spread(np.asarray(values))
    assert own is not None
    return own


@given(st.lists(THOUSANDTHS, min_size=2, max_size=20), THOUSANDTHS)
def test_of_values_that_are_not_skewed_the_interval_and_the_test_are_scipys(half: list[float], middle: float) -> None:
    """Student's t, one sample. The values are on both sides of the middle alike."""
    values = [middle + value for value in half] + [middle - value for value in half]
    own = of(values)
    if own.variance < 1e-6:
        return
    assert skewed(own) == pytest.approx(stats.t.interval(0.95, len(values) - 1, loc=middle, scale=stats.sem(values)), abs=1e-6)
    assert skewed_p(own) == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue, abs=1e-6)


@given(st.lists(THOUSANDTHS, min_size=3, max_size=40))
def test_the_error_and_the_skewness_are_scipys(values: list[float]) -> None:
    """s/√n, and the moments' ratio, of samples that share nothing."""
    own = of(values)
    assert math.sqrt(own.variance) == pytest.approx(stats.sem(values), abs=1e-9)
    if own.variance > 1e-6:
        assert own.skewness == pytest.approx(stats.skew(values), abs=1e-6)
    assert (own.freedom, own.effect) == (len(values) - 1, 1.0)


def test_of_clusters_of_one_size_the_interval_is_scipys_of_their_means() -> None:
    """Error and degrees of freedom; the skewness is what the means have."""
    values = np.random.default_rng(6).normal(size=(12, 5))
    means = values.mean(axis=1)
    own = spread(values.ravel(), [number for number in range(12) for _ in range(5)])
    assert own is not None
    assert (math.sqrt(own.variance), own.freedom) == pytest.approx((stats.sem(means), 11))
    assert own.skewness == pytest.approx(stats.skew(means))


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_scipys_binomial_with_half_of_the_point(better: int, worse: int) -> None:
    """Twice the lower tail, the point itself by half; 1 where both are equal."""
    fewer, both = min(better, worse), better + worse
    expected = 2 * stats.binom.cdf(fewer - 1, both, 0.5) + stats.binom.pmf(fewer, both, 0.5) if better != worse else 1.0
    assert mcnemar(better, worse) == pytest.approx(min(1.0, expected), rel=1e-9)
    assert mcnemar(better, worse) <= (stats.binomtest(better, both, 0.5).pvalue if both else 1.0) + 1e-12


def _of(n: int) -> Difference:
    """A difference of n values with a standard deviation of 1."""
    return Difference(0.0, 1.0 / math.sqrt(n), None, None, 1.0, "", "", n, n, variance=1 / n)


def test_what_can_be_found_has_the_power_that_it_says() -> None:
    """At that size a t test finds the difference in 80 % of the cases, alone and among twenty. Scipy's noncentral t tells."""
    for tests in (1, 20):
        n = needed(_of(50), difference=0.1, tests=tests)
        assert n is not None
        power = stats.nct.sf(stats.t.ppf(1 - 0.025 / tests, n - 1), n - 1, 0.1 * np.sqrt(n))
        assert power == pytest.approx(0.8, abs=0.005)
        assert detectable(_of(n), tests=tests) == pytest.approx(0.1, rel=0.01)


def test_equivalence_is_scipys_two_one_sided_tests() -> None:
    """The greater p of "not below -margin" and "not above margin", of values without a range that lean to neither side."""
    half = np.random.default_rng(5).normal(0.0, 0.5, 100)
    own = 0.05 + np.concatenate([half, -half])
    below = stats.ttest_1samp(own, -0.15, alternative="greater").pvalue
    above = stats.ttest_1samp(own, 0.15, alternative="less").pvalue
    assert equivalent(difference(own.tolist(), [0.0] * 200), margin=0.15) == pytest.approx(max(below, above))
