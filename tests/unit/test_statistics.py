"""Statistics against published figures, and against what they promise."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.statistics.clusters import cluster_of
from streams.statistics.intervals import (
    mean,
    mean_interval,
    mean_of_independent,
    percentile_interval,
    percentiles,
    resampled_means,
    standard_error,
    t95,
    wilson,
)


def test_wilson_at_a_published_figure() -> None:
    """81 of 263: 0.2553 to 0.3662. Source: R. G. Newcombe, Statist. Med. 17 (1998) 857–872, table I, method 3."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_wilson_of_nothing_is_undefined() -> None:
    """No samples, no interval."""
    assert wilson(0, 0) is None
    assert mean([]) is None
    assert mean_interval([0.5]) is None


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=50), st.sampled_from([0.0, 12.5, 50.0, 95.0, 99.0, 100.0]))
def test_percentiles_interpolate_between_closest_ranks(values: list[int], share: float) -> None:
    """As Hyndman and Fan's type 7 says."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share / 100
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    assert percentiles(values, [share])[0] == pytest.approx(low + (high - low) * (place - math.floor(place)), rel=1e-9, abs=1e-6)


def test_a_paired_bootstrap_draws_the_same_samples_for_all_rows() -> None:
    """A row that is another plus a constant differs by that constant in every draw."""
    values = np.random.default_rng(3).normal(size=300)
    drawn = resampled_means(np.stack([values, values + 0.25]), stream=0)
    assert drawn[1] - drawn[0] == pytest.approx(0.25)
    assert percentile_interval(drawn[1] - drawn[0], n=300) == pytest.approx((0.25, 0.25))


def test_the_interval_of_a_mean_of_proportions_covers_what_is_true() -> None:
    """In at least 94 of 100 simulated suites of four tasks, near the middle and near the ends."""
    draw = np.random.default_rng(5)
    for shares in ([0.5, 0.3, 0.7, 0.6], [0.01, 0.02, 0.98, 0.99], [0.0, 0.02, 1.0, 0.5]):
        covered, trials, n = 0, 2000, 150
        for counts in draw.binomial(n, shares, size=(trials, len(shares))):
            intervals = [interval for count in counts if (interval := wilson(int(count), n))]
            low, high = mean_of_independent([count / n for count in counts], intervals)
            covered += low <= sum(shares) / len(shares) <= high
        assert covered / trials >= 0.94


def test_draws_are_the_same_every_time_and_differ_between_streams() -> None:
    """A replay gives the same figures; tasks are drawn independently."""
    values = np.random.default_rng(4).normal(size=(2, 50))
    assert (resampled_means(values, stream=1) == resampled_means(values, stream=1)).all()
    assert not np.allclose(resampled_means(values, stream=1), resampled_means(values, stream=2))


def test_students_quantile_is_the_published_one() -> None:
    """2.228 for 10, 2.042 for 30 degrees of freedom. Source: any table since Student, Metron 5 (1925) 105–120."""
    assert (round(t95(10), 3), round(t95(30), 3)) == (2.228, 2.042)


def test_a_clustered_error_is_the_published_double_sum() -> None:
    """Miller (2024), equation 4, written out, with the factor G/(G-1)."""
    draw = np.random.default_rng(5)
    values, clusters = draw.random(40), list(draw.integers(0, 9, 40))
    centred, n, count = values - values.mean(), 40, len(set(clusters))
    plain = math.fsum(centred**2) / n**2
    cross = math.fsum(
        centred[i] * centred[j] for i in range(n) for j in range(n) if i != j and clusters[i] == clusters[j]
    ) / n**2  # fmt: skip
    assert standard_error(values, clusters) == pytest.approx(math.sqrt((plain + cross) * count / (count - 1)))


def test_passages_widen_the_interval_of_their_questions() -> None:
    """Ten passages with eight equal answers each say about as much as ten samples."""
    passages = [float(number % 2) for number in range(10) for _ in range(8)]
    names = [f"passage {number}" for number in range(10) for _ in range(8)]
    plain, clustered = mean_interval(passages), mean_interval(passages, names)
    assert plain is not None and clustered is not None
    assert clustered[1] - clustered[0] > 2.5 * (plain[1] - plain[0])
    assert mean_interval([1.0] * 80, names) == wilson(10, 10)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 3), st.floats(0, 3)), min_size=1, max_size=6))
def test_a_mean_of_intervals_keeps_its_place_and_narrows(given_: list[tuple[float, float, float]]) -> None:
    """It holds the mean; it is no wider than the mean of the widths, and with one it is that one."""
    values, intervals = [v for v, _, _ in given_], [(v - below, v + above) for v, below, above in given_]
    low, high = mean_of_independent(values, intervals)
    centre = math.fsum(values) / len(values)
    assert low - 1e-9 <= centre <= high + 1e-9
    assert high - low <= math.fsum(top - bottom for bottom, top in intervals) / len(values) + 1e-9
    if len(values) == 1:
        assert (low, high) == pytest.approx(intervals[0])


def test_documents_on_one_passage_share_a_cluster() -> None:
    """Whatever they ask; what has no passage, or only a label in its place, has none."""
    passage = "The river rises in the hills above the town, and it reaches the sea at the old harbour."
    first, second = cluster_of({"passage": passage, "question": "Where?"}), cluster_of({"passage": passage, "question": "Whence?"})
    assert first is not None and first == second
    assert cluster_of({"passage": passage + "!", "question": "Where?"}) != first
    assert cluster_of({"context": "physics"}) is None
    assert cluster_of({"question": passage, "passage": ["no", "text"]}) is None
