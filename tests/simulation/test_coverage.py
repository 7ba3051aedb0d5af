"""How often the product's 95 % intervals hold the truth, and how often its tests find what is not there: a slice of `make bench-rigor`.

All draws are seeded. What is not in those cells, whole comparisons, is simulated here.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.rigor import EACH, FEWER
from benchmarks.rigor_boards import of_boards
from benchmarks.rigor_cells import Cell, cells
from benchmarks.rigor_choices import of_choices
from benchmarks.rigor_errors import of_errors
from benchmarks.rigor_joined import of_joined
from benchmarks.rigor_people import labelled
from benchmarks.rigor_power import as_good, few, provisional
from benchmarks.rigor_totals import tables
from benchmarks.rigor_values import of_values
from streams.boards.comparison import Measured, Sample, compare
from streams.statistics.differences import mcnemar, paired_proportions
from streams.statistics.intervals import Interval, mean_interval, wilson
from streams.statistics.spreads import Floats

LEAST, MOST = 0.94, 0.06


EVERY = [
    *cells(),
    *of_boards(),
    *of_joined(),
    *of_errors(),
    *of_choices(),
    *of_values(),
    *tables(),
    *few(),
    *as_good(),
    *provisional(),
    *labelled(),
]  # but those whose slice takes minutes


@pytest.mark.parametrize("cell", EVERY[::EACH], ids=lambda cell: f"{cell.grid}, {cell.name}")
def test_a_cell_keeps_its_bound(cell: Cell) -> None:
    """Within the noise of few simulations."""
    assert cell.found(FEWER).verdict != "misses"


# Those that former versions missed: mixed extremes whose biases cancel would hide them.
HARD = [
    "suites, K = 57, n = 20, p = 0.98, equal", "suites, K = 8, n = 50, p = 0.02, equal",
    "suites, same documents, r = 0.6, n = 200, p = 0.5",
    "joined, 5 models, 3 tasks over the same documents, 1 gaps in each: rows' intervals",
    "joined, 5 models, 3 tasks over the same documents, 1 gaps in each: boards with a range that misses",
    "joined, a group's row, 3 tasks over the same documents, one of them in another order",
    "joined, equal models, 1 tasks in 5 set-ups, SD = 1: boards with a range that misses",
    "choices, 5 models, 20 documents", "errors, 20 passages of 10 with nearly as many right", "errors, stopped at ±0.02 of 100",
    "ranks, K = 5, n = 200, equal", "ranks, K = 20, n = 200, equal", "ranks, K = 5, equal, a passage of 100 and nine of 1",
    "ranks, K = 5, equal, 10 passages, heavy tail, values without a range", "pairs, G = 20, b = 0.01, c = 0, ICC = 0",
    "pairs, G = 20, b = 0.01, c = 0: intervals of no width", "clusters, G = 20, heavy tail, p = 0.98, ICC = 0.5",
    "repeats, n = 50, repeats = 5, p = 0.98, ICC = 0.9", "sampled runs, n = 100, repeats = 1, p = 0.3",
    "tests, t and t corrected for skewness, n = 20, exponential differences", "stopping, N = 400, ±0.05, p = 0.5: more than 350 are asked",
    "rare values, about 0.9, rarely 0, n = 50, one in 100", "rare pairs, n = 50, one in 20: found",
    "totals, mcc, n = 50, label 1 in 0.5, wrong 0.02",
    "rare pairs, right and wrong, n = 50, 0 differ too: as good, but apart by the margin",
    "power, right and wrong, 20 passages of 1 to 60: at the smallest difference told",
    "as good, skewed values without a range, n = 50, margin 0.5",
    "calibration, too sure in one bin by 0.2, n = 400",
    "labels, N = 1000, n = 20, judge unsure, p = 0.9", "labels, N = 1000, n = 20, labels about 0.9, one in 20 is 0",
]  # fmt: skip


@pytest.mark.parametrize("name", HARD)
def test_a_cell_that_was_missed_before_keeps_its_bound(name: str) -> None:
    """Within the noise of few simulations."""
    (cell,) = [cell for cell in EVERY if f"{cell.grid}, {cell.name}" == name]
    assert cell.found(FEWER).verdict != "misses"


@pytest.mark.parametrize("n", [10, 30, 100, 1000])
def test_wilson_holds_the_truth(n: int) -> None:
    """Reckoned exactly: the mean over proportions from 0.05 to 0.95."""
    intervals = [wilson(successes / n, n) for successes in range(n + 1)]
    lows, highs = np.asarray([interval for interval in intervals if interval]).T
    shares = np.linspace(0.05, 0.95, 91)
    held = [stats.binom.pmf(np.arange(n + 1), n, share)[(lows <= share) & (share <= highs)].sum() for share in shares]
    assert np.mean(held) >= LEAST


def scores(kind: str, draw: np.random.Generator, shape: tuple[int, int]) -> tuple[Floats, float, Interval]:
    """Values, their true mean and the range that is known of them."""
    match kind:
        case "F1, with misses":
            return draw.beta(3, 1, shape) * (draw.random(shape) > 0.4), 0.45, (0.0, 1.0)
        case "thirds":
            return draw.binomial(3, 0.3, shape) / 3, 0.3, (0.0, 1.0)
        case "log-likelihoods":
            return -draw.gamma(4, 1, shape), -4.0, (-np.inf, 0.0)
    return draw.random(shape), 0.5, (0.0, 1.0)


@pytest.mark.parametrize("n", [20, 50, 200])
@pytest.mark.parametrize("kind", ["even", "F1, with misses", "thirds", "log-likelihoods"])
def test_a_mean_of_any_values_holds_the_truth(kind: str, n: int) -> None:
    """Of 1,500 sets of samples; 0.94 less two standard errors."""
    values, truth, within = scores(kind, np.random.default_rng(n), (1500, n))
    assert _share([mean_interval(row.tolist(), within=within) for row in values], truth) >= LEAST - 2 * 0.006


@pytest.mark.parametrize(("passages", "questions"), [(15, 4), (40, 3), (40, 12), (200, 2)])
def test_a_clustered_interval_holds_the_truth_where_a_plain_one_does_not(passages: int, questions: int) -> None:
    """0/1 answers that depend on how hard their passage is."""
    draw = np.random.default_rng(passages)
    hardness = draw.beta(0.6, 0.4, (1500, passages))
    answers = (draw.random((1500, passages, questions)) < hardness[:, :, np.newaxis]).astype(np.float64).reshape(1500, -1)
    clusters = [number for number in range(passages) for _ in range(questions)]
    assert _share([mean_interval(row.tolist(), clusters) for row in answers], 0.6) >= LEAST
    assert _share([mean_interval(row.tolist()) for row in answers], 0.6) < LEAST


@pytest.mark.parametrize("n", [20, 100, 500])
@pytest.mark.parametrize(("gained", "lost"), [(0.10, 0.10), (0.15, 0.05), (0.30, 0.10), (0.03, 0.01)])
def test_a_paired_difference_of_right_and_wrong_holds_the_truth(gained: float, lost: float, n: int) -> None:
    """Of 4,000 pairs of runs; and where nothing differs but by chance, McNemar's test finds it in 5 % at most."""
    counts = np.random.default_rng(n).multinomial(n, (gained, lost, 1 - gained - lost), 4000)
    assert _share([paired_proportions(int(b), int(c), n)[1] for b, c, _ in counts], gained - lost) >= LEAST
    if gained == lost:
        assert np.mean([mcnemar(int(b), int(c)) <= 0.05 for b, c, _ in counts]) <= MOST


def test_equally_good_runs_are_seldom_called_different_on_any_of_five_tasks() -> None:
    """The whole way: 400 comparisons of five tasks, Holm's correction among them."""
    draw, wrong = np.random.default_rng(11), 0
    for _ in range(400):
        runs = [{f"t{task}": _answers(draw, n=80) for task in range(5)} for _ in range(2)]
        wrong += any(task.better for task in compare(*runs).tasks)
    assert wrong / 400 <= MOST


@pytest.mark.parametrize("tests", [1, 5])
def test_the_difference_that_a_design_can_find_is_found_in_four_of_five(tests: int) -> None:
    """The whole way, under Holm: one task differs by what a first comparison says can be found."""
    draw, n = np.random.default_rng(tests), 600
    (first, *_) = compare(*_sides(draw, n=n, gained=0.1, tests=tests)).tasks
    assert first.detectable is not None
    found = [compare(*_sides(draw, n=n, gained=0.1 + first.detectable, tests=tests)).tasks[0].better == "a" for _ in range(150)]
    assert 0.68 <= np.mean(found) <= 0.92


def _sides(draw: np.random.Generator, *, n: int, gained: float, tests: int) -> list[dict[str, Measured]]:
    pairs = [_pair(draw, n=n, gained=gained if number == 0 else 0.1) for number in range(tests)]
    return [{f"t{number:02}": pair[side] for number, pair in enumerate(pairs)} for side in (0, 1)]


@pytest.mark.parametrize("sizes", [(20, 60, 200), (30,) * 12])
def test_a_difference_over_groups_holds_the_truth(sizes: tuple[int, ...]) -> None:
    """A group of subjects of unlike size, and a task beside it: 600 comparisons of a run that gains on some and loses on others."""
    draw, held, groups = np.random.default_rng(len(sizes)), list[Interval | None](), list[Interval | None]()
    gains = [0.25 if number % 2 else 0.1 for number in range(len(sizes))]
    truth = float(np.average([gain - 0.1 for gain in gains], weights=sizes))
    for _ in range(600):
        pairs = {f"g{number}": _pair(draw, n=n, gained=gain) for number, (n, gain) in enumerate(zip(sizes, gains, strict=True))}
        pairs["t"] = _pair(draw, n=100, gained=0.2)
        runs = [{task: replace(pair[side], group="g" if task != "t" else None) for task, pair in pairs.items()} for side in (0, 1)]
        found = compare(*runs)
        held.append(found.overall_interval)
        groups.append(found.groups[0].interval)
    assert _share(groups, truth) >= LEAST - 0.01
    assert _share(held, (truth + 0.1) / 2) >= LEAST - 0.01


def _pair(draw: np.random.Generator, *, n: int, gained: float) -> tuple[Measured, Measured]:
    """Two runs of which the first alone is right on so many, the second alone on a tenth."""
    drawn = draw.random(n)
    first, second = (drawn < gained + 0.4).astype(float), ((drawn >= gained) & (drawn < gained + 0.5)).astype(float)
    return _measured(first.tolist()), _measured(second.tolist())


def _measured(values: Sequence[float]) -> Measured:
    return Measured("build", "acc", "none", True, "mean", {ordinal: Sample(ordinal, value) for ordinal, value in enumerate(values)})


def _answers(draw: np.random.Generator, *, n: int) -> Measured:
    return _measured((draw.random(n) < 0.6).astype(np.float64).tolist())


def _share(intervals: Sequence[Interval | None], truth: float) -> float:
    """How many hold the truth, of 1."""
    return float(np.mean([interval is not None and interval[0] <= truth <= interval[1] for interval in intervals]))
