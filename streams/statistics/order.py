"""Percentiles of a sample: which of them it can support, and how sure they are.

The interval of a percentile is between two values of the sample, whatever they are distributed like: as many lie below the true percentile
as a binomial says. Source: H. A. David and H. N. Nagaraja, Order Statistics (3rd ed. 2003), section 7.1.
"""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from streams.statistics.intervals import Z95

SURE = 0.99
EXACT = 10_000  # above it the binomial is as good as normal


@cache
def needed(share: float) -> int:
    """How many values a sample must have for its percentile `share` (0..1) to be shown: 11 for the median, 64 for p90, 662 for p99.

    The least n for which all but one of n values lie within the true percentile with a probability of 1 % at most: one value may lie beyond
    it, and it is 99 % sure that not too many more would. Source: MLPerf inference, early stopping (loadgen/early_stopping.cc), 99 %
    confidence, one query over the latency.
    """
    beyond, n = min(share, 1 - share), 2
    while bdtr(1, n, beyond) > 1 - SURE:
        n += 1
    return n


def early_stopped(values: NDArray[np.int64], share: float) -> int | None:
    """The value that, at 99 % confidence, a percentile does not exceed; None where the sample is too small. `values` are sorted.

    The greatest t of the n values that may lie beyond the percentile are passed over, but for the last of them: the most t for which
    t or fewer of n lie beyond with a probability of 1 % at most. Source: MLPerf inference, loadgen/results.cc and early_stopping.cc.
    """
    n, beyond = len(values), min(share, 1 - share)
    if n < needed(share):
        return None
    # bdtr grows with t: the last place at which it is still 1 % at most.
    t = int(np.searchsorted(bdtr(np.arange(n + 1), n, beyond), 1 - SURE, side="right")) - 1
    return int(values[n - t])


def percentile_interval(
    values: Sequence[int] | NDArray[np.int64], share: float, *, size: float | None = None
) -> tuple[float | None, float | None]:
    """The 95 % interval of a percentile; None on a side where the sample ends before it. `values` are sorted.

    `size`: how many independent values they are worth; the ranks are those of such a sample.
    """
    n = len(values)
    worth = max(1, min(n, math.floor(n if size is None else size)))
    low, high = _ranks(worth, share)
    first = None if low < 1 else float(values[_place(low, worth=worth, n=n)])
    return first, None if high > worth else float(values[_place(high, worth=worth, n=n)])


def _place(rank: int, *, worth: int, n: int) -> int:
    """The place, from 0, of the value that has that rank among `worth` alike."""
    return min(n, math.ceil(rank * n / worth)) - 1


def _ranks(n: int, share: float) -> tuple[int, int]:
    """The ranks l and u with P(l ≤ B ≤ u - 1) of 95 % or more, 2.5 % at most on either side, where B is binomial."""
    if n > EXACT:
        half = Z95 * math.sqrt(n * share * (1 - share))
        return math.floor(n * share - half), math.ceil(n * share + half) + 1
    below = bdtr(np.arange(n + 1), n, share)  # P(B ≤ k)
    return int(np.searchsorted(below, 0.025, side="right")), int(np.searchsorted(below, 0.975)) + 1
