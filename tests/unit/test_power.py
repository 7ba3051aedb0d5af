"""What a paired design can find, held to the test itself: by hand, and by drawing."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from streams.statistics.differences import Difference, difference, equivalent, mcnemar
from streams.statistics.power import detectable, equals_found, needed

Z = 1.959963984540054
SURE = Difference(0.0, 0.01, -0.0195996, 0.0195996, 1.0, "", "", n=1000, clusters=1000, variance=1e-4)


def paired(n: int, better: int, worse: int) -> Difference:
    """Two runs over n samples of 0/1 values."""
    return difference([1.0] * better + [0.0] * (n - better), [0.0] * better + [1.0] * worse + [0.0] * (n - better - worse))


def test_what_can_be_found_shrinks_with_samples_and_grows_with_tests() -> None:
    """Of values that are not 0/1, by hand: 1.9600 + 0.8416 standard errors for one test, 2.8070 + 0.8416 for ten (0.05/10, two-sided)."""
    assert detectable(SURE) == pytest.approx(0.028016, abs=1e-6)
    assert detectable(SURE, tests=10) == pytest.approx(0.036487, abs=1e-6)
    assert needed(SURE, difference=0.028016) == pytest.approx(1000, abs=1)
    assert needed(SURE, difference=-0.014008) == pytest.approx(4000, abs=1)
    assert needed(SURE, difference=0.028016, tests=10) == math.ceil(1000 * (0.036487 / 0.028016) ** 2)


@pytest.mark.parametrize(("n", "better", "worse"), [(100, 0, 0), (100, 1, 0), (1000, 2, 0), (1000, 60, 70), (5000, 300, 310)])
@pytest.mark.parametrize("tests", [1, 62])
def test_it_finds_what_it_says_it_would(n: int, better: int, worse: int, tests: int) -> None:
    """A true difference of that size, drawn 2,000 times: McNemar's test finds about 0.8 of them, however few samples differ."""
    draw, own = np.random.default_rng(7), paired(n, better, worse)
    apart, size = detectable(own, tests=tests), needed(own, difference=0.02, tests=tests)
    assert apart is not None and size is not None
    for count, true in ((n, apart), (size, 0.02)):
        differ = max((better + worse) / n, true)
        m = draw.binomial(count, differ, 2000)
        favour = draw.binomial(m, (differ + true) / 2 / differ)
        found = np.mean([mcnemar(int(one), int(both - one)) <= 0.05 / tests for one, both in zip(favour, m, strict=True)])
        assert 0.76 <= found <= 0.84


def test_scores_of_a_known_range_want_samples_however_little_they_spread() -> None:
    """By hand: of samples that are all alike t·√2 of the range, over how many there are; others find 0.1 from n·0.1 on, which is
    z·√(2 + n/100) + z'·√(n/100)."""
    alike = difference([0.5] * 100, [0.5] * 100, width=1.0)
    assert detectable(alike) == pytest.approx(stats.t.isf(0.025, 99) * math.sqrt(2) / 100)
    size = needed(alike, difference=0.1)
    assert size is not None and stats.t.isf(0.025, size * 0.99) * math.sqrt(2) == pytest.approx(0.1 * size, rel=0.03)
    spread = replace(SURE, variance=0.01 / 1000, width=1.0)
    size = needed(spread, difference=0.1)
    assert size is not None
    for count, short in ((size - 1, True), (size, False)):
        wanted = Z * math.sqrt(2 + 0.01 * count) + 0.8416212335729143 * math.sqrt(0.01 * count)
        assert (0.1 * count < wanted) is short
    assert needed(spread, difference=1.5) is None


def test_samples_that_stand_or_fall_together_find_less() -> None:
    """Ten to a cluster, each all alike, are a tenth of the samples."""
    own = paired(1000, 100, 100)
    alike = difference([1.0] * 100 + [0.0] * 900, [0.0] * 100 + [1.0] * 100 + [0.0] * 800, [number // 10 for number in range(1000)])
    assert alike.effect == pytest.approx(10, rel=0.02)
    assert needed(alike, difference=0.05) == pytest.approx(10 * (needed(own, difference=0.05) or 0), rel=0.05)
    assert (detectable(alike) or 0) > 3 * (detectable(own) or 1)


def test_few_clusters_find_less_than_their_standard_error_says() -> None:
    """Of values without a range in six clusters, by hand: S = t·R + z·√(1 + (S² + t²)/(2·5)), in standard errors; at 1.6 times z + z'."""
    own = replace(SURE, clusters=6, freedom=5.0)
    apart = (detectable(own) or 0) / 0.01
    t = stats.t.isf(0.025, 5)
    assert apart == pytest.approx(t + 0.8416212 * math.sqrt(1 + (apart**2 + t**2) / 10))
    assert apart == pytest.approx(1.47 * 2.8016, rel=0.01)
    more = needed(own, difference=0.02)
    assert more is not None and more > (needed(SURE, difference=0.02) or 0)


def test_values_that_lean_to_one_side_find_less() -> None:
    """As much as the interval's longer side is longer than Student's."""
    assert detectable(replace(SURE, low=-0.04)) == pytest.approx(0.04 + 0.0084162, abs=1e-6)


def test_two_clusters_of_scores_find_nothing() -> None:
    """Whose range is far wider than they spread: no difference that there can be is large enough."""
    assert detectable(difference([0.5] * 40 + [0.51] * 40, [0.5] * 80, [0] * 40 + [1] * 40, width=1.0)) is None


def test_more_than_there_is_finds_nobody() -> None:
    """Accuracies differ by 1 at most; five samples are too few for any difference."""
    assert needed(paired(100, 3, 2), difference=2.0) is None
    assert detectable(paired(3, 0, 0)) is None


def test_how_many_samples_find_equals_by_hand() -> None:
    """(z₀.₉₅ + z₀.₉)²·σ²/margin², and more among more tests; none without a spread."""
    assert equals_found(SURE, margin=0.01) == math.ceil((stats.norm.ppf(0.95) + stats.norm.ppf(0.9)) ** 2 * 0.1 / 0.01**2)
    assert equals_found(SURE, margin=0.01, tests=5) == math.ceil((stats.norm.ppf(0.99) + stats.norm.ppf(0.9)) ** 2 * 0.1 / 0.01**2)
    assert equals_found(replace(SURE, stderr=None), margin=0.01) is None
    assert equals_found(replace(SURE, variance=0.0), margin=0.01) is None


def test_so_many_samples_find_equals_in_four_of_five_cases() -> None:
    """Of runs of which a tenth of the answers differ, either way alike."""
    chance, told = np.random.default_rng(26), equals_found(paired(1000, 50, 50), margin=0.03)
    assert told is not None
    counts = chance.multinomial(told, [0.05, 0.05, 0.9], size=1000)
    found = [(equivalent(paired(told, int(better), int(worse)), margin=0.03) or 0.0) <= 0.05 for better, worse, _ in counts]
    assert 0.76 <= np.mean(found) <= 0.86


def test_equals_are_found_by_the_variance_of_a_margin_where_nothing_differs() -> None:
    """300 samples of which none differs: by (1 - margin)·margin/N, of which t² must be 1.645²."""
    told = equals_found(paired(300, 0, 0), margin=0.01)
    assert told is not None
    assert told == pytest.approx(stats.norm.ppf(0.95) ** 2 * 0.99 / 0.01, abs=4)  # t of N - 1, a little more than z
