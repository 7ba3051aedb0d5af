"""Times every request until its answer begins: streams too, which never end."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.metrics import REQUEST


class Measured:
    """Middleware. A path with parameters is one route, so that no run's id makes a series of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on, and times."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                REQUEST.labels(_route(scope), str(message["status"])).observe(time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, timed)


def _route(scope: Scope) -> str:
    """The path with its parameters' names in the place of their values; `other` where no route has matched."""
    if "endpoint" not in scope:
        return "other"
    if scope["path"].startswith("/static/"):
        return "/static/{path}"
    named = {value: name for name, value in scope.get("path_params", {}).items()}
    return "/".join(f"{{{named[part]}}}" if part in named else part for part in scope["path"].split("/"))
