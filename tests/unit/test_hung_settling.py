"""A run over whose figures the settler hangs: it ends within its time, and the third start says that the run failed; others complete."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import pytest

from agents.ending import CRASHED, end_where_hung
from infra.in_hand import HANDS
from infra.partitioning import partition_for
from infra.stumbles import SURE, Stumbles
from schemas.runs import RunChanged
from schemas.settled import RunProgressed, RunSettled
from streams.settling import results
from tests.processes import ended
from tests.runs import run_named
from tests.unit.test_results import planned, scored
from tests.unit.test_scored_anew import HOME, R, World

HANG_S: Final = 0.5
PATIENCE_S: Final = 60.0  # of a life in pytest's own process, which must not end where the machine stands still
OTHER: Final = next(run for run in map(run_named, range(99)) if partition_for(run.encode(), 4) == HOME)
once, provisional = results.scored, results.progressed


def hanging(run: Any, *given: Any, **named: Any) -> Any:
    """Never comes to an end over one run."""
    while run.run_id == R:
        time.sleep(0.01)
    return once(run, *given, **named)


async def settled(world: World) -> None:
    """Settles two runs of a sample each, as a worker does."""
    end_where_hung(world.care, world.settings)
    await world._say(
        [world.log.write(event, partition=HOME) for run in (R, OTHER) for event in (planned(run, samples=1), scored(run, 0, 1.0))]
    )


async def lives(home: Path, act: Callable[[World], Coroutine[Any, Any, Any]]) -> None:
    """A worker's life."""
    await act(World(home, hang_s=HANG_S))


def test_a_run_over_which_the_settler_hangs_fails_by_the_third_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its reason, and a last result; the other is completed."""
    monkeypatch.setattr(results, "scored", hanging)
    for starts in (1, 2):
        assert ended(lives, tmp_path, settled, planted={"streams.settling.results.scored": hanging}) == CRASHED
        assert Stumbles(World(tmp_path).settings, worker="settle").hangs(f"settled {R}") == starts * SURE
    world = World(tmp_path, hang_s=PATIENCE_S)
    asyncio.run(settled(world))
    every = [one.event for records in world.log.records.values() for one in records]
    steps = [one for one in every if isinstance(one, RunChanged)]
    assert {(one.run_id, one.state) for one in steps} == {(R, "planned"), (R, "failed"), (OTHER, "planned"), (OTHER, "completed")}
    (failed,) = (one for one in steps if one.state == "failed")
    assert failed.reason_code == "cannot-settle" and "the processor hung over it again and again" in (failed.message or "")
    said = {(one.run_id, one.state, one.final) for one in every if isinstance(one, RunSettled)}
    assert said == {(R, "failed", True), (OTHER, "completed", True)}


def looping(run: Any, *given: Any, **named: Any) -> Any:
    """Never comes to an end over one run, on the event loop itself."""
    while run.run_id == R:
        pass
    return provisional(run, *given, **named)


async def looked_at(world: World) -> list[str]:
    """Says where two runs stand that have half of their samples; the runs of which it was said."""
    end_where_hung(world.care, world.settings)
    for run in (R, OTHER):
        for event in (planned(run, samples=2), scored(run, 0, 1.0)):
            await world.settling.fold(world.state, world.log.write(event, partition=HOME))
    for run_id in (OTHER, R):
        await world.settling._told_progress(world.state, world.state.runs.run(run_id))
    every = [one.event for records in world.log.records.values() for one in records]
    return [one.run_id for one in every if isinstance(one, RunProgressed)]


def test_provisional_figures_that_hang_are_left_out_by_the_third_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It blocks the loop, so that nothing else is seen to move: what was in hand is what the next start knows."""
    monkeypatch.setattr(results, "progressed", looping)
    for starts in (1, 2):
        assert ended(lives, tmp_path, looked_at, planted={"streams.settling.results.progressed": looping}) == CRASHED
        assert Stumbles(World(tmp_path).settings, worker="settle").hangs(f"settled {R}") == starts * SURE
    assert asyncio.run(looked_at(World(tmp_path, hang_s=PATIENCE_S))) == [OTHER]


def test_figures_of_very_many_samples_may_take_longer(tmp_path: Path) -> None:
    """In proportion; and of threads nothing is told where the process is killed."""
    care = World(tmp_path, hang_s=HANG_S).care
    with care.beside("settled x", patience=1000, told=False), care.beside("settled y", told=False):
        time.sleep(0.1)
        assert care.silent(0.05) == ["settled y"]
        (hands,) = (one for path, one in HANDS.items() if path.is_relative_to(tmp_path))
        assert hands._path.read_bytes() == b"[]"
