"""Which places each of many may have, all at once: with 95 % every one's true place lies within its range, for the whole board together.

Every pair is tested on the samples that all have, as a comparison of the two is (differences.py), and Holm's procedure keeps the chance of
a single false finding on the board at 5 %. One is then surely above as many as it is found better than, and below as many as are found
better. Ranges of equals so hold every place.
Source: Mogstad, Romano, Shaikh and Wilhelm, Rev. Econ. Stud. 91 (2024) 476-518, section 3: ranks from tests of all pairs' differences.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, ndtri, stdtrit

from streams.statistics.differences import LEAST_LOG_P, LEVEL
from streams.statistics.intervals import turned_p
from streams.statistics.spreads import HAIR, Clusters, Floats, effect_of, freedom_of, grouped, intraclass

# Tests of all pairs are held so far; above, what Holm adds to Bonferroni is not worth another pass over millions of pairs.
MOST_HELD = 2000
METHOD = "tests of all pairs, with Holm's correction"
_STEPS = 5001  # a hundredth of p from one to the next
_CHUNK_CELLS = 100_000  # a few of them stay in a processor's own memory: twice as fast as millions


@dataclass(frozen=True, slots=True)
class Standings:
    """Many entries' means over the same samples, shape [entries], and what tells how sure their differences are.

    `own`, [entries, samples]: values less their means, and less what all entries share; `sums`, [entries, clusters]: the same by cluster,
    of those `sizes`. `width`: of the range that values can have, if one is known. `right`, [entries, samples]: which values are the greater
    of two, where no others are and no cluster is shared.
    """

    means: Floats
    own: Floats
    sums: Floats
    sizes: Floats
    width: float | None = None
    right: Floats | None = None


@dataclass(frozen=True, slots=True)
class OverSetups:
    """The standard error, shape [entries], that each entry's mean has from set-ups, of which at least so many were asked (joining.py)."""

    errors: Floats
    setups: int


def standings(values: Floats, clusters: Clusters | None = None, *, width: float | None = None) -> Standings:
    """Of values, shape [entries, samples], of a range of that width, infinite where it has no end; None: nothing is known, and values of 0
    and 1 alone are taken for wrong and right."""
    means, open_ended = values.mean(axis=1), width == math.inf
    # A range that the values leave is not theirs.
    width = None if width is None or open_ended or float(np.ptp(values)) > width else width
    own, hair = values - means[:, None], HAIR * np.abs(values).max()
    own = np.where(np.abs(own) > hair, own, 0.0)  # the mean of values all equal may miss by a hair
    own = own - own.mean(axis=0)
    by_cluster = grouped(own, clusters)
    sums = np.where(np.abs(by_cluster.sums) > hair * by_cluster.sizes, by_cluster.sums, 0.0)
    known = width or 1.0
    binary = not open_ended and bool(((values == 0) | (values == known)).all())
    alone = by_cluster.clusters == values.shape[1]
    right = values / known if binary and alone else None
    return Standings(means, own, sums, by_cluster.sizes, known if binary else width, right)


def ranges(own: Sequence[Standings], over: OverSetups | None = None, *, moved: Callable[[], None] = lambda: None) -> list[tuple[int, int]]:
    """The best and the worst place of each entry by the sum of independent standings; higher is better. `moved` is told of each step.

    `over`: what each sum varies with set-ups; places then are those over all that might have been asked.
    """
    count = len(own[0].means)
    pairs = count * (count - 1) // 2
    level, blocks = LEVEL / max(1, pairs), _told(compared(own, over), moved)
    if count <= MOST_HELD:
        held = list(blocks)
        level, blocks = _holm(np.concatenate([p for _, p in held])[np.triu_indices(count, 1)], level), iter(held)
    above, below = (np.concatenate(found) for found in zip(*(_found(*block, level) for block in blocks), strict=True))
    return [(1 + int(worse), count - int(better)) for better, worse in zip(above, below, strict=True)]


def _told(blocks: Iterable[tuple[Floats, Floats]], moved: Callable[[], None]) -> Iterator[tuple[Floats, Floats]]:
    for block in blocks:
        moved()
        yield block


def _found(differences: Floats, p: Floats, level: float) -> tuple[Floats, Floats]:
    """How many each is found better than, and how many are found better."""
    return ((p <= level) & (differences > 0)).sum(axis=1), ((p <= level) & (differences < 0)).sum(axis=1)


def _holm(p: Floats, level: float) -> float:
    """The p-value up to which Holm rejects: the level rises with each that is, until none is added."""
    rejected = 0
    while (count := int((p <= level).sum())) > rejected:
        rejected, level = count, LEVEL / max(1, len(p) - count)
    return level


def compared(own: Sequence[Standings], over: OverSetups | None = None) -> Iterator[tuple[Floats, Floats]]:
    """Differences and two-sided p-values of all pairs, [some rows, entries] at a time."""
    if over is not None:
        yield from _over_setups(compared(own), over)
        return
    count = len(own[0].means)
    means = np.sum([one.means for one in own], axis=0)
    step = max(1, _CHUNK_CELLS // count)
    for rows in (slice(first, first + step) for first in range(0, count, step)):
        differences = means[rows, None] - means[None, :]
        if len(own) == 1 and own[0].right is not None:
            yield differences, _mcnemar(own[0].right[rows], own[0].right)
        else:
            yield differences, _t_test(differences, (_apart(one, rows) for one in own))


def _over_setups(blocks: Iterable[tuple[Floats, Floats]], over: OverSetups) -> Iterator[tuple[Floats, Floats]]:
    """The same over all set-ups that might have been asked: p where z²·(d/z₀)² + t²·(s² + s'²) is the difference's square d².

    z and t are the quantiles of p, of the normal and at one degree of freedom less than there are set-ups, z₀ that of the p over documents,
    s and s' what set-ups leave open of either entry: what suits both alike makes their difference surer than that. As
    differences.over_setups has it of two runs; there the set-ups' own differences are known. p is from e^LEAST_LOG_P on.
    """
    p = np.exp(np.linspace(0.0, LEAST_LOG_P, _STEPS))
    normal, student = ndtri(p / 2) ** 2, stdtrit(over.setups - 1, p / 2) ** 2
    first = 0
    for differences, found in blocks:
        rows = slice(first, first := first + len(differences))
        variance = over.errors[rows, None] ** 2 + over.errors**2
        told = (found <= LEVEL) & (variance > 0) & (differences != 0)
        z = ndtri(np.maximum(found[told], p[-1]) / 2) ** 2
        apart = variance[told] / differences[told] ** 2
        low, high = np.zeros(len(z), dtype=np.intp), np.full(len(z), _STEPS)  # the place of the least p that holds lies from low to high
        while (high - low > 1).any():
            middle = (low + high) // 2
            holds = normal[middle] / z + student[middle] * apart <= 1
            low, high = np.where(holds, middle, low), np.where(holds, high, middle)
        wider = found.copy()
        wider[told] = np.maximum(found[told], p[low])
        yield differences, wider


@dataclass(frozen=True, slots=True)
class _Apart:
    """How sure the differences of pairs are, each of shape [some, every]: variance and its freedom, and the third moment that turns t."""

    variance: Floats
    freedom: Floats
    third: Floats


def _apart(one: Standings, rows: slice) -> _Apart:
    """What differences.difference makes of each pair, with the same terms: CR2 and its freedom, and the cost of clusters.

    Of a known range W, with size n/effect and mean square q of the differences, (q/size + 2W²/size² - d²/(size + 2)) is the square of
    centre/t there. Below two clusters the variance has no bound.
    """
    sizes, n, count = one.sizes, float(one.sizes.sum()), len(one.sizes)
    squares, difference = _powers(one.own, rows, 2), one.means[rows, None] - one.means[None, :]
    if count < 2:
        return _Apart(np.full_like(squares, np.inf), np.ones_like(squares), np.zeros_like(squares))
    variance, freedom, effect = squares / (n * (n - 1)), np.full_like(squares, count - 1), np.ones_like(squares)
    if count < n:
        variance = _powers(one.sums / np.sqrt(1 - sizes / n), rows, 2) / n**2
        freedom = freedom_of(sizes, intraclass(_powers(one.sums / np.sqrt(sizes), rows, 2), squares, sizes))
        effect = effect_of(variance, squares / ((n - 1) * n), _telling(one.sums, rows), sizes)
    if one.width is None:
        return _Apart(variance, freedom, _skewed(one.sums, rows) * variance**1.5)
    size = n / effect
    known = (squares / n + difference**2) / size + 2 * one.width**2 / size**2 - difference**2 / (size + 2)
    return _Apart(known, freedom, np.zeros_like(known))


def _powers(own: Floats, rows: slice, power: int) -> Floats:
    """Σ (x - x')^power of all pairs, [some, every], of x of shape [entries, parts]; of an even power 0 where that is rounding alone."""
    alone, sign = (own**power).sum(axis=1), (-1) ** power
    found: Floats = alone[rows, None] + sign * alone[None, :]
    least = HAIR * own.shape[1] * found if sign > 0 else -np.inf
    for k in range(1, power):
        found += math.comb(power, k) * (-1) ** k * (own[rows] ** (power - k) @ (own**k).T)
    return np.where(found > least, found, 0.0)


def _telling(sums: Floats, rows: slice) -> Floats:
    """(Σ S²)² / Σ S⁴ of all pairs, 1 to as many as there are clusters (spreads.Spread)."""
    fourth = _powers(sums, rows, 4)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(fourth > 0, np.clip(_powers(sums, rows, 2) ** 2 / fourth, 1.0, sums.shape[1]), 1.0)


def _skewed(sums: Floats, rows: slice) -> Floats:
    """a = skewness/√clusters = Σ S³ / (Σ S²)^1.5 of all pairs, -1 to 1; 0 where nothing is spread."""
    second = _powers(sums, rows, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(second > 0, np.clip(_powers(sums, rows, 3) / second**1.5, -1.0, 1.0), 0.0)


def _t_test(differences: Floats, parts: Iterable[_Apart]) -> Floats:
    """p of sums of independent parts, whose variances and third moments add up. Source of the freedom: F. E. Satterthwaite, Biometrics
    Bull. 2 (1946) 110-114."""
    variance, third, told = (np.zeros_like(differences) for _ in range(3))
    with np.errstate(divide="ignore", invalid="ignore"):
        for one in parts:  # one after another: fifty tasks of a thousand models would be a gigabyte
            variance += one.variance
            third += one.third
            told += one.variance**2 / one.freedom
        found = turned_p(differences / np.sqrt(variance), third / variance**1.5, variance**2 / told)
    return np.where((variance > 0) & np.isfinite(variance), found, 1.0)


def _mcnemar(some: Floats, every: Floats) -> Floats:
    """McNemar's mid-p (differences.py) of all pairs, [some, every]."""
    both_right = some @ every.T
    better, worse = some.sum(axis=1)[:, None] - both_right, every.sum(axis=1)[None, :] - both_right
    fewer, both = np.minimum(better, worse).astype(np.int64), (better + worse).astype(np.int64)
    # Many pairs differ alike; the binomial's tail is dear.
    told, place = np.unique(fewer * (some.shape[1] + 1) + both, return_inverse=True)
    few, n = told // (some.shape[1] + 1), told % (some.shape[1] + 1)
    below = np.where(few > 0, bdtr(np.maximum(few - 1.0, 0.0), n, 0.5), 0.0)
    p: Floats = np.minimum(1.0, bdtr(few.astype(np.float64), n, 0.5) + below)
    return p[place].reshape(fewer.shape)
