"""The cells of `make bench-rigor` about repeats in several set-ups: intervals that are to hold the mean over all that might be asked."""

import functools
import itertools
from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import expit

from streams.statistics.components import crossed
from streams.statistics.differences import Difference, difference, over_setups
from streams.statistics.intervals import ANY, RATIO, mean_of

Find = Callable[[np.random.Generator, int], float]
BOUND, SIMULATIONS, CENTRE = 0.92, 400, 0.85
AHEAD = 0.3  # how far one model is ahead of the other, where it is
NODES = np.polynomial.hermite_e.hermegauss(60)  # nodes and weights of the standard normal's expectation


def setups() -> Iterator[tuple[str, float, Find, int]]:
    """Name, bound, share and simulations of each: right and wrong (on the logit's scale) or any values, documents apart by 1.

    SD: how far set-ups are apart, on the same scale.
    """
    for kind, n, count, apart in itertools.product(("binary", "values"), (50, 400), (3, 5, 10), (0.3, 1.0)):
        find = functools.partial(_shares, kind=kind, shape=(n, count), apart=apart)
        yield f"{kind}, n = {n}, set-ups = {count}, SD = {apart:g}", BOUND, find, SIMULATIONS


def _shares(draw: np.random.Generator, times: int, *, kind: str, shape: tuple[int, int], apart: float) -> float:
    return float(np.mean([_held(draw, kind, shape=shape, apart=apart) for _ in range(times)]))


def _held(draw: np.random.Generator, kind: str, *, shape: tuple[int, int], apart: float) -> bool:
    lean = draw.normal(0, 1, (shape[0], 1)) + draw.normal(0, apart, (1, shape[1]))
    binary = kind == "binary"
    table = (draw.random(shape) < expit(CENTRE + lean)).astype(np.float64) if binary else lean + draw.normal(0, 1, shape)
    interval = mean_of(table.mean(axis=1).tolist(), within=RATIO if binary else ANY, varied=crossed(table)).interval
    truth = float(NODES[1] @ expit(CENTRE + NODES[0] * np.hypot(1, apart)) / NODES[1].sum()) if binary else 0.0
    return interval is not None and interval[0] <= truth <= interval[1]


def compared() -> Iterator[tuple[str, float, Find, int, bool]]:
    """The same of two models on the same documents and set-ups, which suit each model otherwise: is the true difference in its interval?

    And how often the test finds one between models that are as good. The last tells whether the bound is the least.
    """
    for kind, n, count, apart in itertools.product(("binary", "values"), (50, 400), (3, 5, 10), (0.0, 0.3, 1.0)):
        name, shape = f"{kind}, n = {n}, set-ups = {count}, SD = {apart:g}", (n, count)
        yield name, BOUND, functools.partial(_both, kind=kind, shape=shape, apart=apart, ahead=AHEAD), SIMULATIONS, True
        yield (
            f"{name}: differences found between equal models",
            1 - BOUND,
            functools.partial(_both, kind=kind, shape=shape, apart=apart, ahead=0.0, tested=True),
            SIMULATIONS,
            False,
        )


def _both(
    draw: np.random.Generator, times: int, *, kind: str, shape: tuple[int, int], apart: float, ahead: float, tested: bool = False
) -> float:
    found = [_difference(draw, kind, shape=shape, apart=apart, ahead=ahead) for _ in range(times)]
    if tested:
        return float(np.mean([one.p <= 0.05 for one in found]))
    truth = _true_difference(ahead, apart) if kind == "binary" else ahead
    return float(np.mean([one.low is not None and one.high is not None and one.low <= truth <= one.high for one in found]))


def _difference(draw: np.random.Generator, kind: str, *, shape: tuple[int, int], apart: float, ahead: float) -> Difference:
    document = draw.normal(0, 1, (shape[0], 1))
    tables = []
    for lead in (ahead, 0.0):
        lean = document + lead + draw.normal(0, apart, (1, shape[1]))
        tables.append(
            (draw.random(shape) < expit(CENTRE + lean)).astype(np.float64) if kind == "binary" else lean + draw.normal(0, 1, shape)
        )
    first, second = (table.mean(axis=1).tolist() for table in tables)
    found, varied = difference(first, second, width=1.0 if kind == "binary" else None), crossed(tables[0] - tables[1])
    return over_setups(found, varied) if varied else found


def _true_difference(ahead: float, apart: float) -> float:
    """Of 0/1 values: the difference of the shares over all documents and set-ups."""
    first, second = (expit(CENTRE + lead + NODES[0] * np.hypot(1, apart)) for lead in (ahead, 0.0))
    return float(NODES[1] @ (first - second) / NODES[1].sum())
