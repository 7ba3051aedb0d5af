"""Errors on what was left out: of each item by a fit that had not seen its group, and what they come to with every group counting alike."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
T = TypeVar("T")
Guess = Callable[[Sequence[T]], Numbers]
Way = Callable[[Sequence[T], Numbers], Guess[T]]

FOLDS: Final = 6


def left_out(items: Sequence[T], values: Numbers, groups: Sequence[Hashable], way: Way[T], *, folds: int = FOLDS) -> Numbers:
    """What each item's value differs by from the guess of a fit without its group; groups are left out in so many parts."""
    fold = {one: number % folds for number, one in enumerate(sorted(set(groups), key=repr))}
    at, errors = np.array([fold[one] for one in groups]), np.empty(len(items))
    for number in sorted(set(fold.values())):
        out = at == number
        rest = [item for item, away in zip(items, out, strict=True) if not away]
        if rest:
            guess = way(rest, values[~out])
            errors[out] = values[out] - guess([item for item, away in zip(items, out, strict=True) if away])
        else:  # a single group: there is nothing to learn from
            errors[out] = values[out]
    return errors


def group_weights(groups: Sequence[Hashable]) -> Numbers:
    """Weights of items in which every group counts alike; they add up to 1."""
    counts: dict[Hashable, int] = defaultdict(int)
    for one in groups:
        counts[one] += 1
    return np.array([1 / (counts[one] * len(counts)) for one in groups])


def middle(sizes: Numbers, groups: Sequence[Hashable]) -> float:
    """Their median, groups counting alike."""
    order = np.argsort(sizes)
    return float(sizes[order[int(np.searchsorted(np.cumsum(group_weights(groups)[order]), 0.5 - 1e-9))]])
