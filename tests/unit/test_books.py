"""Boards as results come one by one: what is held between them changes no figure."""

import gc
import json
import math
import tracemalloc
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.event import Event
from schemas.released import released_codec
from schemas.requests import Stopping
from schemas.results import Figure, RunScored
from schemas.runs import Adaptive, PlannedTask, Subject
from schemas.settled import RunSettled
from schemas.trust import RunRetracted
from streams.boards.books import SWEPT_AFTER, Books
from streams.boards.keeping import loaded, telling
from streams.boards.ranking import Board, chosen, rank
from streams.boards.reckoned import Reckoned
from streams.settling.documents import packed
from streams.speed.performance import FORMULA_VERSION
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


def closed(tokens: float, many: float) -> list[Figure]:
    """What a closed load of so many brought."""
    return [Figure(metric="concurrent_tokens_per_s", value=tokens, n=1), Figure(metric="concurrency", value=many, n=1)]


@given(order=st.permutations(range(6)), whole=st.booleans())
def test_a_capacity_that_was_proven_is_not_displaced_by_a_newer_load_that_proved_none(order: list[int], whole: bool) -> None:
    """A smoke run says nothing of what a sweep has found; of two that proved nothing the newer counts."""
    speeds = [closed(100.0, 2.0), [Figure(metric="capacity_tokens_per_s", value=5120.0, n=1)], closed(155.0, 2.0)]
    runs = [[*measured.run(n + 1, "m", HERE, scores={TASKS[0]: [0.0, 1.0] * 20}, speed=speed)] for n, speed in enumerate(speeds)]
    books, events = Books(whole=whole), [*chain(*runs)]
    for number in order:
        books.fold(events[number])
    (entry,) = books.entries("task:a")
    assert entry.speed_run == run_named(2)
    (row,) = rank(chosen("task:a", [entry])).rows
    assert row.output_tokens_per_s == 5120.0


@pytest.mark.parametrize(
    ("formula", "sweep", "kept"), [("performance-9", False, None), ("performance-9", True, 155.0), (FORMULA_VERSION, False, 155.0)]
)
def test_what_an_older_formula_called_a_capacity_is_one_of_sweeps_alone(formula: str, sweep: bool, kept: float | None) -> None:
    """It called any closed load's tokens/s so."""
    found = [
        Figure(metric="capacity_tokens_per_s", value=155.0, n=1),
        *([Figure(metric="capacity_requests_per_s", value=9.0, n=1)] * sweep),
    ]
    scored, settled = measured.run(1, "m", HERE, scores={TASKS[0]: [0.0, 1.0] * 20}, speed=found)
    books = Books()
    for event in (scored, settled.model_copy(update={"speed_formula": formula})):
        books.fold(event)
    (entry,) = books.entries("task:a")
    (row,) = rank(chosen("task:a", [entry])).rows
    assert row.output_tokens_per_s == kept


@given(order=st.permutations(range(9)), whole=st.booleans())
def test_boards_go_by_a_runs_final_result_whenever_a_newer_run_takes_its_place(order: list[int], whole: bool) -> None:
    """What it said before it was final, another speed and no machine, counts for nothing then, nor where the run is judged."""
    speed = [Figure(metric="capacity_tokens_per_s", value=200.0, n=1)]
    scores, final = measured.run(1, "m", HERE, scores={TASKS[0]: [0.0, 1.0] * 20}, speed=speed)
    assert isinstance(final, RunSettled) and final.plan
    plan = final.plan
    less = {"final": False, "occurred_us": 0, "speed": tuple(one.model_copy(update={"value": 100.0}) for one in speed)}
    first = final.model_copy(update=less | {"event_id": "first", "engine": None, "environment_sha": None, "environments": ()})
    subject = Subject(
        run_id=final.run_id, model=plan.model, model_sha=plan.model_sha, engine=plan.engine, chat=plan.chat, chat_template_sha="",
    )  # fmt: skip
    cpu = measured.environment("cpu")
    judging = [*measured.run(7, "judge", cpu, scores={TASKS[1]: [1.0] * 40}, subject=subject)]
    newer = [*measured.run(5, "m", HERE, scores={TASKS[0]: [1.0] * 40})]
    books, events = Books(whole=whole), [HERE, cpu, scores, first, final, *newer, *judging]
    for number in order:
        books.fold(events[number])
    (entry,) = books.entries("task:a")
    assert ({name: one.value for name, one in entry.speed.items()}, entry.speed_run) == ({"capacity_tokens_per_s": 200.0}, final.run_id)
    (judged,) = (name for name in books.boards if name.startswith("task:b"))
    for _ in books.lacking(judged):
        books.recall(final)
    assert [(row.run_id, row.hardware) for row in ranked(books, judged).rows] == [(run_named(7), "L40S")]


def ranked(books: Books, name: str) -> Board:
    """A board as it stands."""
    return rank(chosen(name, books.entries(name)))


def of(number: int, task: PlannedTask, values: Mapping[int, float], *, figure: float | None = None) -> Iterator[Event]:
    """A run of one task, of which those samples have scores."""
    for event in measured.run(number, f"m-{number}", HERE, scores={task: [0.0]}):
        if isinstance(event, RunScored):
            yield event.model_copy(update={"documents": packed(values, {})})
        elif isinstance(event, RunSettled):
            told = Figure(metric="acc", value=figure, n=len(values)) if figure is not None else None
            settled = tuple(one.model_copy(update={"documents": len(values), "figure": told}) for one in event.tasks)
            yield event.model_copy(update={"tasks": settled})


def standing(name: str, *runs: Iterable[Event]) -> dict[str, tuple[int | None, float | None, int | None, int | None, tuple[str, ...]]]:
    """Run → rank, score, range of places and what it lacks, on a board of these runs."""
    books = Books()
    for event in chain(*runs):
        books.fold(event)
    return {row.run_id: (row.rank, row.score, row.rank_low, row.rank_high, row.missing) for row in ranked(books, name).rows}


def rightly(share: float) -> dict[int, float]:
    """Scores of forty samples, the first so many right."""
    return {n: float(n < 40 * share) for n in range(40)}


LOST: Final[dict[str, tuple[dict[int, float], str]]] = {
    "no sample is scored": ({}, "a figure of a"),
    "it shares no sample": ({40: 1.0, 41: 1.0}, "most of the samples of a that the others have"),
    "it shares few": ({n: 1.0 for n in range(19)}, "most of the samples of a that the others have"),
}


@pytest.mark.parametrize(("values", "lacks"), LOST.values(), ids=LOST)
@pytest.mark.parametrize("name", ["task:a", "s"])
def test_a_run_that_cannot_be_ranked_stands_apart_and_the_others_as_without_it(name: str, values: dict[int, float], lacks: str) -> None:
    """Whether its own samples are fewer or more than theirs, and whenever it comes; the row says what it lacks."""
    task = measured.planned("a", documents=40)
    others = [list(in_suite(of(number, task, rightly(share)))) for number, share in ((1, 1.0), (2, 0.0), (3, 0.5))]
    alone, lost = standing(name, *others), list(in_suite(of(4, task, values)))
    assert {run: told[0] for run, told in alone.items()} == {run_named(1): 1, run_named(3): 2, run_named(2): 3}
    for place in range(4):
        board = standing(name, *others[:place], lost, *others[place:])
        assert board.pop(run_named(4)) == (None, None, None, None, (lacks,))
        assert board == alone


def in_suite(events: Iterable[Event]) -> Iterator[Event]:
    """The same as runs of a suite."""
    for event in events:
        plan = event.plan.model_copy(update={"suite": "s"}) if isinstance(event, RunSettled) and event.plan else None
        yield event.model_copy(update={"plan": plan}) if plan else event


@pytest.mark.parametrize("figure", [None, math.inf])
def test_a_run_that_stopped_without_a_figure_stands_apart(figure: float | None) -> None:
    """One that has its own is ranked by it, also where it asked few of the samples."""
    task = measured.planned("a", documents=40).model_copy(update={"stopping": Stopping(half_width=0.1)})
    few = {n: 1.0 for n in range(10)}
    board = standing("task:a", of(1, task, rightly(0.5)), of(2, task, few, figure=0.9), of(3, task, few, figure=figure))
    assert board[run_named(3)] == (None, None, None, None, ("a figure of a",))
    assert [board[run_named(number)][:2] for number in (2, 1)] == [(1, 0.9), (2, 0.5)]


def test_runs_are_ranked_by_what_all_share_as_long_as_that_is_half() -> None:
    """Each may lack another half but one sample; of two alone nobody can tell which lacks what."""
    task = measured.planned("a", documents=40)
    whole, half = [of(number, task, rightly(0.25 * number)) for number in (1, 2)], of(3, task, {n: 1.0 for n in range(20, 40)})
    board = standing("task:a", *whole, half)
    assert [board[run_named(number)][:2] for number in (1, 2, 3)] == [(2, 0.0), (2, 0.0), (1, 1.0)]
    pair = standing("task:a", of(1, task, rightly(1.0)), of(2, task, {0: 0.0}))
    assert [pair[run_named(number)][:2] for number in (1, 2)] == [(1, 1.0), (2, 0.0)]


def test_of_runs_that_share_no_sample_those_are_ranked_that_most_share_one_with() -> None:
    """However many samples the others have; where none shares any, the one that has the first."""
    task = measured.planned("a", documents=40)
    many = {n: 1.0 for n in range(20)}
    some = [of(number, task, {n: float(number % 2) for n in range(30, 30 + number)}) for number in (2, 3, 4)]
    board = standing("task:a", of(1, task, many), *some)
    assert [board[run_named(number)][0] for number in (1, 2, 3, 4)] == [None, 2, 1, 2]
    board = standing("task:a", of(1, task, {1: 1.0}), of(2, task, {0: 0.0}))
    assert [board[run_named(number)][0] for number in (1, 2)] == [None, 1]
    board = standing("task:a", of(1, task, {}), of(2, task, {}))
    assert {told[4] for told in board.values()} == {("a figure of a",)}


def test_a_run_that_stands_stays_though_somebody_says_that_it_failed() -> None:
    """Its boards are ranked as before: no settler says so, and a run without a result broke every board that it stood on."""
    books, events = Books(), one(1, "m")
    (result,) = (event for event in events if isinstance(event, RunSettled))
    for event in events:
        books.fold(event)
    before = {name: ranked(books, name) for name in books.boards}
    told = result.model_dump(exclude={"event_id"}) | {"state": "failed", "inputs_digest": "x", "occurred_us": result.occurred_us + 1}
    books.fold(RunSettled.model_validate(told))
    assert {name: ranked(books, name) for name in books.boards} == before and before
