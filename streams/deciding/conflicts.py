"""Constraints that nobody meets together: the smallest set of them that conflicts, and who comes nearest.

Over candidates that can be counted, a set of constraints conflicts where each candidate breaks at least one of it. The smallest such set
is a smallest hitting set of what candidates break; it is looked for by size, so that the first one found is a smallest.

Source: M. Liffiton and K. Sakallah, J. Autom. Reasoning 40 (2008) 1-33, section 2: minimal unsatisfiable subsets as hitting sets.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np

from streams.deciding.constraints import Constraint, Flags, refusals
from streams.deciding.drawing import Worlds

MOST_EXACT: Final = 14


def conflict(kept: Flags) -> tuple[int, ...]:
    """The places of the smallest set of constraints that no candidate keeps, of flags [constraints, candidates].

    Empty where one keeps all. With more than 14 constraints a small one, found by taking away what is not needed.
    """
    broken = np.unique(~kept.T, axis=0)
    if not broken.size or not broken.any(axis=1).all():
        return ()
    if len(kept) > MOST_EXACT:
        return _without_what_is_not_needed(broken)
    for size in range(1, len(kept) + 1):
        for chosen in combinations(range(len(kept)), size):
            if bool(broken[:, chosen].any(axis=1).all()):
                return chosen
    raise AssertionError("all constraints together are a conflict")


def _without_what_is_not_needed(broken: Flags) -> tuple[int, ...]:
    chosen = list(range(broken.shape[1]))
    for one in tuple(chosen):
        rest = [other for other in chosen if other != one]
        if rest and bool(broken[:, rest].any(axis=1).all()):
            chosen = rest
    return tuple(chosen)


def nearest(constraints: Sequence[Constraint], worlds: Worlds, kept: Flags) -> int | None:
    """The candidate that breaks the fewest constraints, of these the one whose bounds would have to give the least; None of none."""
    broken = (~kept).sum(axis=0)
    if not len(broken):
        return None
    fewest = refusals(constraints, worlds, kept, map(int, np.flatnonzero(broken == broken.min())))
    return min(fewest, key=lambda place: (sum(one.distance for one in fewest[place]), place))
