"""A run that stops early on the real stack: it completes with what it has, says so, and is the same in a replay."""

import asyncio

import pytest

from infra.clickhouse import ClickHouse
from infra.kafka import Log
from infra.replay import verify
from infra.settings import Settings
from query_api.reading.runs import Reading
from schemas.requests import EngineChoice, Stopping
from schemas.results import RunScored, TaskStopped
from streams.topics import JOBS_PLANNED, RUN_SCORES, STOPS
from streams.trust.visibility import ALL
from tests.flow import events_of, request, until_row, until_state

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_a_task_stops_when_it_is_known_and_the_other_goes_on(flow: Settings) -> None:
    """Of two tasks one can be known; the other is run whole, and the plan says why."""

    async def act() -> str:
        rule, slow = Stopping(half_width=0.2), EngineChoice(name="echo", options={"delay_ms": "5"})
        asked = request("assay_agreement", "assay_text", limit=None, model="stops-early", stopping=rule, engine=slow)
        async with Log(flow, client_id="test") as log:
            await log.publish(asked)
            state = await until_state(flow, asked.run_id, "completed", "failed", "rejected")
            assert state["state"] == "completed", state["message"]
            assert "assay_text is run whole" in state["plan"]
            (stop,) = await events_of(log, STOPS, asked.run_id)
            jobs = await events_of(log, JOBS_PLANNED, asked.run_id)
            scored = [one for one in await events_of(log, RUN_SCORES, asked.run_id) if one.complete and one.task == stop.task]
        assert isinstance(stop, TaskStopped) and stop.task == "assay_agreement"
        assert stop.samples < stop.planned and stop.half_width <= 0.2
        assert sorted(one for job in jobs if job.job.build.task == stop.task for one in job.job.samples) == list(range(stop.planned))
        (final,) = scored
        assert isinstance(final, RunScored) and (final.scored, final.expected) == (stop.samples, stop.samples)
        assert all(figure.sequential and figure.n == stop.samples for figure in final.figures)
        assert all(figure.high - figure.low <= 0.4 for figure in final.figures)  # type: ignore[operator]
        await _shown(flow, asked.run_id, stop)
        return asked.run_id

    run_id = asyncio.run(act())
    stops = {}
    for cut in (None, run_id):
        verdict = asyncio.run(verify(flow, run_id=cut, told=lambda _text: None))
        assert verdict.equal, verdict.difference
        stops[cut] = verdict.tables["stops"].rows
    # The log may hold those of other tests' runs.
    assert stops[run_id] == 1 <= stops[None]


async def _shown(flow: Settings, run_id: str, stop: TaskStopped) -> None:
    """What people read: progress, figures and the board."""
    sql = "SELECT * FROM run_progress WHERE run_id = {r:String} AND task = {t:String} AND half_width > 0"
    (progress,) = await until_row(flow, sql, holds=bool, r=run_id, t=stop.task)
    assert (progress["expected"], progress["scored"], progress["planned"]) == (stop.samples, stop.samples, stop.planned)
    board = f"task:{stop.task}"
    sql = "SELECT * FROM ranking_rows WHERE board = {b:String} AND run_id = {r:String}"
    (row,) = await until_row(flow, sql, holds=bool, b=board, r=run_id)
    assert (row["sequential"], row["samples"]) == (True, stop.samples)
    async with ClickHouse(flow) as clickhouse:
        told = await Reading(clickhouse, ALL).run(run_id)
    figures = [score for score in told["scores"] if score["task"] == stop.task and score["complete"]]
    assert figures and all(score["sequential"] for score in figures)
    assert (row["low"], row["high"]) in [(score["low"], score["high"]) for score in figures]
