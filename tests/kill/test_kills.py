"""Every stream processor killed at random moments, ten times each: no sample is lost, none counts twice, and replay says equal."""

import asyncio
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.clickhouse import ClickHouse
from infra.kafka import Log
from infra.replay import verify
from infra.settings import Settings
from schemas.event import derive_run_id
from schemas.requests import Chat, EngineChoice, EvaluationRequested, Judgement, ModelRef
from streams.money.costs import summaries
from streams.money.rates import Rates
from streams.quality.judging import USUAL
from streams.topics import ANSWERS, COSTS, ENVIRONMENTS, PRICES, REQUESTS, RESULTS, SCORES
from tests.code import mirror
from tests.conftest import end, spawn
from tests.flow import PATIENCE_S, events_of, request, until_state
from tests.unit.test_prices import price

pytestmark = [pytest.mark.kill, pytest.mark.timeout(900)]
KILLS, SAMPLES = 10, 160
SLOW = EngineChoice(name="echo", options={"delay_ms": "25"})
PROCESSES = ("plan", "dispatch", "score", "code", "settle", "rank", "cost", "project", "gpu_agent")


class Herd:
    """The processes, each of which is started again as soon as it is found dead."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def keep(self) -> None:
        """Starts what does not run."""
        for name in PROCESSES:
            if name not in self._running or self._running[name].poll() is not None:
                command = ("gpu_agent",) if name == "gpu_agent" else ("agents", name)
                self._running[name] = spawn(*command, settings=self._settings)

    def kill(self, name: str) -> None:
        """SIGKILL, as the kernel or a person would."""
        os.kill(self._running[name].pid, signal.SIGKILL)
        self._running[name].wait()

    def end(self) -> None:
        """Ends all of them."""
        for child in self._running.values():
            end(child)


@pytest.fixture(scope="module")
def herd(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Herd]:
    """All processors and one agent, with problems to write programs for."""
    # A job that meets ten kills is otherwise given up, with that reason, after its third attempt.
    told = {"max_attempts": 3 * KILLS, "datasets": mirror(tmp_path_factory.mktemp("data"), count=SAMPLES)}
    kept = Herd(stack.model_copy(update=told))
    kept.keep()
    yield kept
    kept.end()


def lifetime_s(name: str) -> tuple[float, float]:
    """Between two kills of a process: long enough that it gets to its work now and then, short enough to be in the middle of it."""
    return (0.5, 9.0) if name in ("plan", "dispatch", "score", "code", "settle", "rank", "cost") else (0.3, 5.0)


@pytest.mark.parametrize("name", PROCESSES)
def test_killed_ten_times_at_random_it_loses_nothing_and_counts_nothing_twice(
    stack: Settings, herd: Herd, name: str, tmp_path: Path
) -> None:
    """Runs go on being submitted while it is killed; all complete, with every sample scored once."""
    chance = random.Random(os.environ.get("ASSAY_TEST_SEED", name))
    task = "humaneval" if name == "code" else "assay_arithmetic"

    async def act() -> None:
        asked: list[EvaluationRequested] = []
        async with Log(stack, client_id="test") as log:
            await log.publish(price(version=name))
            for _ in range(KILLS):
                if len(asked) < 3:
                    asked.append(request(task, limit=SAMPLES, engine=SLOW, model=f"echo-{name}-{len(asked)}"))
                    await log.publish(asked[-1])
                await asyncio.sleep(chance.uniform(*lifetime_s(name)))  # the random moment itself: nothing to wait for
                herd.kill(name)
                herd.keep()
            for one in asked:
                state = await until_state(stack, one.run_id, "completed", "failed", "rejected")
                assert (state["state"], state["message"]) == ("completed", None)
                answered = await events_of(log, ANSWERS, one.run_id)
                scored = await events_of(log, SCORES, one.run_id)
                assert sorted(event.ordinal for event in answered) == list(range(SAMPLES))
                assert sorted(event.ordinal for event in scored) == list(range(SAMPLES))
                await until_stored(stack, one.run_id)
                await until_reckoned(log, one.run_id)

    asyncio.run(act())
    verdict = asyncio.run(verify(stack, run_id=None, told=lambda _text: None))
    assert verdict.equal, verdict.difference


def test_a_planner_killed_at_a_runs_completion_asks_for_its_judgements_once(stack: Settings, herd: Herd) -> None:
    """Dead when the run completes, it asks when it is back; dead again before it commits, it asks for the same."""
    chat, engine = Chat(template="{{ messages[-1].content }}\nScore: {{ messages|length }}"), EngineChoice(name="echo")
    judges = tuple(Judgement(task=USUAL, model=ModelRef(uri=name), engine=engine, chat=chat) for name in ("one", "two"))

    async def act() -> None:
        herd.keep()
        async with Log(stack, client_id="test") as log:
            asked = request("assay_copy", limit=20, engine=SLOW, judgements=judges)
            await log.publish(asked)
            await until_state(stack, asked.run_id, "running", "completed")
            herd.kill("plan")
            await until_state(stack, asked.run_id, "completed")
            children = [derive_run_id("Judgement", asked.run_id, place) for place in range(len(judges))]
            assert [await events_of(log, REQUESTS, child) for child in children] == [[], []]
            herd.keep()
            await until_asked(log, children[-1])
            herd.kill("plan")
            herd.keep()
            for child, judge in zip(children, judges, strict=True):
                state = await until_state(stack, child, "completed", "failed", "rejected")
                assert (state["state"], state["message"], state["model"]) == ("completed", None, judge.model.uri)
                (said,) = await events_of(log, REQUESTS, child)
                assert said.parent_run == asked.run_id
                assert {event.value for event in await events_of(log, SCORES, child) if event.metric == "rating"} == {1.0}

    asyncio.run(act())
    verdict = asyncio.run(verify(stack, run_id=None, told=lambda _text: None))
    assert verdict.equal, verdict.difference


async def until_asked(log: Log, run_id: str) -> None:
    """Waits until a run's request is in the log."""
    async with asyncio.timeout(PATIENCE_S):
        while not await events_of(log, REQUESTS, run_id):  # noqa: ASYNC110  # each look reads the log itself
            await asyncio.sleep(0.05)


async def until_reckoned(log: Log, run_id: str) -> None:
    """What was said of a run's costs comes to be what the whole log gives, under every version of the price book."""
    give_up, wanted, said = time.monotonic() + PATIENCE_S, set[str](), set[str]()
    while time.monotonic() < give_up:
        rates = Rates()
        async for record in log.read((PRICES, ENVIRONMENTS)):
            if record.event:
                rates.fold(record.event)
        results = [event for event in await events_of(log, RESULTS, run_id) if event.final]
        wanted = {summary.digest for summary in summaries(results[-1], rates.book, rates.environments)} if results else set()
        said = {event.inputs_digest for event in await events_of(log, COSTS, run_id)}
        if wanted and wanted <= said:
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"costs of {run_id}: said {sorted(said)}, the log gives {sorted(wanted)}")


async def until_stored(stack: Settings, run_id: str) -> None:
    """Stored is checked against sent, by distinct ids."""
    give_up = time.monotonic() + PATIENCE_S
    sql = "SELECT uniqExact(event_id) AS ids, count() AS n FROM scores WHERE run_id = {run_id:String}"
    async with ClickHouse(stack) as clickhouse:
        while time.monotonic() < give_up:
            (found,) = await clickhouse.query(sql, {"run_id": run_id})
            if found["ids"] == SAMPLES:
                assert found["n"] == SAMPLES
                return
            await asyncio.sleep(0.2)
    raise AssertionError(f"{found} of {SAMPLES} scores are stored")
