"""How often the product's 95 % intervals hold the truth, and how often its tests find what is not there. All draws are seeded."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from streams.boards.comparison import Measured, Sample, compare
from streams.statistics.differences import mcnemar, paired_proportions, sign_flip
from streams.statistics.intervals import (
    Floats,
    Interval,
    clustered_t,
    mean_interval,
    mean_of_independent,
    percentile_interval,
    resampled_means,
    wilson,
)

LEAST, MOST = 0.94, 0.06
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]
SCORES: dict[str, tuple[Draw, float]] = {
    "even": (lambda draw, shape: draw.random(shape), 0.5),
    "F1, with misses": (lambda draw, shape: draw.beta(3, 1, shape) * (draw.random(shape) > 0.4), 0.45),
    "thirds": (lambda draw, shape: draw.binomial(3, 0.3, shape) / 3, 0.3),
    "log-likelihoods": (lambda draw, shape: -draw.gamma(4, 1, shape), -4.0),
}


@pytest.mark.parametrize("n", [10, 30, 100, 1000])
def test_wilson_holds_the_truth(n: int) -> None:
    """Reckoned exactly: the mean over proportions from 0.05 to 0.95."""
    intervals = [wilson(successes, n) for successes in range(n + 1)]
    lows, highs = np.asarray([interval for interval in intervals if interval]).T
    shares = np.linspace(0.05, 0.95, 91)
    held = [stats.binom.pmf(np.arange(n + 1), n, share)[(lows <= share) & (share <= highs)].sum() for share in shares]
    assert np.mean(held) >= LEAST


@pytest.mark.parametrize("n", [20, 50, 200])
@pytest.mark.parametrize("scores", SCORES)
def test_a_bootstrapped_mean_holds_the_truth(scores: str, n: int) -> None:
    """Of 1,500 sets of samples."""
    make, truth = SCORES[scores]
    drawn = resampled_means(make(np.random.default_rng(n), (1500, n)), stream=0)
    assert _share([percentile_interval(row, n=n) for row in drawn], truth) >= LEAST


@pytest.mark.parametrize(("passages", "questions"), [(15, 4), (40, 3), (40, 12), (200, 2)])
def test_a_clustered_interval_holds_the_truth_where_a_plain_one_does_not(passages: int, questions: int) -> None:
    """0/1 answers that depend on how hard their passage is."""
    draw = np.random.default_rng(passages)
    hardness = draw.beta(0.6, 0.4, (1500, passages))
    answers = (draw.random((1500, passages, questions)) < hardness[:, :, np.newaxis]).astype(np.float64).reshape(1500, -1)
    clusters = [number for number in range(passages) for _ in range(questions)]
    assert _share([mean_interval(row.tolist(), clusters) for row in answers], 0.6) >= LEAST
    assert _share([mean_interval(row.tolist()) for row in answers], 0.6) < LEAST


def test_passages_of_unlike_sizes_are_covered_too() -> None:
    """From one to seven questions each, the sizes drawn three times."""
    found = []
    for seed in (8, 9, 10):
        draw = np.random.default_rng(seed)
        clusters = np.repeat(np.arange(50), draw.integers(1, 8, 50))
        values = draw.normal(size=(1000, 50))[:, clusters] + draw.normal(size=(1000, len(clusters)))
        found += [clustered_t(row, list(clusters)) for row in values]
    assert _share(found, 0.0) >= LEAST


@pytest.mark.parametrize("n", [20, 100, 500])
@pytest.mark.parametrize(("gained", "lost"), [(0.10, 0.10), (0.15, 0.05), (0.30, 0.10), (0.03, 0.01)])
def test_a_paired_difference_of_right_and_wrong_holds_the_truth(gained: float, lost: float, n: int) -> None:
    """Of 4,000 pairs of runs; and where nothing differs but by chance, McNemar's test finds it in 5 % at most."""
    counts = np.random.default_rng(n).multinomial(n, (gained, lost, 1 - gained - lost), 4000)
    assert _share([paired_proportions(int(b), int(c), n)[1] for b, c, _ in counts], gained - lost) >= LEAST
    if gained == lost:
        assert np.mean([mcnemar(int(b), int(c)) <= 0.05 for b, c, _ in counts]) <= MOST


@pytest.mark.parametrize(("passages", "questions"), [(60, 1), (30, 5)])
def test_a_paired_bootstrap_holds_the_truth(passages: int, questions: int) -> None:
    """Differences of scores from 0 to 1, of single samples and of passages with five."""
    draw, n = np.random.default_rng(questions), passages * questions
    clusters = [number for number in range(passages) for _ in range(questions)]
    shift = np.repeat(draw.normal(0.0, 0.1, (1500, passages)), questions, axis=1) if questions > 1 else 0.0
    own = draw.beta(3, 1, (1500, n)) * (draw.random((1500, n)) > 0.3) - draw.beta(2, 2, (1500, n)) + shift
    drawn = resampled_means(own, stream=0, clusters=clusters)
    assert _share([percentile_interval(row, n=passages) for row in drawn], 0.75 * 0.7 - 0.5) >= LEAST


def test_flipping_signs_finds_little_where_nothing_is() -> None:
    """Of 400 pairs of equally good runs, by single samples and by passages."""
    draw = np.random.default_rng(9)
    single = draw.beta(2, 2, (400, 40)) - draw.beta(2, 2, (400, 40))
    assert np.mean([sign_flip(row) <= 0.05 for row in single]) <= MOST
    clusters = [number for number in range(20) for _ in range(3)]
    together = np.repeat(draw.normal(size=(400, 20)), 3, axis=1) + draw.normal(size=(400, 60))
    assert np.mean([sign_flip(row, clusters) <= 0.05 for row in together]) <= MOST


def test_a_mean_over_tasks_holds_the_truth() -> None:
    """Three tasks of unlike size and hardness, each with Wilson's interval."""
    sizes, shares = (30, 120, 60), (0.95, 0.6, 0.2)
    draw, found = np.random.default_rng(10), []
    for _ in range(3000):
        right = [int(draw.binomial(n, share)) for n, share in zip(sizes, shares, strict=True)]
        own = [wilson(k, n) for k, n in zip(right, sizes, strict=True)]
        found.append(mean_of_independent([k / n for k, n in zip(right, sizes, strict=True)], [one for one in own if one]))
    assert _share(found, sum(shares) / 3) >= LEAST


def test_equally_good_runs_are_seldom_called_different_on_any_of_five_tasks() -> None:
    """The whole way: 400 comparisons of five tasks, Holm's correction among them."""
    draw, wrong = np.random.default_rng(11), 0
    for _ in range(400):
        runs = [{f"t{task}": _answers(draw, n=80) for task in range(5)} for _ in range(2)]
        wrong += any(task.better for task in compare(*runs).tasks)
    assert wrong / 400 <= MOST


@pytest.mark.parametrize("sizes", [(20, 60, 200), (30,) * 12])
def test_a_difference_over_groups_holds_the_truth(sizes: tuple[int, ...]) -> None:
    """A group of subjects of unlike size, and a task beside it: 1,500 comparisons of a run that gains on some and loses on others."""
    draw, held, groups = np.random.default_rng(len(sizes)), list[Interval | None](), list[Interval | None]()
    gains = [0.25 if number % 2 else 0.1 for number in range(len(sizes))]
    truth = float(np.average([gain - 0.1 for gain in gains], weights=sizes))
    for _ in range(1500):
        pairs = {f"g{number}": _pair(draw, n=n, gained=gain) for number, (n, gain) in enumerate(zip(sizes, gains, strict=True))}
        pairs["t"] = _pair(draw, n=100, gained=0.2)
        runs = [{task: replace(pair[side], group="g" if task != "t" else None) for task, pair in pairs.items()} for side in (0, 1)]
        found = compare(*runs)
        held.append(found.overall_interval)
        groups.append(found.groups[0].interval)
    assert _share(groups, truth) >= LEAST
    assert _share(held, (truth + 0.1) / 2) >= LEAST


def _pair(draw: np.random.Generator, *, n: int, gained: float) -> tuple[Measured, Measured]:
    """Two runs of which the first alone is right on so many, the second alone on a tenth."""
    drawn = draw.random(n)
    first, second = (drawn < gained + 0.4).astype(float), ((drawn >= gained) & (drawn < gained + 0.5)).astype(float)
    return _measured(first.tolist()), _measured(second.tolist())


def _measured(values: Sequence[float]) -> Measured:
    return Measured("build", "acc", "none", True, "mean", {ordinal: Sample(ordinal, value) for ordinal, value in enumerate(values)})


def _answers(draw: np.random.Generator, *, n: int) -> Measured:
    return _measured((draw.random(n) < 0.6).astype(np.float64).tolist())


def _share(intervals: Sequence[tuple[float, float] | None], truth: float) -> float:
    """How many hold the truth, of 1."""
    return float(np.mean([interval is not None and interval[0] <= truth <= interval[1] for interval in intervals]))
