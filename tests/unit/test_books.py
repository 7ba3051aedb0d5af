"""Boards as results come one by one: what is held between them changes no figure."""

import gc
import json
import tracemalloc
from collections.abc import Iterator
from itertools import chain
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.event import Event
from schemas.released import released_codec
from schemas.results import Figure
from schemas.runs import Adaptive, Subject
from schemas.settled import RunSettled
from schemas.trust import RunRetracted
from streams.boards.books import SWEPT_AFTER, Books
from streams.boards.keeping import loaded, telling
from streams.boards.ranking import Board, chosen, rank
from streams.boards.reckoned import Reckoned
from tests import measured
from tests.runs import run_named

CODEC, HERE = released_codec(), measured.environment("L40S")
PART = Adaptive(
    documents=4, fitted_runs=(), ordinals=(0, 1), slopes=(1.0, 1.0), intercepts=(0.0, 0.0), rest_mean=(1.0,), rest_variance=(0.1,),
    misfit=1.0, error_ratio=1.0,
)  # fmt: skip
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
    """Of a run that counts no more its name is kept, and nothing else; what all share is there once."""
    sizes = []
    for runs in (3, 30):
        books = Books()
        for event in chain(*(one(number, f"model-{number % 3}") for number in range(1, 1 + runs))):
            books.fold(event)
        told = json.loads(telling(books, CODEC)())
        assert (len(told["runs"]), len(told["scores"]), len(told["tasks"])) == (3, 9, 3)
        sizes.append(len(telling(books, CODEC)()))
    assert sizes[1] - sizes[0] < 27 * 30


def finished(number: int) -> Iterator[Event]:
    """A run of one of three models: with a speed, asked in part, failed, or an audit; each asks something that no other asks."""
    own = measured.planned("a", documents=2).model_copy(update={"rows_skipped": number, "adaptive": PART if number % 4 == 1 else None})
    speed = [Figure(metric="capacity_tokens_per_s", value=float(number), n=1)] if number % 4 == 2 else []
    told: dict[str, Any] = {"audit_of": run_named("audited")} if number % 4 == 0 else {}
    for event in measured.run(number, f"model-{number % 3}", HERE, scores={own: [0.0, 1.0]}, speed=speed, **told):
        failed = isinstance(event, RunSettled) and number % 4 == 3
        yield event.model_copy(update={"state": "failed"}) if failed else event


def test_what_is_held_does_not_grow_with_finished_runs() -> None:
    """Beside a name of 16 bytes each (100 as Python has it, 22 in the snapshot), whatever they asked and came to."""
    books, sizes = Books(), []
    tracemalloc.start()
    for number in range(1, 1 + 3 * SWEPT_AFTER):
        for event in finished(number):
            books.fold(event)
        if number % SWEPT_AFTER == 0:
            gc.collect()
            sizes.append((tracemalloc.get_traced_memory()[0], len(telling(books, CODEC)())))
            assert len(books.settled) == len(books.results) <= 9 and len(books.scores) <= 9
            assert len(books._lists) <= 9 + SWEPT_AFTER and len(books._alike) <= 9 + SWEPT_AFTER
    tracemalloc.stop()
    (_, _), (before, told_before), (after, told) = sizes
    assert after - before < 200 * SWEPT_AFTER
    assert told - told_before < 30 * SWEPT_AFTER


@given(order=st.permutations(range(14)), cut=st.integers(0, 13))
def test_books_that_forget_rank_as_those_that_hold_all(order: list[int], cut: int) -> None:
    """In any order, over any snapshot: speeds of runs that count no more, runs that are judged later, results that were not final."""
    speeds = {number: [Figure(metric="capacity_tokens_per_s", value=float(number), n=1)] for number in (1, 3, 4)}
    runs = [
        [*measured.run(number, f"m-{number % 2}", HERE, scores={TASKS[0]: [0.0, 1.0] * 20}, speed=speeds.get(number, ()))]
        for number in range(1, 6)
    ]
    judged = runs[0][-1]
    assert isinstance(judged, RunSettled) and judged.plan
    plan = judged.plan
    subject = Subject(
        run_id=judged.run_id, model=plan.model, model_sha=plan.model_sha, engine=plan.engine, chat=plan.chat, chat_template_sha="",
    )  # fmt: skip
    judging = [*measured.run(7, "judge", measured.environment("cpu"), scores={TASKS[1]: [1.0] * 40}, subject=subject)]
    first = runs[4][-1].model_copy(update={"event_id": "first", "occurred_us": 1, "final": False})
    events = [*chain(*runs, judging), first, HERE]
    holding, forgetting = Books(whole=True), Books()
    for place, number in enumerate(order):
        if place == cut:
            forgetting = loaded(telling(forgetting, CODEC)(), CODEC)
        holding.fold(events[number])
        forgetting.fold(events[number])
    assert forgetting.results.keys() <= holding.results.keys()
    for name in holding.boards:
        for run_id in forgetting.lacking(name):
            forgetting.recall(next(one for one in events if isinstance(one, RunSettled) and one.run_id == run_id))
        assert ranked(forgetting, name) == ranked(holding, name)
    assert len(forgetting.results) < len(holding.results)


def ranked(books: Books, name: str) -> Board:
    """A board as it stands."""
    return rank(chosen(name, books.entries(name)))
