"""Means with their intervals. Every random draw is seeded: the same values give the same figures, in every replay.

Samples that share a cluster (questions on one passage) say less together than as many that do not: where clusters are given, standard
errors, intervals and draws are over whole clusters. A cluster that no other sample shares changes nothing.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

CONFIDENCE: float = 0.95
Z95: float = 1.959963984540054  # the standard normal's 97.5 % quantile
DRAWS: int = 2000
SEED: int = 20240229
_CHUNK_CELLS = 4_000_000

Interval = tuple[float, float]
Floats = NDArray[np.float64]
Clusters = Sequence[Hashable]


@dataclass(frozen=True, slots=True)
class Grouped:
    """Values by cluster: their sums, shape [..., clusters], and how many samples each cluster has."""

    sums: Floats
    sizes: Floats

    @property
    def clusters(self) -> int:
        """How many clusters there are."""
        return len(self.sizes)


def grouped(values: Floats, clusters: Clusters | None) -> Grouped:
    """The values, shape [..., n], summed by cluster; without clusters each sample is one."""
    n = values.shape[-1]
    numbers: dict[Hashable, int] = {}
    index = [numbers.setdefault(cluster, len(numbers)) for cluster in (clusters if clusters is not None else range(n))]
    if len(numbers) == n:
        return Grouped(values, np.ones(n))
    order = np.argsort(index, kind="stable")
    sizes = np.bincount(index)
    firsts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return Grouped(np.add.reduceat(values[..., order], firsts, axis=-1), sizes.astype(np.float64))


def mean(values: Sequence[float]) -> float | None:
    """The arithmetic mean, summed exactly; undefined (None) for no values."""
    return math.fsum(values) / len(values) if values else None


def t95(freedom: int) -> float:
    """Student's 97.5 % quantile for so many degrees of freedom."""
    return float(stdtrit(freedom, 0.975))


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


def standard_error(values: Floats, clusters: Clusters | None = None) -> float | None:
    """The mean's standard error: √(G/(G-1) · Σ_c (Σ_{i in c} (v_i - mean))²) / n over G clusters; None below two clusters.

    Source: E. Miller, Adding Error Bars to Evals (2024), arXiv 2411.00640, equation 4, with the usual factor G/(G-1) for few clusters;
    where no sample shares a cluster it is s/√n.
    """
    by_cluster = grouped(values - values.mean(), clusters)
    count = by_cluster.clusters
    return math.sqrt(count / (count - 1) * float(by_cluster.sums @ by_cluster.sums)) / len(values) if count > 1 else None


def clustered_t(values: Floats, clusters: Clusters | None = None) -> Interval | None:
    """The 95 % interval mean ± t·SE with clustered SE and t of G-1 degrees of freedom; None below two clusters.

    Source: Miller (2024), section 2.2; t for few clusters: Cameron and Miller, J. Human Resources 50 (2015) 317–372, section VI.
    """
    error = standard_error(values, clusters)
    if error is None:
        return None
    half, centre = t95(grouped(values, clusters).clusters - 1) * error, float(values.mean())
    return centre - half, centre + half


def mean_interval(values: Sequence[float], clusters: Clusters | None = None) -> Interval | None:
    """The 95 % interval of a mean; None below two values or clusters, and where a value is infinite.

    Where samples share clusters the clustered t interval; else Wilson's where all values are 0 or 1; else the bootstrap's percentiles.
    """
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    array, binary = np.asarray(values, dtype=np.float64), all(value in (0.0, 1.0) for value in values)
    count = grouped(array, clusters).clusters
    if binary and (count == len(values) or array.min() == array.max()):
        # Where all are equal no spread can be seen; the clusters then count as the samples.
        return wilson(round(float(array.mean()) * count), count)
    if count == len(values):
        return percentile_interval(resampled_means(array[np.newaxis], stream=0)[0], n=count)
    return _within(clustered_t(array, clusters), (0.0, 1.0) if binary else (-math.inf, math.inf))


def _within(interval: Interval | None, bounds: Interval) -> Interval | None:
    return (max(bounds[0], interval[0]), min(bounds[1], interval[1])) if interval else None


def resampled_means(values: Floats, *, stream: int, clusters: Clusters | None = None) -> Floats:
    """Means of bootstrap samples, shape [rows, DRAWS], of values of shape [rows, n]; all rows share each draw (a paired bootstrap).

    Whole clusters are drawn. `stream` tells independent draws apart.
    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), ch. 13 and 16; clusters: Davison and Hinkley (1997), section 3.8.
    """
    by_cluster = grouped(values, clusters)
    count = by_cluster.clusters
    draw, even = np.random.default_rng([SEED, stream]), np.full(count, 1.0 / count)
    step = max(1, _CHUNK_CELLS // count)
    counts = [draw.multinomial(count, even, size=min(step, DRAWS - first)) for first in range(0, DRAWS, step)]
    return np.concatenate([by_cluster.sums @ chunk.T / (chunk @ by_cluster.sizes) for chunk in counts], axis=1)


def percentile_interval(draws: Floats, *, n: int) -> Interval:
    """The middle of bootstrap draws from n samples (or clusters) that covers 95 %: the percentiles 100·Φ(∓t·√(n/(n-1))).

    The plain 2.5 % and 97.5 % percentiles are too narrow for few samples: they are z·s/√n with the n-divisor's s.
    Source: T. Hesterberg, What Teachers Should Know About the Bootstrap, Am. Stat. 69 (2015) 371–386, section 4.1.2.
    """
    tail = 100.0 * float(ndtr(-t95(n - 1) * math.sqrt(n / (n - 1)))) if n > 1 else 0.0
    low, high = np.percentile(draws, [tail, 100.0 - tail])
    return float(low), float(high)


def mean_of_independent(estimates: Sequence[float], intervals: Sequence[Interval], weights: Sequence[float] | None = None) -> Interval:
    """The 95 % interval of the weighted mean m of independent estimates, from each one's own: m - √Σ(w·(e - low))², m + √Σ(w·(high - e))².

    `weights`: 1 in all; equal ones where none are given.
    It keeps what each interval knows: a mean of proportions that are all 0 or all 1 still has a width, which a bootstrap's has not.
    Source: Zou and Donner, Statist. Med. 27 (2008) 1693–1702 (MOVER); Zou, Huang and Zhang, CSDA 53 (2009) 1080–1085.
    """
    parts = weights or [1 / len(estimates)] * len(estimates)
    told = list(zip(estimates, intervals, parts, strict=True))
    centre = math.fsum(weight * value for value, _, weight in told)
    below = math.sqrt(math.fsum((weight * (value - low)) ** 2 for value, (low, _), weight in told))
    above = math.sqrt(math.fsum((weight * (high - value)) ** 2 for value, (_, high), weight in told))
    return centre - below, centre + above


def percentiles(values: Sequence[int] | NDArray[Any], shares: Sequence[float]) -> list[float]:
    """Percentiles by linear interpolation between closest ranks. Source: Hyndman and Fan, Am. Stat. 50 (1996), type 7."""
    return [float(value) for value in np.percentile(np.asarray(values, dtype=np.float64), shares)]
