"""What is wrong, as a page: where a person asked for a page, a problem document is shown in the dashboard's own style."""

import json
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from query_api.pages.rendering import TEMPLATES

Handler = Callable[[Request, Exception], Awaitable[Response]]
NOT_THERE, AWAY, AGAIN_S = 404, 503, 5
FOR_PROGRAMS = ("/v1", "/fragments/", "/static/")


def readable(handler: Handler) -> Handler:
    """The handler, its problem documents shown as pages to those who asked for one."""

    async def handle(request: Request, error: Exception) -> Response:
        answer = await handler(request, error)
        if request.url.path.startswith(FOR_PROGRAMS) or "text/html" not in request.headers.get("accept", ""):
            return answer
        # What is not there may be in a moment (a run just asked for): the page becomes what it was asked for as soon as that is there.
        # While a store is away the page asks for itself again as a whole, for which it needs neither a stream nor a script.
        query = f"?{request.url.query}" if request.url.query else ""
        away = answer.status_code == AWAY
        fragment = f"/fragments{request.url.path}{query}" if answer.status_code == NOT_THERE else ""
        told = {
            "content": "problem.html",
            "fragment": fragment,
            "problem": json.loads(bytes(answer.body)),
            "again_s": AGAIN_S if away else 0,
        }
        kept = {name: value for name, value in answer.headers.items() if name not in ("content-length", "content-type")}
        return TEMPLATES.TemplateResponse(request, "base.html", told | {"title": told["problem"]["title"]}, answer.status_code, kept)

    return handle
