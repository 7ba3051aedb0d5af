"""The cells of `make bench-rigor` about values between the ends of their range, of which rare ones lie far from the others.

A run's score is nearly always near 0.9, and 0 where the model fails to answer: once in a hundred documents, mostly in none of fifty.
"""

import functools
import itertools
from collections.abc import Callable, Iterator

import numpy as np

from streams.statistics.differences import Difference, difference, equivalent
from streams.statistics.intervals import ANY, RATIO, Interval, joint_interval, mean_of, ratio
from streams.statistics.ranks import ranges, standings
from streams.statistics.spreads import Floats

Draw = np.random.Generator
Find = Callable[[Draw, int], float]
BOUND, LEVEL, SIMULATIONS = 0.93, 0.05, 1000
MARGIN = 0.05
USUAL: dict[str, tuple[float, float, float]] = {  # where values lie, how far they spread, and where the rare ones lie
    "all 0.9, rarely 0": (0.9, 0.0, 0.0),
    "about 0.9, rarely 0": (0.9, 0.03, 0.0),
    "about 0.5, rarely 1": (0.5, 0.05, 1.0),
}


def _values(draw: Draw, kind: str, rare: float, shape: tuple[int, ...]) -> Floats:
    middle, spread, far = USUAL[kind]
    return np.where(draw.random(shape) < rare, far, middle + spread * draw.uniform(-1, 1, shape))


def _mean(kind: str, rare: float) -> float:
    middle, _, far = USUAL[kind]
    return rare * far + (1 - rare) * middle


def rare_values() -> Iterator[tuple[str, float, Find, int]]:
    """Name, bound, share and simulations of each: means of one task, of eight, and of values of which no range is known."""
    for kind, n, rare in itertools.product(USUAL, (50, 200), (0.01, 0.02, 0.05)):
        name = f"{kind}, n = {n}, one in {1 / rare:.0f}"
        yield name, BOUND, functools.partial(_means, kind=kind, n=n, rare=rare, within=RATIO), SIMULATIONS
        yield f"{name}, eight tasks", BOUND, functools.partial(_suites, kind=kind, n=n, rare=rare), SIMULATIONS
    for n, rare in itertools.product((50, 200), (0.01, 0.05)):
        find = functools.partial(_means, kind="about 0.9, rarely 0", n=n, rare=rare, within=ANY)
        yield f"about 0.9, rarely 0, n = {n}, one in {1 / rare:.0f}, no range is known", 0.0, find, SIMULATIONS


def _means(draw: Draw, times: int, *, kind: str, n: int, rare: float, within: Interval) -> float:
    found = (mean_of(row.tolist(), within=within).interval for row in _values(draw, kind, rare, (times, n)))
    return _held(found, _mean(kind, rare))


def _suites(draw: Draw, times: int, *, kind: str, n: int, rare: float) -> float:
    suites = _values(draw, kind, rare, (times, 8, n))
    found = (joint_interval([one for row in tasks if (one := ratio(row))], [1 / 8] * 8) for tasks in suites)
    return _held(found, _mean(kind, rare))


def _held(intervals: Iterator[Interval | None], truth: float) -> float:
    return float(np.mean([own is not None and own[0] <= truth + 1e-12 and own[1] >= truth - 1e-12 for own in intervals]))


def rare_differences() -> Iterator[tuple[str, float, Find, int, bool]]:
    """The same of runs of one mean: how often an interval holds their difference, how often a test, or a board of five, tells them apart.

    And of runs that are apart by the margin, how often they are called as good within it. The last tells whether the bound is the least.
    """
    for n, rare in itertools.product((50, 200, 1000), (0.01, 0.05)):
        name = f"n = {n}, one in {1 / rare:.0f}"
        yield f"{name}: intervals that hold it", BOUND, functools.partial(_paired, n=n, rare=rare, tested=False), SIMULATIONS, True
        yield f"{name}: found", LEVEL, functools.partial(_paired, n=n, rare=rare, tested=True), SIMULATIONS, False
        yield f"{name}: found on a board of five", LEVEL, functools.partial(_boards, n=n, rare=rare), SIMULATIONS // 2, False
        yield f"{name}: as good, but apart by the margin", LEVEL, functools.partial(_as_good, n=n, rare=rare), SIMULATIONS, False
    for n, differing in itertools.product((50, 200, 1000), (0.0, 0.05)):
        find = functools.partial(_as_good_of_answers, n=n, differing=differing)
        yield f"right and wrong, n = {n}, {differing:g} differ too: as good, but apart by the margin", LEVEL, find, 4000, False


def _uneven(draw: Draw, rare: float, shape: tuple[int, ...]) -> Floats:
    """Differences whose mean is 0: a failure of the second run, rarely, and else a little less than nothing."""
    often = -0.9 * rare / (1 - rare)
    return np.where(draw.random(shape) < rare, 0.9, often + 0.03 * draw.uniform(-1, 1, shape))


def _paired(draw: Draw, times: int, *, n: int, rare: float, tested: bool) -> float:
    found = [difference((0.5 + row / 2).tolist(), (0.5 - row / 2).tolist(), width=1.0) for row in _uneven(draw, rare, (times, n))]
    if tested:
        return float(np.mean([one.p <= LEVEL for one in found]))
    return _held(((one.low, one.high) if one.low is not None and one.high is not None else None for one in found), 0.0)


def _boards(draw: Draw, times: int, *, n: int, rare: float) -> float:
    """Boards of five equals on which one is not."""
    boards = _values(draw, "about 0.9, rarely 0", rare, (times, 5, n))
    return float(np.mean([any(place != (1, 5) for place in ranges([standings(own, width=1.0)])) for own in boards]))


def _as_good(draw: Draw, times: int, *, n: int, rare: float) -> float:
    told = _uneven(draw, rare, (times, n)) + MARGIN
    return float(np.mean([_equal(difference((0.45 + row / 2).tolist(), (0.45 - row / 2).tolist(), width=1.0)) for row in told]))


def _as_good_of_answers(draw: Draw, times: int, *, n: int, differing: float) -> float:
    counts, chances = np.unique(
        draw.multinomial(n, (MARGIN + differing / 2, differing / 2, 1 - MARGIN - differing), times), axis=0, return_counts=True
    )
    found = [_equal(difference([1.0] * b + [0.0] * (n - b), [0.0] * b + [1.0] * c + [0.0] * (n - b - c))) for b, c, _ in counts.tolist()]
    return float(np.average(found, weights=chances))


def _equal(found: Difference) -> bool:
    p = equivalent(found, margin=MARGIN)
    return p is not None and p <= LEVEL
