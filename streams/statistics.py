"""Intervals and percentiles. Every random draw is seeded: the same values give the same figures, in every replay."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONFIDENCE: float = 0.95
Z95: float = 1.959963984540054  # the standard normal's 97.5 % quantile
DRAWS: int = 2000
SEED: int = 20240229
_CHUNK_CELLS = 4_000_000

Interval = tuple[float, float]
Floats = NDArray[np.float64]


def mean(values: Sequence[float]) -> float | None:
    """The arithmetic mean, summed exactly; undefined (None) for no values."""
    return math.fsum(values) / len(values) if values else None


def wilson(successes: int, n: int) -> Interval | None:
    """The 95 % score interval of a proportion: (p + z²/2n ± z·√(p(1-p)/n + z²/4n²)) / (1 + z²/n); None for n = 0.

    Source: E. B. Wilson, JASA 22 (1927) 209–212; recommended by Brown, Cai and DasGupta, Statist. Sci. 16 (2001) 101–133.
    """
    if n == 0:
        return None
    share, square = successes / n, Z95**2
    centre = share + square / (2 * n)
    half = Z95 * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    scale = 1 + square / n
    # At the ends the formula is exactly 0 and 1, which floating point misses by a hair.
    return (centre - half) / scale if successes else 0.0, (centre + half) / scale if successes < n else 1.0


def mean_interval(values: Sequence[float]) -> Interval | None:
    """The 95 % interval of a mean: Wilson's where all values are 0 or 1, else the bootstrap's percentiles; None below two values."""
    if len(values) < 2:
        return None
    if all(value in (0.0, 1.0) for value in values):
        return wilson(int(math.fsum(values)), len(values))
    if not all(map(math.isfinite, values)):
        return None
    return percentile_interval(resampled_means(np.asarray(values, dtype=np.float64)[np.newaxis], stream=0)[0])


def mean_of_independent(estimates: Sequence[float], intervals: Sequence[Interval]) -> Interval:
    """The 95 % interval of the mean of k independent estimates, from each one's own interval: m - √Σ(e - low)²/k, m + √Σ(high - e)²/k.

    It keeps what each interval knows: a mean of proportions that are all 0 or all 1 still has a width, which a bootstrap's has not.
    Source: Zou and Donner, Statist. Med. 27 (2008) 1693–1702 (MOVER); Zou, Huang and Zhang, CSDA 53 (2009) 1080–1085.
    """
    k, centre = len(estimates), math.fsum(estimates) / len(estimates)
    below = math.sqrt(math.fsum((value - low) ** 2 for value, (low, _) in zip(estimates, intervals, strict=True)))
    above = math.sqrt(math.fsum((high - value) ** 2 for value, (_, high) in zip(estimates, intervals, strict=True)))
    return centre - below / k, centre + above / k


def resampled_means(values: Floats, *, stream: int) -> Floats:
    """Means of bootstrap samples, shape [rows, DRAWS], of values of shape [rows, n]; all rows share each draw (a paired bootstrap).

    `stream` tells independent draws apart. Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), ch. 13 and 16.
    """
    _, n = values.shape
    draw = np.random.default_rng([SEED, stream])
    even = np.full(n, 1.0 / n)
    step = max(1, _CHUNK_CELLS // n)
    counts = [draw.multinomial(n, even, size=min(step, DRAWS - first)) for first in range(0, DRAWS, step)]
    return np.concatenate([values @ chunk.T / n for chunk in counts], axis=1)


def percentile_interval(draws: Floats) -> Interval:
    """The middle 95 % of bootstrap draws."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def percentiles(values: Sequence[int] | NDArray[Any], shares: Sequence[float]) -> list[float]:
    """Percentiles by linear interpolation between closest ranks. Source: Hyndman and Fan, Am. Stat. 50 (1996), type 7."""
    return [float(value) for value in np.percentile(np.asarray(values, dtype=np.float64), shares)]
