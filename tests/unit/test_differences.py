"""Paired differences against published figures, and against what they promise."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.statistics.differences import difference, holm, mcnemar, paired_proportions, sign_flip


def test_a_paired_interval_at_a_published_figure() -> None:
    """1 and 7 of 21 pairs differ: -0.508 to -0.013. Source: Fagerland, Lydersen and Laake (2014), table V, airway data."""
    assert paired_proportions(1, 7, 21)[1] == pytest.approx((-0.508, -0.013), abs=5e-4)


def test_mcnemar_at_a_published_figure() -> None:
    """The same pairs: 0.0703. Source: as above, table IV."""
    assert mcnemar(1, 7) == pytest.approx(0.0703, abs=5e-5)


def test_whole_clusters_are_flipped() -> None:
    """Two clusters of many equal differences are two signs: half of their four flips are as far from 0."""
    own = np.full(40, 0.5)
    assert sign_flip(own, ["a"] * 20 + ["b"] * 20) == pytest.approx(0.5, abs=0.02)
    assert sign_flip(own) == pytest.approx(1 / 10_000)


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
    """None, not 0."""
    same = difference([0.25] * 5, [0.25] * 5)
    assert (same.value, same.p, same.detectable, same.deciding) == (0.0, 1.0, None, None)
    one = difference([0.7], [0.2])
    assert (one.low, one.high, one.stderr) == (None, None, None)


def test_equal_answers_still_leave_room_for_a_difference() -> None:
    """Twenty samples without a difference do not show that there is none."""
    own = difference([1.0] * 20, [1.0] * 20)
    assert own.low is not None and own.high is not None
    assert own.low < -0.05 and own.high > 0.05


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0.0, 0.3, 1.0])), min_size=2, max_size=30))
def test_the_other_way_round_is_the_same_difference(pairs: list[tuple[float, float]]) -> None:
    """With its sign turned."""
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    own, turned = difference(first, second), difference(second, first)
    assert (own.value, own.p, own.deciding) == pytest.approx((-turned.value, turned.p, turned.deciding))
    assert own.low is not None and own.high is not None and turned.low is not None and turned.high is not None
    assert (own.low, own.high) == pytest.approx((-turned.high, -turned.low), abs=1e-9)


def test_shared_passages_make_a_difference_less_sure() -> None:
    """0/1 values are then compared by whole passages."""
    first, second = [1.0, 1.0, 1.0, 1.0, 0.0, 0.0] * 4, [0.0, 0.0, 0.0, 1.0, 1.0, 0.0] * 4
    alone, clustered = difference(first, second), difference(first, second, [f"passage {n // 3}" for n in range(24)])
    assert (alone.test, clustered.test) == ("McNemar's exact test", "sign-flip permutation test")
    assert (clustered.n, clustered.clusters) == (24, 8)
    assert clustered.p > alone.p
