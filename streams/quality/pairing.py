"""Comparisons in pairs as judges and people tell them, as bouts for their strengths (streams/statistics/pairs.py)."""

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from streams.statistics.pairs import Bout


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models' answers to one document, and how many characters each has."""

    own: str
    other: str
    own_length: int
    other_length: int
    cluster: Hashable


def longer(own: int, other: int) -> float:
    """How many times as long as the other a text is, as its binary logarithm; a character more each, for a text may be empty."""
    return math.log2((own + 1) / (other + 1))


def of_judge(pair: Pair, *, preference: float, first_preferred: float) -> Iterator[Bout]:
    """Both orders of a judge's comparison, from its two metrics.

    With w the worth of the first place when the own answer stands there, and w' when the other does: preference = (w + 1 - w')/2 and
    first_preferred = (w + w')/2 (infra/harness/derived/pairwise.py).
    """
    yield of_person(pair, value=preference + first_preferred - 0.5, swapped=False)
    yield of_person(pair, value=preference - first_preferred + 0.5, swapped=True)


def of_person(pair: Pair, *, value: float, swapped: bool) -> Bout:
    """One comparison; `value` is what the own answer is worth, `swapped`: the other stood first."""
    ahead = longer(pair.own_length, pair.other_length)
    if swapped:
        return Bout(pair.other, pair.own, 1 - value, -ahead, pair.cluster)
    return Bout(pair.own, pair.other, value, ahead, pair.cluster)
