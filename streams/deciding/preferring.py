"""Which of many is preferred: by swing weights, by TOPSIS and lexicographically, beside each other.

Swing weights: how much a figure counts is asked as what going from its worst to its best is worth, in points beside the others'. The
value is Σ points/Σ points · (x - worst)/(best - worst).

Source: D. von Winterfeldt and W. Edwards, Decision Analysis and Behavioral Research (1986), ch. 8; TOPSIS: C.-L. Hwang and K. Yoon,
Multiple Attribute Decision Making (1981), ch. 3; lexicographic semi-order: A. Tversky, Psychol. Rev. 76 (1969) 31-48.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streams.deciding.candidates import FIGURES
from streams.deciding.constraints import Flags
from streams.errors import Invalid
from streams.statistics.spreads import Floats

Values = Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Swing:
    """What going from `worst` to `best` is worth, in points beside the other figures'."""

    figure: str
    points: float
    worst: float
    best: float


def swings(points: Mapping[str, float], drawn: Values, able: Flags) -> tuple[Swing, ...]:
    """Swings from the worst to the best of those who are able in a draw, the mean over the draws, of values [draws, candidates].

    The range is that of draws and not of what was measured: those who measured the same differ in what they are, and a range of 0 would
    let the figure count for nothing. Raises: Invalid where points are none or negative.
    """
    if not points or min(points.values()) < 0 or not any(points.values()):
        raise Invalid("swing points must be 0 or more, and one above 0; give the figure that matters most 100", code="swing")
    found = []
    for name, given in points.items():
        low, high = _ends(drawn[name], able & ~np.isnan(drawn[name]))
        worst, best = (low, high) if FIGURES[name].better > 0 else (high, low)
        found.append(Swing(name, given, worst, best))
    return tuple(found)


def _ends(values: Floats, able: Flags) -> tuple[float, float]:
    """The least and the most of those who are able, each the mean over the draws in which anybody is; 0 where nobody ever is."""
    some = able.any(axis=1)
    if not some.any():
        return 0.0, 0.0
    own, there = values[some], able[some]
    return float(np.where(there, own, np.inf).min(axis=1).mean()), float(np.where(there, own, -np.inf).max(axis=1).mean())


def by_swing(values: Values, weights: Sequence[Swing]) -> Floats:
    """Each one's value, with its figures' shape; a figure whose best is its worst counts for nothing. NaN where a figure is missing."""
    whole = sum(one.points for one in weights)
    parts = [one.points / whole * (values[one.figure] - one.worst) / ((one.best - one.worst) or np.inf) for one in weights if one.points]
    shape = values[weights[0].figure]
    return np.asarray(sum(parts, np.zeros_like(shape)))


def by_topsis(values: Values, weights: Sequence[Swing], able: Flags) -> Floats:
    """Closeness to the ideal, d⁻/(d⁺ + d⁻), of values [candidates], over those who are able; NaN for the others.

    Figures are divided by their root of squares and weighted; the ideal has the best of each, its opposite the worst.
    """
    closeness = np.full(len(able), np.nan)
    if not able.any():
        return closeness
    whole = sum(one.points for one in weights)
    columns = []
    for one in weights:
        own = values[one.figure][able]
        length = float(np.sqrt((own**2).sum())) or 1.0
        columns.append(FIGURES[one.figure].better * own / length * one.points / whole)
    scaled = np.stack(columns, axis=1)
    far = np.sqrt(((scaled - scaled.min(axis=0)) ** 2).sum(axis=1))
    near = np.sqrt(((scaled - scaled.max(axis=0)) ** 2).sum(axis=1))
    both = far + near
    closeness[able] = np.divide(far, both, out=np.ones_like(far), where=both > 0)
    return closeness


def lexicographic(values: Values, order: Sequence[tuple[str, float]], able: Flags) -> int | None:
    """The place of who is best in the first figure; of those within its tolerance of the best, in the next; and so on.

    A tolerance has its figure's unit. What is left at the end is decided by the last figure, then by place. None where nobody is able.
    """
    left = np.flatnonzero(able)
    for name, tolerance in order:
        turned = FIGURES[name].better * values[name][left]
        if not len(left) or np.isnan(turned).all():
            continue
        left = left[turned >= np.nanmax(turned) - tolerance]
    if not len(left):
        return None
    last = FIGURES[order[-1][0]].better * values[order[-1][0]][left] if order else np.zeros(len(left))
    return int(left[int(np.nanargmax(np.where(np.isnan(last), -np.inf, last)))])


def best(scores: Floats, able: Flags) -> int | None:
    """The place of the highest score among the able; None where there is none."""
    own = np.where(able & ~np.isnan(scores), scores, -np.inf)
    return int(np.argmax(own)) if np.isfinite(own).any() else None
