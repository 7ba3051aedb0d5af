"""The ranker's shell: when a board is said again, and that a judged run which was forgotten is read back."""

import asyncio
import math
import time
from pathlib import Path
from typing import Any, cast

import pytest

from agents.everywhere import Everywhere
from agents.rank import Holding, Ranker, again_s
from agents.ranked import Ranked, ranked
from infra.kafka import Log
from infra.settings import Settings
from schemas.results import Figure, RankingChanged, RunScored
from schemas.runs import Subject
from schemas.settled import RunSettled
from schemas.trust import DeadLettered
from streams.boards.books import Books
from streams.bounds import MOST_EVENT_BYTES
from streams.settling.documents import packed
from streams.topics import DEAD_LETTERS, RANKINGS
from tests import measured
from tests.in_memory import CODEC, InMemory
from tests.runs import run_named

HERE, THERE = measured.environment("L40S"), measured.environment("H100")
TASK = measured.planned("a", documents=4)


def ranker_of(memory: InMemory, home: Path) -> tuple[Ranker, Books]:
    """A worker that has folded all of a log, and has every partition."""
    log, settings = cast("Log", memory), Settings(home=home)
    everywhere: Everywhere[Books] = Everywhere(log, settings, worker="rank", fold=Holding(CODEC))
    ranker = Ranker(log, settings, everywhere)

    async def act() -> None:
        await everywhere.restore()
        await ranker.assigned(frozenset(range(4)))

    asyncio.run(act())
    return ranker, everywhere.state


def said(memory: InMemory) -> list[RankingChanged]:
    """What was said of boards."""
    every = [record.event for (topic, _), records in memory.records.items() if topic == RANKINGS.name for record in records]
    return [event for event in every if isinstance(event, RankingChanged)]


def alone(ttft_ns: float) -> list[Figure]:
    """The speed of one stream alone; no row of a board can hold a time without end."""
    return [Figure(metric="alone_tokens_per_s", value=5.0, n=10), Figure(metric="alone_ttft_p50", value=ttft_ns, n=10, unit="ns")]


def letters(memory: InMemory) -> list[DeadLettered]:
    """What was given up."""
    every = [record.event for (topic, _), records in memory.records.items() if topic == DEAD_LETTERS.name for record in records]
    return [event for event in every if isinstance(event, DeadLettered)]


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
        async with asyncio.timeout(300):
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


def test_a_run_over_which_ranking_breaks_costs_nobody_else_a_place(tmp_path: Path) -> None:
    """Of twenty, two have a time without end: each one's result is a dead letter with the reason, once; the others are ranked."""
    memory, broken = InMemory(), {4, 13}
    memory.write(HERE)
    for number in range(20):
        speed = alone(math.inf if number in broken else 1e6)
        for event in measured.run(number, f"m-{number}", HERE, scores={TASK: [1.0, 0.0, 1.0, 1.0]}, speed=speed):
            memory.write(event)
    ranker, books = ranker_of(memory, tmp_path)
    asyncio.run(ranker._rank("task:a", books))
    (board,) = said(memory)
    assert {row.run_id for row in board.rows} == {run_named(number) for number in range(20) if number not in broken}
    told = letters(memory)
    assert {letter.reason_code for letter in told} == {"cannot-rank"} and len(told) == 2
    assert "no place on the board task:a, for ranking breaks over it: OverflowError" in told[0].message
    for event in measured.run(20, "m-20", HERE, scores={TASK: [1.0, 1.0, 1.0, 1.0]}):
        books.fold(event)
    asyncio.run(ranker._rank("task:a", books))
    assert len(said(memory)) == 2 and len(said(memory)[1].rows) == 19 and len(letters(memory)) == 2
    asyncio.run(ranker._rank("task:a", books))
    assert len(said(memory)) == 2


def test_a_board_of_none_that_can_be_ranked_is_said_by_dead_letters_alone(tmp_path: Path) -> None:
    """It ends nothing, and is not tried over again until something changes."""
    memory = InMemory()
    for event in (HERE, *measured.run(1, "m", HERE, scores={TASK: [1.0] * 4}, speed=alone(math.inf))):
        memory.write(event)
    ranker, books = ranker_of(memory, tmp_path)
    asyncio.run(ranker._rank("task:a", books))
    asyncio.run(ranker._rank("task:a", books))
    assert not said(memory) and len(letters(memory)) == 1


def test_a_row_that_no_record_holds_costs_nobody_else_a_place(tmp_path: Path) -> None:
    """Its model's address alone is over a record's size."""
    memory = InMemory()
    memory.write(HERE)
    for number, model in ((1, "m"), (2, "x" * MOST_EVENT_BYTES), (3, "n")):
        for event in measured.run(number, model, HERE, scores={TASK: [1.0, 0.0, 1.0, 1.0]}):
            memory.write(event)
    ranker, books = ranker_of(memory, tmp_path)
    asyncio.run(ranker._rank("task:a", books))
    assert [[row.model for row in board.rows] for board in said(memory)] == [["m", "n"]]
    assert [letter.reason_code for letter in letters(memory)] == ["cannot-rank"]


def test_documents_that_cannot_be_used_are_a_dead_letter_when_they_come(tmp_path: Path) -> None:
    """Their run stands nowhere; the others do, and the books can be written and read back."""
    memory = InMemory()
    memory.write(HERE)
    for number in (1, 2):
        for event in measured.run(number, f"m-{number}", HERE, scores={TASK: [1.0, 0.0, 1.0, 1.0]}):
            memory.write(event)
    for event in measured.run(3, "m-3", HERE, scores={TASK: [1.0] * 4}):
        huge = packed(dict.fromkeys(range(4), 1e308), {})
        memory.write(event.model_copy(update={"documents": huge}) if isinstance(event, RunScored) else event)
    ranker, books = ranker_of(memory, tmp_path)
    asyncio.run(ranker._rank("task:a", books))
    assert [len(board.rows) for board in said(memory)] == [2]
    assert [(letter.topic, letter.reason_code) for letter in letters(memory)] == [("assay.run-scores.v1", "documents-unusable")]
    holding = Holding(CODEC)
    assert len(holding.loaded(holding.dumping(books)()).entries("task:a")) == 2


def test_a_board_that_could_not_be_ranked_for_want_of_memory_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while, though nothing else comes to stand on it."""
    memory, tries = InMemory(), list[str]()
    for event in (HERE, *measured.run(1, "m", HERE, scores={TASK: [1.0, 0.0, 1.0, 1.0]})):
        memory.write(event)
    ranker, books = ranker_of(memory, tmp_path)

    def short(name: str, *rest: Any) -> Ranked:
        tries.append(name)
        if len(tries) == 1:
            raise MemoryError
        return ranked(name, *rest)

    monkeypatch.setattr("agents.rank.ranked", short)
    books.touched = {"task:a"}
    for count in (0, 1):
        books.touched.discard("task:a")
        began_s = time.monotonic()
        asyncio.run(ranker._rank("task:a", books))
        assert len(said(memory)) == count
        assert ("task:a" in books.touched, ranker._due["task:a"] - began_s > 50) == (count == 0, count == 0)
