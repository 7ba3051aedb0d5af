"""What each way of weighing would choose, beside the others; where they disagree it is said, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.deciding.candidates import FIGURES
from streams.deciding.constraints import Flags
from streams.deciding.drawing import Worlds
from streams.deciding.preferring import Swing, best, by_swing, by_topsis, lexicographic

TOLERANCE: Final = 0.05  # of a swing: within it one is as good as another, where no tolerance is stated


@dataclass(frozen=True, slots=True)
class Methods:
    """The places that each method chooses by what was measured (None: nobody is able), and what is to be said of it."""

    swing: int | None
    topsis: int | None
    lexicographic: int | None
    agree: bool
    words: str


def methods(worlds: Worlds, weights: Sequence[Swing], able: Flags, order: Sequence[tuple[str, float]] = ()) -> Methods:
    """Of those who are able, flags [candidates]. Without an order figures go by their points, with a tolerance of a twentieth swing."""
    steps = tuple(order) or tuple((one.figure, TOLERANCE * abs(one.best - one.worst)) for one in sorted(weights, key=lambda w: -w.points))
    points = worlds.points
    able = able & np.all([~np.isnan(points[one.figure]) for one in weights], axis=0)
    found = (
        best(by_swing(points, weights), able), best(by_topsis(points, weights, able), able), lexicographic(points, steps, able),
    )  # fmt: skip
    return Methods(*found, len(set(found)) == 1, _words(worlds, found, first=FIGURES[steps[0][0]].words))


def _words(worlds: Worlds, found: Sequence[int | None], *, first: str) -> str:
    swing, topsis, in_order = found
    if swing is None or topsis is None or in_order is None:
        return "nobody keeps all constraints as measured"
    name = [worlds.candidates[place].name for place in (swing, topsis, in_order)]
    if swing == topsis == in_order:
        return f"swing weights, TOPSIS and the order all choose {name[0]}"
    told = [f"swing weights choose {name[0]}"]
    if topsis != swing:
        told.append(f"TOPSIS chooses {name[1]}, which is the nearest to the best of everything and far from the worst")
    if in_order != swing:
        told.append(f"the order chooses {name[2]}, because it puts {first} first and does not trade it")
    return "the methods disagree: " + "; ".join(told)
