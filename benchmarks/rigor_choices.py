"""The cells of `make bench-rigor` about recommendations from little: how much surer they say that they are than they are right.

`make bench-decide` holds them to worlds of 50 models and 200 documents.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from benchmarks.rigor_cells import Cell, Draw
from streams.deciding.candidates import Candidate, TaskScores
from streams.deciding.drawing import worlds
from streams.statistics.spreads import Floats

MOST, SIMULATIONS, APART = 0.15, 600, 0.3
Asked = Callable[[Draw, Floats], list[TaskScores]]


def of_choices() -> Iterator[Cell]:
    """Of models apart by APART, where documents are by 1: what is said of the likeliest to be the best, less how often it is."""
    for models, (name, asked) in itertools.product((2, 5, 10), ASKED.items()):
        find = functools.partial(_surer, models=models, asked=asked)
        yield Cell("choices", f"{models} models, {name}", MOST, find, SIMULATIONS, least=False)


def _surer(draw: Draw, simulations: int, *, models: int, asked: Asked) -> float:
    told = [_choice(draw, models, asked) for _ in range(simulations)]
    return max(0.0, float(np.mean([said for said, _ in told]) - np.mean([right for _, right in told])))


def _choice(draw: Draw, models: int, asked: Asked) -> tuple[float, bool]:
    """How surely the likeliest model is said to be the best, and whether it is."""
    able = APART * draw.normal(size=models)
    candidates = [Candidate(name, name, "e", "h", {}) for name in _names(models)]
    drawn = worlds(candidates, asked(draw, able), seed=int(draw.integers(2**31))).drawn["quality"]
    shares = np.bincount(drawn.argmax(axis=1), minlength=models) / len(drawn)
    return float(shares.max()), bool(shares.argmax() == able.argmax())


def _names(models: int) -> tuple[str, ...]:
    return tuple(f"m{number}" for number in range(models))


def _right(draw: Draw, able: Floats, hard: Floats, *, easy: float = 0.5) -> Floats:
    return (draw.normal(size=(len(able), len(hard))) < easy + able[:, None] - hard).astype(np.float64)


def _few(draw: Draw, able: Floats, *, easy: float) -> list[TaskScores]:
    return [TaskScores("t", _names(len(able)), _right(draw, able, draw.normal(size=20), easy=easy))]


def _passages(draw: Draw, able: Floats) -> list[TaskScores]:
    """Each of 20 passages suits each model in its own way."""
    suits = np.repeat(0.8 * draw.normal(size=(len(able), 20)) + draw.normal(size=20), 5, axis=1)
    right = (0.5 + able[:, None] + 0.6 * draw.normal(size=suits.shape) > suits).astype(np.float64)
    return [TaskScores("t", _names(len(able)), right, clusters=np.repeat(np.arange(20), 5))]


def _same(draw: Draw, able: Floats) -> list[TaskScores]:
    """Each of 60 documents suits each model in its own way, in all of three tasks."""
    suits = 0.8 * draw.normal(size=(len(able), 60)) + draw.normal(size=60)
    right = [(0.5 + able[:, None] + 0.6 * draw.normal(size=suits.shape) > suits).astype(np.float64) for _ in range(3)]
    return [TaskScores(f"t{number}", _names(len(able)), own, documents="same") for number, own in enumerate(right)]


ASKED: Final[dict[str, Asked]] = {
    "20 documents": functools.partial(_few, easy=0.5),
    "20 documents, nearly all right": functools.partial(_few, easy=2.2),
    "20 passages of 5": _passages,
    "3 tasks over the same 60 documents": _same,
}
