"""The extremes of every field, sent to every topic of a stack that runs: no process ends, and a run that comes after them is whole."""

import asyncio

import pytest

from infra.embedded.processes import PROCESSORS
from infra.kafka import Log
from infra.settings import Settings
from schemas.catalogue import EVENTS
from schemas.jobs import JobReleased
from streams.topics import BY_EVENT, DEAD_LETTERS, RUNS, jobs_topic
from tests.conftest import assert_alive, end, spawn, stack_in
from tests.extremes import sent
from tests.flow import events_of, request, until_state

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(1800)]


def test_whatever_is_sent_no_process_ends_and_the_next_run_is_whole(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is refused is a dead letter; the letters themselves are read by all that read them."""
    with stack_in(tmp_path_factory.mktemp("extremes")) as settings:
        children = [spawn("agents", name, settings=settings) for name in (*PROCESSORS, "project")]
        children.append(spawn("gpu_agent", settings=settings.model_copy(update={"agent_id": "agent"})))
        try:
            asyncio.run(_sent_and_survived(settings))
            assert_alive(children, settings)
        finally:
            for child in children:
                end(child)


async def _sent_and_survived(settings: Settings) -> None:
    async with Log(settings, client_id="test") as log:
        before = request("assay_copy", limit=4)
        await log.publish(before)
        await until_state(settings, before.run_id, "completed")
        for name in sorted(EVENTS):
            topic = jobs_topic("default") if EVENTS[name] is JobReleased else BY_EVENT[EVENTS[name]]
            for *_, payload in sent(name):
                await log.publish_raw(topic.name, payload, key=None)
        after = request("assay_copy", limit=4)
        await log.publish(after)
        await until_state(settings, after.run_id, "completed")
        assert [change.state for change in await events_of(log, RUNS, after.run_id)][-1] == "completed"
        codes = {getattr(record.event, "reason_code", None) async for record in log.read([DEAD_LETTERS])}
        assert codes >= {"invalid-event"}
