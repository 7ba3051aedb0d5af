"""The cells of `make bench-rigor` about what is told before all is known: what a comparison can find, and figures of runs that go on."""

import functools
import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.rigor_cells import PAIRS, Cell, Draw, held
from streams.quality.ranges import range_of
from streams.quality.scores import Tally
from streams.statistics.components import crossed
from streams.statistics.differences import LEVEL, Difference, difference, equivalent, over_setups
from streams.statistics.power import POWER, detectable, needed
from streams.statistics.spreads import Clusters, Floats

SIMULATIONS = 1000


def of_power() -> Iterator[Cell]:
    """All of them."""
    yield from findings()
    yield from few()
    yield from over()
    yield from as_good()
    yield from provisional()


def findings() -> Iterator[Cell]:
    """A first comparison says what can be found, or how many samples find 0.1: how often it then is.

    The label is 80 %; a first comparison's own chance is in it, so that the bound is a little below.
    """
    for kind, n, asked in itertools.product(KINDS, (200, 1000), ("smallest", "samples")):
        find = functools.partial(_findings, kind=kind, n=n, asked=asked)
        name = "at the smallest difference told" if asked == "smallest" else "of 0.1 with the samples told"
        yield Cell("power", f"{kind}, n = {n}: {name}", POWER - 0.05, find, SIMULATIONS)


def few() -> Iterator[Cell]:
    """The same of few passages, alike or unlike in size, with answers of a passage's own to half."""
    for (name, sizes), kind, asked in itertools.product(PASSAGES.items(), SHARED, ("smallest", "samples")):
        find = functools.partial(_few, kind=kind, sizes=sizes, asked=asked)
        told = "at the smallest difference told" if asked == "smallest" else f"of {SHARED[kind]:g} with the samples told"
        yield Cell("power", f"{kind}, {name}: {told}", POWER - 0.05, find, SIMULATIONS)


def over() -> Iterator[Cell]:
    """The same of runs in several set-ups, which suit each model otherwise."""
    for setups, apart in ((3, 0.3), (5, 0.3), (5, 0.0), (10, 1.0)):
        name = f"values without a range, n = 100, {setups} set-ups, SD = {apart:g}: at the smallest difference told"
        yield Cell("power", name, POWER - 0.05, functools.partial(_over, setups=setups, apart=apart), SIMULATIONS)


def _over(draw: Draw, times: int, *, setups: int, apart: float) -> float:
    def compared(ahead: float) -> Difference:
        document = draw.normal(size=(100, 1))
        one, other = (document + draw.normal(0, apart, (1, setups)) + draw.normal(size=(100, setups)) + lead for lead in (ahead, 0.0))
        found, varied = difference(one.mean(axis=1).tolist(), other.mean(axis=1).tolist()), crossed(one - other)
        return over_setups(found, varied) if varied else found

    return float(np.mean([(least := detectable(compared(0.0))) is not None and compared(least).p <= LEVEL for _ in range(times)]))


def as_good() -> Iterator[Cell]:
    """How often runs over few passages that are apart by the margin are called as good as one another within it."""
    for (name, sizes), (kind, margin) in itertools.product(PASSAGES.items(), SHARED.items()):
        find = functools.partial(_as_good, kind=kind, sizes=sizes, margin=margin)
        yield Cell("as good", f"{kind}, {name}, margin {margin:g}", LEVEL, find, SIMULATIONS, least=False)
    for n in (50, 200):
        name = f"skewed values without a range, n = {n}, margin 0.5"
        yield Cell("as good", name, LEVEL, functools.partial(_skewed, n=n), SIMULATIONS, least=False)


def _skewed(draw: Draw, times: int, *, n: int) -> float:
    told = (equivalent(difference((row - 0.5).tolist(), [0.0] * n), margin=0.5) for row in draw.exponential(size=(times, n)))
    return float(np.mean([p is not None and p <= LEVEL for p in told]))


def _as_good(draw: Draw, times: int, *, kind: str, sizes: tuple[int, ...], margin: float) -> float:
    told = (equivalent(_shared(draw, kind, sizes, apart=margin), margin=margin) for _ in range(times))
    return float(np.mean([p is not None and p <= LEVEL for p in told]))


PASSAGES = {
    "6 passages of 12": (12,) * 6, "20 passages of 5": (5,) * 20, "20 passages of 1 to 60": (60, 30, 15, 8, 4, 2, 1, 1, 1, 1) * 2,
}  # fmt: skip
SHARED = {"right and wrong": 0.2, "scores of a known range": 0.2, "values without a range": 0.8}


def _few(draw: Draw, times: int, *, kind: str, sizes: tuple[int, ...], asked: str) -> float:
    """Where no difference, or no number of samples, would do, that is said, and nothing is wrong."""
    found = []
    for _ in range(times):
        first = _shared(draw, kind, sizes, apart=0.0)
        if asked == "smallest":
            apart = detectable(first)
            found.append(apart is None or _shared(draw, kind, sizes, apart=apart).p <= LEVEL)
        else:
            count = needed(first, difference=SHARED[kind])
            more = sizes * math.ceil((count or 0) / sum(sizes))
            found.append(count is None or _shared(draw, kind, more, apart=SHARED[kind]).p <= LEVEL)
    return float(np.mean(found))


def _shared(draw: Draw, kind: str, sizes: tuple[int, ...], *, apart: float) -> Difference:
    """Two runs over passages of these sizes, the first better by so much."""
    place = np.repeat(np.arange(len(sizes)), sizes)
    n, clusters = len(place), place.tolist()
    match kind:
        case "right and wrong":
            differ = max(0.3, apart)
            at = np.where(draw.random(n) < 0.5, draw.random(len(sizes))[place], draw.random(n))
            better, worse = (at < (differ + apart) / 2), (at >= (differ + apart) / 2) & (at < differ)
            return difference(_answers(better, at), _answers(worse, at), clusters)
        case "scores of a known range":
            own = 0.1 + 0.1 * draw.uniform(0, 1, (2, len(sizes)))[:, place] + 0.1 * draw.uniform(0, 1, (2, n))
            return difference(np.minimum(1, own[0] + apart).tolist(), own[1].tolist(), clusters, width=1.0)
    own = draw.normal(size=(2, len(sizes)))[:, place] + draw.normal(size=(2, n))
    return difference((own[0] + apart).tolist(), own[1].tolist(), clusters)


KINDS = ("right and wrong", "right and wrong, passages of 5", "scores of a known range", "values without a range")


def _findings(draw: Draw, times: int, *, kind: str, n: int, asked: str) -> float:
    found = []
    for _ in range(times):
        first = _compared(draw, kind, n, apart=0.0)
        if asked == "smallest":
            apart = detectable(first)
            found.append(apart is not None and _compared(draw, kind, n, apart=apart).p <= LEVEL)
        else:
            count = needed(first, difference=0.1)
            found.append(count is not None and _compared(draw, kind, 5 * math.ceil(count / 5), apart=0.1).p <= LEVEL)
    return float(np.mean(found))


def _compared(draw: Draw, kind: str, n: int, *, apart: float) -> Difference:
    """Two runs of n samples, the first better by so much."""
    match kind:
        case "scores of a known range":
            hard = draw.random(n)
            first, second = (np.clip(0.25 + apart * lead + 0.3 * hard + 0.2 * draw.uniform(-1, 1, n), 0, 1) for lead in (1, 0))
            return difference(first.tolist(), second.tolist(), width=1.0)
        case "values without a range":
            return difference((draw.normal(size=n) + apart).tolist(), draw.normal(size=n).tolist())
    size = 5 if kind.endswith("5") else 1
    clusters: Clusters | None = np.repeat(np.arange(n // size), size).tolist() if size > 1 else None
    differ = max(0.3, apart)
    own, shared = draw.random(n), np.repeat(draw.random(n // size), size)
    place = np.where(draw.random(n) < (0.5 if size > 1 else 0.0), shared, own)
    better, worse = (place < (differ + apart) / 2), (place >= (differ + apart) / 2) & (place < differ)
    return difference(_answers(better, place), _answers(worse, place), clusters)


def _answers(alone: NDArray[np.bool_], place: Floats) -> list[float]:
    """Right where it alone is, or both are."""
    found: list[float] = (alone | (place > 0.6)).astype(np.float64).tolist()
    return found


def provisional() -> Iterator[Cell]:
    """Figures of a run that is going on, told from sums of the samples that are there by then."""
    kinds = ("right and wrong, p = 0.5", "right and wrong, p = 0.98", "F1", "about 0.9, rarely 0", "log-likelihoods")
    for kind, n in itertools.product(kinds, (20, 50, 200)):
        bound = PAIRS if kind != "right and wrong, p = 0.98" else 0.915
        yield Cell("provisional", f"{kind.replace(', p =', ' in')}, n = {n}", bound, functools.partial(_told, kind=kind, n=n), SIMULATIONS)


def _told(draw: Draw, times: int, *, kind: str, n: int) -> float:
    rows, truth = _rows(draw, kind, (times, n))
    return held([_tally(row.tolist()).interval(range_of("f1" if kind != "log-likelihoods" else "mine"))[1] for row in rows], truth)


def _tally(values: list[float]) -> Tally:
    tally = Tally()
    for value in values:
        tally.add(value)
    return tally


def _rows(draw: Draw, kind: str, shape: tuple[int, int]) -> tuple[Floats, float]:
    """Values and their true mean."""
    match kind:
        case "F1":
            return draw.beta(3, 1, shape) * (draw.random(shape) < 0.6), 0.45
        case "about 0.9, rarely 0":
            return np.where(draw.random(shape) < 0.01, 0.0, 0.9 + 0.03 * draw.uniform(-1, 1, shape)), 0.891
        case "log-likelihoods":
            return -draw.gamma(4, 1, shape), -4.0
    share = float(kind.rpartition(" ")[2])
    return (draw.random(shape) < share).astype(np.float64), share
