"""The query API: routes over ClickHouse and the log, and the pages."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from infra.clickhouse import ClickHouse
from infra.kafka import Log
from infra.settings import Settings
from query_api import pages
from query_api.live import Live, Wanted, ends_of, wanted
from query_api.problems import on_error, on_http
from query_api.reading import Reading
from query_api.submitting import Submissions, body_of, requested
from streams.errors import AssayError, Invalid, NotFound

HEARTBEAT_S = 10
LIMIT = 500


def _state(request: Request) -> "State":
    state: State = request.app.state.own
    return state


class State:
    """What the routes share."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clickhouse = ClickHouse(settings)
        self.reading = Reading(self.clickhouse)
        self.log: Log
        self.live: Live
        self.submissions: Submissions


async def submit(request: Request) -> Response:
    """POST /v1/evaluations"""
    state = _state(request)
    event = requested(await body_of(request), organisation=state.settings.organisation)
    await state.submissions.submit(event)
    return JSONResponse({"run_id": event.run_id, "state": "requested"}, 202, {"Location": f"/v1/runs/{event.run_id}"})


async def cancel(request: Request) -> Response:
    """POST /v1/runs/{run_id}/cancel"""
    state, run_id, body = _state(request), request.path_params["run_id"], await body_of(request)
    if not state.submissions.remembers(run_id):
        await state.reading.run(run_id)
    await state.submissions.cancel(run_id, by=str(body.get("by", "api")), message=str(body.get("message", "")))
    return JSONResponse({"run_id": run_id, "state": "cancelling"}, 202)


def _limit(request: Request, *, default: int = 50) -> int:
    text = request.query_params.get("limit", str(default))
    if not text.isdigit() or not 1 <= int(text) <= LIMIT:
        raise Invalid(f"limit {text!r}: give a number from 1 to {LIMIT}", code="limit")
    return int(text)


async def runs(request: Request) -> Response:
    """GET /v1/runs?state=&before=&limit="""
    asked, limit = request.query_params, _limit(request)
    found = await _state(request).reading.runs(state=asked.get("state", ""), before=asked.get("before", ""), limit=limit)
    return JSONResponse({"runs": found, "next": found[-1]["run_id"] if len(found) == limit else None})


async def run(request: Request) -> Response:
    """GET /v1/runs/{run_id}"""
    state, run_id = _state(request), request.path_params["run_id"]
    try:
        return JSONResponse(await state.reading.run(run_id))
    except NotFound:
        if state.submissions.remembers(run_id):  # produced, and not yet in ClickHouse
            return JSONResponse({"run_id": run_id, "state": "requested", "progress": 0.0, "tasks": [], "scores": [], "performance": None})
        raise


async def samples(request: Request) -> Response:
    """GET /v1/runs/{run_id}/samples?task="""
    state, run_id = _state(request), request.path_params["run_id"]
    await state.reading.run(run_id)
    rows = await state.reading.rows("samples", run_id=run_id, task=request.query_params.get("task", ""))
    return StreamingResponse((json.dumps(row) + "\n" for row in rows), media_type="application/x-ndjson")


async def rankings(request: Request) -> Response:
    """GET /v1/rankings?board= or ?task="""
    task = request.query_params.get("task")
    board = f"task:{task}" if task else request.query_params.get("board")
    return JSONResponse(await _state(request).reading.ranking(board))


async def boards(request: Request) -> Response:
    """GET /v1/boards"""
    return JSONResponse({"boards": await _state(request).reading.rows("boards")})


async def agents(request: Request) -> Response:
    """GET /v1/agents"""
    return JSONResponse({"agents": await _state(request).reading.rows("agents")})


async def dead_letters(request: Request) -> Response:
    """GET /v1/dead-letters?limit="""
    rows = await _state(request).reading.rows("dead_letters", limit=_limit(request))
    return JSONResponse({"dead_letters": rows})


async def live(request: Request) -> Response:
    """GET /v1/live?topics=&run=&board=&cursor= ; Last-Event-ID resumes."""
    asked = request.query_params
    names = [name for name in asked.get("topics", "").split(",") if name]
    wish = wanted(names, run_id=asked.get("run"), board=asked.get("board"))
    cursor = request.headers.get("last-event-id") or asked.get("cursor")
    if cursor:
        ends_of(cursor)
    told = _told(_state(request).live, wish, cursor)
    beat = lambda: ServerSentEvent(comment="still here")  # noqa: E731
    return EventSourceResponse(
        told, ping=HEARTBEAT_S, ping_message_factory=beat, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


async def _told(source: Live, wish: Wanted, cursor: str | None) -> AsyncIterator[ServerSentEvent]:
    async for told in source.listen(wish, cursor=cursor):
        yield ServerSentEvent(told.data, event=told.kind, id=told.cursor)


async def health(_request: Request) -> Response:
    """GET /healthz: the process is alive."""
    return JSONResponse({"alive": True})


async def ready(request: Request) -> Response:
    """GET /readyz: it reaches ClickHouse and follows the log."""
    state = _state(request)
    await state.clickhouse.query("SELECT 1 FROM run_states LIMIT 1")
    async with asyncio.timeout(5):
        await state.live.ready.wait()
    return JSONResponse({"ready": True})


async def index(_request: Request) -> Response:
    """GET /v1: the routes."""
    return JSONResponse({"routes": [(route.endpoint.__doc__ or "").split(":")[0].splitlines()[0] for route in API]})


API: list[Route] = [
    Route("/v1", index),
    Route("/v1/evaluations", submit, methods=["POST"]),
    Route("/v1/evaluations", runs, methods=["GET"]),
    Route("/v1/evaluations/{run_id}", run),
    Route("/v1/evaluations/{run_id}/cancel", cancel, methods=["POST"]),
    Route("/v1/runs", runs),
    Route("/v1/runs/{run_id}", run),
    Route("/v1/runs/{run_id}/cancel", cancel, methods=["POST"]),
    Route("/v1/runs/{run_id}/samples", samples),
    Route("/v1/rankings", rankings),
    Route("/v1/boards", boards),
    Route("/v1/agents", agents),
    Route("/v1/dead-letters", dead_letters),
    Route("/v1/live", live),
    Route("/healthz", health),
    Route("/readyz", ready),
]


def app(settings: Settings) -> Starlette:
    """The application."""

    @asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncIterator[None]:
        state = State(settings)
        async with Log(settings, client_id="query_api") as log, state.clickhouse:
            state.log, state.live, state.submissions = log, Live(log), Submissions(log)
            application.state.own = state
            following = asyncio.create_task(state.live.follow())
            following.add_done_callback(_end_with)
            yield
            following.cancel()

    static = Mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    handlers: Any = {AssayError: on_error, HTTPException: on_http}
    return Starlette(routes=[*API, *pages.ROUTES, static], lifespan=lifespan, exception_handlers=handlers)


def _end_with(following: "asyncio.Task[None]") -> None:
    """Without its follower the process is of no use: its supervisor starts it again."""
    if not following.cancelled() and following.exception() is not None:
        raise SystemExit(70) from following.exception()
