"""A run is scored anew from the log alone, when its data set is gone."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.score import Scorer
from infra.kafka import Log, Record
from infra.settings import Settings
from schemas.measurements import SampleAnswered
from schemas.results import SampleScored
from streams.topics import ANSWERS, SCORES
from tests.conftest import end, spawn, stack_in
from tests.flow import events_of, request, until_state
from tests.integration.test_harness import mirror

# What lm-eval and the libraries below it warn of is not ours to mend.
pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Settings]:
    """A stack of its own: these processors have settings that others must not share a consumer group with."""
    with stack_in(tmp_path / "home") as settings:
        yield settings


def test_scores_from_the_log_are_the_same_when_the_data_are_gone(stack: Settings, tmp_path: Path) -> None:
    """Answered and scored with the data there; scored again without; equal in every field."""
    data = mirror(tmp_path / "data")
    settings = stack.model_copy(update={"datasets": data})
    names = ("plan", "dispatch", "score", "settle", "rank", "project")
    children = [spawn("agents", name, settings=settings) for name in names]
    children.append(spawn("gpu_agent", settings=settings.model_copy(update={"agent_id": "anew"})))
    asked = request("arc_easy", limit=12)

    async def run() -> None:
        async with Log(settings, client_id="test") as log:
            await log.publish(asked)
        state = await until_state(settings, asked.run_id, "completed", "rejected", "failed")
        assert (state["state"], state["expected"]) == ("completed", 12)

    try:
        asyncio.run(run())
    finally:
        for child in children:
            end(child)
    shutil.rmtree(data)
    asyncio.run(scored_again(stack, asked.run_id))


async def scored_again(stack: Settings, run_id: str) -> None:
    """The scoring agent's own handler over the run's answers writes the very same events again."""
    async with Log(stack, client_id="test") as log:
        before = {event.event_id: event for event in await events_of(log, SCORES, run_id)}
        records: list[Record] = [
            record async for record in log.read([ANSWERS]) if isinstance(record.event, SampleAnswered) and record.event.run_id == run_id
        ]
        since = await log.ends([SCORES])
        scorer = Scorer(log, processes=1)
        try:
            await scorer.handle(records)
        finally:
            scorer.close()
        again = [record.event async for record in log.read([SCORES], since=since) if record.event]
    told = {event.event_id: event for event in again if isinstance(event, SampleScored)}
    assert len(told) == 24
    assert told == before
