"""Who is not beaten in everything: the Pareto front, how surely one is on it or beaten, and its knee.

All take figures turned so that more is better (`drawing.oriented`). One dominates another where it is nowhere worse and somewhere better.
"""

from typing import Final

import numpy as np

from streams.deciding.confidence import Places
from streams.deciding.constraints import Flags
from streams.statistics.spreads import Floats

MOST_DRAWS: Final = 200  # that the chance of the front is taken from: it is known to ±0.035 at worst


def front(values: Floats) -> Flags:
    """Who is on the front, of values [candidates, figures]; whoever lacks a figure is not."""
    on = np.zeros(len(values), dtype=bool)
    known = np.flatnonzero(~np.isnan(values).any(axis=1))
    on[known[_front(values[known])]] = True
    return on


def _front(values: Floats) -> Places:
    """The places of who is on the front, of values [n, figures].

    From the greatest sum of scaled figures on, each that is left is taken and all that it dominates are left out. Sums that are equal but
    for rounding may take one before the one that dominates it, so those taken are compared at the end.
    """
    if values.shape[1] == 2 and len(values):
        return _front_of_two(values)
    spread = np.ptp(values, axis=0) if len(values) else np.ones(values.shape[1])
    scaled = values / np.where(spread > 0, spread, 1.0)
    rest, taken = np.argsort(-scaled.sum(axis=1), kind="stable"), []
    while len(rest):
        first, rest = rest[0], rest[1:]
        taken.append(first)
        rest = rest[(values[rest] > values[first]).any(axis=1) | (values[rest] == values[first]).all(axis=1)]
    found = np.array(taken, dtype=np.intp)
    own = values[found]
    no_worse = (own[:, None] >= own[None]).all(axis=2)
    return np.asarray(found[~(no_worse & ~no_worse.T).any(axis=0)])


def _front_of_two(values: Floats) -> Places:
    """The same of two figures, by their order: who has the most of the second of those alike in the first, and more than all before."""
    order = np.lexsort((-values[:, 1], -values[:, 0]))
    first, second = values[order].T
    begins = np.append(True, first[1:] < first[:-1])
    group, most = np.cumsum(begins) - 1, second[begins]
    ahead = np.maximum.accumulate(most)
    on = (second == most[group]) & ((group == 0) | (second > ahead[np.maximum(group - 1, 0)]))
    return np.asarray(order[on])


def front_probability(drawn: Floats, feasible: Flags) -> Floats:
    """In what share of draws each is feasible and on the front of those that are; drawn is [draws, candidates, figures].

    Who is dominated at its best by another at its worst is left out first: it is on the front in no draw.
    """
    step = max(1, len(drawn) // MOST_DRAWS)
    able = feasible[::step] & ~np.isnan(drawn[::step]).any(axis=2)
    values = np.where(able[..., None], drawn[::step], -np.inf)
    some = np.flatnonzero(able.any(axis=0))
    hopeful = some[~_beaten_always(values[:, some])]
    counts = np.zeros(drawn.shape[1])
    for world, here in zip(values, able, strict=True):
        there = hopeful[here[hopeful]]
        counts[there[_front(world[there])]] += 1
    return counts / len(values)


def _beaten_always(values: Floats) -> Flags:
    """Whose best over the draws somebody's worst dominates."""
    best, worst = values.max(axis=0), values.min(axis=0)
    beaten = np.ones((len(best), len(best)), dtype=bool)
    better = np.zeros_like(beaten)
    for most, least in zip(best.T, worst.T, strict=True):
        beaten &= least[:, None] >= most
        better |= least[:, None] > most
    return np.asarray((beaten & better).any(axis=0))


def dominance_probability(drawn: Floats, place: int) -> Floats:
    """In what share of draws the one at that place dominates each other, of [draws, candidates, figures]."""
    own = drawn[:, place : place + 1]
    return np.asarray(((own >= drawn).all(axis=2) & (own > drawn).any(axis=2)).mean(axis=0))


def knee(values: Floats) -> int | None:
    """The place on the front where giving up a little more would gain the least: the point farthest beyond the plane through its ends.

    With each figure scaled from 0 to 1 over the front that is the greatest sum of the scaled figures. None below three points, or where
    no point lies beyond the plane. Source: I. Das, Structural Optimization 18 (1999) 107-115.
    """
    on = np.flatnonzero(front(values))
    if len(on) < 3:
        return None
    low, high = values[on].min(axis=0), values[on].max(axis=0)
    varying = high > low
    beyond = ((values[on][:, varying] - low[varying]) / (high - low)[varying]).sum(axis=1)
    best = int(np.argmax(beyond))
    return int(on[best]) if beyond[best] > 1 else None
