"""The cells of `make bench-rigor` about figures that are no means: F1, Matthews' correlation, perplexity, BLEU, and agreement of judges."""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.rigor_cells import PAIRS, Cell, Draw, held
from infra.harness import uncertainty
from streams.quality.scores import interval_by_error
from streams.statistics.agreement import Level, alpha
from streams.statistics.intervals import Interval
from streams.statistics.spreads import Floats

AGREEMENT, SIMULATIONS = 0.9, 300
ALWAYS: Interval = (-np.inf, np.inf)  # an interval that is left out
MANY = 400_000
WORDS = np.asarray(["the", "a", "house", "tree", "river", "runs", "stands", "old", "green", "small"])


def of_totals() -> Iterator[Cell]:
    """All of them."""
    yield from tables()
    yield from others()
    yield from agreements()


def tables() -> Iterator[Cell]:
    """F1 and Matthews' correlation of two labels, one of which so many have; so many predictions are wrong, of either label alike."""
    for name, n, common, wrong in itertools.product(("f1", "mcc"), (50, 100, 300), (0.5, 0.1), (0.005, 0.02, 0.1, 0.3)):
        find = functools.partial(_tables, name=name, n=n, common=common, wrong=wrong)
        yield Cell("totals", f"{name}, n = {n}, label 1 in {common:g}, wrong {wrong:g}", 0.92, find, SIMULATIONS)
    for n, wrong in itertools.product((50, 100, 300), (0.005, 0.1)):
        find = functools.partial(_tables, name="f1", n=n, common=0.02, wrong=wrong, few=True)
        yield Cell("totals", f"f1, n = {n}, label 1 in 0.02, wrong {wrong:g}, or left out as too few", 0.92, find, SIMULATIONS)


FIGURES: dict[str, tuple[str, Callable[[Floats], float]]] = {  # aggregation, and what true, wrong and missed positives and the rest come to
    "f1": ("f1_score", lambda table: float(2 * table[0] / max(2 * table[0] + table[1] + table[2], 1e-300))),
    "mcc": ("matthews_corrcoef", lambda table: _correlation(*table)),
}


def _correlation(both: float, told: float, actual: float, neither: float) -> float:
    below = (both + told) * (both + actual) * (neither + told) * (neither + actual)
    return float((both * neither - told * actual) / np.sqrt(below)) if below > 0 else 0.0


def _tables(draw: Draw, times: int, *, name: str, n: int, common: float, wrong: float, few: bool = False) -> float:
    """How many of the intervals that are told hold it; `few`: what is left out says nothing wrong."""
    aggregation, of = FIGURES[name]
    true = np.asarray([common * (1 - wrong), (1 - common) * wrong, common * wrong, (1 - common) * (1 - wrong)])
    found = []
    for table in draw.multinomial(n, true, times):
        pairs = [(1, 1)] * table[0] + [(0, 1)] * table[1] + [(1, 0)] * table[2] + [(0, 0)] * table[3]
        error = uncertainty.stderr(aggregation, pairs)
        found.append(interval_by_error(name, of(table.astype(np.float64)), error)[1] if error else None)
    told = [one or ALWAYS for one in found if one or few]  # of tables without a label nothing is told
    return held(told, of(true))


def others() -> Iterator[Cell]:
    """Perplexities of skewed log-likelihoods, medians, and BLEU of sentences of which words are wrong."""
    for n in (50, 200):
        yield Cell("totals", f"perplexity, n = {n}", PAIRS, functools.partial(_perplexities, n=n), 1000)
        yield Cell("totals", f"median, n = {n}", PAIRS, functools.partial(_medians, n=n), SIMULATIONS)
        yield Cell("totals", f"BLEU, n = {n}", PAIRS, functools.partial(_bleu, n=n), 150)


def _perplexities(draw: Draw, times: int, *, n: int) -> float:
    rows = draw.gamma(4, 0.5, (times, n))
    return held([_interval("perplexity", float(np.exp(row.mean())), "perplexity", (-row).tolist()) for row in rows], float(np.exp(2.0)))


def _medians(draw: Draw, times: int, *, n: int) -> float:
    rows = draw.exponential(size=(times, n))
    return held([_interval("median", float(np.median(row)), "median", row.tolist()) for row in rows], float(np.log(2)))


def _bleu(draw: Draw, times: int, *, n: int) -> float:
    from lm_eval.api.metrics import bleu

    segments = [_segments(draw, n) for _ in range(times)]
    return held([_interval("bleu", bleu(one), "bleu", one) for one in segments], bleu(_segments(draw, 20_000)))


def _segments(draw: Draw, n: int) -> list[tuple[str, str]]:
    """References of ten words, and the same with words changed, more in some than in others."""
    references = WORDS[draw.integers(0, len(WORDS), (n, 10))]
    told = np.where(draw.random((n, 10)) < draw.beta(1, 3, (n, 1)), "stone", references)
    return [(" ".join(one), " ".join(other)) for one, other in zip(references, told, strict=True)]


def _interval(metric: str, value: float, aggregation: str, items: list[Any]) -> Interval | None:
    return interval_by_error(metric, value, uncertainty.stderr(aggregation, items))[1]


def agreements() -> Iterator[Cell]:
    """Krippendorff's alpha of two judges, each wrong on so many; an interval that is left out, for too few differ, says nothing wrong."""
    levels: tuple[Level, ...] = ("nominal", "ordinal", "interval")
    for level, n, wrong in itertools.product(levels, (50, 200), (0.05, 0.3)):
        find = functools.partial(_agreements, level=level, n=n, wrong=wrong, rare=0.5)
        yield Cell("agreement", f"{level}, n = {n}, each judge wrong {wrong:g}", AGREEMENT, find, SIMULATIONS)
    for n, rare in itertools.product((50, 200), (0.02, 0.1)):
        find = functools.partial(_agreements, level="nominal", n=n, wrong=0.05, rare=rare)
        yield Cell("agreement", f"nominal, n = {n}, a label of {rare:g}, each judge wrong 0.05", AGREEMENT, find, SIMULATIONS)
    for level, n, wrong in itertools.product(levels[1:], (25, 60), (0.05, 0.3)):
        find = functools.partial(_agreements, level=level, n=n, wrong=wrong, rare=0.5, points=10)
        yield Cell("agreement", f"{level}, ten points, n = {n}, each judge wrong {wrong:g}", AGREEMENT, find, SIMULATIONS)
    for level, n in itertools.product(levels[1:], (25, 60)):
        find = functools.partial(_agreements, level=level, n=n, wrong=0.3, rare=0.5, points=5, mostly=True)
        yield Cell("agreement", f"{level}, mostly the best of five points, n = {n}, each judge wrong 0.3", AGREEMENT, find, SIMULATIONS)


def _agreements(draw: Draw, times: int, *, level: Level, n: int, wrong: float, rare: float, points: int = 5, mostly: bool = False) -> float:
    judged = functools.partial(_judged, draw, points=2 if level == "nominal" else points, wrong=wrong, rare=rare, mostly=mostly)
    truth = _true_alpha(judged(MANY), level)
    found = (alpha(dict(enumerate(judged(n).tolist())), level=level) for _ in range(times))
    return held([one.interval or ALWAYS for one in found], truth)


def _judged(draw: Draw, n: int, points: int, *, wrong: float, rare: float, mostly: bool = False) -> Floats:
    """What two judges say of n answers, shape [n, 2]: one of two labels, the second so rare, or of so many points, with slips of one.

    `mostly`: the points are rarely less than the most.
    """
    if points == 2:
        own = (draw.random((n, 1)) < rare).astype(np.float64)
        return np.where(draw.random((n, 2)) < wrong, 1 - own, own)
    own = draw.integers(1, points + 1, (n, 1)).astype(np.float64)
    if mostly:
        own = np.clip(np.round(points + 1 + 1.5 * draw.normal(size=(n, 1))), 1, points)
    return np.clip(np.where(draw.random((n, 2)) < wrong, own + draw.choice([-1, 1], (n, 2)), own), 1, points)


def _true_alpha(told: Floats, level: Level) -> float:
    """1 - observed / expected disagreement of very many answers."""
    names, places = np.unique(told, return_inverse=True)
    shares = np.bincount(places.ravel()) / told.size
    middle = {"nominal": names, "interval": names, "ordinal": np.cumsum(shares) - shares / 2}[level]
    apart = (middle[:, None] != middle[None, :]) if level == "nominal" else (middle[:, None] - middle[None, :]) ** 2
    first, second = places.reshape(told.shape).T
    return float(1 - apart[first, second].mean() / (shares @ apart @ shares))
