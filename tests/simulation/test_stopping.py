"""Looking after every sample and stopping at will: a confidence sequence holds the truth all the same, Wilson's interval does not."""

import numpy as np
import pytest

from streams.statistics.intervals import Z95
from streams.statistics.sequences import sequence
from streams.statistics.spreads import Floats

LEAST = 0.94
RUNS, WITHIN = 600, 0.05


def drawn(name: str, draw: np.random.Generator) -> tuple[Floats, float]:
    """Values from 0 to 1 of many runs, enough for each to stop, and their mean."""
    match name:
        case "F1, with misses":
            return draw.beta(3, 1, (RUNS, 1500)) * (draw.random((RUNS, 1500)) > 0.4), 0.45
        case "sorted, then shuffled":
            # A data set of 2,000 documents, the easy ones first: each run goes through it in an order of its own.
            hard = np.concatenate([np.ones(1300), np.zeros(700)])
            return np.asarray([draw.permutation(hard)[:1500] for _ in range(RUNS)]), 0.65
        case "passages, shuffled":
            # 200 passages with ten questions each, all answered alike: the mean of this very data set is what it is about.
            answers = np.repeat(draw.random(200) < 0.4, 10).astype(np.float64)
            return np.asarray([draw.permutation(answers)[:1500] for _ in range(RUNS)]), float(answers.mean())
    share = float(name)
    return (draw.random((RUNS, 1500)) < share).astype(np.float64), share


NAMES = ["0.05", "0.3", "0.5", "0.9", "F1, with misses", "sorted, then shuffled", "passages, shuffled"]


@pytest.mark.parametrize("name", NAMES)
def test_a_sequence_holds_the_truth_at_every_sample_and_where_it_stops(name: str) -> None:
    """Of 600 runs each of which stops at ±0.05; and it stops."""
    values, truth = drawn(name, np.random.default_rng(7))
    lows, highs = sequence(values, half_width=WITHIN)
    narrow = highs - lows <= 2 * WITHIN
    assert narrow.any(axis=1).all()
    holds, runs = (lows <= truth) & (truth <= highs), np.arange(RUNS)
    assert holds[runs, narrow.argmax(axis=1)].mean() >= LEAST
    assert holds.all(axis=1).mean() >= LEAST


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
def test_wilsons_interval_looked_at_after_every_sample_does_not(share: float) -> None:
    """Over 1,500 looks it is wrong at some of them far more often than in one run of twenty: whoever picks the moment can have it so."""
    values, _ = drawn(f"{share}", np.random.default_rng(7))
    n = np.arange(1, values.shape[1] + 1)
    shares, square = np.cumsum(values, axis=1) / n, Z95**2
    centre = (shares + square / (2 * n)) / (1 + square / n)
    half = Z95 * np.sqrt(shares * (1 - shares) / n + square / (4 * n * n)) / (1 + square / n)
    assert (np.abs(share - centre) <= half).all(axis=1).mean() < 0.80


def test_it_needs_about_twice_wilsons_samples() -> None:
    """At a share of 0.5 and ±0.02; 2,400 would do if they were looked at once."""
    values = (np.random.default_rng(3).random((50, 8000)) < 0.5).astype(np.float64)
    lows, highs = sequence(values, half_width=0.02)
    assert 4000 < np.median((highs - lows <= 0.04).argmax(axis=1)) < 5500


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5])
def test_a_data_set_of_400_stops_before_its_end_and_its_sequence_is_seldom_wrong(share: float) -> None:
    """Of 600 orders of the same documents: at every sample together, and where they stop; without an end most would never stop."""
    right = (np.arange(400) < round(400 * share)).astype(np.float64)
    values = np.random.default_rng(8).permuted(np.tile(right, (RUNS, 1)), axis=1)
    lows, highs = sequence(values, half_width=WITHIN, population=400)
    assert ((lows <= share + 1e-9) & (share - 1e-9 <= highs)).all(axis=1).mean() >= LEAST
    ends = (highs - lows <= 2 * WITHIN).argmax(axis=1)
    assert np.median(ends) < 300
    endless = np.subtract(*reversed(sequence(values, half_width=WITHIN)))
    assert share == 0.02 or (endless > 2 * WITHIN).all(axis=1).mean() > 0.9


def test_what_is_drawn_whole_is_known() -> None:
    """After all documents the sequence is their mean, and before it is within what is left."""
    values = np.random.default_rng(2).random(50)
    lows, highs = sequence(values, half_width=WITHIN, population=50)
    assert (lows[-1], highs[-1]) == pytest.approx((values.mean(), values.mean()))
    assert (highs - lows <= (50 - np.arange(1, 51)) / 50 + 1e-12).all()
