"""Which places each of many may have, all at once: with 95 % every one's true place lies within its range, for the whole board together.

Every pair is tested on the samples that all have, and Holm's procedure keeps the chance of a single false finding on the board at 5 %. One
is then surely above as many as it is found better than, and below as many as are found better. Ranges of equals so hold every place.
Source: Mogstad, Romano, Shaikh and Wilhelm, Rev. Econ. Stud. 91 (2024) 476-518, section 3: ranks from tests of all pairs' differences.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, stdtr

from streams.statistics.differences import LEVEL
from streams.statistics.intervals import RATIO
from streams.statistics.spreads import Clusters, Floats, grouped

# Tests of all pairs are held so far; above, what Holm adds to Bonferroni is not worth another pass over millions of pairs.
MOST_HELD = 2000
_CHUNK_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class Standings:
    """Many entries' means over the same samples, shape [entries], and what tells how sure their differences are.

    `influence`, [entries, clusters], is each cluster's part in the mean's error: two entries' difference has the variance
    Σ (influence - influence')² + `added`. `right`, [entries, samples]: the values, where they are 0 or 1 and no cluster is shared.
    """

    means: Floats
    influence: Floats
    freedom: float
    added: float = 0.0
    right: Floats | None = None


def standings(values: Floats, clusters: Clusters | None = None, *, width: float | None = None) -> Standings:
    """Of values, shape [entries, samples], of a range of that width, if one is known. The variance is CR2's (spreads.py).

    Where a range is known one sample is added that differs by all of it for either side, as in a paired difference's interval
    (differences.py); in clusters it weighs as much more as they cost, of all entries together.
    """
    n, means = values.shape[1], values.mean(axis=1)
    residuals = values - means[:, None]
    by_cluster = grouped(residuals, clusters)
    binary = bool(np.isin(values, RATIO).all())
    parts = by_cluster.sums / n
    if by_cluster.clusters > 1:
        parts = parts / np.sqrt(1 - by_cluster.sizes / n)
    alone = by_cluster.clusters == n
    squares = float((residuals**2).sum())
    effect = 1.0 if alone or squares <= 0 else max(1.0, float((parts**2).sum()) * n**2 / squares)
    known = 1.0 if binary else width
    added = 2 * (known * effect / n) ** 2 if known else 0.0
    return Standings(means, parts, float(max(1, by_cluster.clusters - 1)), added, values if alone and binary else None)


def together(own: Sequence[Standings], weights: Sequence[float]) -> Standings:
    """The weighted sum of standings over the same documents in the same order: what they share counts in full."""
    if len(own) == 1 and weights[0] == 1.0:
        return own[0]
    return Standings(
        np.sum([weight * one.means for weight, one in zip(weights, own, strict=True)], axis=0),
        np.sum([weight * one.influence for weight, one in zip(weights, own, strict=True)], axis=0),
        min(one.freedom for one in own), sum(weight**2 * one.added for weight, one in zip(weights, own, strict=True)),
    )  # fmt: skip


def ranges(own: Sequence[Standings]) -> list[tuple[int, int]]:
    """The best and the worst place of each entry by the sum of independent standings; higher is better."""
    count = len(own[0].means)
    pairs = count * (count - 1) // 2
    level, blocks = LEVEL / max(1, pairs), _tested(own)
    if count <= MOST_HELD:
        held = list(blocks)
        level, blocks = _holm(np.concatenate([p for _, p in held])[np.triu_indices(count, 1)], level), iter(held)
    above, below = (np.concatenate(found) for found in zip(*(_found(*block, level) for block in blocks), strict=True))
    return [(1 + int(worse), count - int(better)) for better, worse in zip(above, below, strict=True)]


def _found(differences: Floats, p: Floats, level: float) -> tuple[Floats, Floats]:
    """How many each is found better than, and how many are found better."""
    return ((p <= level) & (differences > 0)).sum(axis=1), ((p <= level) & (differences < 0)).sum(axis=1)


def _holm(p: Floats, level: float) -> float:
    """The p-value up to which Holm rejects: the level rises with each that is, until none is added."""
    rejected = 0
    while (count := int((p <= level).sum())) > rejected:
        rejected, level = count, LEVEL / max(1, len(p) - count)
    return level


def _tested(own: Sequence[Standings]) -> Iterator[tuple[Floats, Floats]]:
    """Differences and two-sided p-values of all pairs, [some rows, entries] at a time."""
    count = len(own[0].means)
    means = np.sum([one.means for one in own], axis=0)
    alone = [(one.influence**2).sum(axis=1) for one in own]
    freedom = _freedom(own, [float(part.mean()) for part in alone])
    step = max(1, _CHUNK_CELLS // count)
    for rows in (slice(first, first + step) for first in range(0, count, step)):
        differences = means[rows, None] - means[None, :]
        if len(own) == 1 and own[0].right is not None:
            yield differences, _mcnemar(own[0].right[rows], own[0].right)
            continue
        variances = np.sum([
            np.maximum(part[rows, None] + part[None, :] - 2 * one.influence[rows] @ one.influence.T, 0.0) + one.added
            for one, part in zip(own, alone, strict=True)
        ], axis=0)  # fmt: skip
        yield differences, _t_test(differences, variances, freedom)


def _freedom(own: Sequence[Standings], shares: Sequence[float]) -> float:
    """Of a sum of variances. Source: F. E. Satterthwaite, Biometrics Bull. 2 (1946) 110-114."""
    told = sum(share**2 / one.freedom for share, one in zip(shares, own, strict=True))
    return sum(shares) ** 2 / told if told > 0 else min(one.freedom for one in own)


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


def _t_test(differences: Floats, variances: Floats, freedom: float) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 2 * stdtr(freedom, -np.abs(differences) / np.sqrt(variances))
    return np.where(variances > 0, found, np.where(differences == 0, 1.0, 0.0))
