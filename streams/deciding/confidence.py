"""How surely a candidate is the right choice: in each draw of what the measurements allow, one is; the share of draws is the confidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.deciding.constraints import Flags
from streams.deciding.drawing import Worlds
from streams.deciding.preferring import Swing, by_swing
from streams.statistics.spreads import Floats

NONE: Final = -1  # in a draw in which nobody is feasible
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Confidence:
    """Over the draws: who is the best in each, shape [draws]; how often each is feasible and the best; what choosing it would lose.

    `loss` is the mean difference of the best one's value and its own, on the scale of values from 0 to 1; infeasible counts as 0.
    """

    right: Places
    feasible: Floats
    chosen: Floats
    loss: Floats

    @property
    def order(self) -> Places:
        """The candidates, the likeliest to be right first."""
        return np.asarray(np.lexsort((self.loss, -self.chosen)))

    @property
    def choice(self) -> int | None:
        """The likeliest to be right; None where nobody is feasible in any draw."""
        first = int(self.order[0]) if len(self.chosen) else NONE
        return first if first != NONE and self.chosen[first] > 0 else None


def confidence(worlds: Worlds, able: Flags, weights: Sequence[Swing]) -> Confidence:
    """Of who is feasible in which draw, shape [draws, candidates], and what counts."""
    values = by_swing(worlds.drawn, weights)
    values = np.where(able & ~np.isnan(values), values, -np.inf)
    right = np.where(np.isfinite(values).any(axis=1), values.argmax(axis=1), NONE)
    count = values.shape[1]
    chosen = np.bincount(right[right != NONE], minlength=count) / len(right)
    return Confidence(right, able.mean(axis=0), chosen, _loss(values, right))


def _loss(values: Floats, right: Places) -> Floats:
    some = values[right != NONE]
    if not len(some):
        return np.zeros(values.shape[1])
    return np.asarray((some.max(axis=1, keepdims=True) - np.where(np.isfinite(some), some, 0.0)).mean(axis=0))
