"""What counts of all that was said: recomputing must find just that, and not only what it expects to find."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from infra.deriving import Derived, _counting, _Rankings, recompute
from infra.kafka import Log
from infra.settings import Settings
from schemas.event import Event
from schemas.results import CostSummarised, RankingChanged, RankingRow, RunScored, SampleScored
from schemas.settled import RunSettled
from streams.boards.books import Books
from streams.boards.ranking import chosen, rank
from streams.money.costs import summaries
from streams.money.prices import PriceBook
from streams.settling import results
from streams.settling.runs import OpenRuns
from tests import measured
from tests.in_memory import InMemory
from tests.pool import STAMP
from tests.runs import run_named
from tests.unit import test_costs, test_prices, test_results


def said() -> tuple[RunScored, RunSettled]:
    """What was said of a run: its scores and its result."""
    events = list(measured.run(1, "a", measured.environment("H100"), scores={measured.planned(documents=2): [1.0, 0.0]}))
    (scores,) = (event for event in events if isinstance(event, RunScored))
    (result,) = (event for event in events if isinstance(event, RunSettled))
    return scores, result


def counting(events: Sequence[Event]) -> set[str]:
    """The ids of what counts."""
    return {event.event_id for _, event in _counting(events)}


def test_a_newer_scorers_scores_and_a_later_result_stand_before_the_true_ones() -> None:
    """So do boards take them; that nobody measured what they say is for whoever recomputes to tell."""
    scores, result = said()
    forged = RunScored.model_validate(scores.model_dump(exclude={"event_id"}) | {"scorer_version": "zz-9"})
    later = RunSettled.model_validate(
        result.model_dump(exclude={"event_id"}) | {"occurred_us": result.occurred_us + 1, "inputs_digest": "x"}
    )
    assert counting([scores, result]) == {scores.event_id, result.event_id}
    assert counting([scores, result, forged, later]) == counting([later, forged, result, scores]) == {forged.event_id, later.event_id}
    assert counting([scores.model_copy(update={"complete": False}), result.model_copy(update={"final": False})]) == set()


def test_rows_that_were_said_last_are_those_that_are_compared() -> None:
    """Though they rest on the true results: a part that was said again otherwise takes the place of the first."""
    row = RankingRow(
        model="m", model_sha="s", engine="e", hardware="h", run_id=run_named("r"), rank=1, score=0.5, low=0.4, high=0.6, rank_low=1,
        rank_high=2, samples=100,
    )  # fmt: skip
    board = RankingChanged(
        occurred_us=1, producer=STAMP, board="t", version="1", tasks=("t",), runs=(), inputs_digest="d", provisional=False,
        rows=(row,), part=0, parts=1,
    )  # fmt: skip
    forged = board.model_copy(update={"rows": (row.model_copy(update={"rank": 2}),)})
    told = _Rankings()
    told.fold(board, offset=1)
    assert told.rows(told.newest["t"][1]) == (row,)
    told.fold(forged, offset=2)
    assert told.rows(told.newest["t"][1]) != (row,)


R, HOUR = test_costs.R, test_prices.price(usd=0.09)


def measured_run() -> list[Event]:
    """All that was measured of a run of eight samples, in the log's order, to its end."""
    scores = [test_results.scored(R, n, float(n % 2)) for n in range(8)]
    return [test_results.planned(R, samples=8), *test_costs.REPORTS[:4], *scores, test_costs.over()]


def whole_log() -> tuple[InMemory, list[Event]]:
    """A log in which all that follows from such a run was said, board and costs too; and what was said."""
    log, runs, books, book, events = InMemory(), OpenRuns(), Books(whole=True), PriceBook(), measured_run()
    for event in (HOUR, test_costs.environment(), *events):
        log.write(event)
    for offset, event in enumerate(events):
        runs.fold(event, offset=offset)
    run = runs.run(R)
    scores = results.scored(run, "t", aggregate=test_results.of_mean, stamp=STAMP)
    assert scores is not None
    result = results.settled(run, {"t": scores}, None, through={}, stamp=STAMP)
    book.fold(HOUR)
    costs = [results.cost(result, one, stamp=STAMP) for one in summaries(result, book, {"cpu": test_costs.environment()})]
    for event in (test_costs.environment(), scores, result):
        books.fold(event)
    board = rank(chosen("task:t", books.entries("task:t")))
    ranking = RankingChanged(
        occurred_us=1, producer=STAMP, board=board.name, version=board.version, tasks=board.tasks, runs=board.runs,
        inputs_digest=board.digest, provisional=False, rows=board.rows, part=0, parts=1,
    )  # fmt: skip
    return log, [scores, result, *costs, ranking]


def derived(log: InMemory, home: Path) -> Derived:
    """What comes of all that the log holds."""
    return asyncio.run(recompute(cast("Log", log), Settings(home=home), told=lambda _text: None))


def other(event: Event, **changed: Any) -> Event:
    """The event under the same id, with other content."""
    return event.model_copy(update=changed)


def test_all_that_follows_from_a_log_was_said(tmp_path: Path) -> None:
    """Scores, result, costs and board."""
    log, said_ = whole_log()
    for event in said_:
        log.write(event)
    found = derived(log, tmp_path)
    assert found.equal, found.differences
    assert dict(found.counts) == {"run_scores": 1, "results": 1, "costs": 1, "rankings": 1}


def test_what_a_run_cost_before_its_result_was_final_counts_for_nothing(tmp_path: Path) -> None:
    """Though it comes after what the final one cost."""
    log, said_ = whole_log()
    (cost,) = (event for event in said_ if isinstance(event, CostSummarised))
    assert cost.complete
    stale = CostSummarised.model_validate(cost.model_dump(exclude={"event_id"}) | {"inputs_digest": "x", "complete": False})
    for event in (*said_, stale):
        log.write(event)
    assert derived(log, tmp_path).differences == []


@pytest.mark.parametrize("forged", ["cost", "dearer", "row", "board"])
def test_what_was_forged_is_found(forged: str, tmp_path: Path) -> None:
    """A cost in the place of the true one; a later cost beside it; a board's row; a board that no run stands on."""
    log, said_ = whole_log()
    (cost,) = (event for event in said_ if isinstance(event, CostSummarised))
    (ranking,) = (event for event in said_ if isinstance(event, RankingChanged))
    figures = tuple(figure.model_copy(update={"value": 1.0}) for figure in cost.figures)
    match forged:
        case "cost":
            said_[said_.index(cost)] = other(cost, figures=figures)
            why = [f"costs of {R}: figures was said otherwise ({cost.event_id})"]
        case "dearer":
            late = CostSummarised.model_validate(cost.model_dump(exclude={"event_id"}) | {"inputs_digest": "x"})
            said_.append(late)
            why = [f"costs of {R}: what counts does not follow from what was measured ({late.event_id})"]
        case "row":
            rows = (ranking.rows[0].model_copy(update={"score": 1.0}),)
            said_[said_.index(ranking)] = other(ranking, rows=rows)
            why = [f"rankings of task:t: its rows do not follow from the results that it names ({ranking.event_id})"]
        case _:
            late_board = RankingChanged.model_validate(ranking.model_dump(exclude={"event_id"}) | {"board": "task:none"})
            said_.append(late_board)
            why = [f"rankings of task:none: it was said, and no run stands on it ({late_board.event_id})"]
    for event in said_:
        log.write(event)
    assert derived(log, tmp_path).differences == why


def test_a_record_over_which_a_fold_breaks_is_a_difference_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named by its place; what else follows is held to what was said."""
    log, said_ = whole_log()
    for event in said_:
        log.write(event)
    fold = OpenRuns.fold

    def broken(self: OpenRuns, event: Event, *, offset: int | None = None) -> frozenset[str]:
        if isinstance(event, SampleScored) and event.ordinal == 8:
            raise TypeError("planted")
        return fold(self, event, offset=offset)

    place = log.write(test_results.scored(R, 8, 1.0)).place
    monkeypatch.setattr(OpenRuns, "fold", broken)
    found = derived(log, tmp_path)
    assert found.differences == [f"{place.topic}/{place.partition}, offset {place.offset}: it cannot be folded: TypeError: planted"]
    assert found.counts["costs"] == 1


def test_a_board_is_held_to_those_that_can_be_ranked(tmp_path: Path) -> None:
    """Scores whose documents no board can use are named; the board that stands without them does follow."""
    log, said_ = whole_log()
    (scores,) = (event for event in said_ if isinstance(event, RunScored))
    assert scores.documents is not None
    foreign = RunScored.model_validate(scores.model_dump(exclude={"event_id"}) | {"run_id": run_named("foreign")})
    empty = scores.documents.model_copy(update={"ordinals": b""})
    for event in (*said_, foreign.model_copy(update={"documents": empty})):
        log.write(event)
    found = derived(log, tmp_path).differences
    assert len(found) == 2 and "no board can use it" in found[1] and "what counts does not follow" in found[0]
