"""The cells of `make bench-rigor` about boards: ranges of ranks, of equal models and of a ladder of models."""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from benchmarks.rigor_cells import SIZES, Cell, Draw
from streams.statistics.differences import LEVEL
from streams.statistics.ranks import ranges, standings
from streams.statistics.spreads import Floats

Places = list[tuple[int, int]]
UNLIKE: Final[dict[str, Callable[[Draw], Floats]]] = {
    "10 passages, heavy tail": lambda draw: SIZES["heavy tail"](draw, 10),
    "a passage of 100 and nine of 1": lambda _draw: np.r_[100.0, np.ones(9)],
    "3 passages of 40 and 17 of 2": lambda _draw: np.r_[np.full(3, 40.0), np.full(17, 2.0)],
}


def of_boards() -> Iterator[Cell]:
    """Boards with any range that misses its model's true place; models share what is hard."""
    for count, n, kind in itertools.product((2, 5, 20, 100), (50, 200, 1000), ("equal", "ladder")):
        ability = np.zeros(count) if kind == "equal" else np.linspace(1.0, -1.0, count)
        places = functools.partial(_answers, ability=ability, n=n)
        yield _cell(f"K = {count}, n = {n}, {kind}", count, places, ladder=kind == "ladder", simulations=1000 if count < 100 else 400)
    for count, (scores, drawn) in itertools.product(
        (5, 20), {"F1": _f1, "passages of 5": _passages, "two tasks over the same documents": _two}.items()
    ):
        yield _cell(f"K = {count}, n = 200, equal, {scores}", count, functools.partial(drawn, count=count), simulations=600)
    for count, sizes, known in itertools.product((2, 5, 20), UNLIKE, (True, False)):
        places = functools.partial(_unlike, count=count, sizes=sizes, known=known)
        yield _cell(f"K = {count}, equal, {sizes}{'' if known else ', values without a range'}", count, places, simulations=600)
    for count, n in itertools.product((2, 5, 20), (50, 200, 1000)):
        places = functools.partial(_skewed, count=count, n=n)
        yield _cell(f"K = {count}, n = {n}, equal, values without a range, of every other model skewed", count, places, simulations=600)


def _cell(name: str, count: int, places: Callable[[Draw], Places], *, ladder: bool = False, simulations: int) -> Cell:
    def find(draw: Draw, simulations: int) -> float:
        return float(np.mean([_missed(places(draw), ladder=ladder) for _ in range(simulations)]))

    return Cell("ranks", name, LEVEL, find, simulations, least=False)


def _missed(places: Places, *, ladder: bool) -> bool:
    """Of equals each range must hold all places; in a ladder its own."""
    return any(not low <= rank <= high if ladder else (low, high) != (1, len(places)) for rank, (low, high) in enumerate(places, start=1))


def _answers(draw: Draw, *, ability: Floats, n: int) -> Places:
    hard = draw.normal(size=n)
    return ranges([standings((draw.normal(size=(len(ability), n)) + hard - ability[:, None] < 0.8).astype(np.float64))])


def _f1(draw: Draw, *, count: int, n: int = 200) -> Places:
    hard = draw.normal(size=n)
    return ranges([standings(draw.beta(3, 1, (count, n)) * (draw.normal(size=(count, n)) + hard < 0.5), width=1.0)])


def _two(draw: Draw, *, count: int, n: int = 200) -> Places:
    hard, own = draw.normal(size=n), draw.normal(size=(count, n))
    two = [(own + draw.normal(size=(count, n)) + hard < 0.8).astype(np.float64) for _ in range(2)]
    return ranges([standings((two[0] + two[1]) / 2, width=1.0)])


def _passages(draw: Draw, *, count: int) -> Places:
    values, clusters = _shared(draw, count, np.full(40, 5.0))
    return ranges([standings((values < 0.8).astype(np.float64), clusters)])


def _unlike(draw: Draw, *, count: int, sizes: str, known: bool) -> Places:
    values, clusters = _shared(draw, count, UNLIKE[sizes](draw))
    return ranges([standings((values < 0.8).astype(np.float64) if known else values, clusters)])


def _shared(draw: Draw, count: int, sizes: Floats) -> tuple[Floats, list[int]]:
    """Values, [entries, samples], of passages of which each is hard for all, and for each in its own way; and each sample's passage."""
    place = np.repeat(np.arange(len(sizes)), sizes.astype(int))
    hard = draw.normal(size=(count, len(sizes)))[:, place] + draw.normal(size=len(sizes))[place]
    return draw.normal(size=(count, len(place))) + hard, place.tolist()


def _skewed(draw: Draw, *, count: int, n: int) -> Places:
    """Of one mean: exponential, or normal and close together."""
    values = 0.3 * draw.normal(size=(count, n))
    values[::2] = draw.exponential(size=values[::2].shape) - 1
    return ranges([standings(values)])
