"""Constraints that nobody meets together: the smallest set of them that conflicts, and who comes nearest.

Over candidates that can be counted, a set of constraints conflicts where each candidate breaks at least one of it. The smallest such set
is a smallest hitting set of what candidates break; it is looked for by size, so that the first one found is a smallest. Each size is
searched by branching on who breaks the fewest: one of what it breaks is in the set.

Source: M. Liffiton and K. Sakallah, J. Autom. Reasoning 40 (2008) 1-33, section 2: minimal unsatisfiable subsets as hitting sets.
"""

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.deciding.constraints import Constraint, Flags, refusals
from streams.deciding.drawing import Worlds

MOST_LOOKS: Final = 1_000_000  # at candidates, in the search, about a third of a second: what people write takes a few hundred


def conflict(kept: Flags) -> tuple[int, ...]:
    """The places of the smallest set of constraints that no candidate keeps, of flags [constraints, candidates].

    Empty where one keeps all. Where the search has looked at a million candidates, one from which nothing can be taken away.
    """
    rows = _minimal({int.from_bytes(np.packbits(row, bitorder="little").tobytes(), "little") for row in ~kept.T})
    if not rows or not rows[0]:
        return ()
    search = _Search(MOST_LOOKS)
    try:
        return _places(next(chosen for size in range(1, len(kept) + 1) if (chosen := search.hitting(rows, size)) is not None))
    except _TooLongError:
        return _places(_without_what_is_not_needed(rows, _greedy(rows)))


class _TooLongError(Exception):
    """The search has looked at as many as it may."""


def _minimal(rows: Set[int]) -> list[int]:
    """Sets as bits without those that contain another one: what hits the smaller hits them too. The smallest come first."""
    found: list[int] = []
    for row in sorted(rows, key=lambda one: (one.bit_count(), one)):
        if all(one & row != one for one in found):
            found.append(row)
    return found


@dataclass
class _Search:
    """A search that may look at rows so many times still."""

    looks: int

    def hitting(self, rows: Sequence[int], size: int) -> int | None:
        """A set of so many at most that hits all rows, as bits; None where there is none. It tries the members of the smallest row in turn.

        Rows of which no two share a member need one each, so that there are at most `size` of them. Raises: _TooLongError.
        """
        self.looks -= len(rows)
        if self.looks < 0:
            raise _TooLongError
        if not rows:
            return 0
        if _apart(rows) > size:
            return None
        for one in _places(rows[0]):
            if (rest := self.hitting([row for row in rows if not row >> one & 1], size - 1)) is not None:
                return 1 << one | rest
        return None


def _apart(rows: Sequence[int]) -> int:
    """How many rows, taken as they come, share nothing with those before."""
    taken = count = 0
    for row in rows:
        if not row & taken:
            taken, count = taken | row, count + 1
    return count


def _greedy(rows: Sequence[int]) -> int:
    """A set that hits all rows: again and again the member of the most of those that are left, the first of equal ones."""
    chosen, left = 0, list(rows)
    while left:
        counts = Counter(place for row in left for place in _places(row))
        most = min(counts, key=lambda place: (-counts[place], place))
        chosen, left = chosen | 1 << most, [row for row in left if not row >> most & 1]
    return chosen


def _without_what_is_not_needed(rows: Sequence[int], chosen: int) -> int:
    for one in _places(chosen):
        rest = chosen & ~(1 << one)
        if all(row & rest for row in rows):
            chosen = rest
    return chosen


def _places(bits: int) -> tuple[int, ...]:
    return tuple(place for place in range(bits.bit_length()) if bits >> place & 1)


def nearest(constraints: Sequence[Constraint], worlds: Worlds, kept: Flags) -> int | None:
    """The candidate that breaks the fewest constraints, of these the one whose bounds would have to give the least; None of none."""
    broken = (~kept).sum(axis=0)
    if not len(broken):
        return None
    fewest = refusals(constraints, worlds, kept, map(int, np.flatnonzero(broken == broken.min())))
    return min(fewest, key=lambda place: (sum(one.distance for one in fewest[place]), place))
