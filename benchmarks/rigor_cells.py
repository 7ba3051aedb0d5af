"""The cells of `make bench-rigor`: what is simulated or reckoned of each, with the product's own functions, and its bound.

A cell is a share: of intervals that hold the truth (at least its bound), or of false findings (at most). Its draws are seeded by its name.
"""

import bisect
import functools
import itertools
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from benchmarks.rigor_adaptive import adaptive
from benchmarks.rigor_setups import compared, setups
from benchmarks.rigor_stopping import unscored
from infra.harness.metrics.certainty import BINS, calibration
from streams.quality.generation import text_seed
from streams.statistics.differences import difference, mcnemar, mean_of_differences, paired_proportions
from streams.statistics.intervals import Z95, Interval, Ratio, joint_interval, mean_of, ratio, skewed_p, wilson
from streams.statistics.joining import covariance
from streams.statistics.sequences import sequence
from streams.statistics.spreads import Floats, spread

SUITES, CLUSTERS, PAIRS, CALIBRATION = 0.915, 0.93, 0.93, 0.93
Draw = np.random.Generator
Verdict = Literal["holds", "within the noise", "misses"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A share to find by so many simulations, or by all outcomes where none are told; `least`: the bound is its least, else its most."""

    grid: str
    name: str
    bound: float
    find: Callable[[Draw, int], float]
    simulations: int | None
    least: bool = True

    def found(self, simulations: int | None = None) -> "Found":
        """The cell's share, by fewer simulations where these are told."""
        count = min(self.simulations, simulations or self.simulations) if self.simulations else 0
        return Found(self, self.find(np.random.default_rng(zlib.crc32(f"{self.grid}/{self.name}".encode())), count), count)


@dataclass(frozen=True, slots=True)
class Found:
    """What a cell came to; simulations 0: reckoned over all outcomes."""

    cell: Cell
    share: float
    simulations: int

    @property
    def noise(self) -> float:
        """The standard error that a share at the bound has by the number of simulations."""
        return math.sqrt(self.cell.bound * (1 - self.cell.bound) / self.simulations) if self.simulations else 0.0

    @property
    def verdict(self) -> Verdict:
        """Whether it keeps the bound; three standard errors are noise, for there are hundreds of cells."""
        short = self.cell.bound - self.share if self.cell.least else self.share - self.cell.bound
        return "holds" if short <= 1e-9 else "within the noise" if short <= 3 * self.noise else "misses"


def cells() -> Iterator[Cell]:
    """All of them, grid by grid."""
    yield from itertools.chain(
        sampled(), suites(), special_suites(), clusters(), pairs(), repeats(), (Cell("set-ups", *one) for one in setups()),
        (Cell("set-ups compared", *one) for one in compared()), calibrations(), tests(), stopped(),
        (Cell("stopping", *one, least=False) for one in unscored()),
        (Cell("adaptive", *one) for one in adaptive()),
    )  # fmt: skip


def held(intervals: Sequence[Interval | None], truth: float) -> float:
    """How many hold the truth, of 1."""
    return float(np.mean([own is not None and own[0] <= truth + 1e-12 and own[1] >= truth - 1e-12 for own in intervals]))


def clustered(draw: Draw, sizes: Floats, *, share: float, icc: float) -> Floats:
    """0/1 answers of clusters of these sizes, whose own shares are beta-distributed with that intraclass correlation."""
    own = (1 - icc) / max(icc, 1e-9)
    hard = draw.beta(share * own, (1 - share) * own, len(sizes)) if icc else np.full(len(sizes), share)
    return (draw.random(int(sizes.sum())) < np.repeat(hard, sizes.astype(int))).astype(np.float64)


def sampled() -> Iterator[Cell]:
    """Runs whose texts are drawn by their seeds: over requests' seeds the interval holds the models' true share."""
    for n, asked, share in itertools.product((20, 100), (1, 4), (0.3, 0.9)):

        def find(draw: Draw, count: int, n: int = n, asked: int = asked, share: float = share) -> float:
            found = []
            for seed in draw.integers(0, 2**31, count):
                texts = [[_text(int(seed), ordinal, repeat) < share for repeat in range(asked)] for ordinal in range(n)]
                found.append(mean_of([float(np.mean(one)) for one in texts], within=(0.0, 1.0)).interval)
            return held(found, share)

        yield Cell("sampled runs", f"n = {n}, repeats = {asked}, p = {share:g}", PAIRS, find, 600)


def _text(seed: int, ordinal: int, repeat: int) -> float:
    """What a text's generator draws first."""
    return float(np.random.default_rng(text_seed(seed, build_id="rigor", ordinal=ordinal, repeat=repeat, request=0, draw=0)).random())


def suites() -> Iterator[Cell]:
    """Suites of K tasks of n samples, all of the share p, or spread about it by nine tenths of the room that there is."""
    for n, share in itertools.product((20, 50, 100, 200, 1000), (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98)):
        yield Cell("suites", f"K = 1, n = {n}, p = {share:g}", SUITES, _exactly(n, share), None)
    grid = itertools.product((2, 3, 4, 8, 57), (20, 50, 200, 1000), (0.02, 0.1, 0.5, 0.9, 0.98), ("equal", "spread"))
    for tasks, n, share, kind in grid:
        reach = 0.0 if kind == "equal" else 0.9 * min(share, 1 - share)
        find = functools.partial(_suites, tasks=tasks, n=n, share=share, reach=reach)
        yield Cell("suites", f"K = {tasks}, n = {n}, p = {share:g}, {kind}", SUITES, find, 4000 if tasks < 57 else 2000)


def _suites(draw: Draw, count: int, *, tasks: int, n: int, share: float, reach: float) -> float:
    shares = np.clip(share + draw.uniform(-reach, reach, (count, tasks)), 0.001, 0.999)
    table, parts = _table(n), [1 / tasks] * tasks
    found = [joint_interval([table[right] for right in row], parts) for row in draw.binomial(n, shares).tolist()]
    return float(np.mean([low <= truth <= high for (low, high), truth in zip(found, shares.mean(axis=1), strict=True)]))


@functools.cache
def _table(n: int) -> list[Ratio]:
    """A task's ratio for each number of right answers."""
    every = np.tril(np.ones((n + 1, n)), -1)
    return [own for row in every if (own := ratio(row))]


def _exactly(n: int, share: float) -> Callable[[Draw, int], float]:
    def find(_draw: Draw, _count: int) -> float:
        found = [joint_interval([own], [1.0]) for own in _table(n)]
        chances = stats.binom.pmf(np.arange(n + 1), n, share)
        return float(sum(chance for (low, high), chance in zip(found, chances, strict=True) if low <= share <= high))

    return find


def special_suites() -> Iterator[Cell]:
    """Suites with unlike weights, clusters, values between 0 and 1, and tasks over the same documents."""
    kinds = ("weights 8, 2, 1, 1", "passages of 5", "F1", "same documents, r = 0.6")
    for kind, n, share in itertools.product(kinds, (50, 200), (0.02, 0.1, 0.5, 0.9, 0.98)):

        def find(draw: Draw, count: int, kind: str = kind, n: int = n, share: float = share) -> float:
            return held([_special(draw, kind, n, share) for _ in range(count)], share if kind != "F1" else share * 0.75)

        yield Cell("suites", f"{kind}, n = {n}, p = {share:g}", SUITES, find, 1000)


def _special(draw: Draw, kind: str, n: int, share: float) -> Interval:
    match kind:
        case "weights 8, 2, 1, 1":
            parts = [ratio((draw.random(n) < share).astype(np.float64)) for _ in range(4)]
            return joint_interval([one for one in parts if one], [8 / 12, 2 / 12, 1 / 12, 1 / 12])
        case "passages of 5":
            names = np.repeat(np.arange(n // 5), 5).tolist()
            parts = [ratio(clustered(draw, np.full(n // 5, 5.0), share=share, icc=0.3), names) for _ in range(3)]
            return joint_interval([one for one in parts if one], [1 / 3] * 3)
        case "F1":
            parts = [ratio(draw.beta(3, 1, n) * (draw.random(n) < share)) for _ in range(3)]
            return joint_interval([one for one in parts if one], [1 / 3] * 3)
    latent = math.sqrt(0.6) * draw.normal(size=n) + math.sqrt(0.4) * draw.normal(size=(3, n))
    tasks = (latent < stats.norm.ppf(share)).astype(np.float64)
    shared = covariance([row / 3 for row in tasks], [np.arange(n)] * 3)
    return joint_interval([one for row in tasks if (one := ratio(row))], [1 / 3] * 3, shared, families=["d"] * 3)


SIZES: dict[str, Callable[[Draw, int], Floats]] = {
    "5 each": lambda draw, count: np.full(count, 5.0),
    "1 to 7": lambda draw, count: draw.integers(1, 8, count).astype(np.float64),
    "heavy tail": lambda draw, count: np.minimum(60.0, np.floor(draw.pareto(1.3, count) + 1) * 2),
}


def clusters() -> Iterator[Cell]:
    """Means of clustered 0/1 answers. Where Wilson's interval of as many samples as there are clusters holds less, that is the bound."""
    grid = itertools.product((20, 50, 100), SIZES, (0.02, 0.1, 0.5, 0.9, 0.98), (0.0, 0.1, 0.5, 0.99))
    for count, sizes, share, icc in grid:
        find = functools.partial(_clusters, count=count, sizes=sizes, share=share, icc=icc)
        yield Cell("clusters", f"G = {count}, {sizes}, p = {share:g}, ICC = {icc:g}", min(CLUSTERS, _wilsons(count, share)), find, 1000)


def _clusters(draw: Draw, simulations: int, *, count: int, sizes: str, share: float, icc: float) -> float:
    found = []
    for _ in range(simulations):
        own = SIZES[sizes](draw, count)
        names = np.repeat(np.arange(count), own.astype(int)).tolist()
        found.append(mean_of(clustered(draw, own, share=share, icc=icc).tolist(), names).interval)
    return held(found, share)


def _wilsons(n: int, share: float) -> float:
    """How often Wilson's interval of n samples holds the truth."""
    found = [wilson(right / n, n) or (0.0, 0.0) for right in range(n + 1)]
    chances = stats.binom.pmf(np.arange(n + 1), n, share)
    return round(float(sum(chance for (low, high), chance in zip(found, chances, strict=True) if low <= share <= high)), 4)


def pairs() -> Iterator[Cell]:
    """Paired differences of right and wrong in clusters of five; b and c: how many the first, and the second, alone has right."""
    for count, (better, worse), icc in itertools.product((20, 50), ((0.01, 0.0), (0.05, 0.05), (0.2, 0.1)), (0.0, 0.5)):
        find = functools.partial(_pairs, count=count, better=better, worse=worse, icc=icc)
        yield Cell("pairs", f"G = {count}, b = {better:g}, c = {worse:g}, ICC = {icc:g}", PAIRS, find, 1000)

    def flat(draw: Draw, simulations: int) -> float:
        found = [_paired(draw, 20, 0.01, 0.0, 0.0) for _ in range(simulations)]
        return float(np.mean([own is None or own[1] - own[0] < 1e-9 for own in found]))

    yield Cell("pairs", "G = 20, b = 0.01, c = 0: intervals of no width", 0.0, flat, 1000, least=False)

    for n, differing in itertools.product((50, 200), (0.02, 0.1, 1.0)):
        find = functools.partial(_unequal, n=n, differing=differing)
        yield Cell("pairs", f"F1, n = {n}, {differing:g} differ", PAIRS, find, 1000)
    for tasks, n, (better, worse) in itertools.product((2, 8, 57), (20, 200), ((0.02, 0.0), (0.05, 0.02), (0.3, 0.1))):
        find = functools.partial(_over_tasks, tasks=tasks, n=n, better=better, worse=worse)
        yield Cell("pairs", f"over {tasks} tasks, n = {n}, b = {better:g}, c = {worse:g}", PAIRS, find, 1000)


def _unequal(draw: Draw, count: int, *, n: int, differing: float) -> float:
    """Scores from 0 to 1, of which so many are drawn anew, from others."""
    found = []
    for _ in range(count):
        first = draw.random(n)
        second = np.where(draw.random(n) < differing, draw.beta(2, 1, n), first)
        own = difference(first.tolist(), second.tolist(), width=1.0)
        found.append((own.low, own.high) if own.low is not None and own.high is not None else None)
    return held(found, -differing / 6)


def _over_tasks(draw: Draw, count: int, *, tasks: int, n: int, better: float, worse: float) -> float:
    """The mean of tasks' differences, joined."""
    found = []
    for row in draw.multinomial(n, (better, worse, 1 - better - worse), size=(count, tasks)).tolist():
        own = [paired_proportions(one, other, n)[1] for one, other, _ in row]
        found.append(mean_of_differences([(one - other) / n for one, other, _ in row], own))
    return held(found, better - worse)


def _pairs(draw: Draw, simulations: int, *, count: int, better: float, worse: float, icc: float) -> float:
    return held([_paired(draw, count, better, worse, icc) for _ in range(simulations)], better - worse)


def _paired(draw: Draw, count: int, better: float, worse: float, icc: float) -> Interval | None:
    """Which of three outcomes a sample has is its cluster's with a chance of √icc, else its own."""
    own, shared = draw.random(count * 5), np.repeat(draw.random(count), 5)
    place = np.where(draw.random(count * 5) < math.sqrt(icc), shared, own)
    first, second = (place < better) | (place > 0.5), ((place >= better) & (place < better + worse)) | (place > 0.5)
    found = difference(first.astype(float).tolist(), second.astype(float).tolist(), np.repeat(np.arange(count), 5).tolist())
    return (found.low, found.high) if found.low is not None and found.high is not None else None


def repeats() -> Iterator[Cell]:
    """Means over documents of means over repeats, 50 documents; ICC: how much of an answer is the document's."""
    for asked, share, icc in itertools.product((2, 5, 10), (0.5, 0.9, 0.98), (0.0, 0.5, 0.9)):

        def find(draw: Draw, simulations: int, asked: int = asked, share: float = share, icc: float = icc) -> float:
            answers = (clustered(draw, np.full(50, float(asked)), share=share, icc=icc) for _ in range(simulations))
            return held([mean_of(one.reshape(50, asked).mean(axis=1).tolist(), within=(0.0, 1.0)).interval for one in answers], share)

        bound = min(CLUSTERS, _wilsons(50, share))
        yield Cell("repeats", f"n = 50, repeats = {asked}, p = {share:g}, ICC = {icc:g}", bound, find, 1000)


def calibrations() -> Iterator[Cell]:
    """Debiased calibration errors of models that are calibrated, too sure of themselves, always or in part, or whose odds are too even."""
    kinds = ("calibrated", "too sure by 0.046", "too sure by 0.1", "too even", "too sure above 0.8 by 0.05", "too sure in one bin by 0.2")
    for kind, n in itertools.product(kinds, (100, 400, 2000)):
        yield Cell("calibration", f"{kind}, n = {n}", CALIBRATION, functools.partial(_calibrations, kind=kind, n=n), 1000)
    for off, n in ((0.05, 100), (0.03, 200), (0.01, 200), (0.01, 500)):
        find = functools.partial(_calibrations, kind=f"nearly sure of all, too sure by {off:g}", n=n)
        yield Cell("calibration", f"nearly sure of all, too sure by {off:g}, n = {n}", CALIBRATION, find, 1000)


def _calibrations(draw: Draw, count: int, *, kind: str, n: int) -> float:
    sure, right = _answered(draw, kind, 2_000_000)
    place = np.clip(np.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)
    truth = 0.0 if kind == "calibrated" else float(np.abs(np.bincount(place, sure - right)).sum()) / len(sure)
    found = []
    for _ in range(count):
        sure, share = _answered(draw, kind, n)
        answers, place = (draw.random(n) < share).astype(np.float64), np.clip(np.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)
        sums = [np.bincount(place, told, minlength=BINS) for told in (sure, answers, np.ones(n))]
        value, error = calibration([float(one) for row in zip(*sums, strict=True) for one in row])
        assert value is not None and error is not None
        found.append((max(0.0, value - Z95 * error), value + Z95 * error))
    return held(found, truth)


def _answered(draw: Draw, kind: str, n: int) -> tuple[Floats, Floats]:
    """Confidence, and how likely an answer is then right."""
    sure = draw.uniform(0.99, 1.0, n) if kind.startswith("nearly sure") else 0.25 + 0.75 * draw.beta(4, 1.5, n)
    match kind:
        case "calibrated":
            return sure, sure
        case "too even":
            return sure, 1 - (1 - sure) ** 1.5
    where = (sure > 0.8) & ((sure <= 13 / 15) if "bin" in kind else True) if "above" in kind or "bin" in kind else np.ones(n)
    return sure, np.clip(sure - where * float(kind.rpartition(" ")[2]), 0, 1)


def tests() -> Iterator[Cell]:
    """False findings at the level of 0.05, where nothing differs."""
    for n, differing in itertools.product((20, 50, 200, 1000), (0.05, 0.2, 0.5)):

        def exact(_draw: Draw, _count: int, n: int = n, differing: float = differing) -> float:
            chances = stats.binom.pmf(np.arange(n + 1), n, differing)
            return math.fsum(float(chance) * _wrong(both) for both, chance in enumerate(chances) if chance > 1e-7)

        yield Cell("tests", f"McNemar's mid-p, n = {n}, {differing:g} differ", 0.05, exact, None, least=False)
    for n, kind in itertools.product((20, 50, 200), ("normal", "exponential", "Student, 3 degrees")):

        def find(draw: Draw, count: int, n: int = n, kind: str = kind) -> float:
            return float(np.mean([skewed_p(told) <= 0.05 for row in _unlike(draw, kind, (count, n)) if (told := spread(row))]))

        yield Cell("tests", f"t and t corrected for skewness, n = {n}, {kind} differences", 0.05, find, 8000, least=False)


def _unlike(draw: Draw, kind: str, shape: tuple[int, int]) -> Floats:
    """Differences whose mean is 0."""
    match kind:
        case "normal":
            return draw.normal(size=shape)
        case "exponential":
            return draw.exponential(size=shape) - 1.0
    return draw.standard_t(3, shape)


@functools.cache
def _wrong(both: int) -> float:
    """How often the test rejects, of so many samples that differ, either way alike: twice the tail up to where it does."""
    places = range((both + 1) // 2)
    rejected = bisect.bisect_right(places, 0.05, key=lambda better: mcnemar(better, both - better))
    return 2 * float(stats.binom.cdf(rejected - 1, both, 0.5)) if rejected else 0.0


def stopped() -> Iterator[Cell]:
    """Runs of which the sequence is ever wrong, whenever it is looked at; and data sets of 400 that do not stop early."""
    for share, population in itertools.product((0.02, 0.1, 0.3, 0.5, 0.9), (None, 100, 400, 2000)):

        def find(draw: Draw, count: int, share: float = share, population: int | None = population) -> float:
            values = _runs(draw, count, share, population)
            truth = share if population is None else float(values[0].mean())
            lows, highs = sequence(values, half_width=0.05, population=population)
            return float(((lows > truth + 1e-9) | (highs < truth - 1e-9)).any(axis=1).mean())

        many = "without end" if population is None else f"N = {population}"
        yield Cell("stopping", f"ever wrong, {many}, ±0.05, p = {share:g}", 0.05, find, 2000, least=False)

    def whole(draw: Draw, count: int) -> float:
        lows, highs = sequence(_runs(draw, count, 0.5, 400), half_width=0.05, population=400)
        return float(((highs - lows <= 0.1).argmax(axis=1) > 350).mean())

    yield Cell("stopping", "N = 400, ±0.05, p = 0.5: more than 350 are asked", 0.05, whole, 2000, least=False)


def _runs(draw: Draw, count: int, share: float, population: int | None) -> Floats:
    """Values of so many runs, each of which goes through the data set in an order of its own."""
    if population is None:
        return (draw.random((count, 1500)) < share).astype(np.float64)
    return draw.permuted(np.tile(np.arange(population) < round(share * population), (count, 1)).astype(np.float64), axis=1)
