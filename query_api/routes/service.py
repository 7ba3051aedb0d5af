"""The service itself: its routes, its description, whether it lives, whether it is ready."""

import asyncio

from starlette.responses import JSONResponse, Response

from infra.health import exposition
from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.pages.rendering import clock
from streams.errors import Unavailable

READY_S = 5


class Alive(Shape):
    """The process is alive."""

    alive: bool = True


class Ready(Shape):
    """It reaches ClickHouse and follows the log."""

    ready: bool = True


class Index(Shape):
    """The addresses, each with its method and what it does."""

    routes: tuple[str, ...]


async def index(call: Call[Nothing, Nothing]) -> Index:
    """Lists the addresses."""
    paths = call.request.app.state.description["paths"]
    return Index(
        routes=tuple(f"{method.upper()} {path}: {told['summary']}" for path, item in paths.items() for method, told in item.items())
    )


async def description(call: Call[Nothing, Nothing]) -> Response:
    """Describes all of this as an OpenAPI 3.1 document."""
    return JSONResponse(call.request.app.state.description)


async def metrics(_call: Call[Nothing, Nothing]) -> Response:
    """Shows this process's metrics, as Prometheus reads them."""
    kind, body = exposition()
    return Response(body, media_type=kind)


async def health(_call: Call[Nothing, Nothing]) -> Alive:
    """Says that the process is alive."""
    return Alive()


async def ready(call: Call[Nothing, Nothing]) -> Ready:
    """Says that the API reaches ClickHouse and follows the log."""
    await call.state.clickhouse.query("SELECT 1 FROM run_states LIMIT 1")
    async with asyncio.timeout(READY_S):
        await call.state.live.ready.wait()
    if (away_us := call.state.live.reach.away_since_us) is not None:
        raise Unavailable(f"the log has not answered since {clock(away_us)} UTC; `assay status` says more", code="log-away")
    return Ready()


OPERATIONS = (
    Operation("GET", "/v1", index, tag="service"),
    Operation("GET", "/v1/openapi.json", description, tag="service", streams={"application/json": None}),
    Operation("GET", "/metrics", metrics, tag="service", streams={"text/plain": None}),
    Operation("GET", "/healthz", health, tag="service"),
    Operation("GET", "/readyz", ready, tag="service"),
)
