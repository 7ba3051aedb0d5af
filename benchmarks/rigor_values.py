"""The cells of `make bench-rigor` about values between the ends of their range, of which rare ones lie far from the others.

A run's score is nearly always near 0.9, and 0 where the model fails to answer: once in a hundred documents, mostly in none of fifty.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.rigor_cells import PAIRS, Cell, Draw, held
from streams.statistics.differences import LEVEL, Difference, difference, equivalent
from streams.statistics.intervals import ANY, RATIO, Interval, joint_interval, mean_of, ratio
from streams.statistics.ranks import ranges, standings
from streams.statistics.spreads import Floats

SIMULATIONS = 1000
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


def of_values() -> Iterator[Cell]:
    """All of them."""
    yield from means()
    yield from differences()


def means() -> Iterator[Cell]:
    """Means of one task, and of eight; and of values of which no range is known, which no interval can hold: they have no bound."""
    for kind, n, rare in itertools.product(USUAL, (50, 200), (0.01, 0.02, 0.05)):
        name = f"{kind}, n = {n}, one in {1 / rare:.0f}"
        yield Cell("rare values", name, PAIRS, functools.partial(_means, kind=kind, n=n, rare=rare, within=RATIO), SIMULATIONS)
        yield Cell("rare values", f"{name}, eight tasks", PAIRS, functools.partial(_suites, kind=kind, n=n, rare=rare), SIMULATIONS)
    for n, rare in itertools.product((50, 200), (0.01, 0.05)):
        find = functools.partial(_means, kind="about 0.9, rarely 0", n=n, rare=rare, within=ANY)
        yield Cell("rare values", f"about 0.9, rarely 0, n = {n}, one in {1 / rare:.0f}, no range is known", 0.0, find, SIMULATIONS)
    for n in (20, 50, 200):
        yield Cell("rare values", f"lognormal, n = {n}, no range is known", 0.0, functools.partial(_lognormal, n=n), SIMULATIONS)


def _lognormal(draw: Draw, times: int, *, n: int) -> float:
    return held([mean_of(row.tolist()).interval for row in draw.lognormal(size=(times, n))], math.exp(0.5))


def _means(draw: Draw, times: int, *, kind: str, n: int, rare: float, within: Interval) -> float:
    return held([mean_of(row.tolist(), within=within).interval for row in _values(draw, kind, rare, (times, n))], _mean(kind, rare))


def _suites(draw: Draw, times: int, *, kind: str, n: int, rare: float) -> float:
    suites = _values(draw, kind, rare, (times, 8, n))
    return held([joint_interval([one for row in tasks if (one := ratio(row))], [1 / 8] * 8) for tasks in suites], _mean(kind, rare))


def differences() -> Iterator[Cell]:
    """The same of runs of one mean: how often an interval holds their difference, how often a test, or a board of five, tells them apart.

    And of runs that are apart by the margin, how often they are called as good within it.
    """
    for n, rare in itertools.product((50, 200, 1000), (0.01, 0.05)):
        name = f"n = {n}, one in {1 / rare:.0f}"
        yield Cell("rare pairs", f"{name}: intervals that hold it", PAIRS, functools.partial(_paired, n=n, rare=rare), SIMULATIONS)
        yield _false(f"{name}: found", functools.partial(_found, n=n, rare=rare))
        yield _false(f"{name}: found on a board of five", functools.partial(_boards, n=n, rare=rare))
        yield _false(f"{name}: as good, but apart by the margin", functools.partial(_as_good, n=n, rare=rare))
    for n, differing in itertools.product((50, 200, 1000), (0.0, 0.05)):
        find = functools.partial(_as_good_of_answers, n=n, differing=differing)
        yield _false(f"right and wrong, n = {n}, {differing:g} differ too: as good, but apart by the margin", find)


def _false(name: str, find: Callable[[Draw, int], float]) -> Cell:
    return Cell("rare pairs", name, LEVEL, find, SIMULATIONS, least=False)


def _uneven(draw: Draw, rare: float, shape: tuple[int, ...]) -> Floats:
    """Differences whose mean is 0: a failure of the second run, rarely, and else a little less than nothing."""
    often = -0.9 * rare / (1 - rare)
    return np.where(draw.random(shape) < rare, 0.9, often + 0.03 * draw.uniform(-1, 1, shape))


def _pairs(draw: Draw, times: int, *, n: int, rare: float) -> list[Difference]:
    return [difference((0.5 + row / 2).tolist(), (0.5 - row / 2).tolist(), width=1.0) for row in _uneven(draw, rare, (times, n))]


def _paired(draw: Draw, times: int, *, n: int, rare: float) -> float:
    found = _pairs(draw, times, n=n, rare=rare)
    return held([(one.low, one.high) if one.low is not None and one.high is not None else None for one in found], 0.0)


def _found(draw: Draw, times: int, *, n: int, rare: float) -> float:
    return float(np.mean([one.p <= LEVEL for one in _pairs(draw, times, n=n, rare=rare)]))


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
