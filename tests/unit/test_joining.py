"""What tasks over the same documents share, by hand and on boards."""

import random

import numpy as np
import pytest

from benchmarks.rigor_joined import ranked, result
from streams.settling.documents import Columns
from streams.statistics.joining import covariance, places, together

FIRST, SECOND = np.array([0, 1, 2, 3]), np.array([1, 2, 3, 4])


def test_a_document_that_one_task_lacks_shares_nothing_there() -> None:
    """Means 1/2 and 1/2; errors ±1/8: of documents 1, 2 and 3 they are -,+,- and -,-,+ of one another."""
    first, second = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0, 1.0])
    at = places([FIRST, SECOND], [None, None])
    assert covariance([first, second], at) == pytest.approx(2 * (1 - 1 - 1) / 64)
    assert covariance([first, first], places([FIRST, FIRST], [None, None])) == pytest.approx(2 * 4 / 64)
    assert covariance([first, second], [FIRST, FIRST + 4]) == covariance([first], [FIRST]) == 0


def test_clusters_are_the_same_where_they_have_a_document_in_common() -> None:
    """Whatever each task calls them, and where one task tells none."""
    one, other = places([FIRST, SECOND], [["a", "a", "b", "b"], ["x", "y", "y", "z"]])
    assert one[0] == one[1] == other[0] and one[2] == one[3] == other[1] == other[2] and len({one[0], one[2], other[3]}) == 3
    one, other = places([FIRST, SECOND], [None, ["x", "x", "y", "z"]])
    assert one[1] == one[2] == other[0] == other[1] and len({*one.tolist(), *other.tolist()}) == 4


def test_together_they_have_the_sum_of_their_means_and_errors() -> None:
    """Of two entries, of which each task lacks another document."""
    draw = np.random.default_rng(1)
    values = [draw.random((2, 4)), draw.random((2, 4))]
    at = places([FIRST, SECOND], [None, None])
    whole, where, stretched = together(values, [FIRST, SECOND], at)
    assert whole.mean(axis=1) == pytest.approx(values[0].mean(axis=1) + values[1].mean(axis=1))
    assert where.tolist() == [0, 1, 2, 3, 4] and stretched == 5 / 4
    for entry in range(2):
        own = [one[entry] for one in values]
        errors = (whole[entry] - whole[entry].mean()) / 5
        assert errors @ errors == pytest.approx(sum(np.var(one) / 4 for one in own) + covariance(own, at))


@pytest.mark.parametrize("gap", [False, True])
def test_a_board_counts_what_tasks_share_though_one_lacks_a_document(gap: bool) -> None:
    """Three names of one and the same task are no surer than it is alone, and no surer in rank, for a document of 200."""
    draw = random.Random(2)
    models = [np.array([float(draw.random() < share) for _ in range(200)]) for share in (0.5, 0.55)]

    def board(tasks: int) -> tuple[list[float], list[int | None]]:
        there = {f"t{n}": np.delete(np.arange(200, dtype=np.int32), [n] if gap and tasks > 1 else []) for n in range(tasks)}
        runs = [result(n, {task: Columns(own, values[own], None) for task, own in there.items()}) for n, values in enumerate(models)]
        rows = ranked(runs, [*there]).rows
        return [(row.high or 0) - (row.low or 0) for row in rows], [row.rank_high for row in rows]

    (alone, last), (widths, places_) = board(1), board(3)
    assert places_ == last
    assert widths == pytest.approx(alone, rel=0.02)
