"""Boards as results come one by one: what is held between them changes no figure."""

import json
from itertools import chain

from schemas.event import Event
from schemas.released import released_codec
from schemas.trust import RunRetracted
from streams.boards.books import Books
from streams.boards.keeping import loaded, telling
from streams.boards.ranking import Board, Reckoned, chosen, rank
from tests import measured
from tests.runs import run_named

CODEC, HERE = released_codec(), measured.environment("L40S")
TASKS = [measured.planned(name, documents=40) for name in ("a", "b", "c")]


def one(number: int, model: str, *, tasks: int = 3) -> list[Event]:
    """A run of that many tasks."""
    values = {
        task: measured.rights(0.3 + number % 9 / 20, seed=number * 10 + place, documents=40) for place, task in enumerate(TASKS[:tasks])
    }
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


def test_books_that_were_kept_go_on_as_those_that_never_ended() -> None:
    """Whenever they are kept: between a run's scores and its result, before a newer run takes an older one's place, and after."""
    events = [*chain(*(one(number, f"model-{number % 3}", tasks=1 + number % 3) for number in range(1, 7))), HERE]
    events += [RunRetracted(occurred_us=9, producer=measured.STAMP, run_id=run_named(5), by="me", reason="wrong")]
    for at in range(len(events)):
        whole, kept = Books(), Books()
        for place, event in enumerate(events):
            if place == at:
                kept = loaded(telling(kept, CODEC)(), CODEC)
            whole.fold(event)
            kept.fold(event)
        assert {name: ranked(kept, name) for name in kept.boards} == {name: ranked(whole, name) for name in whole.boards}
        assert kept.settled == whole.settled and kept.scores == whole.scores


def test_what_is_kept_goes_with_models_and_not_with_runs() -> None:
    """A run that counts no more has neither its documents nor its tasks' figures there; what all share is there once."""
    sizes = []
    for runs in (3, 30):
        books = Books()
        for event in chain(*(one(number, f"model-{number % 3}") for number in range(1, 1 + runs))):
            books.fold(event)
        told = json.loads(telling(books, CODEC)())
        assert len(told["scores"]) == 9 and len(told["tasks"]) == 3
        sizes.append(len(telling(books, CODEC)()))
    assert sizes[1] - sizes[0] < 27 * 1000


def ranked(books: Books, name: str) -> Board:
    """A board as it stands."""
    return rank(chosen(name, books.entries(name)))
