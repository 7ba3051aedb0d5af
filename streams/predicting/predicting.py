"""A prediction: each figure with its interval and what it rests on, or why nothing is said of it. A pure function of what was measured."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from streams.predicting.conformal import LEAST_GROUPS, LEVEL, half_width
from streams.predicting.domain import outside
from streams.predicting.leaving_out import middle
from streams.predicting.physics import reached
from streams.predicting.residuals import Fitted, fitted
from streams.predicting.subjects import FIGURES, Row, Subject

FORMULA_VERSION: Final = "prediction-1"
MODELS, MACHINES = "models", "machines"
GROUPS: Final[dict[str, Callable[[Row], Hashable]]] = {
    MODELS: lambda row: row.subject.model.name,
    MACHINES: lambda row: row.subject.machine.name,
}


@dataclass(frozen=True, slots=True)
class Predicted:
    """A figure that nobody measured, with the interval that keeps `level` on what was left out; `roofline` is what it would be at best.

    `left_out`: models or machines, whichever this one is new among, `groups` of which were left out in turn; `typical_error_ratio` is the
    median size of the error then.
    """

    figure: str
    value: float
    low: float
    high: float
    level: float
    roofline: float
    method: str
    left_out: str
    groups: int
    loads: int
    typical_error_ratio: float


@dataclass(frozen=True, slots=True)
class Abstained:
    """A figure of which nothing is said, and why."""

    figure: str
    why: str


class Predictor:
    """Predictions from rows. What was learned of a figure is kept.

    Others' loads are learned from where our own say nothing, and then it is said: their rigs are not ours, so that where ours are enough
    they would only blur them.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = list(rows)
        self._fits: dict[tuple[str, str, bool], Fitted] = {}

    def predict(self, subject: Subject, figures: Sequence[str] = tuple(FIGURES)) -> list[Predicted | Abstained]:
        """These figures, in their order."""
        return [self._figure(subject, figure) for figure in figures]

    def _figure(self, subject: Subject, figure: str) -> Predicted | Abstained:
        every = [row for row in self._rows if figure in row.figures]
        own = [row for row in every if row.source is None]
        told = self._told(subject, figure, own)
        if isinstance(told, Predicted) or len(own) == len(every):
            return told
        others = self._told(subject, figure, every)
        if isinstance(others, Abstained):
            return told if own else others
        return replace(others, method=f"{others.method}; {len(every) - len(own)} of {len(every)} loads are others' results")

    def _told(self, subject: Subject, figure: str, rows: Sequence[Row]) -> Predicted | Abstained:
        if why := outside(subject, rows):
            return Abstained(figure, why)
        own = Row("", subject, {})
        new = [name for name, group in GROUPS.items() if group(own) not in set(map(group, rows))] or [MODELS]
        halves = dict[str, float]()
        for left_out in new:
            fit = self._fit(figure, rows, left_out)
            if (half := half_width(fit.errors, fit.groups)) is None:
                few = len(set(fit.groups))
                return Abstained(figure, f"it was measured on {few} {left_out}, and an interval for another needs {LEAST_GROUPS}")
            halves[left_out] = half
        # Where both are new, their errors are two, and not of one making: they add up as their squares do.
        least_sure, half = max(halves, key=lambda name: halves[name]), math.hypot(*halves.values())
        fit = self._fit(figure, rows, least_sure)
        centre = float(fit.log_of([subject])[0])
        value, low, high = (math.exp(centre + by) for by in (0.0, -half, half))
        return Predicted(
            figure, value, low, high, LEVEL, reached(subject)[figure], fit.method, " and ".join(new), len(set(fit.groups)), len(rows),
            typical_error(fit),
        )  # fmt: skip

    def _fit(self, figure: str, rows: Sequence[Row], left_out: str) -> Fitted:
        key = figure, left_out, any(row.source for row in rows)
        if key not in self._fits:
            self._fits[key] = fitted(rows, figure, GROUPS[left_out])
        return self._fits[key]


def typical_error(fit: Fitted) -> float:
    """The median size of an error on what was left out, as a ratio (MdAPE): groups count alike."""
    return middle(np.abs(np.expm1(-fit.errors)), fit.groups)
