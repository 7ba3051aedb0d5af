"""Boards as results come one by one: what is held between them changes no figure."""

from itertools import chain

from schemas.event import Event
from streams.boards.books import Books
from streams.boards.ranking import Reckoned, chosen, rank
from tests import measured
from tests.runs import run_named

HERE = measured.environment("L40S")
TASKS = [measured.planned(name, documents=40) for name in ("a", "b", "c")]


def one(number: int, model: str, *, tasks: int = 3) -> list[Event]:
    """A run of that many tasks."""
    values = {task: measured.rights(0.3 + number / 20, seed=number * 10 + place, documents=40) for place, task in enumerate(TASKS[:tasks])}
    return list(measured.run(number, model, HERE, scores=values))


def test_what_was_reckoned_for_a_board_before_changes_none_of_its_figures() -> None:
    """Each board equals the one that is reckoned from nothing, after every run that joins it; what is held has its bound."""
    books, known = Books(), Reckoned(most=30)
    for number in range(1, 9):
        for event in one(number, f"model-{number % 5}", tasks=1 + number % 3):
            books.fold(event)
        for name in sorted(books.boards):
            board = chosen(name, books.entries(name))
            assert rank(board, known) == rank(board)
            assert all(row.score is not None or row.missing for row in rank(board).rows)


def test_a_row_counts_the_runs_that_its_model_has_on_the_board() -> None:
    """A result that is said anew counts once; runs of other tasks count on theirs."""
    books = Books()
    events = [one(1, "m"), one(2, "m", tasks=1), one(3, "m"), one(4, "other", tasks=2)]
    for event in chain(*events, events[0], events[2]):
        books.fold(event)

    def counts(name: str) -> dict[str, int]:
        return {row.run_id: row.run_count for row in rank(chosen(name, books.entries(name))).rows}

    assert counts("task:a") == {run_named(3): 3, run_named(4): 1}
    assert counts("task:b") == {run_named(3): 2, run_named(4): 1}
    assert counts("task:c") == {run_named(3): 2}
