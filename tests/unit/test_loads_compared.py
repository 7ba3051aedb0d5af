"""Two loads compared: the interval of a difference, who is ahead, in what the loads were not alike, and how it is shown."""

import math

import numpy as np
import pytest
from scipy.stats import chi2

from query_api.drawing.against import COLUMNS, rows
from query_api.drawing.charts import histogram
from streams.speed.against import METHOD, Against, against, unlike
from streams.speed.repeated import Own

S = "ttft_p50_s"


def own(value: float, low: float | None = None, high: float | None = None) -> Own:
    """A run's figure."""
    return Own("r", value, low, high, "order statistics" if low is not None else None)


def one(a: Own, b: Own, name: str = S) -> Against:
    """Their difference."""
    (found,) = against({name: a}, {name: b})
    return found


def test_equal_intervals_give_the_difference_of_two_means() -> None:
    """Symmetrical ones of ± 0.3 and ± 0.4: ± √(0.3² + 0.4²) = ± 0.5."""
    found = one(own(5.0, 4.7, 5.3), own(3.0, 2.6, 3.4))
    assert (found.value, found.low, found.high, found.ratio) == pytest.approx((2.0, 1.5, 2.5, 5 / 3))
    assert (found.ahead, found.method) == ("b", METHOD)  # less time is better


def test_unequal_ends_stay_unequal() -> None:
    """Each end is reckoned with the ends that make it: of a the low one, of b the high one; and the other way round."""
    found = one(own(5.0, 4.0, 5.5), own(3.0, 2.9, 3.2))
    assert (found.low, found.high) == pytest.approx((2.0 - math.hypot(1.0, 0.2), 2.0 + math.hypot(0.5, 0.1)))


@pytest.mark.parametrize(
    ("name", "a", "b", "ahead"),
    [
        (S, own(1.0, 0.9, 1.1), own(1.1, 1.0, 1.2), None),
        (S, own(1.0, 0.9, 1.1), own(2.0, 1.9, 2.1), "a"),
        ("capacity_tokens_per_s", own(1.0, 0.9, 1.1), own(2.0, 1.9, 2.1), "b"),
        ("joules_per_token", own(1.0), own(2.0, 1.9, 2.1), None),
    ],
)
def test_ahead_is_who_is_better_beyond_chance(name: str, a: Own, b: Own, ahead: str | None) -> None:
    """Nobody, where the interval holds 0 or is not there."""
    assert one(a, b, name).ahead == ahead


def test_the_interval_holds_the_difference_as_often_as_it_says() -> None:
    """Of exponential times, whose means have intervals that are not the same on both sides (by the chi-squared distribution)."""
    draw, n, held = np.random.default_rng(3), 20, 0
    low, high = (2 * n / float(chi2.ppf(share, 2 * n)) for share in (0.975, 0.025))
    for _ in range(2000):
        means = draw.exponential(2.0, n).mean(), draw.exponential(1.0, n).mean()
        a, b = (own(mean, mean * low, mean * high) for mean in means)
        found = one(a, b)
        held += (found.low or 0) <= 1.0 <= (found.high or 0)
    assert held / 2000 == pytest.approx(0.95, abs=0.015)


def test_what_only_one_has_is_not_compared_and_what_differs_is_said() -> None:
    """By the fields' names."""
    assert list(against({S: own(1.0)}, {"e2e_p50_s": own(1.0)})) == []
    told = unlike({"workload requests": 100, "workload url": "u", "slo ratio": 0.9}, {"workload requests": 2000, "workload url": "u"})
    assert told == ["slo ratio: 0.9 for A, none for B", "workload requests: 100 for A, 2,000 for B"]


def test_a_row_says_what_it_means() -> None:
    """In the figure's unit, with the sign of the difference."""
    found = one(own(0.005, 0.0047, 0.0053), own(0.003, 0.0026, 0.0034))
    figures = [{name: getattr(found, name) for name in ("metric", "unit", "value", "low", "high", "ratio", "ahead")}]
    figures[0] |= {"a": {"value": found.a.value}, "b": {"value": found.b.value}}
    assert rows(figures) == [("TTFT p50", "5 ms", "3 ms", "+2 ms", "+1.5 ms to +2.5 ms", "1.667", "B is better")]
    assert len(rows(figures)[0]) == len(COLUMNS) + 1


def test_two_histograms_stand_on_one_scale() -> None:
    """The buckets that either of them fills."""
    bounds = [10**6, 2 * 10**6, 5 * 10**6, 10**7, 2 * 10**7]
    early, late = ({"bounds": bounds, "counts": counts} for counts in ([0, 3, 0, 0, 0, 0], [0, 0, 0, 4, 0, 0]))
    (a, ticks), (b, others) = histogram(early, beside=late), histogram(late, beside=early)
    assert ticks == others and [one.left for one in a] == [one.left for one in b]
    assert [one.height for one in a] == [0, 100, 0, 0, 0] and [one.height for one in b] == [0, 0, 0, 100, 0]
