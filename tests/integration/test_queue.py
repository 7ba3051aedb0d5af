"""Waiting, deadlines and budgets on the real stack: what a run waits for reaches everybody; a run that must stop keeps what it has."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from uuid6 import uuid7

from infra.identity import now_us
from infra.kafka import Log
from infra.settings import Settings
from schemas.requests import Budget, EngineChoice
from schemas.runs import RunDelayed
from streams.topics import DELAYS, RUNS
from tests.flow import events_of, post, request, until_row, until_state
from tests.integration.test_api import until
from tests.integration.test_cli import assay, document

pytestmark = [pytest.mark.integration, pytest.mark.slow]
# Minutes, were it not stopped: however slow the machine, it still runs when it is looked at.
SLOW = EngineChoice(name="echo", options={"delay_ms": "500"})


async def submitted(flow: Settings, log: Log, *, samples: int = 400, **told: Any) -> str:
    """The id of a run of the slow engine."""
    asked = request("assay_arithmetic", limit=samples, engine=SLOW, **told)
    await log.publish(asked)
    return asked.run_id


async def until_waiting(flow: Settings, run_id: str, *, waits: bool) -> str | None:
    """What the API says that the run waits for, once it waits, or waits no longer."""
    sql = "SELECT waits_for, state FROM run_states WHERE run_id = {run_id:String}"
    await until_row(flow, sql, holds=lambda rows: bool(rows) and (rows[0]["waits_for"] is not None) == waits, run_id=run_id)
    async with httpx.AsyncClient(base_url=flow.api, timeout=60) as api:
        told: str | None = (await api.get(f"/v1/runs/{run_id}")).json()["waits_for"]
        return told


@contextmanager
def listening(flow: Settings, run_id: str) -> Iterator[list[dict[str, Any]]]:
    """The run's live events of a kind, as they have come when the block ends."""
    told: list[dict[str, Any]] = []
    with httpx.stream("GET", f"{flow.api}/v1/live?run={run_id}&topics=delays", timeout=60) as stream:
        lines = stream.iter_lines()
        yield told
        for line in lines:
            if line.startswith("data: {") and line != "data: {}":
                told.append(json.loads(line.removeprefix("data: ")))
            if told and told[-1]["waits_for"] is None:
                return


def test_a_run_of_a_pool_that_nobody_serves_says_so(flow: Settings) -> None:
    """It is told by no dispatcher, for there is none: the API and the command line say it, with the pools that there are."""
    asked = request("assay_arithmetic", limit=2, pool="misspelt")

    async def act() -> None:
        async with Log(flow, client_id="test") as log:
            await log.publish(asked)
        sql = "SELECT state FROM run_states WHERE run_id = {run_id:String} AND state = 'planned'"
        await until_row(flow, sql, holds=bool, run_id=asked.run_id)

    asyncio.run(act())
    says = "a dispatcher of pool 'misspelt': none ever served it, there are default"
    told = document(assay(flow, "run", asked.run_id, "--json"))
    assert (told["state"], told["waits_code"]) == ("planned", "no-dispatcher")
    assert told["waits_for"].startswith(says) and "ASSAY_POOL=misspelt" in told["waits_for"]
    (listed,) = [run for run in document(assay(flow, "runs", "--json"))["runs"] if run["run_id"] == asked.run_id]
    assert listed["waits_for"] == told["waits_for"]


def test_a_run_that_waits_says_for_what_everywhere_until_it_waits_no_longer(flow: Settings) -> None:
    """Both agents busy: in the API, the list, the page, the command line and the live stream; gone when an agent is free."""

    async def act() -> None:
        async with Log(flow, client_id="test") as log, httpx.AsyncClient(base_url=flow.api, timeout=60) as api:
            ahead = [await submitted(flow, log, model=f"echo-{n}") for n in range(2)]
            for run_id in ahead:
                await until_state(flow, run_id, "running")
            behind = str(uuid7())
            with listening(flow, behind) as told:
                await log.publish(
                    request("assay_arithmetic", limit=4, model="echo-behind").model_copy(update={"run_id": behind, "event_id": ""})
                )
                await until_state(flow, behind, "planned")
                assert await until_waiting(flow, behind, waits=True) == "a free agent; it is next"
                says = "waits for a free agent; it is next"
                assert says in (await api.get("/")).text
                assert says in " ".join(assay(flow, "run", behind).stdout.split())
                listed = {run["run_id"]: run["waits_for"] for run in document(assay(flow, "runs", "--json"))["runs"]}
                assert (listed[behind], listed[ahead[0]]) == ("a free agent; it is next", None)
                for run_id in ahead:
                    (await api.post(f"/v1/runs/{run_id}/cancel", json={"by": "me"})).raise_for_status()
                assert await until_waiting(flow, behind, waits=False) is None
                await until_state(flow, behind, "completed")
            assert [event["waits_for"] for event in told] == ["a free agent; it is next", None]
            events = await events_of(log, DELAYS, behind)
            assert [(event.reason_code, event.ahead) for event in events if isinstance(event, RunDelayed)] == [("busy", 0), (None, None)]

    asyncio.run(act())


def test_a_run_whose_time_is_over_stops_says_so_and_keeps_what_it_has(flow: Settings) -> None:
    """From the command line to the answers and provisional scores that stay."""
    asked = assay(flow, "submit", "--engine", "echo", "--option", "delay_ms=500", "--model", "echo-budget", "--task", "assay_copy",
                  "--limit", "400", "--budget-s", "10", "--deadline", "1h", "--wait", "--json")  # fmt: skip
    assert asked.returncode != 0
    told = json.loads(asked.stdout)
    assert told["state"] == "cancelled"
    assert "the 10 s that it may run are over" in told["message"] and "samples are answered; they are kept" in told["message"]
    sql = "SELECT task, answered, scored FROM run_progress WHERE run_id = {run_id:String}"
    (row,) = asyncio.run(until_row(flow, sql, holds=lambda rows: bool(rows) and rows[0]["scored"] > 0, run_id=told["run_id"]))
    assert 0 < row["answered"] < 400
    run = until(flow.api, f"/v1/runs/{told['run_id']}", holds=lambda run: bool(run["scores"]))
    assert (run["reason_code"], run["scores"][0]["complete"], run["waits_for"]) == ("budget-time", False, None)


def test_a_run_whose_money_is_spent_stops_says_so_and_keeps_what_it_has(flow: Settings, tmp_path: Path) -> None:
    """A core's second costs a dollar: a run of some ten seconds of an agent ends in the midst of its samples."""
    usd, book = 10 * (os.cpu_count() or 1), tmp_path / "book.csv"
    version = f"money-{uuid7()}"
    book.write_text(f"item,amount,unit,valid_from,source,version\ncpu_hour,3600,core-hour,2020-01-01,test,{version}\n")
    assert assay(flow, "prices", "import", str(book)).returncode == 0
    asked = assay(flow, "submit", "--engine", "echo", "--option", "delay_ms=500", "--model", "echo-money", "--task", "assay_copy",
                  "--limit", "400", "--budget-usd", str(usd), "--wait", "--json")  # fmt: skip
    assert asked.returncode != 0
    told = json.loads(asked.stdout)
    assert told["state"] == "cancelled"
    assert f"its budget of {usd} USD is spent; its agents cost" in told["message"]
    assert "samples are answered; they are kept" in told["message"] and "budget of" in asked.stderr
    sql = "SELECT task, answered, scored FROM run_progress WHERE run_id = {run_id:String}"
    (row,) = asyncio.run(until_row(flow, sql, holds=lambda rows: bool(rows) and rows[0]["scored"] > 0, run_id=told["run_id"]))
    assert 0 < row["answered"] < 400
    run = until(flow.api, f"/v1/runs/{told['run_id']}", holds=lambda run: bool(run["scores"]))
    assert (run["reason_code"], run["scores"][0]["complete"]) == ("budget-usd", False)
    sql = "SELECT run_usd FROM run_costs WHERE run_id = {run_id:String} AND price_version = {version:String}"
    (cost,) = asyncio.run(until_row(flow, sql, holds=bool, run_id=told["run_id"], version=version))
    assert cost["run_usd"] > 0


def test_a_deadline_ends_a_run_at_its_time(flow: Settings) -> None:
    """Not before, and at once."""

    async def act() -> None:
        async with Log(flow, client_id="test") as log:
            deadline_us = now_us() + 10_000_000
            run_id = await submitted(flow, log, budget=Budget(deadline_us=deadline_us))
            await until_state(flow, run_id, "cancelled")
            (ended,) = [event for event in await events_of(log, RUNS, run_id) if event.state == "cancelled"]
            assert ended.reason_code == "deadline"
            # Minutes before it would end by itself; how soon it is where nothing else runs is a benchmark's matter.
            assert deadline_us <= ended.occurred_us < deadline_us + 60_000_000

    asyncio.run(act())


def test_a_deadline_that_has_passed_is_refused_on_every_way_in(flow: Settings) -> None:
    """By the API at once, by the planner for who goes straight to Kafka; with the value and what to do."""
    body = {"model": {"uri": "echo"}, "engine": {"name": "echo"}, "tasks": [{"name": "assay_copy"}], "budget": {"deadline_us": 1}}
    answer = post(f"{flow.api}/v1/evaluations", json=body)
    assert answer.status_code == 422
    assert "deadline 1970-01-01T00:00:00Z lies before the request itself" in answer.text

    async def act() -> None:
        async with Log(flow, client_id="test") as log:
            run_id = await submitted(flow, log, budget=Budget(deadline_us=round(time.time() * 1e6) - 1_000_000))
            state = await until_state(flow, run_id, "rejected", "planned", "cancelled")
            assert (state["state"], state["reason_code"]) == ("rejected", "deadline")

    asyncio.run(act())
