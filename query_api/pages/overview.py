"""The overview: what runs and waits, what came of the newest runs, the board that changed last."""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from infra.clickhouse import Rows
from query_api.drawing.charts import intervals
from query_api.pages.rendering import Content, page
from query_api.reading.rankings import whole
from query_api.reading.runs import Reading
from query_api.reading.standing import chance_corrected
from query_api.state import state_of

ENDED, RANKED = 12, 5


async def load(request: Request) -> Content:
    """What the overview shows."""
    reading = state_of(request).reading
    active, ended, board, measured, agents, letters = await asyncio.gather(
        reading.active(), reading.rows("ended_runs", limit=ENDED), whole(reading, None), _measured(reading), reading.rows("agents"),
        reading.rows("dead_letter_count"),
    )  # fmt: skip
    top = board["rows"][:RANKED]
    return {
        "title": "Overview",
        "active": active, "ended": ended, "results": _by_run(await reading.rows("main_figures", run_ids=[run["run_id"] for run in ended])),
        "board": board, "top": top, "corrected": await chance_corrected(reading, board["board"], board["rows"]),
        "spans": intervals(top),
        "speeds": measured, "agents": agents, "dead_letters": letters[0]["letters"],
    }  # fmt: skip


async def _measured(reading: Reading) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Models whose time to first token is known, each with the speed of its newest workload."""
    rows = await reading.rows("measured")
    speeds = await reading.performances([row["newest"] for row in rows])
    told = [(row, speeds[row["newest"]]) for row in rows if row["newest"] in speeds]
    return [(row, speed) for row, speed in told if speed["ttft_s"]["p50"] is not None]


def _by_run(figures: Rows) -> Mapping[str, list[dict[str, Any]]]:
    told: dict[str, list[dict[str, Any]]] = {}
    for figure in figures:
        told.setdefault(figure["run_id"], []).append(figure)
    return told


ROUTES = page("/", "overview.html", load)
