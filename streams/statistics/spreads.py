"""How sure a mean is: its variance over whole clusters, the degrees of freedom of that, and what clusters cost.

Samples that share a cluster (questions on one passage, repeats of one document) stand or fall together. The variance is therefore that of
clusters' sums, with the correction CR2, which is exact where all samples are alike and little biased where clusters are few or unlike in
size. Where no sample shares a cluster all of it is the textbook's: s²/n, and n - 1 degrees of freedom.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Clusters = Sequence[Hashable] | NDArray[np.intp]  # the cluster of each sample; an array holds numbers from 0 on (numbered)
CLOSEST = 1e-100  # two values nearer than that are taken for equal: their squares vanish
HAIR = 1e-14  # of the values: by how much rounding misses
FEW_CLUSTERS = 20  # below it an interval is only as good as its assumptions, and says so
FEW_UNLIKE = 5  # with fewer values that tell a spread, of which no range is known, it is a guess, and says so


@dataclass(frozen=True, slots=True)
class Grouped:
    """Values by cluster: their sums, shape [..., clusters], and how many samples each cluster has."""

    sums: Floats
    sizes: Floats

    @property
    def clusters(self) -> int:
        """How many clusters there are."""
        return len(self.sizes)


def numbered(clusters: Clusters) -> NDArray[np.intp]:
    """The clusters by number, from 0 in the order in which they are met. Whoever groups many values by the same clusters does it once."""
    if isinstance(clusters, np.ndarray):
        return clusters
    numbers: dict[Hashable, int] = {}
    return np.asarray([numbers.setdefault(cluster, len(numbers)) for cluster in clusters], dtype=np.intp)


def grouped(values: Floats, clusters: Clusters | None) -> Grouped:
    """The values, shape [..., n], summed by cluster; without clusters each sample is one."""
    n = values.shape[-1]
    if clusters is None:
        return Grouped(values, np.ones(n))
    index = numbered(clusters)
    sizes = np.bincount(index)
    if len(sizes) == n:
        return Grouped(values, np.ones(n))
    order = np.argsort(index, kind="stable")
    firsts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return Grouped(np.add.reduceat(values[..., order], firsts, axis=-1), sizes.astype(np.float64))


@dataclass(frozen=True, slots=True)
class Spread:
    """The mean of n values in so many clusters, and its variance, with the degrees of freedom that the variance has.

    `effect` is the design effect: how many times the variance is that of as many samples that share nothing, 1 or more. `skewness` is that
    of the clusters' residuals S; `telling` as many of them as tell the variance, (Σ S²)² / Σ S⁴: all where they are equally far from the
    mean, one where one alone is.
    """

    n: int
    clusters: int
    mean: float
    variance: float
    freedom: float
    effect: float
    skewness: float
    telling: float


def varies(values: Floats) -> bool:
    """The values are not all equal, nor so close together that their squares vanish."""
    return bool(np.ptp(values) > CLOSEST)


def spread(values: Floats, clusters: Clusters | None = None) -> Spread | None:
    """How sure the mean of the values, shape [n], is; None below two clusters.

    With S_c the sum of a cluster's residuals, n_c its size: variance Σ_c S_c² / (1 - n_c/n) / n². Source: CR2 of Bell and McCaffrey,
    Survey Methodology 28 (2002) 169-181, for a mean; degrees of freedom as there, equation 9 (Satterthwaite), with the intraclass
    correlation that is seen: Imbens and Kolesár, Rev. Econ. Stat. 98 (2016) 701-712, section 3.
    """
    n, mean = len(values), float(values.mean())
    residuals = values - mean if varies(values) else np.zeros(n)  # of values all equal the mean may miss by a hair
    by_cluster = grouped(residuals, clusters)
    sums, sizes, count = by_cluster.sums, by_cluster.sizes, by_cluster.clusters
    if count < 2:
        return None
    sums = np.where(np.abs(sums) > HAIR * sizes * np.abs(values).max(), sums, 0.0)  # clusters of one mean differ by a hair all the same
    squares, total = float(residuals @ residuals), float(sums @ sums)
    variance = float((sums**2 / (1 - sizes / n)).sum()) / n**2
    telling = _telling(sums)
    freedom, effect = float(count - 1), 1.0
    if count < n:
        freedom = float(freedom_of(sizes, intraclass(float((sums**2 / sizes).sum()), squares, sizes)))
        effect = float(effect_of(variance, squares / (n - 1) / n, telling, sizes))
    skewness = float(((sums / math.sqrt(total / count)) ** 3).mean()) if total > 0 else 0.0
    return Spread(n, count, mean, variance, freedom, effect, skewness, telling)


def _telling(sums: Floats) -> float:
    if not (largest := float(np.abs(sums).max())):
        return 0.0
    squares = (sums / largest) ** 2  # fourth powers of what lies close together would vanish
    return float(squares.sum() ** 2 / (squares @ squares))


def errors(values: Floats, clusters: Clusters | None = None) -> Floats:
    """Each cluster's part in the error of the mean of values of shape [n]."""
    return grouped(values - values.mean(), clusters).sums / len(values)


def effect_of(variance: Floats | float, alone: Floats | float, telling: Floats | float, sizes: Floats) -> Floats:
    """variance / alone, drawn towards the worst case Σ n_c²/n, in which all samples of a cluster are the same, where few clusters tell it.

    It counts as one cluster beside those that do. Source of the effect: Korn and Graubard, Survey Methodology 24 (1998)
    193-201; of the draw: `make bench-rigor`, whose coverage it holds where answers are nearly all right or all wrong.
    """
    worst = float(sizes @ sizes / sizes.sum())
    # Clusters whose samples all cancel out (variance 0) tell it as well as any.
    known = np.where(np.greater(variance, 0), telling, float(len(sizes)))
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.maximum(1.0, np.where(np.greater(alone, 0), (np.divide(variance, alone) * known + worst) / (known + 1), worst))
    return found


def intraclass(between: Floats | float, squares: Floats | float, sizes: Floats) -> Floats:
    """The intraclass correlation, 0 to 1, by the analysis of variance, of Σ S²/n_c and of all residuals' squares; 1 where nothing varies.

    Source: Donner, Int. Stat. Rev. 54 (1986) 67-82, section 2.1.
    """
    n, count = float(sizes.sum()), len(sizes)
    typical = (n - float(sizes @ sizes) / n) / (count - 1)
    among, inside = np.divide(between, count - 1), np.subtract(squares, between) / (n - count)
    whole = among + (typical - 1) * inside
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, np.clip((among - inside) / whole, 0.0, 1.0), 1.0)


def freedom_of(sizes: Floats, correlation: Floats | float) -> Floats:
    """(Σ_c B_cc)² / Σ_cd B_cd², B being the covariances of the clusters' corrected residual sums where samples correlate like that.

    Σ B_cc is of the first degree in the correlation and Σ B_cd² of the second: both follow from their values at 0, 1/2 and 1.
    """
    (first, low), (_, middle), (last, high) = (_traces(sizes, at) for at in (0.0, 0.5, 1.0))
    r = np.asarray(correlation)
    squares = low * (2 * r - 1) * (r - 1) + 4 * middle * r * (1 - r) + high * r * (2 * r - 1)
    found: Floats = (first + (last - first) * r) ** 2 / squares
    return found


def _traces(sizes: Floats, correlation: float) -> tuple[float, float]:
    """Σ_c B_cc and Σ_cd B_cd².

    B_cd = √(a_c a_d) · (δ_cd n_c k_c - n_c n_d (k_c + k_d)/n + n_c n_d Σ n k / n²), with a_c = 1/(1 - n_c/n) and
    k_c = 1 + (n_c - 1)·correlation.
    """
    n = float(sizes.sum())
    k = 1 + (sizes - 1) * correlation
    whole = float(sizes @ k) / n**2
    squares = sizes**2 / (1 - sizes / n)
    zero, one, two = (float(squares @ k**power) for power in range(3))
    across = whole**2 * zero**2 - 4 * whole * zero * one / n + (2 * zero * two + 2 * one**2) / n**2
    own = (sizes * k - 2 * sizes**2 * k / n + sizes**2 * whole) / (1 - sizes / n)
    return float(own.sum()), float(across - ((squares * (whole - 2 * k / n)) ** 2).sum() + own @ own)
