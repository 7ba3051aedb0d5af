"""A supervised process is up when it says that it is ready; `assay status` shows the figures that it measures."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from infra.identity import now_us, producer
from infra.kafka import Log
from infra.settings import Settings
from schemas.jobs import Job, JobPlanned
from schemas.requests import Chat, EngineChoice, ModelRef
from schemas.runs import RunChanged
from schemas.trust import DeadLettered
from streams.topics import REQUESTS
from streams.trust.dead_letters import Letter, requeued
from tests.conftest import environment, free_ports, tied
from tests.flow import get, until
from tests.integration.test_supervisor import until_up
from tests.runs import run_named

pytestmark = [pytest.mark.integration, pytest.mark.slow]
RUN = (
    "from infra.embedded import supervisor; from infra.embedded.processes import stack; from infra.settings import Settings; "
    "chosen = [one for one in stack() if one.name in ('broker', 'registry', 'agents.dispatch')]; "
    "supervisor.run(Settings(), agents=1, told=lambda n, w: None, processes=chosen)"
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A supervisor of the log and of the dispatcher."""
    kafka, registry = free_ports(2)
    home = tmp_path_factory.mktemp("status")
    given = Settings(home=home, kafka=f"127.0.0.1:{kafka}", registry=f"http://127.0.0.1:{registry}")
    popen = subprocess.Popen(tied("-c", RUN, at_our_end=signal.SIGTERM), env=environment(given))
    try:
        until_up(given, popen, "broker", "registry", "agents.dispatch")
        yield given
    finally:
        popen.terminate()
        popen.wait(60)


def status(settings: Settings) -> dict[str, Any]:
    """What `assay status --json` prints."""
    command = [sys.executable, "-m", "query_api.cli.main", "status", "--json"]
    return dict(json.loads(subprocess.run(command, env=environment(settings), capture_output=True, text=True, check=False).stdout))


def dispatcher(settings: Settings) -> dict[str, Any]:
    """The dispatcher's row."""
    return next(one for one in status(settings)["processes"] if one["name"] == "agents.dispatch")


def planned(number: int) -> JobPlanned:
    """A job for which there is no agent."""
    run_id = run_named("queued")
    job = Job(run_id=run_id, job_id=f"{run_id}/t/0/{number}", kind="answer", pool="default", submitter="me", organisation_id="local",
              priority=0,               model=ModelRef(uri="m"), engine=EngineChoice(name="echo"), chat=Chat())  # fmt: skip
    return JobPlanned(occurred_us=now_us(), producer=producer("test"), pool="default", job_id=job.job_id, run_id=run_id, job=job)


def test_jobs_that_wait_are_counted(settings: Settings) -> None:
    """There are three, and no agent; what no process here measures is null."""

    async def act() -> None:
        async with Log(settings, client_id="test") as log:
            await log.publish(RunChanged(occurred_us=now_us(), producer=producer("test"), run_id=run_named("queued"), state="planned"))
            await log.publish_all(planned(number) for number in range(3))

    asyncio.run(act())
    until(lambda: status(settings)["queue_jobs"] == 3)
    told = status(settings)
    assert (told["leases"], told["agents"], told["insert_delay_s"], told["dead_letters"]) == (0, 0, None, 0)


def test_a_dead_letter_waits_until_it_is_requeued(settings: Settings) -> None:
    """The mark that says so is no letter itself."""
    first, second = (
        DeadLettered(occurred_us=now_us(), producer=producer("test"), topic=REQUESTS.name, partition=0, offset=offset,
                     reason_code="not-avro", message="is no Avro", payload=b"{}")
        for offset in (1, 2)
    )  # fmt: skip
    mark = requeued(Letter(first, None), place="a/0@3", by="me", occurred_us=now_us(), producer=producer("test"))

    async def publish(*events: DeadLettered) -> None:
        async with Log(settings, client_id="test") as log:
            await log.publish_all(events)

    asyncio.run(publish(first, second))
    assert status(settings)["dead_letters"] == 2
    asyncio.run(publish(mark))
    assert status(settings)["dead_letters"] == 1


def test_a_process_serves_its_metrics_and_its_health(settings: Settings) -> None:
    """At the address that the status names."""
    address = dispatcher(settings)["metrics"]
    assert 'assay_queue_jobs{pool="default"}' in get(f"http://{address}/metrics").text
    assert get(f"http://{address}/readyz").json() == {"ready": True, "waits_for_s": {}}
    assert get(f"http://{address}/healthz").json() == {"alive": True}
    assert get(f"http://{address}/nowhere").status_code == 404


def test_a_stuck_process_is_not_healthy_and_a_killed_one_is_started_again(settings: Settings) -> None:
    """Stopped, it answers nobody; killed, it comes back ready, at an address of its own."""
    before = dispatcher(settings)
    os.kill(before["pid"], signal.SIGSTOP)
    with pytest.raises(httpx.TimeoutException):
        httpx.get(f"http://{before['metrics']}/healthz", timeout=1)
    os.kill(before["pid"], signal.SIGKILL)
    until(lambda: dispatcher(settings)["state"] == "up" and dispatcher(settings)["restarts"] == 1)
    after = dispatcher(settings)
    assert after["last_exit"] == -signal.SIGKILL
    assert get(f"http://{after['metrics']}/readyz").is_success
