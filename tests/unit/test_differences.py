"""Paired differences against published figures, and against what they promise."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import stdtr

from streams.statistics.differences import (
    Difference,
    difference,
    equivalent,
    holm,
    mcnemar,
    mean_of_differences,
    paired_proportions,
)
from streams.statistics.power import detectable, needed
from streams.statistics.spreads import spread


def test_a_paired_interval_at_a_published_figure() -> None:
    """1 and 7 of 21 pairs differ: -0.508 to -0.013. Source: Fagerland, Lydersen and Laake (2014), table V, airway data."""
    assert paired_proportions(1, 7, 21)[1] == pytest.approx((-0.508, -0.013), abs=5e-4)


def test_mcnemar_at_a_published_figure() -> None:
    """The same pairs: 0.039. Source: Fagerland, Lydersen and Laake, BMC Med. Res. Methodol. 13 (2013) 91, table 6."""
    assert mcnemar(1, 7) == pytest.approx(0.039, abs=5e-4)
    assert mcnemar(1, 7) == pytest.approx((2 * (1 + 8) - 8) / 2**8)  # by hand: 2·P(X ≤ 1) - P(X = 1)


def test_mcnemar_of_no_difference_is_one() -> None:
    """None that differ, or as many either way."""
    assert mcnemar(0, 0) == mcnemar(3, 3) == 1.0


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 3), st.floats(0, 3)), min_size=1, max_size=6))
def test_a_mean_of_intervals_keeps_its_place_and_narrows(given_: list[tuple[float, float, float]]) -> None:
    """It holds the mean; it is no wider than the mean of the widths, and with one it is that one."""
    values, intervals = [v for v, _, _ in given_], [(v - below, v + above) for v, below, above in given_]
    low, high = mean_of_differences(values, intervals)
    centre = math.fsum(values) / len(values)
    assert low - 1e-9 <= centre <= high + 1e-9
    assert high - low <= math.fsum(top - bottom for bottom, top in intervals) / len(values) + 1e-9
    if len(values) == 1:
        assert (low, high) == pytest.approx(intervals[0])


def test_holm_at_a_published_figure() -> None:
    """As R's p.adjust has it."""
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(p_values: list[float]) -> None:
    """The largest Bonferroni p of all sets of hypotheses that hold the one in question."""
    places = range(len(p_values))
    sets = [chosen for size in range(1, len(p_values) + 1) for chosen in combinations(places, size)]
    closed = [max(min(1.0, len(own) * min(p_values[i] for i in own)) for own in sets if place in own) for place in places]
    assert holm(p_values) == pytest.approx(closed)


def test_without_a_spread_nothing_is_reckoned() -> None:
    """None, not 0; equal values with a known range have an interval all the same."""
    same = difference([2.25] * 5, [2.25] * 5)
    assert (same.value, same.p, same.stderr, same.low, same.high) == (0.0, 1.0, None, None, None)
    one = difference([0.7], [0.2])
    assert (one.low, one.high, one.stderr, one.p) == (None, None, None, 1.0)
    known = difference([0.25] * 50, [0.25] * 50, width=1.0)
    assert known.low is not None and known.high is not None and known.low < 0 < known.high
    assert equivalent(same, margin=0.1) is None
    assert detectable(same) is None and needed(same, difference=0.1) is None


def test_equal_answers_still_leave_room_for_a_difference() -> None:
    """Twenty samples without a difference do not show that there is none: (1 + 1)/22 - 0, by hand."""
    own = difference([1.0] * 20, [1.0] * 20)
    reach = 1.959963984540054 * math.sqrt((2 / 22) / 22)
    assert (own.low, own.high, own.p) == pytest.approx((-reach, reach, 1.0))


def test_equal_answers_of_whole_passages_leave_more_room() -> None:
    """Twenty passages of five questions say as much as 20 samples, with t's quantile of 19 degrees of freedom, 2.0930."""
    own = difference([1.0] * 100, [1.0] * 100, [number // 5 for number in range(100)])
    reach = 2.093024 * math.sqrt((2 / 22) / 22)
    assert (own.low, own.high, own.p) == pytest.approx((-reach, reach, 1.0), rel=1e-6)
    assert (own.n, own.clusters, own.method, own.test) == (100, 20, "adjusted Wald, effective size", "t test")


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0.0, 0.3, 1.0])), min_size=2, max_size=30))
def test_the_other_way_round_is_the_same_difference(pairs: list[tuple[float, float]]) -> None:
    """With its sign turned."""
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    own, turned = difference(first, second, width=1.0), difference(second, first, width=1.0)
    assert (own.value, own.p) == pytest.approx((-turned.value, turned.p))
    assert (own.low is None, own.high is None) == (turned.low is None, turned.high is None)
    if own.low is not None and own.high is not None and turned.low is not None and turned.high is not None:
        assert (own.low, own.high) == pytest.approx((-turned.high, -turned.low), abs=1e-9)
        assert own.high - own.low > 0


def test_shared_passages_make_a_difference_less_sure() -> None:
    """0/1 values are then compared by whole passages."""
    first, second = [1.0, 1.0, 1.0, 1.0, 0.0, 0.0] * 4, [0.0, 0.0, 0.0, 1.0, 1.0, 0.0] * 4
    alone, clustered = difference(first, second), difference(first, second, [f"passage {n // 3}" for n in range(24)])
    assert (alone.test, alone.method) == ("McNemar's mid-p test", "adjusted Wald")
    assert (clustered.test, clustered.method) == ("t test, few clusters", "adjusted Wald, effective size, few clusters")
    assert (clustered.n, clustered.clusters) == (24, 8)
    assert clustered.p > alone.p


def test_a_scale_changes_nothing_but_the_unit() -> None:
    """Points of 0 to 100 have a hundred times the ratios' interval, and their p-value."""
    draw = np.random.default_rng(4)
    for share in (0.05, 1.0):
        first = draw.random(60)
        second = np.where(draw.random(60) < share, draw.random(60), first)
        own = difference(first.tolist(), second.tolist(), width=1.0)
        points = difference((100 * first).tolist(), (100 * second).tolist(), width=100.0)
        assert own.low is not None and own.high is not None
        assert (points.low, points.high, points.p) == pytest.approx((100 * own.low, 100 * own.high, own.p))


def apart(value: float) -> Difference:
    """A difference without a range, with a standard error of 0.01 that is as good as the normal's."""
    return Difference(value, 0.01, None, None, 1.0, "", "", 10**9, 10**9, variance=1e-4)


def test_as_good_as_one_another_needs_both_ends_inside_the_margin() -> None:
    """The 90 % interval inside ±margin is p = 0.05: 1.6449 standard errors from the nearer end."""
    assert equivalent(apart(0.0), margin=0.0164485) == pytest.approx(0.05, abs=1e-6)
    assert equivalent(apart(-0.01), margin=0.0264485) == equivalent(apart(0.01), margin=0.0264485) == pytest.approx(0.05, abs=1e-6)
    beyond = equivalent(apart(0.03), margin=0.02)
    assert beyond is not None and beyond > 0.8


def test_samples_that_do_not_differ_are_as_good_only_where_they_are_many() -> None:
    """At a margin of 0.05 the variance of 50 is 0.05·0.95/50: by hand, t's tail at 0.05/√that. No margin is as wide as the range."""
    same = difference([1.0] * 50, [1.0] * 50)
    assert equivalent(same, margin=0.05) == pytest.approx(float(stdtr(49, -0.05 / math.sqrt(0.05 * 0.95 / 50))))
    assert equivalent(same, margin=0.05) > 0.05  # type: ignore[operator]  # never None
    assert equivalent(difference([1.0] * 200, [1.0] * 200), margin=0.05) < 0.01  # type: ignore[operator]
    assert equivalent(same, margin=1.0) == 0.0


def test_rare_failures_are_no_difference_between_runs_that_are_as_good() -> None:
    """One of a hundred differs by 0.9, the others by -0.009 and a little: of 400 pairs of runs few are called different."""
    draw, found = np.random.default_rng(5), []
    for _ in range(400):
        own = np.where(draw.random(50) < 0.01, 0.9, -0.009 / 0.99 + 0.03 * draw.normal(size=50))
        found.append(difference((0.5 + own / 2).tolist(), (0.5 - own / 2).tolist(), width=1.0))
    assert np.mean([one.p <= 0.05 for one in found]) <= 0.05
    assert np.mean([one.low is not None and one.high is not None and one.low <= 0 <= one.high for one in found]) >= 0.95
    assert found[0].method == "adjusted Wald, known range"


def test_a_mean_over_tasks_is_joined_by_its_weights() -> None:
    """√Σ(w·half)², by hand: 0.25 and 0.75 of ±0.2 and ±0.1."""
    found = mean_of_differences([0.0, 0.4], [(-0.2, 0.2), (0.3, 0.5)], [0.25, 0.75])
    reach = math.sqrt(0.05**2 + 0.075**2)
    assert found == pytest.approx((0.3 - reach, 0.3 + reach))


def test_as_good_is_corrected_for_skewness_where_no_range_is_known() -> None:
    """By hand: the greater p of Student's and Hall's, on the side where it is greater; both ways round alike."""
    own = np.random.default_rng(4).exponential(size=40) - 0.8
    error, lean = own.std(ddof=1) / math.sqrt(40), float(stats.skew(own)) / math.sqrt(40)
    found = difference(own.tolist(), [0.0] * 40)
    assert found.freedom == 39 and found.lean == pytest.approx(lean)
    p = []
    for sign in (1, -1):
        t, a = (sign * own.mean() + 0.5) / error, sign * lean
        p.append(stats.t.sf(min(t, t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6), 39))
    assert equivalent(found, margin=0.5) == pytest.approx(max(p))
    assert equivalent(difference([0.0] * 40, own.tolist()), margin=0.5) == pytest.approx(max(p))


def test_the_freedom_of_unequal_clusters_is_the_variances_own() -> None:
    """One of 40 samples and nine of 1: far less than nine."""
    draw = np.random.default_rng(3)
    clusters = [0] * 40 + list(range(1, 10))
    first, second = draw.normal(size=(2, 49))
    found, told = difference(first.tolist(), second.tolist(), clusters), spread(first - second, clusters)
    assert told is not None and found.freedom == told.freedom < 5


def test_one_passage_alone_tells_nothing_of_others() -> None:
    """However many questions it has, right and wrong: they were n independent samples, and found a difference in most draws."""
    found = difference([1.0] * 10, [0.0] * 10, ["passage"] * 10)
    assert (found.value, found.low, found.high, found.p, found.clusters, found.test) == (1.0, None, None, 1.0, 1, "none")
    assert difference([1.0] * 10, [0.0] * 10, [str(n) for n in range(10)]).p < 0.01


def test_a_range_that_values_leave_is_not_theirs() -> None:
    """An accuracy that a task tells in per cent: its difference lies within its own interval."""
    chance = np.random.default_rng(3)
    first, second = (chance.uniform(0, 100, 40).tolist() for _ in range(2))
    found = difference(first, second, width=1.0)
    assert found.low is not None and found.high is not None and found.low < found.value < found.high
    assert (found.width, found.method) == (None, difference(first, second).method)


def test_of_one_document_nobody_knows_whether_runs_are_as_good() -> None:
    """It was NaN, and in a family of tests it took every other's finding with it."""
    assert equivalent(difference([1.0], [1.0], width=1.0), margin=0.1) is None


@pytest.mark.parametrize(("width", "method"), [
    (None, "adjusted Wald"), (1.0, "adjusted Wald"), (100.0, "adjusted Wald, known range"), (math.inf, "Student, corrected for skewness"),
])  # fmt: skip
def test_differences_of_0_and_1_are_of_the_range_that_is_known(width: float | None, method: str) -> None:
    """One point in a hundred more is no right answer more."""
    assert difference([0.0, 1.0] * 20, [0.0] * 40, width=width).method == method
