"""A judge's mean held to people: what a few labels of persons make of many judgements, by prediction-powered inference.

A judge has a value f for each of N answers; a person has a value y for n of them, drawn at random. The judge's mean alone is as wrong as
the judge; the labels' mean alone is unsure, for they are few. With any λ

    mean of (y - λ·f) over the labels + λ · mean of f over all answers

is right whatever the judge is worth, and λ = Cov(y, f) / Var(f) makes it as sure as it can be: near 1 for a judge that says what people
say, 0 for one that says nothing of it. The labelled answers are among the N, so that the two means depend on each other; answers of one
cluster do too. The variance is therefore that of both parts together, cluster by cluster. Where all are labelled it is that of the labels'
mean.

Source: Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, Prediction-powered inference, Science 382 (2023) 669-674; λ: Angelopoulos, Duchi
and Zrnic, PPI++ (2023), arXiv 2311.01453, section 6 (N/(N - n) times theirs, for their N counts the answers without a label); the same of a
subsample of a sample: Cochran, Sampling Techniques (1977), section 12.6.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.statistics.intervals import Interval, t95
from streams.statistics.spreads import FEW_CLUSTERS, Clusters, Floats, errors, grouped, spread, varies

# With fewer labels the variance of what the judge gets wrong is a guess.
FEWEST = 20


@dataclass(frozen=True, slots=True)
class Powered:
    """A mean by so many labels and the judge's values of so many answers; its standard error and 95 % interval.

    `tuning` is λ. `why` says why all of them are None.
    """

    value: float | None
    stderr: float | None
    interval: Interval | None
    tuning: float | None
    labels: int
    answers: int
    method: str = "none"
    why: str | None = None


def powered(
    judged: Sequence[float], labels: Mapping[int, float], clusters: Sequence[Hashable] | None = None, *, within: Interval
) -> Powered:
    """The mean that people would give, of a judge's values and the labels of some of their places, drawn at random; all lie `within`.

    Undefined below 20 labels, or labels in fewer than two clusters.
    """
    low, high = within
    chosen = np.asarray(sorted(labels), dtype=np.intp)
    if len(chosen) < FEWEST:
        return Powered(None, None, None, None, len(chosen), len(judged), why=f"fewer than {FEWEST} labels: too few")
    f = (np.asarray(judged, dtype=np.float64) - low) / (high - low)
    y = (np.asarray([labels[place] for place in chosen.tolist()]) - low) / (high - low)
    own = list(clusters) if clusters is not None else list(range(len(f)))
    tuning = _tuned(y, f[chosen], f)
    found = _interval(y - tuning * f[chosen], tuning, f, chosen, own)
    if found is None:
        return Powered(None, None, None, None, len(chosen), len(judged), why="all labels are of one cluster")
    value, error, (bottom, top), few = found
    wide = high - low
    return Powered(low + value * wide, error * wide, (low + bottom * wide, low + top * wide), tuning, len(chosen), len(f),
                   f"prediction-powered{few}")  # fmt: skip


def _tuned(y: Floats, told: Floats, f: Floats) -> float:
    """λ: Cov(y, f) of the labels / Var(f) of all, within 0 and 1; 0 where the judge says the same of all."""
    if not varies(f):
        return 0.0
    covariance = float(((y - y.mean()) * (told - told.mean())).sum()) / (len(y) - 1)
    return min(1.0, max(0.0, covariance / float(f.var())))


def _interval(
    rest: Floats, tuning: float, f: Floats, chosen: NDArray[np.intp], clusters: Clusters
) -> tuple[float, float, Interval, str] | None:
    """Value, standard error and interval, of values from 0 to 1, with what is said of few clusters.

    What the judge gets wrong, y - λ·f, lies within -λ and 1. A label at either end is added (Bonett and Price's way with paired values,
    differences.py), so that an interval has a width also where judge and people agree on all, and room for a label unlike all others. To
    the variance of the labels' part comes what the judge's mean adds: the variance of both parts together less that of the labels' part.
    """
    own = spread(rest, [clusters[place] for place in chosen])
    if own is None:
        return None
    part, whole = np.zeros(len(f)), float(f.mean())
    part[chosen] = (rest - own.mean) / len(rest)
    parts = grouped(part, clusters).sums
    both = parts + tuning * errors(f, clusters)
    added = float(both @ both - parts @ parts)
    size = own.n / own.effect
    full = size + 2
    middle = (own.mean * size + 1 - tuning) / full
    square = (float(rest @ rest) / own.n * size + 1 + tuning**2) / full
    alone = (square - middle**2) / full
    error = math.sqrt(max(alone + added, alone / own.n, 0.0))
    half, centre = t95(max(1.0, own.freedom - 1)) * error, middle + tuning * whole
    few = ", few clusters" if own.clusters < min(own.n, FEW_CLUSTERS) else ""
    return own.mean + tuning * whole, error, (max(0.0, centre - half), min(1.0, centre + half)), few
