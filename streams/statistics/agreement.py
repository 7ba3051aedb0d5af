"""Whether several judges say the same of the same answers: Krippendorff's alpha, with its interval.

alpha = 1 - observed / expected disagreement: 1 where all agree, 0 where they agree as strangers would, below 0 where they contradict one
another. A unit (an answer) counts by the judges who gave it a value; units with fewer than two are left out. Everything that it needs are
sums over units, so that its interval comes from drawing whole units anew.

Source: K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), sections C to E; Content Analysis (2004), chapter 11; the
bootstrap over units: A. Zapf et al., BMC Med. Res. Methodol. 16 (2016) 93.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from streams.statistics.intervals import Interval, mean
from streams.statistics.resampling import DRAWS, SEED, corrected_interval
from streams.statistics.spreads import Floats, grouped

Level = Literal["interval", "ordinal", "nominal"]
Ratings = Mapping[Any, Sequence[float]]  # unit → the values that its judges gave
SMALLEST = 1e-12
MOST_RANKS = 64
# With fewer units of another value than the commonest, draws hold so few of them that 24 of 100 intervals are [1, 1].
FEWEST = 10
METHOD = "bootstrap of answers"


@dataclass(frozen=True, slots=True)
class Alpha:
    """Agreement over so many units, with its 95 % interval. `why` explains what is None: the value, or the interval alone."""

    value: float | None
    interval: Interval | None
    units: int
    why: str | None = None


def alpha(ratings: Ratings, *, level: Level, clusters: Mapping[Any, Hashable] | None = None) -> Alpha:
    """Krippendorff's alpha of the values: with n values in units of m_u, and δ² = (a - b)² (interval), [a ≠ b] (nominal) or, for points
    of a rubric, whose order alone is sure, the squared number of values between them (ordinal: n_a/2 + those between + n_b/2),

    alpha = 1 - (n - 1) · Σ_u Σ_{i≠j in u} δ²(i, j) / (m_u - 1) / Σ_{i≠j} δ²(i, j). Units of one cluster are drawn together for the
    interval. Undefined where no unit has two values, or all values are equal; without an interval where fewer than 10 units have another
    value than the commonest, or as few are far from the others. The interval ends below where that of the units and one more does, on which
    two judges disagree by the two commonest values: draws of units that nearly all agree hold no disagreement, and would end at 1, whatever
    the truth. It is corrected for bias: of few units a disagreement makes its own ranks, and seems greater than it is.
    """
    units = {unit: values for unit, values in ratings.items() if len(values) > 1}
    if not units:
        return Alpha(None, None, 0, "no answer has the values of two judges")
    if level == "ordinal" and len({value for told in units.values() for value in told}) > MOST_RANKS:
        return Alpha(None, None, len(units), f"there are more than {MOST_RANKS} different values: take them as numbers")
    sums, of = _summed(list(units.values()), level)
    value = float(of(sums.sum(axis=1)))
    if np.isnan(value):
        return Alpha(None, None, len(units), "all values are equal: no agreement by chance can be told")
    every = list(units.values())
    if _other(every) < FEWEST:
        return Alpha(value, None, len(units), f"fewer than {FEWEST} answers have another value than the commonest: too few for an interval")
    if level == "interval" and _far(every) < FEWEST:
        return Alpha(value, None, len(units), f"fewer than {FEWEST} answers tell how far values lie apart: too few for an interval")
    shared: list[Hashable] = [(clusters or {}).get(unit, unit) for unit in units]
    if len(set(shared)) < 2:
        return Alpha(value, None, len(units))
    alone, doubted = _interval(sums, of, shared), _interval(*_summed([*every, _doubted(every)], level), [*shared, object()])
    return Alpha(value, (min(doubted[0], value), max(alone[1], doubted[1], value)), len(units))


def _summed(units: Sequence[Sequence[float]], level: Level) -> tuple[Floats, Callable[[Floats], Floats]]:
    """What is summed over units, shape [sums, units], and how alpha follows from the sums."""
    if level == "ordinal":
        return _of_ranks(units)
    sums, within = (_of_numbers if level == "interval" else _of_names)(units)
    return np.vstack([sums, within]), lambda told: _alpha(told[:-1], told[-1])


def _other(units: Sequence[Sequence[float]]) -> int:
    """How many units have another value than the commonest."""
    commonest = Counter(value for unit in units for value in unit).most_common(1)[0][0]
    return sum(any(value != commonest for value in unit) for unit in units)


def _far(units: Sequence[Sequence[float]]) -> float:
    """As many units as tell how far values lie from their mean, by squares: all where they lie equally far, one where one alone does."""
    middle = mean([value for unit in units for value in unit]) or 0.0
    far = np.asarray([sum((value - middle) ** 2 for value in unit) for unit in units])
    return float((far / far.max()).sum() ** 2 / ((far / far.max()) ** 2).sum()) if far.max() > 0 else 0.0


def _doubted(units: Sequence[Sequence[float]]) -> list[float]:
    """A unit of which one judge says the commonest value, and another the next."""
    return [value for value, _ in Counter(value for unit in units for value in unit).most_common(2)]


def _of_ranks(units: Sequence[Sequence[float]]) -> tuple[Floats, Callable[[Floats], Floats]]:
    """Each unit's coincidences (n_c·n_k - [c = k]·n_c) / (m - 1) of two values, shape [values², units]. Source: as above, section D."""
    names = sorted({value for unit in units for value in unit})
    counts = np.asarray([[Counter(unit)[name] for name in names] for unit in units], dtype=np.float64)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(len(names))
    coincidences = pairs / (counts.sum(axis=1) - 1)[:, None, None]

    def of(told: Floats) -> Floats:
        found = np.moveaxis(told.reshape(len(names), len(names), -1), 2, 0)
        each = found.sum(axis=2)
        middle = np.cumsum(each, axis=1) - each / 2
        apart = (middle[:, :, None] - middle[:, None, :]) ** 2
        within, between = (found * apart).sum(axis=(1, 2)), (each[:, :, None] * each[:, None, :] * apart).sum(axis=(1, 2))
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.where(between > SMALLEST, 1 - (each.sum(axis=1) - 1) * within / between, np.nan)
        return value if told.ndim > 1 else value[0]

    return coincidences.reshape(len(units), -1).T, of


def _of_numbers(units: Sequence[Sequence[float]]) -> tuple[Floats, Floats]:
    """Each unit's count, squares and sum, shape [3, units]; and its disagreement 2·(m·Σv² - (Σv)²) / (m - 1), shape [units]."""
    size = np.asarray([len(unit) for unit in units], dtype=np.float64)
    # About the middle of all values: a difference of squares of large numbers would lose digits.
    middle = sum(map(sum, units)) / float(size.sum())
    square = np.asarray([sum((value - middle) ** 2 for value in unit) for unit in units])
    total = np.asarray([sum(value - middle for value in unit) for unit in units])
    return np.stack([size, square, total]), 2 * (size * square - total**2) / (size - 1)


def _of_names(units: Sequence[Sequence[float]]) -> tuple[Floats, Floats]:
    """Each unit's count, count, and counts of every value, shape [2 + values, units]; its disagreement (m² - Σ_c n_c²) / (m - 1)."""
    names = sorted({value for unit in units for value in unit})
    size = np.asarray([len(unit) for unit in units], dtype=np.float64)
    counts = np.asarray([[Counter(unit)[name] for unit in units] for name in names], dtype=np.float64)
    return np.stack([size, size, *counts]), (size**2 - (counts**2).sum(axis=0)) / (size - 1)


def _alpha(sums: Floats, within: Floats) -> Floats:
    """Alpha from sums over units, shape [3 or more, ...] and [...]; NaN where all values are equal.

    Σ_{i≠j} δ² is 2·(n·Σv² - (Σv)²) for numbers, and n² - Σ_c n_c² for names: `sums` has what is multiplied by n, then what is squared.
    """
    n, squares, totals = sums[0], sums[1], sums[2:]
    between = (2 if len(totals) == 1 else 1) * (n * squares - (totals**2).sum(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(between > SMALLEST, 1 - (n - 1) * within / between, np.nan)


def _interval(sums: Floats, of: Callable[[Floats], Floats], clusters: Sequence[Hashable]) -> Interval:
    """The interval of draws of whole clusters. Draws without two different values are left out; of so many units they are never all."""
    stacked = grouped(sums, clusters).sums
    count = stacked.shape[1]
    drawn = np.random.default_rng([SEED, 0]).multinomial(count, np.full(count, 1 / count), size=DRAWS) @ stacked.T
    values = of(drawn.T)
    kept = values[~np.isnan(values)]
    low, high = corrected_interval(kept, estimate=float(of(sums.sum(axis=1))), n=count)
    return low, min(1.0, high)
