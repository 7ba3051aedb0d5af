"""Bootstrap draws, for figures that are no means. Every draw is seeded: the same values give the same figures, in every replay."""

import math

import numpy as np
from scipy.special import ndtr, ndtri

from streams.statistics.intervals import Interval, t95
from streams.statistics.spreads import Clusters, Floats, grouped

DRAWS: int = 2000
SEED: int = 20240229
_CHUNK_CELLS = 4_000_000


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
    Source: T. Hesterberg, What Teachers Should Know About the Bootstrap, Am. Stat. 69 (2015) 371-386, section 4.1.2.
    """
    tail = 100.0 * float(ndtr(-t95(n - 1) * math.sqrt(n / (n - 1)))) if n > 1 else 0.0
    low, high = np.percentile(draws, [tail, 100.0 - tail])
    return float(low), float(high)


def corrected_interval(draws: Floats, *, estimate: float, n: int) -> Interval:
    """The least interval that holds those percentiles and the ones corrected for bias, 100·Φ(2·z₀ ∓ t·√(n/(n-1))).

    z₀ is the normal's quantile of the share of draws below the estimate: draws that mostly lie below it lie as far again below the truth.
    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 14.3, without acceleration.
    """
    low, high = percentile_interval(draws, n=n)
    share = float((draws < estimate).mean() + (draws == estimate).mean() / 2)
    turned, reach = 2 * float(ndtri(min(max(share, 1 / len(draws)), 1 - 1 / len(draws)))), t95(n - 1) * math.sqrt(n / (n - 1))
    below, above = np.percentile(draws, [100.0 * float(ndtr(turned - reach)), 100.0 * float(ndtr(turned + reach))])
    return min(low, float(below)), max(high, float(above))
