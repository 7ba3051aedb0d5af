"""The cells of `make bench-rigor` about repeats in several set-ups: intervals that are to hold the mean over all that might be asked."""

import functools
import itertools
from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import expit

from streams.statistics.components import crossed
from streams.statistics.intervals import ANY, RATIO, mean_of

Find = Callable[[np.random.Generator, int], float]
BOUND, SIMULATIONS, CENTRE = 0.92, 400, 0.85
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
