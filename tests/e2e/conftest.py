"""The browser, once a module; runs to look at and a dead letter, once a session."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from aiokafka import AIOKafkaProducer
from playwright.sync_api import Browser, expect, sync_playwright

from infra.settings import Settings
from streams.topics import REQUESTS
from tests.e2e.pages import CHROMIUM, FLAGS, PATIENCE_MS, completed, submit
from tests.flow import get, until, until_listed, until_row

expect.set_options(timeout=PATIENCE_MS)  # what is not there at once may be slow, and costs nothing where it is


@pytest.fixture(scope="module")  # its driver's loop runs in this thread: where it stays, no test after it could run one of its own
def browser() -> Iterator[Browser]:
    """Debian's Chromium, with a fresh profile."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


async def _spoil(settings: Settings) -> None:
    """Puts a record that is no event on the requests' topic, and waits until it is said to be one."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka)
    await producer.start()
    place = await producer.send_and_wait(REQUESTS.name, b"no event at all")
    await producer.stop()
    sql = "SELECT topic FROM dead_letters WHERE topic = {topic:String} AND partition = {partition:Int64} AND offset = {offset:Int64}"
    await until_row(settings, sql, holds=bool, topic=REQUESTS.name, partition=place.partition, offset=place.offset)


@pytest.fixture(scope="session")
def shown(flow: Settings) -> tuple[str, str]:
    """Two completed runs, beside a dead letter."""
    runs = [submit(flow, model=f"shown-model-with-a-rather-long-name-{letter}") for letter in "ab"]
    with ThreadPoolExecutor(1) as apart:  # the browser's driver has a loop running in this thread
        apart.submit(asyncio.run, _spoil(flow)).result()
    for run_id in runs:
        completed(flow, run_id)
    until_listed(flow, *runs, samples=40)
    ended = f"SELECT DISTINCT run_id, job_id FROM {flow.database}.job_status WHERE state = 'finished' AND run_id IN {tuple(runs)}"
    until(lambda: len(get(flow.clickhouse, params={"query": ended}).text.splitlines()) == 6)  # of each two tasks and a load
    return runs[0], runs[1]
