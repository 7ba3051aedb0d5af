"""Runs through real processes: what tests of the whole way need."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
from uuid6 import uuid7

from infra.clickhouse import ClickHouse
from infra.identity import now_us, producer
from infra.kafka import Log
from infra.settings import Settings
from schemas.event import Event
from schemas.requests import EngineChoice, EvaluationRequested, ModelRef, TaskChoice
from streams.topics import Topic

PATIENCE_S = 600  # what any test waits at most for what must come, on the slowest machine; it costs nothing where all is well
get, post = partial(httpx.get, timeout=60), partial(httpx.post, timeout=60)


def until(holds: Callable[[], bool]) -> None:
    """Waits for a condition."""
    give_up = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < give_up, "not in time"
        time.sleep(0.1)


def until_listed(settings: Settings, *run_ids: str, samples: int) -> None:
    """Waits until the API lists so many samples of each run, with all texts and scores: what completes it may be projected before them."""
    for run_id in run_ids:
        until(partial(_listed, f"{settings.api}/v1/runs/{run_id}/samples", samples))


def _listed(url: str, samples: int) -> bool:
    found, scores = get(url, params={"limit": 500}).raise_for_status().json()["samples"], dict[str, set[int]]()
    for one in found:
        scores.setdefault(one["task"], set()).add(len(one["scores"]))
    texts = all(one["requests"] and all(request["answers"] for request in one["requests"]) for one in found)
    return len(found) == samples and texts and all(len(counts) == 1 and 0 not in counts for counts in scores.values())


def request(*tasks: str, limit: int | None = 20, model: str = "echo", **told: Any) -> EvaluationRequested:
    """A request with a fresh id; the echo engine, unless told otherwise."""
    choices = tuple(TaskChoice(name=task, limit=limit) for task in tasks)
    given: dict[str, Any] = {"engine": EngineChoice(name="echo"), "tasks": choices} | told
    return EvaluationRequested(occurred_us=now_us(), producer=producer("test"), run_id=str(uuid7()), model=ModelRef(uri=model), **given)


async def events_of(log: Log, topic: Topic, run_id: str) -> list[Any]:
    """A run's events on a topic, so far; the first of each id."""
    found: dict[str, Event] = {}
    async for record in log.read([topic]):
        if record.event and getattr(record.event, "run_id", None) == run_id:
            found.setdefault(record.event.event_id, record.event)
    return list(found.values())


async def until_row(
    settings: Settings, sql: str, *, holds: Callable[[list[dict[str, Any]]], bool], **parameters: Any
) -> list[dict[str, Any]]:
    """The query's rows once they are as wanted."""
    give_up, rows = time.monotonic() + PATIENCE_S, list[dict[str, Any]]()
    async with ClickHouse(settings) as clickhouse:
        while time.monotonic() < give_up:
            rows = await clickhouse.query(sql, parameters)
            if holds(rows):
                return rows
            await asyncio.sleep(0.2)
    raise AssertionError(f"not within {PATIENCE_S} s: {sql}: {rows[:5]}")


async def until_state(settings: Settings, run_id: str, *states: str) -> dict[str, Any]:
    """The run's row once it is in one of the states."""
    sql = "SELECT * FROM run_states WHERE run_id = {run_id:String}"
    rows = await until_row(settings, sql, holds=lambda found: _in(found, states), run_id=run_id)
    return rows[0]


def _in(rows: list[dict[str, Any]], states: tuple[str, ...]) -> bool:
    return bool(rows) and rows[0]["state"] in states
