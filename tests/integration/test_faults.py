"""Stores that are not there: at the start, and gone in the middle of a run. Nothing is lost, nothing counts twice, and it goes on."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright
from prometheus_client.parser import text_string_to_metric_families

from infra.kafka import Log
from infra.replay import verify
from streams.topics import ANSWERS, SCORES
from tests.e2e.pages import CHROMIUM, FLAGS
from tests.faults import PROCESSES, STORES, Stack, faulty
from tests.flow import events_of

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(1800)]
SAMPLES = 160
AS_OF = re.compile(r"data as of \d\d:\d\d:\d\d")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose processes were all there before its stores, and whose API is ready by now."""
    with faulty(tmp_path_factory.mktemp("faults")) as made:
        made.start(*PROCESSES)
        for name in PROCESSES:
            made.until(lambda name=name: '"waiting"' in made.log_of(name), what=f"{name} waits")  # type: ignore[misc]
        made.start(*STORES)
        made.until(made.ready, what="the API is ready")
        yield made


def submit(stack: Stack, *, delay_ms: int = 25) -> str:
    """A run of the echo engine that takes some seconds."""
    engine = {"name": "echo", "options": {"delay_ms": str(delay_ms)}}
    body = {"model": {"uri": "echo"}, "engine": engine, "tasks": [{"name": "assay_arithmetic", "limit": SAMPLES}]}
    return str(httpx.post(f"{stack.settings.api}/v1/evaluations", json=body, timeout=30).raise_for_status().json()["run_id"])


def under_way(stack: Stack) -> str:
    """A run with some of its answers given, and most not."""
    run_id = submit(stack, delay_ms=150)  # slow enough to be met on the way, however slow the machine
    stack.until(lambda: 0 < answered(stack, run_id) < SAMPLES // 2, what="first answers")
    return run_id


def told(stack: Stack, run_id: str) -> dict[str, Any]:
    """The run as the API tells it; empty while it cannot."""
    answer = stack.get(f"/v1/runs/{run_id}")
    return dict(answer.json()) if answer is not None and answer.is_success else {}


def answered(stack: Stack, run_id: str) -> int:
    """Samples that ClickHouse knows to be answered."""
    return sum(task["answered"] for task in told(stack, run_id).get("tasks", []))


def whole(stack: Stack, run_id: str) -> None:
    """Waits until the run has completed; every sample was answered and scored, and counts once, in the log and in ClickHouse."""
    stack.until(lambda: told(stack, run_id).get("state") not in (None, "requested", "planned", "running"), what="the run's end")
    assert (told(stack, run_id)["state"], told(stack, run_id)["message"]) == ("completed", None)

    async def counted() -> None:
        async with Log(stack.settings, client_id="test") as log:
            for topic in (ANSWERS, SCORES):
                assert sorted(event.ordinal for event in await events_of(log, topic, run_id)) == list(range(SAMPLES))
        verdict = await verify(stack.settings, run_id=None, told=lambda _text: None)
        assert verdict.equal, verdict.difference

    asyncio.run(counted())
    assert [(task["expected"], task["scored"]) for task in told(stack, run_id)["tasks"]] == [(SAMPLES, SAMPLES)]


def waits(stack: Stack, name: str) -> list[str]:
    """What a process says that it waits for."""
    return list(httpx.get(f"http://{stack.metrics[name]}/readyz", timeout=60).json()["waits_for_s"])


def measured(stack: Stack) -> dict[str, float]:
    """Every process's metrics, the sum of each one's series."""
    addresses = [f"http://{stack.metrics[name]}" for name in PROCESSES if name != "query_api"] + [stack.settings.api]
    found: dict[str, float] = {}
    for address in addresses:
        for family in text_string_to_metric_families(httpx.get(f"{address}/metrics", timeout=60).text):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def refused(answer: httpx.Response | None, *, says: str) -> None:
    """The answer is a problem document: not now, try again after a while, for this reason."""
    assert answer is not None
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert int(answer.headers["retry-after"]) >= 1
    assert says in answer.json()["detail"]


def test_processes_that_started_before_the_stores_wait_and_complete_a_run(stack: Stack) -> None:
    """None of them has ended."""
    whole(stack, submit(stack, delay_ms=0))
    assert stack.ended == []


def test_a_broker_killed_in_the_middle_of_a_run_loses_nothing(stack: Stack) -> None:
    """Nobody ends; the API says so meanwhile; no attempt is spent on an outage; then the run goes on from where it was.

    What the API could not confirm may have arrived: asked again under the run id that it named, it is one run.
    """
    run_id = under_way(stack)
    stack.kill("broker")
    stack.until(lambda: not stack.ready(), what="the API says that the log is away")
    refused(stack.get("/readyz"), says="the log has not answered since")
    body = {"model": {"uri": "echo"}, "engine": {"name": "echo"}, "tasks": [{"name": "assay_copy", "limit": 2}]}
    unconfirmed = httpx.post(f"{stack.settings.api}/v1/evaluations", json=body, timeout=30)
    refused(unconfirmed, says="a full disk, for one")
    again = unconfirmed.json()["detail"].rpartition("send run_id ")[2]
    page = stack.get("/")
    assert page is not None and AS_OF.search(page.text)
    stack.start("broker")
    whole(stack, run_id)
    assert httpx.post(f"{stack.settings.api}/v1/evaluations", json=body | {"run_id": again}, timeout=30).status_code == 202
    stack.until(lambda: told(stack, again).get("state") == "completed", what="the run that was asked for twice")
    assert stack.ended == []
    assert '"attempt": 2' not in stack.log_of("agents.dispatch")


def test_a_clickhouse_killed_in_the_middle_of_a_run_loses_nothing(stack: Stack) -> None:
    """The run goes on meanwhile and the tables catch up; an open page keeps what it shows and says of when that is.

    A page that nobody has seen yet says what is away, and becomes itself, without a script too.
    """
    run_id = under_way(stack)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.goto(f"{stack.settings.api}/runs/{run_id}")
        live = page.locator("[data-live]")
        expect(live).to_have_text("live", timeout=60_000)
        stack.kill("clickhouse")
        stack.until(lambda: not stack.ready(), what="the API says that ClickHouse is away")
        stack.until(lambda: waits(stack, "agents.project") == ["effect of a batch"], what="the projector says that it waits")
        refused(stack.get(f"/v1/runs/{run_id}"), says="no ClickHouse at")
        expect(live).to_have_text(AS_OF, timeout=60_000)
        expect(page.locator("h1")).to_contain_text("echo")
        reloaded = page.reload()
        assert reloaded is not None and reloaded.status == 503
        expect(page.locator("h1")).to_contain_text("echo")
        expect(live).to_have_text(AS_OF)
        other = browser.new_context(java_script_enabled=False).new_page()
        unseen = other.goto(f"{stack.settings.api}/runs/{run_id}/samples?sort=value")
        assert unseen is not None and (unseen.status, unseen.headers["content-type"]) == (503, "text/html; charset=utf-8")
        expect(other.locator("main")).to_contain_text("no ClickHouse at")
        expect(other.locator("main")).to_contain_text("tries again by itself")
        stack.start("clickhouse")
        expect(live).to_have_text("live", timeout=60_000)
        expect(other.locator("h1")).to_contain_text("Samples of echo", timeout=60_000)
        browser.close()
    whole(stack, run_id)
    assert stack.ended == []


def test_every_process_has_measured_what_it_did(stack: Stack) -> None:
    """Four runs: all handled, nothing left behind, nothing refused."""
    stack.until(lambda: measured(stack)["assay_consumer_lag_events"] < 20, what="the lag is gone, but for heartbeats")
    found = measured(stack)
    assert found["assay_events_handled_total"] > 3 * 2 * SAMPLES
    assert found["assay_ready"] == len(PROCESSES) - 1
    assert (found["assay_queue_jobs"], found["assay_leases"], found["assay_agents"]) == (0, 0, 1)
    assert (found["assay_attempts_total"], found["assay_model_loads_total"]) == (4, 4)
    assert found["assay_batch_seconds_count"] > 0 and found["assay_insert_delay_seconds_count"] > 0
    assert found["assay_last_insert_delay_seconds"] < 60
    assert found["assay_request_seconds_count"] > 0
    assert "assay_dead_letters_total" not in found
