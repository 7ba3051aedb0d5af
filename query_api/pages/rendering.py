"""How pages are rendered: each is one template, whole at its address, and alone at its fragment's, which its script fetches anew."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from infra.identity import now_us
from query_api.access.callers import caller_of
from query_api.drawing import against, auditing, charts, repeated, sweeps
from query_api.drawing.dressing import dressed, placed, provenance, served, unseen
from query_api.drawing.varied import varied
from query_api.operations import manual
from streams.boards.comparison import by_their_samples
from streams.times import utc

Content = dict[str, Any]
Load = Callable[[Request], Awaitable[Content]]
MENU = (
    ("/", "Overview"), ("/leaderboard", "Leaderboard"), ("/compare", "Compare"), ("/recommend", "Recommend"), ("/savings", "Savings"),
    ("/predict", "Predict"), ("/costs", "Costs"), ("/cluster", "Cluster"), ("/dead-letters", "Dead letters"), ("/docs", "Docs"),
)  # fmt: skip


def short(uri: object) -> str:
    """A model's name without its folder."""
    return str(uri).rstrip("/").rpartition("/")[2] or str(uri)


def moment(time_us: int | None) -> str:
    """A time as people read it, UTC, to the second; an en dash for none."""
    return utc(time_us, "%Y-%m-%d %H:%M:%S") if time_us else "–"


def clock(time_us: int) -> str:
    """A moment of today as HH:MM:SS, UTC."""
    return utc(time_us, "%H:%M:%S")


def _as_of(request: Request) -> Content:
    """Of when a page's data are, where the log is away: null while it is there."""
    away_us = request.app.state.own.live.reach.away_since_us
    return {"as_of": clock(away_us) if away_us is not None else None}


def _who(request: Request) -> Content:
    """Who is signed in; nobody where no key is needed."""
    caller = caller_of(request)
    return {"member": caller.member, "organisation": caller.organisation}


TEMPLATES = Jinja2Templates(Path(__file__).parents[1] / "templates", context_processors=[_as_of, _who])
TEMPLATES.env.trim_blocks = TEMPLATES.env.lstrip_blocks = True
TEMPLATES.env.filters |= {
    "short": short, "dressed": dressed, "served": served, "placed": placed, "provenance": provenance, "unseen": unseen, "varied": varied,
    "moment": moment, "prose": manual.prose, "reproduced": auditing.reproduced, "headline": auditing.headline, "marks": auditing.marks,
    "counted": by_their_samples,
}  # fmt: skip
TEMPLATES.env.globals |= {
    "MENU": MENU, "seconds": charts.seconds, "number": charts.number, "usd": charts.usd, "size": charts.size, "stopped": charts.stopped,
    "level": sweeps.level, "spreads": charts.spreads, "histogram": charts.histogram, "now_us": now_us,
    "repeated_rows": repeated.rows, "REPEATED": repeated.COLUMNS, "against_rows": against.rows, "AGAINST": against.COLUMNS,
}  # fmt: skip


def page(path: str, template: str, load: Load, *, live: bool = True) -> list[Route]:
    """The routes of a page and, where it is `live`, of its fragment. `load` gives what the template shows, and its `title`."""

    async def whole(request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        fragment = f"/fragments{request.url.path}{query}" if live else ""
        return TEMPLATES.TemplateResponse(request, "base.html", {"content": template, "fragment": fragment} | await load(request))

    async def alone(request: Request) -> Response:
        return TEMPLATES.TemplateResponse(request, template, await load(request))

    name = template.removesuffix(".html")
    routes = [Route(path, whole, name=f"page-{name}")]
    return [*routes, Route(f"/fragments{path}", alone, name=f"fragment-{name}")] if live else routes


def wrong_field(error: ValidationError) -> str:
    """Which field of a form is wrong, the first of them, and why."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg'][:1].lower()}{first['msg'][1:]}"
