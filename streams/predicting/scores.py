"""What a model would score on a task that it was not asked: from its size, its family, and what it scored on other tasks.

Scores are ratios, in logits: log(s / (1 - s)). Four ways are tried on what was left out, and the best is taken: the median of all models; a
line over the logarithm of the size; that and its family's mean distance from it; and a ridge regression on the size and on scores of other
tasks, where enough models have them. The first stays beside the prediction. Intervals are conformal (conformal.py), of errors in logits.
Source: Y. Ruan, C. Maddison, T. Hashimoto 2024, Observational Scaling Laws (scores of tasks go with few common capabilities, and these with
size within a family); D. Owen 2024, How predictable is language model benchmark performance?; A. Hoerl, R. Kennard 1970 (ridge regression).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from streams.predicting.conformal import LEAST_GROUPS, LEVEL, half_width
from streams.predicting.domain import BEYOND
from streams.predicting.leaving_out import Guess, Numbers, Way, group_weights, left_out, middle

FORMULA_VERSION: Final = "score-prediction-1"
EDGE: Final = 0.005  # from 0 and 1: what lies nearer counts as being there, for logits have no ends
RIDGE: Final = 1.0  # the penalty, of columns with a standard deviation of 1
FOLDS: Final = 12
MOST_OTHERS, SPARE = 5, 4  # other tasks that are learned from, and how many models more than that there must be
MODELS, FAMILIES = "models", "families"
BASELINE: Final = "the median of all models"
OTHERS: Final = "size and other tasks"


@dataclass(frozen=True, slots=True)
class Known:
    """A model that was scored: its name, its files' hash, its family and size, its score of each task as a ratio, and the run of each."""

    name: str
    sha: str
    family: str
    parameters: float
    scores: Mapping[str, float]
    runs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """A model of which a score is asked; `scores`: of other tasks, where they are known."""

    family: str
    parameters: float
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ScoreTold:
    """A score that nobody measured, with the interval that keeps `level` on what was left out, and the baseline: all models' median.

    `left_out`: among which the model is new, `groups` of them; `typical_error` and `baseline_error` are median sizes of errors then.
    """

    task: str
    value: float
    low: float
    high: float
    level: float
    baseline: float
    typical_error: float
    baseline_error: float
    method: str
    left_out: str
    groups: int
    models: int


@dataclass(frozen=True, slots=True)
class NotTold:
    """A task of which nothing is said, and why."""

    task: str
    why: str


@dataclass(frozen=True, slots=True)
class Tried:
    """A way to predict a task's score, in words: what it learns from, in groups, and its errors in logits on what was left out."""

    method: str
    rows: Sequence[Known]
    groups: Sequence[Hashable]
    way: Way[Known | Asked]
    errors: Numbers


def size_of(one: Known | Asked) -> Hashable:
    """What makes two models one, however they were made smaller or tuned: the family, and the size to two digits."""
    return one.family, f"{one.parameters:.2g}"


GROUPS: Final[Mapping[str, Callable[[Known], Hashable]]] = {MODELS: size_of, FAMILIES: lambda one: one.family}


def predicted(asked: Asked, task: str, known: Sequence[Known]) -> ScoreTold | NotTold:
    """The score of the task."""
    rows: Sequence[Known] = [one for one in known if task in one.scores]
    if why := _outside(asked, rows):
        return NotTold(task, why)
    new = MODELS if asked.family in {one.family for one in rows} else FAMILIES
    best = _best(asked, task, rows, [GROUPS[new](one) for one in rows], new)
    rows, groups, count = best.rows, best.groups, len(set(best.groups))
    half = half_width(best.errors, groups)
    if half is None:
        return NotTold(task, f"it was measured on {count} {new}, and an interval for another needs {LEAST_GROUPS}")
    values = logits([one.scores[task] for one in rows])
    centre, baseline = (float(way(rows, values)([asked])[0]) for way in (best.way, median))
    low, value, high = (ratio(centre + by) for by in (-half, 0.0, half))
    beside = left_out(rows, values, groups, median, folds=FOLDS)
    return ScoreTold(
        task, value, low, high, LEVEL, ratio(baseline), _points(values, best.errors, groups), _points(values, beside, groups), best.method,
        new, count, len(rows),
    )  # fmt: skip


def _outside(asked: Asked, rows: Sequence[Known]) -> str | None:
    """Why nothing is said, given who was scored; None where it lies among these."""
    if not rows:
        return "nobody whose size is known has been scored on it"
    least, most = min(one.parameters for one in rows), max(one.parameters for one in rows)
    if not least / BEYOND <= asked.parameters <= most * BEYOND:
        return f"{asked.parameters:.3g} parameters are far from all that were scored on it: {least:.3g} to {most:.3g}"
    return None


def _best(asked: Asked, task: str, rows: Sequence[Known], groups: Sequence[Hashable], new: str) -> Tried:
    """The way that errs least.

    Other tasks' scores are tried on the models that have them, beside the other ways on the same ones.
    """
    ways: dict[str, Way[Known | Asked]] = {BASELINE: median, "size": by_size}
    if new == MODELS:
        ways["size and family"] = by_family
    tasks = _shared(asked, task, rows)
    having = [n for n, one in enumerate(rows) if all(name in one.scores for name in tasks)] if tasks else []
    if len({groups[n] for n in having}) >= LEAST_GROUPS:
        found = _tried(task, [rows[n] for n in having], [groups[n] for n in having], ways | {OTHERS: ridge(tasks)})
        if found.method == OTHERS:
            return replace(found, method=f"size and scores of {', '.join(tasks)}")
    return _tried(task, rows, groups, ways)


def _tried(task: str, rows: Sequence[Known], groups: Sequence[Hashable], ways: Mapping[str, Way[Known | Asked]]) -> Tried:
    values, weights = logits([one.scores[task] for one in rows]), group_weights(groups)
    errors = {name: left_out(rows, values, groups, way, folds=FOLDS) for name, way in ways.items()}
    best = min(errors, key=lambda name: float((weights * np.abs(errors[name])).sum()))
    return Tried(best, rows, groups, ways[best], errors[best])


def _shared(asked: Asked, task: str, rows: Sequence[Known]) -> list[str]:
    """Other tasks that the model and most others were scored on, as many as can be learned from; those of most models first."""
    counts = Counter(name for one in rows for name in one.scores if name != task and name in asked.scores)
    common = [name for name, count in counts.items() if 4 * count >= 3 * len(rows)]
    return sorted(common, key=lambda name: (-counts[name], name))[: min(MOST_OTHERS, max(0, len({size_of(one) for one in rows}) - SPARE))]


def median(rows: Sequence[Known | Asked], values: Numbers) -> Guess[Known | Asked]:
    """The median of all models, each family and size counting alike."""
    by_group: dict[Hashable, list[float]] = defaultdict(list)
    for one, value in zip(rows, values, strict=True):
        by_group[size_of(one)].append(float(value))
    level = float(np.median([np.median(own) for own in by_group.values()]))
    return lambda others: np.full(len(others), level)


def by_size(rows: Sequence[Known | Asked], values: Numbers) -> Guess[Known | Asked]:
    """A line over the logarithm of the size; a level, where all are of one."""
    weights = group_weights([size_of(one) for one in rows])
    sizes = _sizes(rows)
    at, level = float(weights @ sizes), float(weights @ values)
    spread = float(weights @ (sizes - at) ** 2)
    slope = float(weights @ ((sizes - at) * (values - level))) / spread if spread > 1e-9 else 0.0
    return lambda others: level + slope * (_sizes(others) - at)


def by_family(rows: Sequence[Known | Asked], values: Numbers) -> Guess[Known | Asked]:
    """The line, and how far the family's models lie from it, as far as n of them tell: their mean times n / (n + 1)."""
    line = by_size(rows, values)
    rest: dict[str, list[float]] = defaultdict(list)
    for one, error in zip(rows, values - line(rows), strict=True):
        rest[one.family].append(float(error))
    offsets = {family: sum(own) / (len(own) + 1) for family, own in rest.items()}
    return lambda others: line(others) + np.array([offsets.get(one.family, 0.0) for one in others])


def ridge(tasks: Sequence[str]) -> Way[Known | Asked]:
    """Ridge regression on the logarithm of the size and logits of these tasks' scores."""

    def columns(rows: Sequence[Known | Asked]) -> Numbers:
        return np.array([[math.log(one.parameters), *logits([one.scores[name] for name in tasks])] for one in rows])

    def way(rows: Sequence[Known | Asked], values: Numbers) -> Guess[Known | Asked]:
        told, weights = columns(rows), group_weights([size_of(one) for one in rows])
        at = weights @ told
        scale = np.sqrt(weights @ (told - at) ** 2)
        scale[scale < 1e-9] = 1.0
        level, x = float(weights @ values), (told - at) / scale
        gram = x.T @ (x * weights[:, None]) * len(rows) + RIDGE * np.eye(x.shape[1])
        slopes = np.linalg.solve(gram, x.T @ ((values - level) * weights) * len(rows))
        return lambda others: np.asarray(level + (columns(others) - at) / scale @ slopes)

    return way


def _sizes(rows: Sequence[Known | Asked]) -> Numbers:
    return np.log([one.parameters for one in rows])


def logits(scores: Sequence[float]) -> Numbers:
    """Ratios as logits."""
    inside = np.clip(np.asarray(scores, dtype=np.float64), EDGE, 1 - EDGE)
    return np.log(inside / (1 - inside))


def ratio(logit: float) -> float:
    """The ratio of a logit."""
    return 1 / (1 + math.exp(-logit))


def _points(values: Numbers, errors: Numbers, groups: Sequence[Hashable]) -> float:
    """The median size of errors, as ratios."""
    as_ratios = np.abs(1 / (1 + np.exp(-values)) - 1 / (1 + np.exp(-(values - errors))))
    return middle(as_ratios, groups)
