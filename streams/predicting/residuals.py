"""How far what is measured lies from the roofline: learned from runs, and tried on models or machines that were left out.

Three ways are tried on what is left out, and the best is taken: the roofline by itself; the median ratio to it, by engine; and gradient
boosting of the ratios that are left after that (J. Friedman 2001), where there are runs enough. Everything is in logarithms: an error is a
ratio.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.predicting.physics import reached
from streams.predicting.subjects import Row, Subject

Numbers = NDArray[np.float64]
Guess = Callable[[Sequence[Subject]], Numbers]

FOLDS: Final = 6
LEAST_ROWS: Final = 40  # for trees
LEAST_GROUPS: Final = 4
SETTINGS: Final[dict[str, Any]] = {
    "loss": "absolute_error", "max_iter": 60, "learning_rate": 0.1, "max_depth": 3, "min_samples_leaf": 5, "early_stopping": False,
    "random_state": 0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fitted:
    """A way to predict one figure: `log_of` gives the logarithm of its value. `method` in words.

    `errors`: of each row the logarithm of measured over predicted, by a fit that had not seen its group; `groups` name these.
    """

    method: str
    log_of: Guess
    errors: Numbers
    groups: tuple[Hashable, ...]


def fitted(rows: Sequence[Row], figure: str, group: Callable[[Row], Hashable]) -> Fitted:
    """The best way to predict the figure for a group that was not measured. `rows` all have it."""
    groups = tuple(group(row) for row in rows)
    ratios = _ratios(rows, figure)
    ways = {"roofline": roofline, "roofline and the median ratio by engine": median, "roofline and gradient boosting": boosted}
    if len(rows) < LEAST_ROWS or len(set(groups)) < LEAST_GROUPS:
        del ways["roofline and gradient boosting"]
    weights = group_weights(groups)
    tried = {method: _left_out(rows, ratios, groups, way) for method, way in ways.items()}
    best = min(tried, key=lambda method: float((weights * np.abs(tried[method])).sum()))
    guess = ways[best](rows, ratios)
    return Fitted(best, lambda subjects: np.log([reached(one)[figure] for one in subjects]) + guess(subjects), tried[best], groups)


def group_weights(groups: Sequence[Hashable]) -> Numbers:
    """Weights of rows in which every group counts alike; they add up to 1."""
    counts: dict[Hashable, int] = defaultdict(int)
    for one in groups:
        counts[one] += 1
    return np.array([1 / (counts[one] * len(counts)) for one in groups])


def _ratios(rows: Sequence[Row], figure: str) -> Numbers:
    return np.log([row.figures[figure] / reached(row.subject)[figure] for row in rows])


def _left_out(rows: Sequence[Row], ratios: Numbers, groups: Sequence[Hashable], way: Callable[[Sequence[Row], Numbers], Guess]) -> Numbers:
    """What each row's ratio differs by from the guess of a fit without its group; a sixth of the groups is left out at a time."""
    fold = {one: number % FOLDS for number, one in enumerate(sorted(set(groups), key=repr))}
    at, errors = np.array([fold[one] for one in groups]), np.empty(len(rows))
    for number in sorted(set(fold.values())):
        out = at == number
        rest = [row for row, left in zip(rows, out, strict=True) if not left]
        if rest:
            guess = way(rest, ratios[~out])
            errors[out] = ratios[out] - guess([row.subject for row, left in zip(rows, out, strict=True) if left])
        else:  # a single group: there is nothing to learn from
            errors[out] = ratios[out]
    return errors


def roofline(rows: Sequence[Row], ratios: Numbers) -> Guess:
    """Nothing is learned."""
    return lambda subjects: np.zeros(len(subjects))


def median(rows: Sequence[Row], ratios: Numbers) -> Guess:
    """The median ratio of an engine's runs, every model counting alike; of an engine without runs that of all."""
    every = _balanced_median(rows, ratios)
    by_engine = {
        engine: _balanced_median([rows[n] for n in own], ratios[own])
        for engine in {row.subject.engine for row in rows}
        if len(own := np.flatnonzero([row.subject.engine == engine for row in rows]))
    }
    return lambda subjects: np.array([by_engine.get(one.engine, every) for one in subjects])


def _balanced_median(rows: Sequence[Row], ratios: Numbers) -> float:
    by_model: dict[str, list[float]] = defaultdict(list)
    for row, ratio in zip(rows, ratios, strict=True):
        by_model[row.subject.model.name].append(float(ratio))
    return float(np.median([np.median(own) for own in by_model.values()]))


def boosted(rows: Sequence[Row], ratios: Numbers) -> Guess:
    """Trees over the logarithms of sizes, behind the median ratio."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    level, engines = median(rows, ratios), sorted({row.subject.engine for row in rows})
    subjects = [row.subject for row in rows]
    trees = HistGradientBoostingRegressor(**SETTINGS)
    weights = group_weights([one.model.name for one in subjects])
    with threadpool_limits(1):  # so little work is slower on several, which wait for one another
        trees.fit(_features(subjects, engines), ratios - level(subjects), sample_weight=weights * len(weights))

    def guess(others: Sequence[Subject]) -> Numbers:
        with threadpool_limits(1):
            return np.asarray(level(others) + trees.predict(_features(others, engines)))

    return guess


def _features(subjects: Sequence[Subject], engines: Sequence[str]) -> Numbers:
    """Shape [subjects, features]."""
    return np.array([
        [
            *np.log([
                one.model.parameters, one.model.weights_bytes / one.model.parameters, 1 + one.model.kv_bytes_per_token,
                one.machine.bytes_per_s, one.machine.flop_per_s / one.machine.bytes_per_s,
                one.load.in_flight, one.load.input_tokens, one.load.output_tokens, one.model.weights_bytes / one.machine.bytes_per_s,
            ]),
            *(float(one.engine == engine) for engine in engines),
        ]
        for one in subjects
    ])  # fmt: skip
