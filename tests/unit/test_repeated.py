"""Several runs of one load: the interval between runs, and whether they differ more than their own intervals say. Exact values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from query_api.drawing.repeated import rows
from streams.speed.repeated import ALONE, NO_INTERVAL, NO_WIDTH, Own, Repeated, repeated, said
from streams.statistics.intervals import Z95


def runs(*values: float, error: float | None = 1.0) -> list[Own]:
    """A run a value, each with an interval that says such a standard error."""
    half = None if error is None else Z95 * error
    return [
        Own(f"r{n}", value, None if half is None else value - half, None if half is None else value + half)
        for n, value in enumerate(values)
    ]


def test_three_runs_have_students_interval_and_cochrans_q() -> None:
    """Of 10, 12 and 14: s = 2, t(2) = 4.3027; with errors of 1 Q = 8, of which χ²(2) says exp(-4)."""
    told = repeated("ttft_p50_s", runs(10, 12, 14))
    half = 4.302652729749464 * 2 / math.sqrt(3)
    assert (told.value, told.between) == (12.0, 2.0)
    assert told.within == pytest.approx(1.0)
    assert (told.low, told.high) == pytest.approx((12 - half, 12 + half))
    assert told.p == pytest.approx(math.exp(-4))
    assert told.differs is False and said([told]) is None


def test_runs_that_differ_more_than_their_own_intervals_are_told() -> None:
    """10, 13 and 16 with errors of 1: Q = 18, p = exp(-9). The others differ by less, or nobody can say."""
    told = [repeated("ttft_p50_s", runs(10, 13, 16)), repeated("itl_p95_s", runs(10, 10.5)),
            repeated("capacity_tokens_per_s", runs(10, 99, error=None))]  # fmt: skip
    assert told[0].p == pytest.approx(math.exp(-9))
    assert [one.differs for one in told] == [True, False, None]
    assert said(told) == "runs differ more than their own intervals: TTFT p50 (p = 0.00012); Cochran's Q"
    assert said([repeated("itl_p50_s", runs(10, 99))]) == "runs differ more than their own intervals: ITL p50 (p < 0.0001); Cochran's Q"


def test_what_cannot_be_told_says_why() -> None:
    """One run alone has no interval between runs; figures without an interval, or of one without width, are not tested."""
    alone = repeated("ttft_p50_s", runs(5))
    assert (alone.value, alone.low, alone.high, alone.between, alone.p, alone.untested) == (5.0, None, None, None, None, ALONE)
    assert alone.within == pytest.approx(1.0)
    without = repeated("joules_per_token", [*runs(1, 2), Own("r9", 3.0, None, 4.0)])
    assert (without.within, without.p, without.untested, without.between) == (None, None, NO_INTERVAL, 1.0)
    assert repeated("itl_p50_s", runs(1, 2, error=0.0)).untested == NO_WIDTH


def test_an_interval_does_not_go_below_0() -> None:
    """Two runs tell little: t(1) = 12.7; but no latency is negative."""
    told = repeated("ttft_p50_s", runs(1, 2))
    assert (told.low, told.high) == pytest.approx((0.0, 1.5 + 12.706204736174704 * math.sqrt(0.5) / math.sqrt(2)))


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=12), st.floats(0.01, 10))
def test_the_interval_is_scipys(values: list[float], error: float) -> None:
    """And Q is a sum of squared differences over the runs' own squared error; the order of runs changes nothing."""
    told = repeated("ttft_p95_s", runs(*values, error=error))
    spread = math.sqrt(sum((one - told.value) ** 2 for one in values) / (len(values) - 1))
    half = stats.t.ppf(0.975, len(values) - 1) * spread / math.sqrt(len(values))
    assert told.high == pytest.approx(told.value + half)
    assert told.p == pytest.approx(stats.chi2.sf((len(values) - 1) * (spread / error) ** 2, len(values) - 1), abs=1e-9)
    assert repeated("ttft_p95_s", runs(*reversed(values), error=error)).p == pytest.approx(told.p)


def test_a_table_of_runs_is_in_the_units_that_people_read() -> None:
    """Durations as such; what is not known is nothing."""
    told = [repeated("ttft_p50_s", runs(0.010, 0.012, 0.014, error=0.001)), repeated("capacity_tokens_per_s", runs(99.5, error=None))]
    assert rows(map(shown, told, ("s", "tokens/s"))) == [
        ("TTFT p50", 3, "12 ms", "7.03 ms – 17 ms", "2 ms", "1 ms"), ("tokens/s at capacity", 1, "99.500", None, None, None),
    ]  # fmt: skip


def shown(one: Repeated, unit: str) -> dict[str, object]:
    """A figure as the API has it."""
    return {name: getattr(one, name) for name in ("metric", "value", "low", "high", "between", "within")} | {
        "n": len(one.runs),
        "unit": unit,
    }
