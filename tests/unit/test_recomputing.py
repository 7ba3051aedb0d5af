"""What a processor gave up, for it hung there, holds up nobody who recomputes it: it comes to the same as was said."""

import asyncio
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import pytest

from agents.ranked import ranked
from infra import deriving
from infra.builds import Builds
from infra.kafka import Log
from infra.kafka.letters import letter_for
from infra.recomputing import Ways, recomputed
from infra.settings import Settings
from schemas.runs import RunChanged
from schemas.settled import LeftOut, RunSettled
from streams.boards.books import Books
from streams.boards.reckoned import Reckoned
from streams.boards.results import Result
from streams.quality.scores import TaskScores
from streams.settling import results
from streams.settling.runs import OpenRuns
from streams.topics import RESULTS
from tests import measured
from tests.in_memory import InMemory
from tests.runs import run_named
from tests.stuck import StuckResult, StuckScores
from tests.unit.test_results import HEADER, R, planned, scored

HERE, TASK = measured.environment("L40S"), measured.planned("a", documents=4)


def as_(kind: type[Any], told: object, of: type[Any]) -> Any:
    """The same, as another kind."""
    return kind(**{one.name: getattr(told, one.name) for one in fields(of)})


def test_a_run_that_its_ranker_gave_up_stands_on_no_recomputed_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at in a process of its own, which ends; the others stand as was said."""
    log, culprit, books = InMemory(), run_named(1), Books(whole=True)
    events = [
        HERE,
        *(event for number in (0, 1) for event in measured.run(number, f"m-{number}", HERE, scores={TASK: [1.0, 0.0, 1.0, 1.0]})),
    ]
    for record in map(log.write, events):
        assert record.event is not None
        books.fold(record.event)
        if record.place.topic == RESULTS.name and record.key == culprit.encode():
            log.write(letter_for(record, code="cannot-rank", message="it has no place on the board task:a", service="rank"))
    made = ranked("task:a", [one for one in books.entries("task:a") if one.run.run_id != culprit], None, Reckoned()).made
    assert made is not None
    log.write(*made)
    once = deriving._books

    async def planted(*given: Any) -> tuple[Books, set[str]]:
        found, lost = await once(*given)
        assert lost == {culprit}
        found.results[culprit] = as_(StuckResult, found.results[culprit], Result)
        return found, lost

    monkeypatch.setattr(deriving, "_books", planted)
    found = asyncio.run(deriving.recompute(cast("Log", log), Settings(home=tmp_path), told=lambda _text: None))
    assert [one for one in found.differences if one.startswith("rankings")] == []


def test_a_failed_run_over_whose_scores_its_settler_hung_has_none_when_they_are_recomputed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its result has none."""
    runs, log = OpenRuns(), InMemory()
    for event in (planned(R, samples=1), scored(R, 0, 1.0), RunChanged(**HEADER, run_id=R, state="failed", reason_code="cannot-settle")):
        runs.fold(event)
    run = runs.run(R)
    run.scores = {which: as_(StuckScores, scores, TaskScores) for which, scores in run.scores.items()}

    why, once = list[str](), results.left_out

    def left_out(task: str | None, version: str | None, error: Exception) -> LeftOut:
        why.append(f"{task} {error}")
        return once(task, version, error)

    async def act() -> list[tuple[str, Any]]:
        with Ways.of(Settings(home=tmp_path)) as ways:
            return [one async for one in recomputed(run, Builds(cast("Log", log)), ways, log.vault, doubtful=True)]

    monkeypatch.setattr(results, "left_out", left_out)
    ((kind, result),) = asyncio.run(act())
    assert why == ["t it gets nowhere for 300.003 s, or ends its process"]
    assert kind == "results" and isinstance(result, RunSettled) and (result.state, result.tasks, result.final) == ("failed", (), True)
