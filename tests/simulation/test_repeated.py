"""Runs of one load: their interval holds the truth as often as it says, and the test of their differing finds what is there alone."""

import numpy as np
import pytest
from scipy.signal import lfilter

from streams.speed.latencies import spread
from streams.speed.repeated import Own, Repeated, repeated

DRAWS = 150
TYPICAL_NS = 1e8
TRUTH = {"ttft_p50": 1.0, "ttft_p95": float(np.exp(0.3 * 1.6448536269514722))}


def drawn(draw: np.random.Generator, metric: str, *, runs: int, n: int, apart: float = 0.0, memory: float = 0.0) -> Repeated:
    """Runs of n log-normal latencies; their logarithms are `apart` from run to run, and hold on to the one before by `memory`."""
    told = list[Own]()
    for run in range(runs):
        steps = draw.standard_normal(n)
        around = lfilter([np.sqrt(1 - memory**2)], [1, -memory], steps) if memory else steps
        values = np.exp(0.3 * around + apart * draw.standard_normal()) * TYPICAL_NS
        figure = next(one for one in spread("ttft", values.astype(np.int64)) if one.metric == metric)
        assert figure.value is not None
        told.append(Own(str(run), figure.value, figure.low, figure.high))
    return repeated(metric, told)


@pytest.mark.parametrize(
    ("metric", "runs", "n", "memory"), [("ttft_p50", 3, 200, 0.0), ("ttft_p50", 5, 500, 0.5), ("ttft_p95", 5, 1000, 0.0)]
)
def test_equal_runs_are_rarely_said_to_differ(metric: str, runs: int, n: int, memory: float) -> None:
    """In 1 % of cases by its label; in 0.3 to 2.3 % of 600 draws, in which the interval held the truth in 93 to 97 %."""
    draw = np.random.default_rng(26)
    told = [drawn(draw, metric, runs=runs, n=n, memory=memory) for _ in range(DRAWS)]
    truth = TRUTH[metric] * TYPICAL_NS
    assert np.mean([bool(one.differs) for one in told]) <= 0.04
    assert np.mean([(one.low or 0) <= truth <= (one.high or 0) for one in told]) >= 0.9


def test_runs_that_are_apart_are_found_and_their_interval_still_holds() -> None:
    """By 5 % from run to run, where a run's own interval is ± 2.4 %: the interval between runs knows of it."""
    draw = np.random.default_rng(26)
    told = [drawn(draw, "ttft_p50", runs=5, n=1000, apart=0.05) for _ in range(DRAWS)]
    assert np.mean([bool(one.differs) for one in told]) >= 0.85
    held = [(one.low or 0) <= TYPICAL_NS * float(np.exp(0.05**2 / 2)) <= (one.high or 0) for one in told]
    assert np.mean(held) >= 0.9
    own = [one.runs[0].low is not None and one.runs[0].low <= TYPICAL_NS <= (one.runs[0].high or 0) for one in told]
    assert np.mean(own) <= 0.6  # what a single run says of itself
