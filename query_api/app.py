"""The query API as an application: its operations and its pages over ClickHouse and the log."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from infra.addresses import needs_keys
from infra.clickhouse import ClickHouse
from infra.kafka import Log
from infra.settings import Settings
from query_api import pages
from query_api.access import signing_in
from query_api.access.door import Door
from query_api.measured import Measured
from query_api.operations.description import document
from query_api.operations.problems import on_error, on_fault, on_http
from query_api.operations.routing import routes
from query_api.pages.faults import readable
from query_api.pages.lasting import lasting
from query_api.routes import OPERATIONS
from query_api.state import Stores
from streams.errors import AssayError

PATIENCE_S = 5.0


@asynccontextmanager
async def stores(settings: Settings) -> AsyncIterator[Stores]:
    """The log and ClickHouse, reached by the settings."""
    async with Log(settings, client_id="query_api", patience_s=PATIENCE_S) as log, ClickHouse(settings) as clickhouse:
        yield Stores(settings, log=log, clickhouse=clickhouse)


def app(settings: Settings, opened: Callable[[Settings], AbstractAsyncContextManager[Stores]] = stores) -> Starlette:
    """The application, over the stores that are opened as it starts."""

    @asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncIterator[None]:
        async with opened(settings) as own:
            application.state.own = own
            tasks = [asyncio.create_task(own.live.follow()), asyncio.create_task(own.live.watch())]
            if needs_keys(settings):
                tasks.append(asyncio.create_task(own.keys.follow()))
            for task in tasks:
                task.add_done_callback(_end_with)
            yield
            for task in tasks:
                task.cancel()

    static = Mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    served = [*routes(OPERATIONS), *lasting(pages.ROUTES), *pages.FORMS, *signing_in.ROUTES, static]
    told = {AssayError: on_error, HTTPException: on_http, Exception: on_fault}
    handlers: Any = {kind: readable(handler) for kind, handler in told.items()}
    application = Starlette(
        routes=served, lifespan=lifespan, exception_handlers=handlers, middleware=[Middleware(Measured), Middleware(Door, settings)]
    )
    application.state.description = document(OPERATIONS)
    return application


def _end_with(following: "asyncio.Task[None]") -> None:
    """Without its follower the process is of no use: its supervisor starts it again."""
    if not following.cancelled() and following.exception() is not None:
        raise SystemExit(70) from following.exception()
