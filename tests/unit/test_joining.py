"""What tasks over the same documents share, by hand and on boards."""

import math
import random

import numpy as np
import pytest

from benchmarks.rigor_joined import ranked, result
from query_api.reading.measured import part_of
from schemas.results import Figure, RankingRow
from streams.boards.comparison import Measured, Sample
from streams.settling.documents import Columns
from streams.statistics.components import crossed
from streams.statistics.joining import Part, covariance, places, shared, stretch, together

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


def test_set_ups_that_tasks_share_are_no_more_than_they_are() -> None:
    """Two names of one task vary with set-ups as it does alone; over other documents likewise, but for what documents make of it."""
    draw = np.random.default_rng(4)
    table = (draw.random((60, 1)) + np.array([0.0, 0.3, 0.6]) + draw.random((60, 3)) < 1.2).astype(np.float64)
    alone, own = crossed(table), Part(table.mean(axis=1), np.arange(60), table=table)
    assert alone is not None and alone.apart > 0
    half = stretch(3) * alone.added / 2
    over_others = shared([own, own], [0.5, 0.5])
    assert over_others > half and over_others == pytest.approx(half + stretch(3) * alone.within / 60 / 3 / 4)
    same = Part(own.values, own.ordinals, documents="d", table=table)
    assert shared([same, same], [0.5, 0.5]) == pytest.approx(half + own.values.var() / 60 / 2, rel=0.01)
    assert shared([own], [1.0]) == pytest.approx(0)
    assert shared([Part(own.values, own.ordinals)] * 2, [0.5, 0.5]) == 0
    assert shared([own, Part(own.values, own.ordinals, table=table[:, :2])], [0.5, 0.5]) == 0  # set-ups of another number
    told, first = Part(own.values, own.ordinals, table=np.where(np.arange(60)[:, None] < 30, table, np.nan)), np.arange(30)
    assert shared([told] * 2, [0.5, 0.5]) == shared([Part(own.values[:30], first, table=table[:30])] * 2, [0.5, 0.5])


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


def test_a_board_has_the_interval_of_a_task_that_varies_from_its_figure() -> None:
    """A suite of that task alone is as wide; of three, all set-ups may go the same way: no narrower than one where they alone vary."""
    figure = Figure(metric="acc", value=0.5, stderr=0.1, low=0.3, high=0.7, n=400, repeats=5, setups=5, between_setups=0.05)
    columns = Columns(np.arange(400, dtype=np.int32), np.tile([0.0, 1.0], 200), None)

    def row(*tasks: str, board: str = "suite") -> RankingRow:
        (found,) = ranked([result(1, dict.fromkeys(tasks, columns), dict.fromkeys(tasks, figure))], tasks, board).rows
        return found

    task, alone, three = row("t", board="task:t"), row("t"), row("t", "u", "v")
    assert (task.score, task.low, task.high) == (0.5, 0.3, 0.7)
    assert (alone.low, alone.high) == pytest.approx((0.3, 0.7))
    assert three.low is not None and 0.22 < three.low < 0.3


def test_a_row_says_what_made_its_interval() -> None:
    """A task's board by its values, or its figure where that is its own; a suite joins its tasks'."""
    figure = Figure(metric="acc", value=0.5, stderr=0.1, low=0.3, high=0.7, n=4, setups=5, between_setups=0.05, method="Wilson, 5 set-ups")
    columns = Columns(np.arange(4, dtype=np.int32), np.array([0.0, 1.0, 0.0, 1.0]), None)
    between = Columns(columns.ordinals, np.array([0.25, 1.0, 0.5, 0.75]), None)

    def method(own: Columns, *, board: str = "task:t", figures: dict[str, Figure] | None = None) -> str | None:
        return ranked([result(1, {"t": own}, figures)], ["t"], board).rows[0].method

    assert [method(columns), method(between), method(columns, board="suite")] == ["Wilson", "Wilson, known range", "Wilson, joined"]
    assert method(columns, figures={"t": figure}) == "Wilson, 5 set-ups"


def test_a_runs_samples_are_a_part() -> None:
    """In the order of ordinals; what statistics cannot take in is left out, and of a sample without all set-ups there are none."""
    samples = {2: Sample(2, 0.5, "p", (1.0, 0.0)), 0: Sample(0, 1.0), 5: Sample(5, math.inf), 3: Sample(3, 0.0, "p", (0.0, 0.0))}
    part = part_of(Measured("b", "acc", "none", True, "mean", samples, documents="d"))
    assert part.ordinals.tolist() == [0, 2, 3] and part.values.tolist() == [1.0, 0.5, 0.0] and part.documents == "d"
    assert part.clusters == [0, "p", "p"] and part.table is not None
    assert part.table.ravel().tolist() == pytest.approx([math.nan, math.nan, 1, 0, 0, 0], nan_ok=True)
    plain = part_of(Measured("b", "acc", "none", True, "mean", {0: Sample(0, 1.0)}))
    assert plain.clusters is None and plain.table is None
