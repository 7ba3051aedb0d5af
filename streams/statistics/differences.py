"""Whether paired values differ: the interval of their mean difference, and a test of no difference.

A difference is a value of one run minus that of another on the same sample. What both find hard or easy cancels out, so that far
fewer samples decide than without pairing. No interval has a width of zero: where no sample differs, the truth may still be that one in a
thousand does.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import bdtr, stdtr, stdtrit

from streams.statistics.components import Crossed
from streams.statistics.intervals import RATIO, Z95, Interval, few_unlike, skewed, skewed_p, t95, turned
from streams.statistics.spreads import FEW_CLUSTERS, Clusters, Floats, Spread, spread

LEVEL: float = 0.05
LEAST_LOG_P = -50.0  # of a p that is told as such; what is less is this


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean difference over n samples in so many clusters, its standard error and 95 % interval, and the p-value of no difference.

    `test` and `method` name what made the p-value and the interval. All but the value are None or 1 where one cluster alone was seen, or
    where values without a range do not spread. `differ`: of 0/1 values, the share of samples that differ; `effect`: what clusters cost;
    `variance`: the mean's as the interval has it, with nothing added to the samples, and `freedom` its degrees of freedom; `width`: how far
    values can be apart, where that is known; `lean`: what the test corrects for where it is not, skewness/√clusters; `varied`: the set-ups
    over which it holds, whose part of the variance no number of samples makes smaller.
    """

    value: float
    stderr: float | None
    low: float | None
    high: float | None
    p: float
    test: str
    method: str
    n: int
    clusters: int
    differ: float | None = None
    effect: float = 1.0
    variance: float = 0.0
    width: float | None = None
    freedom: float = math.inf
    lean: float = 0.0
    varied: Crossed | None = None

    @property
    def rare(self) -> float:
        """The part of the standard error that is of the sample added for either side; 0 where no range is known."""
        return (self.width or 0.0) * math.sqrt(2) / (self.n / self.effect + 2)

    @property
    def of_setups(self) -> float:
        """The part of the variance that is of set-ups, t²/z² of it at one degree of freedom less than there are."""
        return (t95(self.varied.setups - 1) / Z95) ** 2 * self.varied.added if self.varied else 0.0


def difference(
    first: Sequence[float], second: Sequence[float], clusters: Clusters | None = None, *, width: float | None = None
) -> Difference:
    """The mean of first - second over paired, finite values of at least one sample. `width`: of the range that values can have, infinite
    where it has no end; None where nothing is known of it, and values of 0 and 1 alone are taken for wrong and right.

    0/1 values without shared clusters: the adjusted Wald interval and McNemar's mid-p test. Clusters of 0/1 values, and others of a known
    range: the same interval on the effective sample size, and its t test. Else Student's, corrected for skewness.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    own, n, every = a - b, len(a), np.concatenate([a, b])
    value, told = math.fsum(own) / n, spread(a - b, clusters)
    binary = width in (None, 1.0) and bool(np.isin(every, RATIO).all())
    # A range that the values leave is not theirs: an accuracy told in per cent is none from 0 to 1.
    known = width is not None and math.isfinite(width) and float(np.ptp(every)) <= width
    scale = 1.0 if binary else width if known else None
    if binary and (told.clusters == n if told else n == 1):
        better, worse = int((own > 0).sum()), int((own < 0).sum())
        error, (low, high) = paired_proportions(better, worse, n)
        return Difference(value, error, low, high, mcnemar(better, worse), "McNemar's mid-p test", "adjusted Wald", n, n,
                          (better + worse) / n, variance=float(own.var()) / n, width=scale, freedom=n - 1.0)  # fmt: skip
    if told is None:
        return Difference(value, None, None, None, 1.0, "none", "none", n, 1, freedom=0.0)
    few = ", few clusters" if told.clusters < min(n, FEW_CLUSTERS) else ""
    found = Difference(value, None, None, None, 1.0, "none", "none", n, told.clusters,
                       float((own != 0).mean()) if binary else None, told.effect, told.variance, scale, told.freedom)  # fmt: skip
    if scale is not None:
        error, (low, high), p = _adjusted(own / scale, told.mean / scale, told)
        method = f"adjusted Wald, {'effective size' if binary else 'known range'}{few}"
        return replace(found, stderr=error * scale, low=low * scale, high=high * scale, p=p, test=f"t test{few}", method=method,
                       variance=float(own.var()) * told.effect / n)  # fmt: skip
    if told.variance <= 0:
        return found
    (low, high), few = skewed(told), few_unlike(told) + few
    lean = told.skewness / math.sqrt(told.clusters)
    return replace(found, stderr=math.sqrt(told.variance), low=low, high=high, p=skewed_p(told), lean=lean,
                   test=f"t test, corrected for skewness{few}", method=f"Student, corrected for skewness{few}")  # fmt: skip


def over_setups(found: Difference, varied: Crossed) -> Difference:
    """The difference as one over all set-ups that might have been asked, of which `varied` saw some: it is no less sure for none of them.

    Each side of the interval becomes √(side² + t²·apart/S), t at S - 1 degrees of freedom, as a score's does (intervals.mean_of). The p of
    the test is where such an interval of 1 - p ends at 0: with few set-ups Welch's and Satterthwaite's degrees of freedom find too much.
    Source: Zou and Donner, Statist. Med. 27 (2008) 1693-1702, of margins that are added so.
    """
    if found.stderr is None or found.low is None or found.high is None:
        return found
    reach, named = t95(varied.setups - 1) ** 2 * varied.added, f", over {varied.setups} set-ups"
    below, above = (math.sqrt(side**2 + reach) for side in (found.value - found.low, found.high - found.value))
    p = max(found.p, _p_over(found.value, found.stderr, found.freedom, varied))
    return replace(
        found, stderr=math.hypot(found.stderr, math.sqrt(varied.added)), low=found.value - below, high=found.value + above, p=p,
        test=found.test + named, method=found.method + named, differ=None, variance=found.variance + reach / Z95**2, varied=varied,
    )  # fmt: skip


def _p_over(value: float, stderr: float, freedom: float, varied: Crossed) -> float:
    """The p at which t²·SE² + t'²·apart/S is the difference's square, t and t' the quantiles at the documents' and at S - 1 freedoms."""
    freedoms = (freedom, varied.setups - 1)

    def beyond(log_p: float) -> float:
        inner, outer = (float(stdtrit(freedom, math.exp(log_p) / 2)) for freedom in freedoms)
        return inner**2 * stderr**2 + outer**2 * varied.added - value**2

    if value == 0 or stderr == 0:
        return 1.0
    return math.exp(brentq(beyond, LEAST_LOG_P, 0.0)) if beyond(LEAST_LOG_P) > 0 else math.exp(LEAST_LOG_P)


def paired_proportions(better: float, worse: float, n: float, quantile: float = Z95) -> tuple[float, Interval]:
    """Standard error and 95 % interval of the difference of paired 0/1 values, of which `better` favour the first, `worse` the second.

    p' ± z·√((b' + w' - p'²)/(n+2)) with b' = (better+1)/(n+2), w' = (worse+1)/(n+2), p' = b' - w', within -1 and 1. It has a width
    also where few samples or none differ. Source: Bonett and Price, J. Educ. Behav. Stat. 37 (2012) 479-488; the first choice of
    Fagerland, Lydersen and Laake, Statist. Med. 33 (2014) 2850-2875.
    """
    first, second = (better + 1) / (n + 2), (worse + 1) / (n + 2)
    centre = first - second
    error = math.sqrt((first + second - centre**2) / (n + 2))
    return error, (max(-1.0, centre - quantile * error), min(1.0, centre + quantile * error))


def _adjusted(own: Floats, mean: float, told: Spread) -> tuple[float, Interval, float]:
    """The same for differences from -1 to 1 in clusters, on n over the design effect; and the t test of its centre.

    The sample that is added for either side is what a rare failure of one of the two would be: a t test alone finds a difference in 30 of
    100 where one sample in a hundred differs by 0.9, and the others by -0.009 and a little.
    """
    size = told.n / told.effect
    square = float(own @ own) / told.n * size
    centre = mean * size / (size + 2)
    error = math.sqrt(((square + 2) / (size + 2) - centre**2) / (size + 2))
    half = t95(told.freedom) * error
    return error, (max(-1.0, centre - half), min(1.0, centre + half)), float(2 * stdtr(told.freedom, -abs(centre) / error))


def mcnemar(better: int, worse: int) -> float:
    """The two-sided mid-p value that among the samples that differ neither run is favoured: 2·P(X ≤ k) - P(X = k), X ~ Bin(b + w, ½).

    The exact test rejects in 1 % where 5 % are allowed; this one keeps to the level in all but name.
    Source: Fagerland, Lydersen and Laake, BMC Med. Res. Methodol. 13 (2013) 91, equation 5.
    """
    fewer, both = min(better, worse), better + worse
    below = float(bdtr(fewer, both, 0.5))
    return min(1.0, 2 * below - (below - (float(bdtr(fewer - 1, both, 0.5)) if fewer else 0.0)))


JOINED = "MOVER of the tasks' intervals"


def mean_of_differences(
    estimates: Sequence[float], intervals: Sequence[Interval], weights: Sequence[float] | None = None, *, covariance: float = 0.0
) -> Interval:
    """The 95 % interval of the weighted mean m of differences: m - √(Σ(w·(e - low))² + z²·C), m + √(Σ(w·(high - e))² + z²·C).

    `weights`: 1 in all; equal ones where none are given. `covariance`, C: the weighted sum over all ordered pairs that are not independent.
    Source: Zou and Donner, Statist. Med. 27 (2008) 1693-1702 (MOVER); Zou, Huang and Zhang, CSDA 53 (2009) 1080-1085.
    """
    parts = weights or [1 / len(estimates)] * len(estimates)
    told = list(zip(estimates, intervals, parts, strict=True))
    centre = math.fsum(weight * value for value, _, weight in told)
    below = [(weight * (value - low)) ** 2 for value, (low, _), weight in told]
    above = [(weight * (high - value)) ** 2 for value, (_, high), weight in told]
    # What documents share can only be estimated: it never takes away more than all differences but the widest.
    low, high = (math.sqrt(max(math.fsum(sides) + Z95**2 * covariance, *sides)) for sides in (below, above))
    return centre - low, centre + high


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that the chance of any false finding among them stays below the level: max over ranks j ≤ i of (k-j+1)·p_(j).

    Source: S. Holm, Scand. J. Statist. 6 (1979) 65-70.
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def equivalent(found: Difference, *, margin: float) -> float | None:
    """The p-value that the runs differ by `margin` or more: the greater of two one-sided tests. Small: they are as good as one another.

    None where nothing tells how far the difference may lie from the truth: of one sample alone.

    Each is a t test with the variance that the mean difference would have if it were the margin: of values from -W to W, samples as they
    are of which as many are -W instead as move the mean there, V = (W - margin)·(variance/(W + d) + (d + margin)/n). Of no samples that
    differ a t test with their own variance makes equals: in 8 % of 50 where one in twenty differs. Where no range is known it is the
    greater p of Student's and Hall's, as a comparison's.
    Source: D. J. Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657-680; variance under the hypothesis: T. Tango, Statist. Med. 17
    (1998) 891-908.
    """
    if not found.stderr or found.freedom <= 0:
        return None
    return max(_beyond(found, sign, margin) for sign in (1, -1))


def _beyond(found: Difference, sign: int, margin: float) -> float:
    """The p-value that sign times the true difference is -margin or less."""
    value, width, variance = sign * found.value, found.width, found.variance
    apart = value + margin
    if width is not None and margin >= width:
        return 0.0
    if width is not None and apart > 0:
        variance = (width - margin) * (variance / (width + value) + apart * found.effect / found.n)
    if variance <= 0:
        return 1.0
    t = apart / math.sqrt(variance)
    return float(stdtr(found.freedom, -min(t, float(turned(t, sign * found.lean)))))
