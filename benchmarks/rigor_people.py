"""The cells of what judges say: means held to people's labels, and strengths from comparisons in pairs."""

import functools
import itertools
from collections.abc import Iterator

import numpy as np

from benchmarks.rigor_cells import PAIRS, Cell, Draw, clustered, held
from streams.statistics.intervals import Interval
from streams.statistics.pairs import Bout, Estimate, strengths
from streams.statistics.powered import powered
from streams.statistics.spreads import Floats

POINTS: Interval = (1.0, 10.0)
ALWAYS: Interval = (-np.inf, np.inf)


def of_people() -> Iterator[Cell]:
    """All of them."""
    yield from labelled()
    yield from compared()


def labelled() -> Iterator[Cell]:
    """Judges' means, corrected by labels of n of N answers: right or wrong, points, and in clusters."""
    sizes = ((200, 20), (1000, 20), (1000, 100), (200, 200))
    for (answers, n), wrong, share in itertools.product(sizes, (0.0, 0.1, 0.4), (0.02, 0.1, 0.5, 0.9, 0.98)):
        find = functools.partial(_labelled, answers=answers, n=n, wrong=wrong, share=share, size=1)
        yield Cell("labels", f"N = {answers}, n = {n}, judge wrong {wrong:g}, p = {share:g}", PAIRS, find, 1000)
    for wrong, share in itertools.product((0.1, 0.4), (0.1, 0.5, 0.9)):
        find = functools.partial(_labelled, answers=1000, n=100, wrong=wrong, share=share, size=5)
        yield Cell("labels", f"N = 1000 in clusters of 5, n = 100, judge wrong {wrong:g}, p = {share:g}", PAIRS, find, 1000)
    for noise in (0.5, 2.0, 8.0):
        find = functools.partial(_points, noise=noise)
        yield Cell("labels", f"N = 500, n = 50, points of 1 to 10, judge too kind by 1, its noise {noise:g}", PAIRS, find, 1000)


def _labelled(draw: Draw, count: int, *, answers: int, n: int, wrong: float, share: float, size: int) -> float:
    """Of what the judge gets wrong, it calls four in five right: judges are kind."""
    names = np.repeat(np.arange(answers // size), size).tolist() if size > 1 else None
    found = []
    for _ in range(count):
        told = clustered(draw, np.full(answers // size, float(size)), share=share, icc=0.3 if size > 1 else 0.0)
        judged = np.where(draw.random(answers) < wrong, draw.random(answers) < 0.8, told)
        found.append(_interval(draw, judged.astype(np.float64), told, n, names, within=(0.0, 1.0)))
    return held(found, share)


def _points(draw: Draw, count: int, *, noise: float) -> float:
    found = []
    for _ in range(count):
        told = draw.binomial(9, 0.6, 500) + 1.0
        judged = np.clip(np.round(told + 1 + noise * draw.normal(size=500)), *POINTS)
        found.append(_interval(draw, judged.astype(np.float64), told.astype(np.float64), 50, None, within=POINTS))
    return held(found, 6.4)


def _interval(draw: Draw, judged: Floats, told: Floats, n: int, names: list[int] | None, *, within: Interval) -> Interval | None:
    chosen = draw.choice(len(told), n, replace=False).tolist()
    return powered(judged.tolist(), {place: float(told[place]) for place in chosen}, names, within=within).interval


# A name, the models' strengths, ν, and how much of a strength is the document's own, which the model does not know of.
CASES = (
    ("2 equal models", (0.0, 0.0), 0.5, 0.0),
    ("2 models, one better", (0.6, -0.6), 0.0, 0.0),
    ("2 models, one far better", (1.2, -1.2), 0.5, 0.0),
    ("4 models, many ties", (0.6, 0.2, -0.2, -0.6), 2.0, 0.0),
    ("2 equal models, each better on some documents", (0.0, 0.0), 0.5, 1.5),
)
ORDER, LENGTH = 0.5, 0.4


def compared() -> Iterator[Cell]:
    """Both orders of every pair on D documents; an interval that is left out, for too few were won, says nothing wrong."""
    for documents, (name, own, tie, apart) in itertools.product((20, 50, 200), CASES):
        figures = ("strength", "order", "length", "ties") if not apart else ("strength",)
        for figure in figures if tie else figures[:-1]:
            find = functools.partial(_compared, documents=documents, own=own, tie=tie, apart=apart, figure=figure)
            yield Cell("strengths", f"D = {documents}, {name}: {figure}", PAIRS, find, 300)


def _compared(draw: Draw, count: int, *, documents: int, own: tuple[float, ...], tie: float, apart: float, figure: str) -> float:
    truth = {"strength": own[0], "order": ORDER, "length": LENGTH, "ties": tie / (2 + tie)}[figure]
    found = []
    for _ in range(count):
        told = strengths(_bouts(draw, documents, own, tie, apart), length=apart == 0)
        mine = next((one.strength for one in told.models if one.model == "0"), Estimate(None))
        figures = {"strength": mine, "order": told.order, "length": told.length, "ties": told.ties}
        found.append(figures[figure].interval or ALWAYS)
    return held(found, truth)


def _bouts(draw: Draw, documents: int, own: tuple[float, ...], tie: float, apart: float) -> list[Bout]:
    length, feel = draw.normal(size=(2, documents, len(own)))
    bouts = []
    for document, (i, j) in itertools.product(range(documents), itertools.permutations(range(len(own)), 2)):
        longer = float(length[document, i] - length[document, j])
        ahead = own[i] - own[j] + ORDER + (LENGTH * longer if not apart else apart * (feel[document, i] - feel[document, j]))
        chances = np.exp([ahead / 2, np.log(tie) if tie else -np.inf, -ahead / 2])
        worth = 1 - draw.choice(3, p=chances / chances.sum()) / 2
        bouts.append(Bout(str(i), str(j), worth, longer, document))
    return bouts
