"""How far what is measured lies from the roofline: learned from runs, and tried on models or machines that were left out.

Four ways are tried on what is left out, and the best is taken: the roofline by itself; the median ratio to it, by engine; a multiple of it
and a fixed cost, as of starting kernels, whatever the model's size; and gradient boosting of the ratios that are left after the better of
these two (J. Friedman 2001), where there are runs enough. Everything is in logarithms: an error is a ratio.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.optimize import nnls

from streams.predicting.leaving_out import Guess, Numbers, Way, group_weights, left_out
from streams.predicting.physics import reached
from streams.predicting.subjects import Row, Subject

LEAST_ROWS: Final = 40  # for trees
LEAST_GROUPS: Final = 4
DIGITS: Final = 9
RATE: Final = "tokens_per_s"  # the one figure of which more is better
MEDIAN: Final = "roofline and the median ratio by engine"
FIXED: Final = "roofline and a fixed cost by engine"
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
    log_of: Guess[Subject]
    errors: Numbers
    groups: tuple[Hashable, ...]


def fitted(rows: Sequence[Row], figure: str, group: Callable[[Row], Hashable]) -> Fitted:
    """The best way to predict the figure for a group that was not measured. `rows` all have it."""
    groups, subjects = tuple(group(row) for row in rows), [row.subject for row in rows]
    ratios, weights = _ratios(rows, figure), group_weights(groups)
    tried: dict[str, tuple[Way[Subject], Numbers]] = {}

    def attempt(method: str, way: Way[Subject]) -> None:
        tried[method] = way, left_out(subjects, ratios, groups, way)

    def best() -> str:
        """Of those that err equally little the first, which is the simplest."""
        return min(tried, key=lambda method: round(float((weights * np.abs(tried[method][1])).sum()), DIGITS))

    for method, way in {"roofline": roofline, MEDIAN: median, FIXED: fixed(figure)}.items():
        attempt(method, way)
    if len(rows) >= LEAST_ROWS and len(set(groups)) >= LEAST_GROUPS:
        attempt("roofline and gradient boosting", boosted(tried[best()][0]))
    method = best()
    way, errors = tried[method]
    guess = way(subjects, ratios)
    return Fitted(method, lambda others: np.log([reached(one)[figure] for one in others]) + guess(others), errors, groups)


def _ratios(rows: Sequence[Row], figure: str) -> Numbers:
    return np.log([row.figures[figure] / reached(row.subject)[figure] for row in rows])


def roofline(_: Sequence[Subject], ratios: Numbers) -> Guess[Subject]:
    """Nothing is learned."""
    return lambda others: np.zeros(len(others))


def median(subjects: Sequence[Subject], ratios: Numbers) -> Guess[Subject]:
    """The median ratio of an engine's runs, every model counting alike; of an engine without runs that of all."""
    every = _balanced_median(subjects, ratios)
    by_engine = {
        engine: _balanced_median([subjects[n] for n in own], ratios[own])
        for engine in {one.engine for one in subjects}
        if len(own := np.flatnonzero([one.engine == engine for one in subjects]))
    }
    return lambda others: np.array([by_engine.get(one.engine, every) for one in others])


def _balanced_median(subjects: Sequence[Subject], ratios: Numbers) -> float:
    by_model: dict[str, list[float]] = defaultdict(list)
    for one, ratio in zip(subjects, ratios, strict=True):
        by_model[one.model.name].append(float(ratio))
    return float(np.median([np.median(own) for own in by_model.values()]))


def fixed(figure: str) -> Way[Subject]:
    """A multiple of the roofline and a fixed cost, both at least 0, by engine; of an engine without runs those of all.

    What is fixed is added to times, bytes and joules; tokens a second are told as the time of one. Least squares of relative errors, every
    model counting alike. Source: C. Lawson, R. Hanson 1974, Solving Least Squares Problems, chapter 23 (none below 0).
    """
    sign = -1.0 if figure == RATE else 1.0

    def cost(subjects: Sequence[Subject]) -> Numbers:
        return np.array([reached(one)[figure] ** sign for one in subjects])

    def way(subjects: Sequence[Subject], ratios: Numbers) -> Guess[Subject]:
        own = {engine: _line(*told) for engine, told in _by_engine(subjects, cost(subjects), sign * ratios).items()}
        every = _line(subjects, cost(subjects), sign * ratios)

        def guess(others: Sequence[Subject]) -> Numbers:
            best = cost(others)
            told = np.array([own.get(one.engine, every) for one in others])
            return np.asarray(sign * np.log(told[:, 0] + told[:, 1] / best))

        return guess

    return way


def _by_engine(subjects: Sequence[Subject], best: Numbers, ratios: Numbers) -> dict[str, tuple[Sequence[Subject], Numbers, Numbers]]:
    places = {engine: np.flatnonzero([one.engine == engine for one in subjects]) for engine in {one.engine for one in subjects}}
    return {engine: ([subjects[n] for n in at], best[at], ratios[at]) for engine, at in places.items()}


def _line(subjects: Sequence[Subject], best: Numbers, ratios: Numbers) -> tuple[float, float]:
    """The multiple, and what is fixed."""
    weights = np.sqrt(group_weights([one.model.name for one in subjects]))
    over = np.exp(-ratios)  # the roofline over what was measured
    found, _ = nnls(np.stack([over, over / best], axis=1) * weights[:, None], weights)
    return float(found[0]), float(found[1])


def boosted(base: Way[Subject]) -> Way[Subject]:
    """Trees over the logarithms of sizes, behind that way."""

    def way(subjects: Sequence[Subject], ratios: Numbers) -> Guess[Subject]:
        from sklearn.ensemble import HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits

        level, engines = base(subjects, ratios), sorted({one.engine for one in subjects})
        trees = HistGradientBoostingRegressor(**SETTINGS)
        weights = group_weights([one.model.name for one in subjects])
        with threadpool_limits(1):  # so little work is slower on several, which wait for one another
            trees.fit(_features(subjects, engines), ratios - level(subjects), sample_weight=weights * len(weights))

        def guess(others: Sequence[Subject]) -> Numbers:
            with threadpool_limits(1):
                return np.asarray(level(others) + trees.predict(_features(others, engines)))

        return guess

    return way


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
