"""Means with their 95 % intervals, in closed form: the same values give the same figures, in every replay and without a draw.

Of values of a known range (right or wrong, F1, points of a rubric) the interval is Wilson's: on the effective sample size where samples
share clusters (spreads.py) or several tasks are joined, and, of values between the ends, with room for rare values at the ends that no
sample showed. Of other values it is Student's, with a correction for skewness: of what was seen, for nothing tells of what was not.
`make bench-rigor` holds both to their coverage (docs/rigor.md).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

from streams.statistics.components import Crossed
from streams.statistics.spreads import FEW_CLUSTERS, FEW_UNLIKE, Clusters, Floats, Spread, spread, varies

Z95: float = 1.959963984540054  # the standard normal's 97.5 % quantile
NEARLY_0 = 1e-9
MOST_QUOTIENT, LEAST_QUOTIENT = 3.0, 0.8  # of a half-width and z standard errors beside it

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


def of_error(share: float, stderr: float) -> Interval:
    """The 95 % interval of a score from 0 to 1 that is no mean (F1), by its standard error, above 0: Wilson's on n samples.

    n has that error where half a sample is added at either end: p'(1 - p')/n = stderr², p' = (p·n + ½)/(n + 1). It is less than 1 where
    an error is more than a share can have.
    """

    def beyond(n: float) -> float:
        return (share * n + 0.5) * ((1 - share) * n + 0.5) - n * ((n + 1) * stderr) ** 2

    n = brentq(beyond, 0.0, 1 + 1 / stderr**2)
    interval = wilson(share, n)
    assert interval is not None
    return interval


@dataclass(frozen=True, slots=True)
class Ratio:
    """A mean of values from 0 to 1 as its interval needs it: its variance, and how many samples that share nothing it is worth.

    Both are over clusters, and as the normal's quantile wants them: with t for a quantile, times and over (t/z)².
    """

    value: float
    variance: float
    size: float


def ratio(values: Floats, clusters: Clusters | None = None) -> Ratio | None:
    """The mean of values from 0 to 1, shape [n]; None below two clusters."""
    own = spread(values, clusters)
    return _ratio(values, own) if own else None


def _ratio(values: Floats, own: Spread) -> Ratio:
    stretch = 1.0 if own.clusters == own.n else (t95(own.freedom) / Z95) ** 2
    size = own.n / own.effect / stretch
    return Ratio(own.mean, float(values.var()) / size if varies(values) else 0.0, size)


def ratio_of(value: float, interval: Interval) -> Ratio:
    """The same of a mean of which only the interval is known: as sure as if it were Wilson's, whose half-width h gives the size n = 1/u,

    z⁴·(h² - ¼)·u² + z²·(2h² - p(1 - p))·u + h² = 0. Beyond 0 to 1 it is taken for z standard errors to either side.
    """
    low, high = interval
    half, square = (high - low) / 2, Z95**2
    if low < 0 or high > 1 or not 0 < half < 0.5:
        return Ratio(value, (half / Z95) ** 2, math.inf)
    a, b = square**2 * (half**2 - 0.25), square * (2 * half**2 - value * (1 - value))
    size = 2 * a / (-b - math.sqrt(b * b - 4 * a * half**2))
    return Ratio(value, value * (1 - value) / size, size)


JOINED = "Wilson, joined"
NORMAL_JOINED = "normal, joined"  # of a mean that is no ratio


def joined_by(value: float) -> str:
    """The name of what makes the interval of tasks' weighted mean."""
    return JOINED if 0 <= value <= 1 else NORMAL_JOINED


def joint_interval(
    parts: Sequence[Ratio], weights: Sequence[float], covariance: float = 0.0, *, families: Sequence[object] | None = None
) -> Interval:
    """The 95 % interval of Σ w·p. `families`: what each part's documents are called; parts of one name ask about the same ones.

    With weights scaled to add up to 1, the mean is m = Σ w·p, and its variance V = Σ w²·variance plus the `covariance` of parts over the
    same documents, which is given for the weights as they are. Below, the interval ends where a share π of the samples is 0 instead of what
    it is, and the mean z standard errors of samples like those away: π·m = z·√((1 - π)·(V + π·Σ w²p²/size)); above, likewise with 1. So it
    leaves room for rare failures, whether one was seen or not: parts of one family may fail on the same documents, and of each family
    (Σ w·p/√size)² counts instead. Of 0/1 values it is Wilson's; of values that are no ratios m ± z·√V.
    Source: wilson(), whose variance under the hypothesis is this one; that the weight at the ends bounds a mean: Anderson, Bull. Int. Stat.
    Inst. 43 (1969) 249-251; held to its label in docs/rigor.md.
    """
    whole = math.fsum(weights)
    shares = [weight / whole for weight in weights]
    own = [share**2 * one.variance for share, one in zip(shares, parts, strict=True)]
    # What documents share can only be estimated: it never takes away more than all parts but the greatest.
    alone = math.fsum(own)
    variance = max(alone + covariance / whole**2, *own) if alone > 0 else 0.0  # what is all alike shares nothing, but by a hair
    value = math.fsum(share * one.value for share, one in zip(shares, parts, strict=True))
    if not 0 <= value <= 1:
        half = Z95 * math.sqrt(variance)
        return (value - half) * whole, (value + half) * whole
    shared = variance / alone if variance > 0 else 1.0
    below, above = (
        max(shared * _rare(shares, parts, rooms, range(len(parts))), _rare(shares, parts, rooms, families) if families else 0.0)
        for rooms in ([one.value for one in parts], [1 - one.value for one in parts])
    )
    return value * (1 - _moved(value, variance, below)) * whole, (value + (1 - value) * _moved(1 - value, variance, above)) * whole


def _rare(shares: Sequence[float], parts: Sequence[Ratio], rooms: Sequence[float], names: Iterable[object]) -> float:
    """What samples that all lie at an end do to the variance: those of one name fall together."""
    sums: dict[object, float] = {}
    for share, one, room, name in zip(shares, parts, rooms, names, strict=True):
        sums[name] = sums.get(name, 0.0) + share * room / math.sqrt(one.size)
    return math.fsum(one**2 for one in sums.values())


def _moved(room: float, variance: float, rare: float) -> float:
    """The share π of samples that may be at an end, of a mean so far from it: π²·room² = z²·(1 - π)·(variance + π·rare)."""
    a, b, c = room**2 + Z95**2 * rare, Z95**2 * (variance - rare), Z95**2 * variance
    root = math.sqrt(b * b + 4 * a * c)
    if b > 0:
        return 2 * c / (b + root)
    return (root - b) / (2 * a) if a > 0 else 0.0


def few_unlike(own: Spread) -> str:
    """What is said beside a figure of values without a range, of which few tell the spread: others, not seen yet, may lie as far off."""
    return ", few unlike values" if own.telling < FEW_UNLIKE else ""


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

    1 where nothing is spread, for nothing then tells how far values may lie apart. Source: as above.
    """
    if own.variance <= 0:
        return 1.0
    return float(turned_p(own.mean / math.sqrt(own.variance), own.skewness / math.sqrt(own.clusters), own.freedom))


def turned_p(t: Floats | float, a: Floats | float, freedom: Floats | float) -> Floats:
    """The same of many t, each with its a = skewness/√clusters; with a = 0 it is Student's."""
    found: Floats = 2 * stdtr(freedom, -np.minimum(np.abs(t), np.abs(turned(t, a))))
    return found


def turned(t: Floats | float, a: Floats | float) -> Floats:
    """Hall's t' of t."""
    found: Floats = np.asarray(t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6)
    return found


def mean_of(values: Sequence[float], clusters: Clusters | None = None, *, within: Interval = ANY, varied: Crossed | None = None) -> Mean:
    """The mean of at least one value, with its standard error and 95 % interval.

    `varied` is what set-ups add to its variance. `within` is the range that a value can have; where one lies outside of it, there is none.
    Where nothing is known of it, values of 0 and 1 alone are taken for wrong and right.
    There is no interval, and no standard error, below two values or clusters, where a value is infinite, and where values without a range
    are all equal, for nothing then tells how far they spread. The standard error is s/√n. Of values with a range it is the half-width
    over z where they share clusters or do not spread, and over 3z at least: less would deny the interval beside it.
    """
    array = np.asarray(values, dtype=np.float64)
    own = spread(array, clusters) if bool(np.isfinite(array).all()) else None
    if own is None:
        return Mean(math.fsum(values) / len(values), None, None, len(array), 1, "none")
    method, interval, error = _interval(array, own, within, varied)
    return Mean(math.fsum(values) / len(values), error, interval, own.n, own.clusters, method)


def _interval(values: Floats, own: Spread, within: Interval, varied: Crossed | None) -> tuple[str, Interval | None, float | None]:
    """The method's name, the interval, and the standard error."""
    beside = varied.added if varied else 0.0
    few = ", few clusters" if own.clusters < min(own.n, FEW_CLUSTERS) else ""
    few += f", {varied.setups} set-ups" if varied else ""
    low, high = RATIO if within == ANY and bool(np.isin(values, RATIO).all()) else within
    if values.min() < low or values.max() > high:  # a task's own function may call anything an accuracy
        low, high = ANY
    if math.isfinite(low) and math.isfinite(high):
        wide = high - low
        scaled = _ratio((values - low) / wide, replace(own, mean=(own.mean - low) / wide))
        # The squares of the documents' margin and of the set-ups', t·SE at S - 1 degrees of freedom, add up; with one quantile for both, by
        # Satterthwaite, too little is left where few set-ups happen to agree. Source: Zou and Donner, Statist. Med. 27 (2008) 1693-1702.
        added = (t95(varied.setups - 1) / Z95) ** 2 * beside / wide**2 if varied else 0.0
        bottom, top = joint_interval([replace(scaled, variance=scaled.variance + added)], [1.0])
        if not bool(np.isin(values, (low, high)).all()):
            method = f"Wilson, known range{few}"
        else:
            method = "Wilson" if own.clusters == own.n and not varied else f"Wilson, effective size{few}"
        half, variance = (top - bottom) / 2 * wide, own.variance + beside
        error = math.sqrt(variance) if variance > 0 and own.clusters == own.n else half / Z95
        return method, (low + bottom * wide, low + top * wide), max(error, half / Z95 / MOST_QUOTIENT)
    if own.variance + beside <= 0:
        return "none", None, None
    bottom, top = skewed(own) if own.variance > 0 else (own.mean, own.mean)
    if varied:
        reach = t95(varied.setups - 1) * math.sqrt(beside)
        bottom, top = own.mean - math.hypot(own.mean - bottom, reach), own.mean + math.hypot(top - own.mean, reach)
    method = f"Student, corrected for skewness{few_unlike(own)}{few}"
    return method, (max(low, bottom), min(high, top)), math.sqrt(own.variance + beside)


def beside(error: float, interval: Interval) -> float:
    """A standard error that was reckoned otherwise than the interval, kept to what that says."""
    half = (interval[1] - interval[0]) / 2 / Z95
    return min(max(error, half / MOST_QUOTIENT), half / LEAST_QUOTIENT)


def mean_interval(values: Sequence[float], clusters: Clusters | None = None, *, within: Interval = ANY) -> Interval | None:
    """The 95 % interval of a mean; None below two values or clusters, and where mean_of has none."""
    return mean_of(values, clusters, within=within).interval if values else None


def percentiles(values: Sequence[int] | NDArray[Any], shares: Sequence[float]) -> list[float]:
    """Percentiles by linear interpolation between closest ranks. Source: Hyndman and Fan, Am. Stat. 50 (1996), type 7."""
    return [float(value) for value in np.percentile(np.asarray(values, dtype=np.float64), shares)]
