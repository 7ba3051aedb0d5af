"""Which places entries may have, by hand and against comparisons of pairs."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

from schemas.runs import RunChanged
from streams.boards.ranking import unplaced
from streams.settling.runs import OpenRuns
from streams.statistics.differences import difference
from streams.statistics.ranks import OverSetups, compared, ranges, standings
from streams.statistics.spreads import Clusters
from tests.runs import run_named
from tests.unit.test_results import HEADER, board, planned, scored


def of(values: list[list[float]], clusters: Clusters | None = None) -> list[tuple[int, int]]:
    """Ranges of entries' values."""
    return ranges([standings(np.asarray(values), clusters)])


def test_equals_may_have_any_place() -> None:
    """And the same answers too."""
    assert of([[0.0, 1.0] * 20] * 4) == [(1, 4)] * 4
    assert of([[1.0] * 30] * 3) == [(1, 3)] * 3
    assert of([[0.0, 1.0]]) == [(1, 1)]


def test_who_is_far_apart_has_a_place_of_his_own() -> None:
    """Three models, 100 samples: 90, 50 and 10 right."""
    assert of([[float(k < right) for k in range(100)] for right in (50, 90, 10)]) == [(2, 2), (1, 1), (3, 3)]


def test_holm_on_a_board_by_hand() -> None:
    """b wins 7 to 0 over a and c: p = 1/128 each of three pairs (mid-p), at most 0.05/3; a against c has p = 1 and is not told apart."""
    a, b = [0.0] * 7 + [1.0] * 10, [1.0] * 17
    assert of([a, b, a]) == [(2, 3), (1, 1), (2, 3)]
    fewer = [0.0] * 5 + [1.0] * 10, [1.0] * 15  # 5 to 0: p = 1/32, which 0.05/3 does not reach
    assert of([fewer[0], fewer[1], fewer[0]]) == [(1, 3)] * 3


@pytest.mark.parametrize("clusters", [None, [0] * 20 + [1, 2, 3, 4, 4, 4] + list(range(5, 19))])
@pytest.mark.parametrize(("kind", "width"), [("answers", 1.0), ("scores", 1.0), ("points", 9.0), ("any", None)])
def test_pairs_on_a_board_are_tested_as_comparisons_are(kind: str, width: float | None, clusters: Clusters | None) -> None:
    """Five entries, two of which are the same: each pair's p is its difference's."""
    draw = np.random.default_rng(5)
    values = draw.gamma(1, size=(5, 40)) * (1 + np.arange(5))[:, None]
    values = {"answers": (values > 1).astype(float), "scores": np.minimum(1, values / 9), "points": 1 + np.minimum(9, values)}.get(
        kind, values
    )
    values[4] = values[3]
    ((_, found),) = compared([standings(values, clusters, width=width)])
    for i, j in itertools.combinations(range(5), 2):
        assert found[i, j] == pytest.approx(difference(values[i].tolist(), values[j].tolist(), clusters, width=width).p, rel=1e-9)


def test_boards_of_tasks_add_up_their_variances() -> None:
    """Of two independent tasks of one kind, joined by halves, a pair's t is that of the sum, with Satterthwaite's freedom."""
    first, second = np.random.default_rng(1).normal(size=(2, 3, 40)) / 2
    ((difference_, found),) = compared([standings(first), standings(second)])
    own, other = first[0] - first[1], second[0] - second[1]
    variances = [own.var(ddof=1) / 40, other.var(ddof=1) / 40]
    assert difference_[0, 1] == pytest.approx(own.mean() + other.mean())
    third = [stats.skew(one) * one.var() ** 1.5 / 40**2 * (40 / 39) ** 1.5 for one in (own, other)]
    freedom = sum(variances) ** 2 / sum(one**2 / 39 for one in variances)
    t, a = difference_[0, 1] / math.sqrt(sum(variances)), sum(third) / sum(variances) ** 1.5
    turned = t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6
    assert found[0, 1] == pytest.approx(2 * stats.t.sf(min(abs(t), abs(turned)), freedom))


def test_what_set_ups_leave_open_is_in_the_tests_of_pairs() -> None:
    """p is where z²·(d/z₀)² + t²·(s² + s'²) is d², t at 4 degrees of freedom; without what set-ups add it is as it was."""
    values = (np.random.default_rng(6).random((3, 400)) < np.array([[0.4], [0.5], [0.62]])).astype(float)
    own, errors = [standings(values)], np.array([0.02, 0.0, 0.03])
    ((differences, alone),), ((_, wide),) = compared(own), compared(own, OverSetups(errors, 5))
    for i, j in itertools.permutations(range(3), 2):
        d, first, variance = differences[i, j], stats.norm.isf(alone[i, j] / 2), errors[i] ** 2 + errors[j] ** 2

        def beyond(p: float, d: float = d, first: float = first, variance: float = variance) -> float:
            return (stats.norm.isf(p / 2) * d / first) ** 2 + stats.t.isf(p / 2, 4) ** 2 * variance - d**2

        assert alone[i, j] < 0.05
        assert wide[i, j] == pytest.approx(brentq(beyond, 1e-20, 1.0), rel=0.011)
    ((_, same),) = compared(own, OverSetups(np.zeros(3), 5))
    assert (same == alone).all()
    assert ranges(own) == [(3, 3), (2, 2), (1, 1)] and ranges(own, OverSetups(errors * 5, 5)) == [(1, 3)] * 3


def test_a_single_cluster_tells_no_places() -> None:
    """Nor do values without a range that do not spread: all places may be."""
    values = [[0.1] * 20, [0.9] * 20]
    assert of(values, [0] * 20) == [(1, 2)] * 2
    assert of(values) == [(1, 2)] * 2


def test_of_a_metric_of_which_less_is_better_places_are_told_too() -> None:
    """Three runs, 100 samples: 10, 50 and 90 toxic; the least is first. Of what is no mean a board says why it has no ranges."""
    results = OpenRuns()
    for name, share in (("1", 50), ("2", 10), ("3", 90)):
        change = planned(run_named(name), samples=100, model=name)
        assert change.plan is not None
        (task,) = change.plan.tasks
        less = task.model_copy(update={"expected": (task.expected[0].model_copy(update={"higher_is_better": False}),)})
        results.fold(change.model_copy(update={"plan": change.plan.model_copy(update={"tasks": (less,)})}))
        for n in range(100):
            results.fold(scored(run_named(name), n, float(n < share)))
        results.fold(RunChanged(**HEADER, run_id=run_named(name), state="completed"))
    rows = board(results, "task:t").rows
    assert [(row.model, row.rank, row.rank_low, row.rank_high) for row in rows] == [("2", 1, 1, 1), ("1", 2, 2, 2), ("3", 3, 3, 3)]
    assert unplaced(less) is None
    whole = less.model_copy(update={"expected": (less.expected[0].model_copy(update={"aggregation": "bleu"}),)})
    assert (unplaced(whole) or "").startswith("no ranges of places: acc is no mean over samples")


def test_a_sample_is_added_for_either_side_where_a_range_is_known() -> None:
    """Entries whose 40 samples are 0.9 and a hair, one's 0.002 more: a t test is sure of it; but one failure in forty turns it."""
    values = 0.9 + 1e-4 * np.random.default_rng(1).normal(size=(3, 40))
    values[0] += 0.002
    assert ranges([standings(values)]) == [(1, 1), (2, 3), (2, 3)]
    assert ranges([standings(values, width=1.0)]) == [(1, 3)] * 3
