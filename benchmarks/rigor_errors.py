"""The cells of `make bench-rigor` about standard errors: ± z of them says about what the interval beside it says."""

import functools
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.rigor_cells import Cell, Draw
from benchmarks.rigor_stopping import stopped
from streams.statistics.intervals import LEAST_QUOTIENT, MOST_QUOTIENT, RATIO, Z95, mean_of
from streams.statistics.spreads import Floats

SIMULATIONS = 200
Told = tuple[float, float]  # half-width, standard error
UNLIKE: Final[dict[str, Callable[[Draw], NDArray[np.int64]]]] = {
    "20 passages of 10 with nearly as many right": lambda draw: draw.permutation(np.r_[np.full(19, 5), 6]),
    "6 passages of 10 with nearly as many right": lambda draw: draw.permutation(np.r_[np.full(5, 5), 6]),
    "20 passages of 10, each of its own": lambda draw: draw.integers(0, 11, 20),
}


def of_errors() -> Iterator[Cell]:
    """Figures whose half-width is more than MOST_QUOTIENT, or less than LEAST_QUOTIENT, times z standard errors."""
    kinds: dict[str, Callable[[Draw], Told]] = {name: functools.partial(_passages, sizes=sizes) for name, sizes in UNLIKE.items()}
    kinds |= {f"right and wrong, n = {n}": functools.partial(_answers, n=n) for n in (20, 200)}
    kinds |= {"scores about 0.9 of which one differs, n = 50": _alike, "50 documents asked 5 times, nearly all right": _repeats}
    kinds |= {
        f"stopped at ±{half:g} of {size}": functools.partial(_stopped, size=size, half=half) for size, half in ((400, 0.05), (100, 0.02))
    }
    for name, drawn in kinds.items():
        yield Cell("errors", name, 0.0, functools.partial(_denied, drawn=drawn), SIMULATIONS, least=False)


def _denied(draw: Draw, simulations: int, *, drawn: Callable[[Draw], Told]) -> float:
    quotients = [half / (Z95 * error) for half, error in (drawn(draw) for _ in range(simulations))]
    return float(np.mean([not LEAST_QUOTIENT <= one <= MOST_QUOTIENT * (1 + 1e-9) for one in quotients]))


def _told(values: Floats, names: list[int] | None = None) -> Told:
    found = mean_of(values.tolist(), names, within=RATIO)
    assert found.interval and found.stderr
    return (found.interval[1] - found.interval[0]) / 2, found.stderr


def _passages(draw: Draw, *, sizes: Callable[[Draw], NDArray[np.int64]]) -> Told:
    right = sizes(draw)
    return _told((np.arange(10) < right[:, None]).astype(np.float64).ravel(), np.repeat(np.arange(len(right)), 10).tolist())


def _answers(draw: Draw, *, n: int) -> Told:
    return _told((draw.random(n) < draw.random()).astype(np.float64))


def _alike(draw: Draw) -> Told:
    return _told(np.r_[np.full(49, 0.9), draw.random()])


def _repeats(draw: Draw) -> Told:
    return _told((draw.random((50, 5)) < 0.998).mean(axis=1))


def _stopped(draw: Draw, *, size: int, half: float) -> Told:
    _, figure = stopped(draw, (draw.random(size) < 0.5).astype(np.float64), half=half)
    assert figure.low is not None and figure.high is not None and figure.stderr is not None
    return (figure.high - figure.low) / 2, figure.stderr
