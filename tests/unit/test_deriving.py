"""What counts of all that was said: recomputing must find just that, and not only what it expects to find."""

from collections.abc import Sequence

from infra.deriving import _counting, _Rankings
from schemas.event import Event
from schemas.results import RankingChanged, RankingRow, RunScored
from schemas.settled import RunSettled
from tests import measured
from tests.pool import STAMP
from tests.runs import run_named


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
