"""A board whose ranking hangs: the process ends within its time, the second start finds over whose run, and all others are ranked."""

import asyncio
import os
import time
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import numpy as np
import pytest

from agents.ending import CRASHED
from agents.everywhere import Everywhere
from agents.rank import Holding, Ranker
from infra.in_hand import HANDS
from infra.kafka import Log
from infra.settings import Settings
from infra.stumbles import SURE, Stumbles
from schemas.event import Event
from schemas.results import RankingChanged
from schemas.runs import Adaptive
from schemas.trust import DeadLettered
from streams.boards import standing
from streams.boards.books import Books
from streams.boards.results import Result
from streams.statistics.ranks import ranges, standings
from streams.topics import DEAD_LETTERS, RANKINGS
from tests import measured
from tests.in_memory import CODEC, InMemory
from tests.processes import ended
from tests.runs import run_named

pytestmark = pytest.mark.slow  # half a minute: processes hang here for as long as a limit lets them

HANG_S: Final = 1.0
HERE = measured.environment("L40S")
TASK, OTHER = measured.planned("a", documents=4), measured.planned("z", documents=4)
CULPRIT: Final = 1  # of three runs on the board of a; a fourth has one of its own


class Sticky(Result):
    """A run over which ranking never ends, in whatever process."""

    def part(self, task: str) -> Adaptive | None:
        """Never."""
        while task:
            time.sleep(0.01)
        return None


class Stuck(Result):
    """A run over which ranking ends its process."""

    def part(self, task: str) -> Adaptive | None:
        """Never."""
        os._exit(bool(task))


def written() -> InMemory:
    """A log of those runs."""
    memory = InMemory()
    memory.write(HERE)
    for number in range(4):
        for event in measured.run(number, f"m-{number}", HERE, scores={OTHER if number == 3 else TASK: [1.0, 0.0, 1.0, float(number % 2)]}):
            memory.write(event)
    return memory


async def ranking(memory: InMemory, settings: Settings, of: type[Result] | None, *, until: int, hang_s: float) -> None:
    """Ranks as a worker does, with the culprit planted, until so many events are said; its process ends where it hangs for `hang_s`."""
    log = cast("Log", memory)
    everywhere: Everywhere[Books] = Everywhere(log, settings.model_copy(update={"hang_s": hang_s}), worker="rank", fold=Holding(CODEC))
    await everywhere.restore()
    if of:
        told = everywhere.state.results[run_named(CULPRIT)]
        everywhere.state.results[run_named(CULPRIT)] = of(**{one.name: getattr(told, one.name) for one in fields(Result)})
    ranker = Ranker(log, settings, everywhere)
    await ranker.assigned(frozenset(range(4)))
    working = asyncio.create_task(ranker.rank())
    async with asyncio.timeout(300):
        while len(events_of(memory, RANKINGS.name)) < until or ranker._apart:  # noqa: ASYNC110  # what a log in memory holds
            await asyncio.sleep(0.01)
    working.cancel()


def events_of(memory: InMemory, topic: str) -> list[Event]:
    """What was said on a topic."""
    return [one.event for (name, _), each in memory.records.items() if name == topic for one in each if one.event]


def hangs(settings: Settings) -> None:
    """A life that ranks with the culprit there."""
    asyncio.run(ranking(written(), settings, Sticky, until=9, hang_s=HANG_S))


def started(settings: Settings, of: type[Result] | None) -> tuple[dict[str, set[str]], list[str], float]:
    """The boards that a later start says, with their runs; the dead letters; and how many seconds it took."""
    memory, began_s = written(), time.monotonic()
    # This is pytest's own process, which must not end where the machine stands still.
    asyncio.run(ranking(memory, settings, of, until=2, hang_s=60.0))
    boards = {one.board: set(one.runs) for one in events_of(memory, RANKINGS.name) if isinstance(one, RankingChanged)}
    letters = [one.message for one in events_of(memory, DEAD_LETTERS.name) if isinstance(one, DeadLettered)]
    return boards, letters, time.monotonic() - began_s


BOARDS: Final = {"task:a": {run_named(number) for number in range(3) if number != CULPRIT}, "task:z": {run_named(3)}}


def test_a_board_over_whose_ranking_a_process_hangs_is_ranked_by_the_next_start_without_the_run_at_fault(tmp_path: Path) -> None:
    """It is told once, with the board and the run; the start after that passes it at once."""
    settings = Settings(home=tmp_path, hang_s=HANG_S)
    assert ended(hangs, settings) == CRASHED
    assert Stumbles(settings, worker="rank").hangs("ranked task:a") == SURE
    boards, (letter,), took_s = started(settings, Sticky)
    assert boards == BOARDS and took_s > 2 * HANG_S
    assert letter.startswith("it has no place on the board task:a, for ranking breaks over it: Hangs: ranking gets nowhere for 1 s")
    boards, letters, _ = started(settings, Sticky)
    assert boards == BOARDS and letters == []


def test_a_run_over_which_ranking_ends_its_process_is_found_too(tmp_path: Path) -> None:
    """As one that hangs."""
    settings = Settings(home=tmp_path, hang_s=60.0)
    Stumbles(settings, worker="rank").note_hung(["ranked task:a"])
    boards, letters, _ = started(settings, Stuck)
    assert boards == BOARDS and len(letters) == 1


def test_a_ranking_that_takes_long_and_gets_on_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run's part of it is a step, and so is each stretch of pairs: by a clock that goes on with them alone."""
    began_s, took_s, silent_s = time.monotonic(), 0.0, list[float]()

    def slowly(*given: Any, **named: Any) -> Any:
        nonlocal took_s
        took_s += 0.4 * HANG_S
        every = [one for path, hands in HANDS.items() if path.is_relative_to(tmp_path) for one in hands.held]
        silent_s.extend(one.pulse.silent_s for one in every if one.pulse)
        return once(*given, **named)

    once = standing._of_values
    monkeypatch.setattr(standing, "_of_values", slowly)
    monkeypatch.setattr("infra.pulse.time", SimpleNamespace(monotonic=lambda: began_s + took_s))
    boards, letters, _ = started(Settings(home=tmp_path), None)
    assert len(boards["task:a"]) == 3 and letters == []
    assert took_s > HANG_S and 0 < max(silent_s) < HANG_S


def test_every_stretch_of_pairs_is_a_step() -> None:
    """Of thousands of runs there are many."""
    told = []
    ranges([standings(np.eye(1000))], moved=lambda: told.append(1))
    assert len(told) == 10
