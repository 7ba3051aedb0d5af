"""What a paired design can find: the smallest true difference, and the samples that a difference of some size wants.

Of 0/1 values a difference of δ wants at least δ of the samples to differ, however few differ here: the share that does is the greater of
what was seen and δ. Where so few samples differ that the normal's approximation fails, the power is McNemar's mid-p test's own.
Source: Miettinen, Biometrics 24 (1968) 339-352; Connor, Biometrics 43 (1987) 207-211. Others: Miller, Adding Error Bars to Evals (2024),
arXiv 2411.00640, section 5, equation 9, with the samples that the test of values of a known range adds (differences.py): few samples find
no small difference then, however little they spread.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import bisect, brentq
from scipy.special import bdtr, ndtr, ndtri

from streams.statistics.differences import LEVEL, Difference
from streams.statistics.spreads import Floats

POWER: float = 0.8
Z_POWER: float = 0.8416212335729143  # the standard normal's 80 % quantile
MOST_DIFFER = 200  # that are expected to differ: with more the normal's approximation holds
CLOSE = 1e-5
SAME = 6  # decimals of a number of samples that are told apart
SMALLEST = 1e-300


def detectable(found: Difference, *, tests: int = 1) -> float | None:
    """The smallest true difference that this design finds with power 0.8, among so many tests under Holm; None without a spread.

    The level is that of Holm's first step, which the smallest p-value must pass whatever the others are.
    """
    if not found.stderr:
        return None
    size, level = found.n / found.effect, LEVEL / tests
    if found.differ is None:
        return _wanted(found, size, level) / size
    seen = found.differ
    if power(1.0, size=size, differ=seen, level=level) < POWER:
        return None
    return float(bisect(lambda apart: power(apart, size=size, differ=seen, level=level) - POWER, CLOSE, 1.0, xtol=CLOSE))


def needed(found: Difference, *, difference: float, tests: int = 1) -> int | None:
    """How many samples find a true difference of this size with power 0.8; None without a spread, or for more than values can be apart.

    The size is the asker's: what is found by chance looks large, and would seem easy to find again.
    """
    apart = abs(difference)
    if not found.stderr or not apart:
        return None
    level = LEVEL / tests
    if apart > (found.width or math.inf):
        return None
    if found.differ is None:
        most = 2.0
        while _wanted(found, most, level) > apart * most:
            most *= 2
        size = brentq(lambda size: _wanted(found, size, level) - apart * size, CLOSE, most)
        return math.ceil(round(size * found.effect, SAME))
    differ = max(found.differ, apart)
    about = (float(-ndtri(level / 2)) * math.sqrt(differ) + Z_POWER * math.sqrt(differ - apart**2)) ** 2 / apart**2
    low, high = 1, 2 * math.ceil(about) + 100
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(apart, size=middle, differ=differ, level=level) >= POWER else (middle + 1, high)
    return math.ceil(low * found.effect)


def _wanted(found: Difference, size: float, level: float) -> float:
    """How great the sum of `size` samples' differences must be to be found with power 0.8: z₁₋α/₂·√(n·σ² + 2W²) + z₀.₈·√(n·σ²).

    σ² is a sample's variance, W the range's width, 0 where none is known: then it is (z₁₋α/₂ + z₀.₈)·σ·√n.
    """
    whole, added = size * found.variance * found.n / found.effect, 2 * (found.width or 0.0) ** 2
    return float(-ndtri(level / 2)) * math.sqrt(whole + added) + Z_POWER * math.sqrt(whole)


def power(apart: float, *, size: float, differ: float, level: float) -> float:
    """The chance that a true difference of 0/1 values is found by `size` samples, of which a share `differ` does, or `apart` if more.

    With m ~ Bin(n, φ) samples that differ, of which (φ + δ)/2φ favour the better: Σ_m P(m) · P(the test rejects | m).
    """
    share, count = max(differ, apart), round(size)
    if size * share > MOST_DIFFER:
        apart_by = apart * math.sqrt(size) - float(-ndtri(level / 2)) * math.sqrt(share)
        return float(ndtr(apart_by / math.sqrt(max(share - apart**2, SMALLEST))))
    most = min(count, 2 * MOST_DIFFER)
    chances = np.diff(bdtr(np.arange(most + 1), count, min(share, 1.0)), prepend=0.0)
    return float(chances @ _rejects(_critical(level)[: most + 1], (share - apart) / (2 * share)))


def _rejects(critical: NDArray[np.int64], worse: float) -> Floats:
    """The chance that no more of m samples favour the worse than the test bears, for each m."""
    told = bdtr(np.maximum(critical, 0), np.arange(len(critical)), min(max(worse, 0.0), 1.0))
    return np.where(critical >= 0, told, 0.0)


@cache
def _critical(level: float) -> NDArray[np.int64]:
    """For each number of samples that differ, how many may favour the worse for the mid-p test to reject; -1 where it never does."""
    m, fewer = np.arange(2 * MOST_DIFFER + 1)[:, None], np.arange(MOST_DIFFER + 1)[None, :]
    below = bdtr(np.minimum(fewer, m), m, 0.5)
    before = np.where(fewer > 0, bdtr(np.minimum(np.maximum(fewer - 1, 0), m), m, 0.5), 0.0)
    rejected: NDArray[np.bool_] = (below + before <= level) & (2 * fewer < m)
    most: NDArray[np.int64] = np.asarray(rejected.sum(axis=1) - 1, dtype=np.int64)
    return most
