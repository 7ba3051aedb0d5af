"""Every processor in company: workers come, go gently, and are killed while runs go on; figures are those of one undisturbed worker."""

import asyncio
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence

import pytest

from infra.clickhouse import ClickHouse
from infra.deriving import Derived, derive
from infra.kafka import Log
from infra.replay import verify
from infra.settings import Settings
from schemas.requests import EngineChoice, EvaluationRequested
from streams.topics import JOBS_PLANNED, PRICES, RESULTS, RUN_SCORES, RUNS
from tests.conftest import end, spawn, stack_in
from tests.flow import PATIENCE_S, events_of, request, until_row, until_state
from tests.unit.test_prices import price

pytestmark = [pytest.mark.kill, pytest.mark.timeout(1800)]
NAMES = ("plan", "dispatch", "score", "code", "settle", "rank", "cost", "project", "seal")
AS_FOUR = ("plan", "score", "settle", "rank", "cost", "project")  # of the others one works and two stand by, or all do the same
SAMPLES = 120
BOARDS = ("assay_arithmetic+assay_copy", "task:assay_arithmetic", "task:assay_copy")
# All that a board says of where a run stands; its speed and how many runs its model has had are the run's own.
STANDING = "board, version, position, rank, score, low, high, rank_low, rank_high, samples, sequential, missing"
SLOW = EngineChoice(name="echo", options={"delay_ms": "60"})
Workers = dict[tuple[str, int], subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A stack of its own: its workers come and go."""
    with stack_in(tmp_path_factory.mktemp("company")) as settings:
        yield settings.model_copy(update={"snapshot_s": 2.0, "samples_per_job": 25})


@pytest.fixture
def workers(stack: Settings) -> Iterator[Workers]:
    """Workers by processor and number, and one agent."""
    running: Workers = {}
    agent = spawn("gpu_agent", settings=stack.model_copy(update={"agent_id": "only"}))
    yield running
    for child in (*running.values(), agent):
        end(child)


def start(workers: Workers, settings: Settings, number: int, names: Sequence[str] = NAMES) -> None:
    """One more worker of every processor, or of these."""
    for name in names:
        workers[name, number] = spawn("agents", name, settings=settings)


async def told_of(log: Log, asked: EvaluationRequested) -> dict[str, object]:
    """What was said of a run: its steps and jobs, the figures of its tasks, and what its last result says of each."""
    steps = [event.state for event in await events_of(log, RUNS, asked.run_id)]
    jobs = sorted(event.job_id.removeprefix(asked.run_id) for event in await events_of(log, JOBS_PLANNED, asked.run_id))
    scores = {event.task: event.figures for event in await events_of(log, RUN_SCORES, asked.run_id)}
    results = [event for event in await events_of(log, RESULTS, asked.run_id) if event.final]
    tasks = [(one.task, one.documents, one.figure) for one in results[-1].tasks] if results else []
    return {"steps": steps, "jobs": jobs, "scores": scores, "tasks": tasks}


async def until_settled(log: Log, asked: EvaluationRequested) -> dict[str, object]:
    """The same, once the run's last word is said."""
    give_up = time.monotonic() + PATIENCE_S
    while not (told := await told_of(log, asked))["tasks"]:
        assert time.monotonic() < give_up, f"{asked.run_id} is not settled"
        await asyncio.sleep(0.5)
    return told


def test_workers_come_go_and_die_and_every_run_ends_with_the_figures_of_one_worker(stack: Settings, workers: Workers) -> None:
    """One worker of each; two, the first ended gently in the middle; two or four, of which any is killed. The same run each time.

    Boards stand as one worker said them. And all that was said of runs, costs and boards is what their folds make of the log from zero, in
    one process; so are the snapshots, and the tables.
    """
    chance = random.Random(os.environ.get("ASSAY_TEST_SEED", "company"))

    async def act() -> None:
        async with Log(stack, client_id="test") as log:
            await log.publish(price(version="company"))
            assert [record async for record in log.read([PRICES])]
            start(workers, stack, 1)
            alone = request("assay_arithmetic", "assay_copy", limit=SAMPLES, engine=SLOW)
            await log.publish(alone)
            await until_state(stack, alone.run_id, "completed", "failed")
            wanted, boards = await until_settled(log, alone), await until_standing(stack, alone)

            handed = request("assay_arithmetic", "assay_copy", limit=SAMPLES, engine=SLOW)
            start(workers, stack, 2)
            await log.publish(handed)
            await until_scored(stack, handed, int(0.4 * 2 * SAMPLES))
            for name in NAMES:  # gently, in the middle
                end(workers.pop((name, 1)))
            assert (await until_state(stack, handed.run_id, "completed", "failed"))["state"] == "completed"
            assert await until_settled(log, handed) == wanted

            runs = [request("assay_arithmetic", "assay_copy", limit=SAMPLES, engine=SLOW) for _ in range(4)]
            for one in runs:
                await log.publish(one)
            start(workers, stack, 3)
            for number in (4, 5):
                start(workers, stack, number, AS_FOUR)
            for _ in range(12):
                await asyncio.sleep(chance.uniform(0.5, 4.0))  # the random moment itself: nothing to wait for
                name, number = chance.choice(sorted(workers))
                os.kill(workers[name, number].pid, signal.SIGKILL)
                workers[name, number].wait()
                workers[name, number] = spawn("agents", name, settings=stack)
            for one in runs:
                assert (await until_state(stack, one.run_id, "completed", "failed"))["state"] == "completed"
                assert await until_settled(log, one) == wanted
            everyone = {one.run_id for one in (alone, handed, *runs)}
            assert await until_standing(stack, *runs) == boards
            for table in ("costs", "seals"):
                await until_row(
                    stack, f"SELECT DISTINCT run_id FROM {table}", holds=lambda rows: {row["run_id"] for row in rows} >= everyone
                )
            found = await until_derived(stack)
            assert found.in_flight == [] and found.snapshots > 0
            counts = {"results": len(everyone), "run_scores": 2 * len(everyone), "rankings": len(BOARDS)}
            assert {kind: found.counts[kind] for kind in counts} == counts and found.counts["costs"] >= len(everyone)
            tables = await verify(stack, run_id=None, told=lambda _text: None)
            assert tables.equal, tables.difference

    asyncio.run(act())


async def until_standing(stack: Settings, *runs: EvaluationRequested) -> list[dict[str, object]]:
    """How one of these runs stands on each board, once it is on all."""
    names, last = ", ".join(f"'{name}'" for name in BOARDS), {one.run_id for one in runs}
    newest = f"SELECT run_id FROM ranking_rows WHERE board IN ({names})"
    await until_row(stack, newest, holds=lambda rows: len(rows) == len(BOARDS) and {row["run_id"] for row in rows} <= last)
    return await until_row(stack, f"SELECT {STANDING} FROM ranking_rows WHERE board IN ({names}) ORDER BY board", holds=bool)


async def until_derived(stack: Settings) -> Derived:
    """What all that was said is held to, once the last of it is said: costs and boards come after results."""
    give_up = time.monotonic() + PATIENCE_S
    while not (found := await derive(stack, told=lambda _text: None)).equal:
        assert time.monotonic() < give_up, found.difference
        await asyncio.sleep(1.0)
    return found


async def until_scored(stack: Settings, asked: EvaluationRequested, count: int) -> None:
    """Waits until so many of a run's samples are scored."""
    sql, give_up = "SELECT uniqExact(ordinal, task) AS n FROM scores WHERE run_id = {run_id:String}", time.monotonic() + PATIENCE_S
    async with ClickHouse(stack) as clickhouse:
        while (await clickhouse.query(sql, {"run_id": asked.run_id}))[0]["n"] < count:
            assert time.monotonic() < give_up
            await asyncio.sleep(0.2)
