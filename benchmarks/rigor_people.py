"""The cells of what judges say: means held to people's labels, and strengths from comparisons in pairs."""

import functools
import itertools
import zlib
from collections.abc import Iterator
from typing import TypeAlias

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
    for (answers, n), kind, share in itertools.product(sizes[:3], ("unsure", "of two words"), (0.02, 0.1, 0.5, 0.9, 0.98)):
        find = functools.partial(_unsure, answers=answers, n=n, kind=kind, share=share)
        yield Cell("labels", f"N = {answers}, n = {n}, judge {kind}, p = {share:g}", PAIRS, find, 1000)
    for (answers, n), rare in itertools.product(sizes[:3], (0.01, 0.05)):
        name = f"N = {answers}, n = {n}, labels about 0.9, one in {1 / rare:.0f} is 0"
        yield Cell("labels", name, PAIRS, functools.partial(_rarely, answers=answers, n=n, rare=rare), 1000)
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


def _unsure(draw: Draw, count: int, *, answers: int, n: int, kind: str, share: float) -> float:
    """Of right and wrong it says about 0.7 and 0.3, or 0.8 and 0.4 and errs on one in ten: never 0 or 1."""
    found = []
    for _ in range(count):
        told = (draw.random(answers) < share).astype(np.float64)
        said = np.where(draw.random(answers) < 0.1, 1 - told, told)
        judged = 0.4 + 0.4 * said if kind == "of two words" else np.clip(0.3 + 0.4 * told + 0.1 * draw.normal(size=answers), 0.0, 1.0)
        found.append(_interval(draw, judged, told, n, None, within=(0.0, 1.0)))
    return held(found, share)


def _rarely(draw: Draw, count: int, *, answers: int, n: int, rare: float) -> float:
    """The judge finds all about as good."""
    found = []
    for _ in range(count):
        told = np.where(draw.random(answers) < rare, 0.0, 0.9 + 0.03 * draw.uniform(-1, 1, answers))
        found.append(_interval(draw, 0.9 + 0.02 * draw.uniform(-1, 1, answers), told, n, None, within=(0.0, 1.0)))
    return held(found, 0.9 * (1 - rare))


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
Case: TypeAlias = tuple[tuple[float, ...], float, float]


def compared() -> Iterator[Cell]:
    """Both orders of every pair on D documents; an interval that is left out, for too few were won, says nothing wrong."""
    for documents, (name, own, tie, apart) in itertools.product((20, 50, 200), CASES):
        figures = ("strength", "order", "length", "ties") if not apart else ("strength",)
        for figure in figures if tie else figures[:-1]:
            find = functools.partial(_compared, documents=documents, case=(own, tie, apart), figure=figure)
            yield Cell("strengths", f"D = {documents}, {name}: {figure}", PAIRS, find, 300)


def _compared(_draw: Draw, count: int, *, documents: int, case: Case, figure: str) -> float:
    own, tie, _ = case
    truth = {"strength": own[0], "order": ORDER, "length": LENGTH, "ties": tie / (2 + tie)}[figure]
    return held([one[figure].interval or ALWAYS for one in _fits(documents, case, count)], truth)


@functools.cache
def _fits(documents: int, case: Case, count: int) -> list[dict[str, Estimate]]:
    """The estimates of so many simulations, which all figures of a case share."""
    draw, found = np.random.default_rng(zlib.crc32(f"{documents} {case}".encode())), []
    for _ in range(count):
        told = strengths(_bouts(draw, documents, case), length=case[2] == 0)
        mine = next((one.strength for one in told.models if one.model == "0"), Estimate(None))
        found.append({"strength": mine, "order": told.order, "length": told.length, "ties": told.ties})
    return found


def _bouts(draw: Draw, documents: int, case: Case) -> list[Bout]:
    own, tie, apart = np.asarray(case[0]), case[1], case[2]
    length, feel = draw.normal(size=(2, documents, len(own)))
    i, j = np.asarray(list(itertools.permutations(range(len(own)), 2))).T
    longer = length[:, i] - length[:, j]
    ahead = own[i] - own[j] + ORDER + (apart * (feel[:, i] - feel[:, j]) if apart else LENGTH * longer)
    weights = np.stack([np.exp(ahead / 2), np.full(ahead.shape, tie), np.exp(-ahead / 2)])
    place = (draw.random(ahead.shape) > np.cumsum(weights / weights.sum(axis=0), axis=0)[:2]).sum(axis=0)
    return [
        Bout(str(first), str(second), 1 - place[document, at] / 2, float(longer[document, at]), document)
        for document in range(documents) for at, (first, second) in enumerate(zip(i.tolist(), j.tolist(), strict=True))
    ]  # fmt: skip
