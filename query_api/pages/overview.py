"""The overview: what runs and waits, what came of the newest runs, the board that changed last."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from infra.clickhouse import Rows
from query_api.charts import intervals
from query_api.pages.rendering import Content, page

ACTIVE = ("requested", "planned", "running")
RECENT, ENDED, RANKED = 60, 12, 5


async def load(request: Request) -> Content:
    """What the overview shows."""
    reading = request.app.state.own.reading
    recent, _ = await reading.runs(limit=RECENT)
    ended = [run for run in recent if run["state"] not in ACTIVE][:ENDED]
    board = await reading.ranking(None)
    top = board["rows"][:RANKED]
    measured = [(row, await reading.performance(row["newest"])) for row in await reading.rows("measured")]
    return {
        "title": "Overview",
        "active": [run for run in recent if run["state"] in ACTIVE],
        "ended": ended, "results": _by_run(await reading.rows("main_figures", run_ids=[run["run_id"] for run in ended])),
        "board": board, "top": top, "spans": intervals(top),
        "speeds": [(row, speed) for row, speed in measured if speed and speed["ttft_s"]["p50"] is not None],
        "agents": await reading.rows("agents"),
        "dead_letters": (await reading.rows("dead_letter_count"))[0]["letters"],
    }  # fmt: skip


def _by_run(figures: Rows) -> Mapping[str, list[dict[str, Any]]]:
    told: dict[str, list[dict[str, Any]]] = {}
    for figure in figures:
        told.setdefault(figure["run_id"], []).append(figure)
    return told


ROUTES = page("/", "overview.html", load)
