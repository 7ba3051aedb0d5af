"""Whether paired values differ: the interval of their mean difference, tests of no difference, and how many samples would decide.

A difference is a value of one run minus that of another on the same sample. What both find hard or easy cancels out, so that far
fewer samples decide than without pairing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from streams.statistics.intervals import (
    SEED,
    Z95,
    Clusters,
    Floats,
    Interval,
    grouped,
    percentile_interval,
    resampled_means,
    standard_error,
)

FLIPS: int = 9_999
POWER: float = 0.8
Z_POWER: float = 0.8416212335729143  # the standard normal's 80 % quantile
_CHUNK_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean difference over n samples, with its 95 % interval and the p-value of no difference.

    `detectable` is the smallest true difference that n samples would find with power 0.8 at the 5 % level; `deciding` how many samples
    would find one as large as was observed. Both are None where the values give no spread to reckon with.
    """

    value: float
    stderr: float | None
    low: float | None
    high: float | None
    p: float
    test: str
    n: int
    clusters: int
    detectable: float | None
    deciding: int | None


def difference(first: Sequence[float], second: Sequence[float], clusters: Clusters | None = None) -> Difference:
    """The mean of first - second over paired, finite values of at least one sample.

    0/1 values without shared clusters: the adjusted Wald interval and McNemar's exact test; else the paired bootstrap over clusters and
    the sign-flip test.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    own, n = a - b, len(a)
    count = grouped(own, clusters).clusters
    binary = count == n and bool(np.isin(np.concatenate([a, b]), (0.0, 1.0)).all())
    test = "McNemar's exact test" if binary else "sign-flip permutation test"
    error, interval, p = _of_binary(own) if binary else _of_any(own, clusters)
    low, high = interval or (None, None)
    value = math.fsum(own) / n
    return Difference(value, error, low, high, p, test, n, count, detectable(error), deciding(value, error, n))


def _of_binary(own: Floats) -> tuple[float | None, Interval | None, float]:
    better, worse = int((own > 0).sum()), int((own < 0).sum())
    return *paired_proportions(better, worse, len(own)), mcnemar(better, worse)


def _of_any(own: Floats, clusters: Clusters | None) -> tuple[float | None, Interval | None, float]:
    p, count = sign_flip(own, clusters), grouped(own, clusters).clusters
    if count < 2:
        return None, None, p
    draws = resampled_means(own[np.newaxis], stream=0, clusters=clusters)[0]
    return standard_error(own, clusters), percentile_interval(draws, n=count), p


def paired_proportions(better: int, worse: int, n: int) -> tuple[float, Interval]:
    """Standard error and 95 % interval of the difference of paired 0/1 values, of which `better` favour the first, `worse` the second.

    p' ± z·√((b' + w' - p'²)/(n+2)) with b' = (better+1)/(n+2), w' = (worse+1)/(n+2), p' = b' - w', within -1 and 1. Unlike a bootstrap it
    has a width where few samples or none differ. Source: Bonett and Price, J. Educ. Behav. Stat. 37 (2012) 479–488; the first choice of
    Fagerland, Lydersen and Laake, Statist. Med. 33 (2014) 2850–2875.
    """
    first, second = (better + 1) / (n + 2), (worse + 1) / (n + 2)
    centre = first - second
    error = math.sqrt((first + second - centre**2) / (n + 2))
    return error, (max(-1.0, centre - Z95 * error), min(1.0, centre + Z95 * error))


def mcnemar(better: int, worse: int) -> float:
    """The two-sided exact p-value that among the samples that differ neither run is favoured: 2·P(Binomial(better+worse, ½) ≤ the fewer).

    Source: Q. McNemar, Psychometrika 12 (1947) 153–157; its exact form, Fagerland et al. (2014), section 5.
    """
    return min(1.0, 2 * float(bdtr(min(better, worse), better + worse, 0.5)))


def sign_flip(own: Floats, clusters: Clusters | None = None) -> float:
    """The two-sided p-value that differences are as likely of either sign: the share of seeded sign flips with a sum as far from 0.

    Whole clusters are flipped; with the observed signs among the flips, so that it is never 0. Source: Phipson and Smyth,
    Stat. Appl. Genet. Mol. Biol. 9 (2010) article 39; Good, Permutation, Parametric and Bootstrap Tests (2005), section 3.2.
    """
    sums = grouped(own, clusters).sums
    sums = sums[sums != 0]  # what is 0 stays 0, however flipped
    draw, farther, observed = np.random.default_rng([SEED, len(sums)]), 0, abs(float(sums.sum())) * (1 - 1e-12)
    step = max(1, _CHUNK_CELLS // max(1, len(sums)))
    for first in range(0, FLIPS, step):
        kept = draw.integers(0, 2, size=(min(step, FLIPS - first), len(sums)), dtype=np.int8)
        farther += int((np.abs(2 * (kept @ sums) - sums.sum()) >= observed).sum())
    return (1 + farther) / (1 + FLIPS)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that the chance of any false finding among them stays below the level: max over ranks j ≤ i of (k-j+1)·p_(j).

    Source: S. Holm, Scand. J. Statist. 6 (1979) 65–70.
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def detectable(stderr: float | None) -> float | None:
    """The smallest true difference that is found with power 0.8 at the two-sided 5 % level: (z₀.₉₇₅ + z₀.₈)·SE; None without a spread.

    Source: Miller (2024), section 5, equation 9, solved for the effect.
    """
    return (Z95 + Z_POWER) * stderr if stderr else None


def deciding(value: float, stderr: float | None, n: int) -> int | None:
    """How many samples would find a true difference of this size with power 0.8: n·((z₀.₉₇₅ + z₀.₈)·SE / value)², as above."""
    least = detectable(stderr)
    return math.ceil(n * (least / value) ** 2) if least and value else None
