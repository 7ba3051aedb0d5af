"""The ranker's shell: when a board is said again, and that a judged run which was forgotten is read back."""

import asyncio
from pathlib import Path
from typing import cast

from agents.everywhere import Everywhere
from agents.rank import Holding, Ranker, again_s
from infra.kafka import Log
from infra.settings import Settings
from schemas.results import RankingChanged
from schemas.runs import Subject
from schemas.settled import RunSettled
from streams.boards.books import Books
from streams.topics import RANKINGS
from tests import measured
from tests.in_memory import CODEC, InMemory
from tests.runs import run_named

HERE, THERE = measured.environment("L40S"), measured.environment("H100")
TASK = measured.planned("a", documents=4)


def ranker_of(memory: InMemory, home: Path) -> tuple[Ranker, Books]:
    """A worker that has folded all of a log, and has every partition."""
    log, settings = cast("Log", memory), Settings(home=home)
    everywhere: Everywhere[Books] = Everywhere(log, settings, worker="rank", fold=Holding(CODEC))
    ranker = Ranker(log, everywhere)

    async def act() -> None:
        await everywhere.restore()
        await ranker.assigned(frozenset(range(4)))

    asyncio.run(act())
    return ranker, everywhere.state


def said(memory: InMemory) -> list[RankingChanged]:
    """What was said of boards."""
    every = [record.event for (topic, _), records in memory.records.items() if topic == RANKINGS.name for record in records]
    return [event for event in every if isinstance(event, RankingChanged)]


def test_a_long_board_waits_longer_before_it_is_said_again() -> None:
    """Ten milliseconds a row, and at least as long as it took; one that stood as before, just that."""
    assert again_s(5.0, 5.5, rows=1000) == 15.5
    assert again_s(5.0, 25.0, rows=1000) == 45.0
    assert again_s(5.0, 5.5, rows=0) == 6.0


def test_completions_while_a_board_waits_are_told_by_one_event(tmp_path: Path) -> None:
    """The first is said at once."""
    memory = InMemory()
    memory.write(HERE)
    for event in measured.run(1, "m-1", HERE, scores={TASK: [1.0, 0.0, 1.0, 1.0]}):
        memory.write(event)
    ranker, books = ranker_of(memory, tmp_path)

    async def act() -> None:
        ranking = asyncio.create_task(ranker.rank())
        async with asyncio.timeout(30):
            while not said(memory):  # noqa: ASYNC110  # what a log in memory holds
                await asyncio.sleep(0.01)
            ranker._due["task:a"] = float("inf")
            for number in range(2, 5):
                for event in measured.run(number, f"m-{number}", HERE, scores={TASK: [1.0, 0.0, 1.0, 0.0]}):
                    books.fold(event)
            ranker._due["task:a"] = 0.0
            while len(said(memory)) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        ranking.cancel()

    asyncio.run(act())
    assert [len(event.rows) for event in said(memory)] == [1, 4]


def test_a_run_that_is_judged_after_it_was_forgotten_is_read_back(tmp_path: Path) -> None:
    """Its row tells the machine that it ran on, not the judge's."""
    memory = InMemory()
    for event in (
        HERE,
        THERE,
        *measured.run(1, "m", HERE, scores={TASK: [1.0] * 4}),
        *measured.run(2, "m", HERE, scores={TASK: [0.0] * 4}),
    ):
        memory.write(event)
    plan = measured.plan("m", [TASK])
    subject = Subject(
        run_id=run_named(1), model=plan.model, model_sha=plan.model_sha, engine=plan.engine, chat=plan.chat, chat_template_sha="",
    )  # fmt: skip
    for event in measured.run(3, "judge", THERE, scores={TASK: [1.0] * 4}, subject=subject):
        memory.write(event)
        judge = event
    ranker, books = ranker_of(memory, tmp_path)
    assert run_named(1) in books.past and run_named(1) not in books.results
    assert isinstance(judge, RunSettled)
    (name,) = (one for one in books.boards if " by judge" in one)
    asyncio.run(ranker._rank(name, books))
    assert [(row.run_id, row.hardware) for event in said(memory) for row in event.rows] == [(judge.run_id, "L40S")]
