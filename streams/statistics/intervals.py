"""Means with their 95 % intervals, in closed form: the same values give the same figures, in every replay and without a draw.

Of values from 0 to 1 (right or wrong, F1) the interval is Wilson's, on the effective sample size: as many samples as would give the
variance that the mean has. That size takes in whole clusters (spreads.py), and several tasks that are joined. Of other values it is
Student's, with a correction for skewness. `make bench-rigor` holds both to their coverage (docs/rigor.md).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from streams.statistics.components import Crossed
from streams.statistics.spreads import FEW_CLUSTERS, Clusters, Floats, Spread, spread, varies

Z95: float = 1.959963984540054  # the standard normal's 97.5 % quantile
NEARLY_0 = 1e-9

Interval = tuple[float, float]
RATIO: Interval = (0.0, 1.0)
ANY: Interval = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over n samples in so many clusters; its standard error and 95 % interval, and the name of what made the interval."""

    value: float
    stderr: float | None
    interval: Interval | None
    n: int
    clusters: int
    method: str


def mean(values: Sequence[float]) -> float | None:
    """The arithmetic mean, summed exactly; undefined (None) for no values."""
    return math.fsum(values) / len(values) if values else None


def t95(freedom: float) -> float:
    """Student's 97.5 % quantile for so many degrees of freedom."""
    return float(stdtrit(freedom, 0.975))


def wilson(share: float, n: float) -> Interval | None:
    """The 95 % score interval of a proportion: (p + z²/2n ± z·√(p(1-p)/n + z²/4n²)) / (1 + z²/n); None for n = 0.

    n may be an effective sample size, and no whole number.
    Source: E. B. Wilson, JASA 22 (1927) 209-212; recommended by Brown, Cai and DasGupta, Statist. Sci. 16 (2001) 101-133; effective
    sizes: Korn and Graubard, Survey Methodology 24 (1998) 193-201, and Franco et al., J. Surv. Stat. Methodol. 7 (2019) 334-364.
    """
    if n <= 0:
        return None
    square = Z95**2
    centre = share + square / (2 * n)
    half = Z95 * math.sqrt(max(0.0, share * (1 - share)) / n + square / (4 * n * n))
    scale = 1 + square / n
    # At the ends the formula is exactly 0 and 1, which floating point misses by a hair.
    return (centre - half) / scale if share > 0 else 0.0, (centre + half) / scale if share < 1 else 1.0


@dataclass(frozen=True, slots=True)
class Ratio:
    """A mean of values from 0 to 1 as its interval needs it.

    `middle` and `variance` are the mean and its variance with a little of a sample added at 0 and at 1, so that a variance is left where
    all are right; `variance` is over clusters. `quantile` is what its degrees of freedom call for.
    """

    value: float
    middle: float
    variance: float
    quantile: float


def ratio(values: Floats, clusters: Clusters | None = None) -> Ratio | None:
    """The mean of values from 0 to 1, shape [n]; None below two clusters.

    What is added at either end is half a sample times how far the values are from right or wrong, s²/(p(1-p)): for 0/1 values this is
    p' = (x + ½)/(n + 1) and p'(1 - p')/n.
    """
    own = spread(values, clusters)
    return _ratio(values, own) if own else None


def _ratio(values: Floats, own: Spread) -> Ratio:
    n, varied = own.n, float(values.var()) if varies(values) else 0.0
    binary = varied == 0 or bool(np.isin(values, (0.0, 1.0)).all())
    added = 0.5 if binary else 0.5 * varied / (own.mean * (1 - own.mean))
    middle = (own.mean * n + added) / (n + 2 * added)
    square = (float(values @ values) + added) / (n + 2 * added)
    alone = binary and own.clusters == n
    return Ratio(own.mean, middle, (square - middle**2) / n * own.effect, Z95 if alone else t95(own.freedom))


def ratio_of(value: float, interval: Interval) -> Ratio:
    """The same of a mean of which only the interval is known: as sure as if it were Wilson's, whose half-width h gives the size n = 1/u,

    z⁴·(h² - ¼)·u² + z²·(2h² - p(1 - p))·u + h² = 0. Beyond 0 to 1 it is taken for z standard errors to either side.
    """
    low, high = interval
    half, square = (high - low) / 2, Z95**2
    if low < 0 or high > 1 or not 0 < half < 0.5:
        return Ratio(value, (low + high) / 2, (half / Z95) ** 2, Z95)
    a, b = square**2 * (half**2 - 0.25), square * (2 * half**2 - value * (1 - value))
    size = 2 * a / (-b - math.sqrt(b * b - 4 * a * half**2))
    middle = (value * size + 0.5) / (size + 1)
    return Ratio(value, middle, middle * (1 - middle) / size, Z95)


def joint_interval(parts: Sequence[Ratio], weights: Sequence[float], covariance: float = 0.0) -> Interval:
    """The 95 % interval of Σ w·p, by Wilson's on the effective sample size m(1 - m)/V.

    With weights scaled to add up to 1, m is Σ w·middle, and V is Σ w²·variance (each times its quantile's share of the normal's, squared)
    plus the `covariance` of parts over the same documents, which is given for the weights as they are. One part of 0/1 values has Wilson's
    own interval. Where m lies outside of 0 to 1, for values that are no ratios, it is Σ w·p ± z·√V. Source: docs/rigor.md, and wilson().
    """
    whole = math.fsum(weights)
    value = math.fsum(weight * one.value for weight, one in zip(weights, parts, strict=True)) / whole
    middle = math.fsum(weight * one.middle for weight, one in zip(weights, parts, strict=True)) / whole
    own = [weight**2 * one.variance * (one.quantile / Z95) ** 2 for weight, one in zip(weights, parts, strict=True)]
    # What documents share can only be estimated: it never takes away more than all parts but the greatest.
    variance = max(math.fsum(own) + covariance, *own) / whole**2
    if not (0 <= value <= 1 and 0 < middle < 1):
        half = Z95 * math.sqrt(variance)
        return (value - half) * whole, (value + half) * whole
    interval = wilson(value, middle * (1 - middle) / variance)
    assert interval is not None
    return interval[0] * whole, interval[1] * whole


def skewed(own: Spread) -> Interval:
    """The 95 % interval of a mean of any values: the least that holds both Student's and his corrected for skewness.

    The latter is mean - SE·g⁻¹(±t) with g⁻¹(y) = 3/a·(∛(1 + a·(y - a/6)) - 1) and a = skewness/√clusters. Alone it is too narrow where
    tails are heavy on both sides, as Student's is where one is.
    Source: P. Hall, J. R. Statist. Soc. B 54 (1992) 221-228, equation 2.5; t in place of z: Zhou and Gao, Am. Stat. 54 (2000) 100-104.
    """
    a, t, error = own.skewness / math.sqrt(own.clusters), t95(own.freedom), math.sqrt(own.variance)
    below, above = (y if abs(a) < NEARLY_0 else 3 / a * (math.cbrt(1 + a * (y - a / 6)) - 1) for y in (t, -t))
    return own.mean - error * max(t, below), own.mean - error * min(-t, above)


def skewed_p(own: Spread) -> float:
    """The two-sided p-value that the mean is 0: the greater of Student's and that of t' = t + a·t²/3 + a²·t³/27 + a/6.

    1 where nothing is spread about 0. Source: as above.
    """
    if own.variance <= 0:
        return 1.0 if own.mean == 0 else 0.0
    a, t = own.skewness / math.sqrt(own.clusters), own.mean / math.sqrt(own.variance)
    turned = t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6
    return float(2 * stdtr(own.freedom, -min(abs(t), abs(turned))))


def mean_of(values: Sequence[float], clusters: Clusters | None = None, *, within: Interval = ANY, varied: Crossed | None = None) -> Mean:
    """The mean of at least one value, with its standard error and 95 % interval.

    `varied` is what set-ups add to its variance. `within` is the range that a value can have; where one lies
    outside of it, there is none. There is no interval, and no standard error,
    below two values or clusters, where a value is infinite, and where values without a range are all equal, for nothing then tells how far
    they spread. Where values with a range do not spread, the standard error is the interval's own, √(p'(1 - p')/n): 0 would deny the
    interval beside it.
    """
    array = np.asarray(values, dtype=np.float64)
    own = spread(array, clusters) if bool(np.isfinite(array).all()) else None
    if own is None:
        return Mean(math.fsum(values) / len(values), None, None, len(array), 1, "none")
    method, interval, least = _interval(array, own, within, varied)
    variance = own.variance + (varied.added if varied else 0.0)
    error = math.sqrt(variance) if variance > 0 else least
    return Mean(math.fsum(values) / len(values), error, interval, own.n, own.clusters, method)


def _interval(values: Floats, own: Spread, within: Interval, varied: Crossed | None) -> tuple[str, Interval | None, float | None]:
    """The method's name, the interval, and the standard error that the interval has where the values do not spread."""
    few = ", few clusters" if own.clusters < min(own.n, FEW_CLUSTERS) else ""
    few += f", {varied.setups} set-ups" if varied else ""
    low, high = RATIO if bool(np.isin(values, RATIO).all()) else within
    if values.min() < low or values.max() > high:  # a task's own function may call anything an accuracy
        low, high = ANY
    if math.isfinite(low) and math.isfinite(high):
        wide = high - low
        scaled = _ratio((values - low) / wide, replace(own, mean=(own.mean - low) / wide))
        exact = own.clusters == own.n and scaled.quantile == Z95 and not varied
        scaled = _over_setups(scaled, varied, wide) if varied else scaled
        bottom, top = joint_interval([scaled], [1.0])
        method = "Wilson" if exact else f"Wilson, effective size{few}"
        return method, (low + bottom * wide, low + top * wide), math.sqrt(scaled.variance) * wide
    if own.variance <= 0 and not (varied and varied.added > 0):
        return "none", None, None
    bottom, top = skewed(own) if own.variance > 0 else (own.mean, own.mean)
    if varied:
        beside = t95(varied.setups - 1) * math.sqrt(varied.added)
        bottom, top = own.mean - math.hypot(own.mean - bottom, beside), own.mean + math.hypot(top - own.mean, beside)
    return f"Student, corrected for skewness{few}", (max(low, bottom), min(high, top)), None


def _over_setups(scaled: Ratio, varied: Crossed, wide: float) -> Ratio:
    """The ratio with what set-ups add: the squares of the documents' margin and of theirs, t·SE at S - 1 degrees of freedom, add up.

    With one quantile for both, by Satterthwaite, too little is left of the margin where few set-ups happen to agree.
    Source: Zou and Donner, Statist. Med. 27 (2008) 1693-1702.
    """
    added = varied.added / wide**2
    whole = scaled.variance + added
    reach = scaled.quantile**2 * scaled.variance + t95(varied.setups - 1) ** 2 * added
    return replace(scaled, variance=whole, quantile=math.sqrt(reach / whole))


def mean_interval(values: Sequence[float], clusters: Clusters | None = None, *, within: Interval = ANY) -> Interval | None:
    """The 95 % interval of a mean; None below two values or clusters, and where mean_of has none."""
    return mean_of(values, clusters, within=within).interval if values else None


def percentiles(values: Sequence[int] | NDArray[Any], shares: Sequence[float]) -> list[float]:
    """Percentiles by linear interpolation between closest ranks. Source: Hyndman and Fan, Am. Stat. 50 (1996), type 7."""
    return [float(value) for value in np.percentile(np.asarray(values, dtype=np.float64), shares)]
