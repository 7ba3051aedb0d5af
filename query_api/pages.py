"""The dashboard: server-rendered pages, readable without a script, kept up to date by one that fetches them anew when something happens."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from query_api import charts, manual
from query_api.reading_samples import LINE_FILTERS


def clock(when_us: int) -> str:
    """A moment as HH:MM:SS, UTC."""
    return datetime.fromtimestamp(when_us / 1e6, UTC).strftime("%H:%M:%S")


def _as_of(request: Request) -> dict[str, Any]:
    """Of when a page's data are, where the log is away: null while it is there."""
    away_us = request.app.state.own.live.reach.away_since_us
    return {"as_of": clock(away_us) if away_us is not None else None}


TEMPLATES = Jinja2Templates(Path(__file__).parent / "templates", context_processors=[_as_of])
TEMPLATES.env.globals |= {
    "seconds": charts.seconds, "number": charts.number, "usd": charts.usd, "intervals": charts.intervals, "spreads": charts.spreads,
    "histogram": charts.histogram,
}  # fmt: skip
TEMPLATES.env.filters["short"] = lambda uri: str(uri).rstrip("/").rpartition("/")[2] or str(uri)
TEMPLATES.env.filters["prose"] = manual.prose
TEMPLATES.env.trim_blocks = TEMPLATES.env.lstrip_blocks = True
ACTIVE = ("requested", "planned", "running")


async def overview(request: Request) -> Response:
    """GET /"""
    return TEMPLATES.TemplateResponse(request, "overview.html", await _overview(request))


async def overview_fragment(request: Request) -> Response:
    """GET /fragments/overview"""
    return TEMPLATES.TemplateResponse(request, "_overview.html", await _overview(request))


async def _overview(request: Request) -> dict[str, Any]:
    reading = request.app.state.own.reading
    recent, _ = await reading.runs(limit=60)
    board = await reading.ranking(request.query_params.get("board"))
    costs = await request.app.state.own.costs.of_rows(board["rows"])
    speeds = [(row, await reading.performance(row["newest"])) for row in await reading.rows("measured")]
    return {
        "active": [run for run in recent if run["state"] in ACTIVE],
        "ended": [run for run in recent if run["state"] not in ACTIVE][:12],
        "board": board, "costs": costs, "boards": await reading.rows("boards"),
        "speeds": [(row, speed) for row, speed in speeds if speed and speed["ttft_s"]["p50"] is not None],
        "agents": await reading.rows("agents"),
        "dead_letters": (await reading.rows("dead_letter_count"))[0]["letters"],
    }  # fmt: skip


async def run_page(request: Request) -> Response:
    """GET /runs/{run_id}"""
    return TEMPLATES.TemplateResponse(request, "run.html", await _run(request))


async def run_fragment(request: Request) -> Response:
    """GET /fragments/runs/{run_id}"""
    return TEMPLATES.TemplateResponse(request, "_run.html", await _run(request))


async def _run(request: Request) -> dict[str, Any]:
    reading, run_id = request.app.state.own.reading, request.path_params["run_id"]
    rows = await reading.rows("sample_lines", run_id=run_id, **LINE_FILTERS)
    return {
        "run": await reading.run(run_id),
        "cost": await request.app.state.own.costs.run(run_id),
        "histograms": await reading.histograms(run_id),
        "samples": rows[:12],
        "sample_count": len(rows),
    }


async def docs(request: Request) -> Response:
    """GET /docs"""
    described = request.app.state.description
    told = {
        "about": described["info"]["description"],
        "entries": manual.entries(described, address=request.app.state.own.settings.api),
        "shapes": manual.shapes(described),
    }
    return TEMPLATES.TemplateResponse(request, "docs.html", told)


ROUTES = [
    Route("/docs", docs),
    Route("/", overview),
    Route("/fragments/overview", overview_fragment),
    Route("/runs/{run_id}", run_page),
    Route("/fragments/runs/{run_id}", run_fragment),
]
