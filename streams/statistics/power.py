"""What a paired design can find: the smallest true difference, and the samples that a difference of some size wants.

Of 0/1 values a difference of δ wants at least δ of the samples to differ, however few differ here: the share that does is the greater of
what was seen and δ. Where so few samples differ that the normal's approximation fails, the power is McNemar's mid-p test's own.
Source: Miettinen, Biometrics 24 (1968) 339-352; Connor, Biometrics 43 (1987) 207-211. Others: Miller, Adding Error Bars to Evals (2024),
arXiv 2411.00640, section 5, equation 9, with the samples that the test of values of a known range adds (differences.py): few samples find
no small difference then, however little they spread.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtr, ndtri, stdtrit

from streams.statistics.differences import LEVEL, Difference, equivalent
from streams.statistics.intervals import t95
from streams.statistics.spreads import Floats

POWER: float = 0.8
Z_POWER: float = 0.8416212335729143  # the standard normal's 80 % quantile
Z_EQUAL: float = 1.2815515655446004  # and its 90 % quantile, which 80 % lie within on both sides
MOST_DIFFER = 200  # that are expected to differ: with more the normal's approximation holds
CLOSE = 1e-5
MOST = 10**15  # samples: more are none
LARGEST = 1e60
SMALLEST = 1e-300


def detectable(found: Difference, *, tests: int = 1) -> float | None:
    """The smallest true difference that this design finds with power 0.8, among so many tests under Holm; None without a spread, and where
    it is more than values can be apart.

    The level is that of Holm's first step, which the smallest p-value must pass whatever the others are.
    """
    if not found.stderr:
        return None
    size, level = found.n / found.effect, LEVEL / tests
    if found.differ is None:
        least = _wanted(found, size, level, 0.0) / size
        return least if least <= (found.width or LARGEST) else None
    return _least(lambda apart: _enough(found, size, level, apart), most=1.0)


def needed(found: Difference, *, difference: float, tests: int = 1) -> int | None:
    """How many samples find a true difference of this size with power 0.8; None without a spread, for more than values can be apart, and
    where no number does, for too few clusters tell.

    The size is the asker's: what is found by chance looks large, and would seem easy to find again.
    """
    apart, level = abs(difference), LEVEL / tests
    if not found.stderr or not apart or apart > (found.width or math.inf):
        return None
    return _fewest(lambda samples: _enough(found, samples / found.effect, level, apart))


def equals_found(found: Difference, *, margin: float, tests: int = 1) -> int | None:
    """How many samples find runs that are equal to be so within `margin` with power 0.8, among so many tests under Holm; None as above.

    Of N samples two one-sided tests find it where the difference that they show is small: within ±z₀.₉·σ/√N in eight of ten cases, so
    the tests of that difference must reject. Source: Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657-680, whose power at equality is
    2·Φ((margin - t·SE)/SE) - 1.
    """
    if not found.stderr:
        return None
    return _fewest(lambda samples: (equivalent(_as_of(found, samples), margin=margin) or 0.0) <= LEVEL / tests)


def _as_of(found: Difference, samples: int) -> Difference:
    """What so many samples of equal runs would show, at the end of where eight of ten differences lie."""
    more = samples / found.n
    variance = (found.variance - found.of_setups) / more + found.of_setups
    return replace(
        found, n=samples, value=Z_EQUAL * math.sqrt(variance), variance=variance, freedom=max(1.0, found.freedom * more),
        lean=abs(found.lean) / math.sqrt(more),
    )  # fmt: skip


def _fewest(enough: Callable[[int], bool]) -> int | None:
    """The least number of samples that is enough; None where MOST are not."""
    low, high = 0, 1
    while not enough(high):
        if (high := 2 * (low := high)) > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _least(enough: Callable[[float], bool], *, most: float) -> float | None:
    """The least number up to `most` that is enough, to within CLOSE; None where not even that one is."""
    low, high = 0.0, most
    while high - low > CLOSE:
        low, high = (low, middle) if enough(middle := (low + high) / 2) else (middle, high)
    return high if enough(high) else None


def _enough(found: Difference, size: float, level: float, apart: float) -> bool:
    """Whether `size` samples that share nothing find that true difference with power 0.8."""
    if found.differ is not None and found.clusters == found.n:
        return power(apart, size=size, differ=found.differ, level=level) >= POWER
    return _wanted(found, size, level, apart) <= apart * size


def _wanted(found: Difference, size: float, level: float, apart: float) -> float:
    """How great the sum S of `size` samples' differences must be to be found with power 0.8, whatever this comparison happens to show.

    With w = size·σ², R² = w + 2W² and t = t₁₋α/₂, as much greater as skewness leans, (S - t·R)² = z₀.₈²·(w + q²·(S²/2ν + t²·R²/2ν')).

    σ² is a sample's variance, of 0/1 values of which a share φ differs φ - δ²; W the range's width, 0 where none is known; ν the freedom of
    what is known here, ν' that of t, of as many clusters as hold the samples; q by how many per cent R is off where the variance is by 2:
    w/R², or, where it is what clusters cost, (w + 4W²)/R². Where ν and ν' are many S is t·R + z₀.₈·√w; where they are 5, half as
    much again. Infinite where too few tell.

    Over set-ups, of which more samples ask no more, the variance size²·added comes to w, its t² times, at their degrees of freedom, to the
    square of t·R, and each part of that square is off by its own degrees of freedom.
    """
    alone = found.variance - found.of_setups
    own = alone * found.n / found.effect if found.differ is None else max(found.differ, apart) - apart**2
    freedom = max(1.0, found.freedom * size * found.effect / found.n)
    spread, added = size * own, 2 * (found.width or 0.0) ** 2
    off = (spread + 2 * added * (found.clusters < found.n)) / (spread + added)
    least = (_lean(found) * float(stdtrit(freedom, 1 - level / 2))) ** 2 * (spread + added)
    beside, others = (size**2 * found.varied.added, found.varied.setups - 1) if found.varied else (0.0, 1)
    over = float(stdtrit(others, 1 - level / 2)) ** 2 * beside
    whole = least + over
    here, again = (
        Z_POWER**2 / 2 * ((off * least / whole) ** 2 / max(1.0, told) + (over / whole) ** 2 / others) for told in (found.freedom, freedom)
    )
    if here >= 1:
        return math.inf
    return (math.sqrt(whole) + math.sqrt(max(0.0, whole - (1 - here) * ((1 - again) * whole - Z_POWER**2 * (spread + beside))))) / (
        1 - here
    )


def _lean(found: Difference) -> float:
    """How many times Student's half-width the interval's longer side is: of values without a range what skewness costs, 1 of others."""
    if found.width is not None or found.low is None or found.high is None:
        return 1.0
    return max(1.0, max(found.value - found.low, found.high - found.value) / (t95(found.freedom) * math.sqrt(found.variance)))


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
