"""Pages outlast ClickHouse: while it is away, a page is shown as it was last rendered, and says of when that is."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from functools import wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from infra.identity import now_us
from query_api.access.callers import caller_of
from query_api.pages.rendering import clock
from streams.errors import Unavailable
from streams.trust.visibility import Seen

PAGES_HELD = 64
FRAGMENTS = "/fragments/"
Endpoint = Callable[[Request], Awaitable[Response]]
# Of each address, as those saw it who may see the same: the template and what was in it, rendered when.
Held = OrderedDict[tuple[Seen, str], tuple[Any, dict[str, Any], int]]


def lasting(routes: Iterable[Route]) -> list[Route]:
    """The routes of pages, each remembered. Fragments are not: whoever asks for one keeps on the screen what is there."""
    held: Held = OrderedDict()
    return [
        route
        if route.path.startswith(FRAGMENTS)
        else Route(route.path, _remembered(route.endpoint, held), methods=["GET"], name=route.name)
        for route in routes
    ]


def _remembered(endpoint: Endpoint, held: Held) -> Endpoint:
    @wraps(endpoint)
    async def page(request: Request) -> Response:
        address = caller_of(request).seen, str(request.url)
        try:
            response = await endpoint(request)
        except Unavailable:
            if address not in held:
                raise
            template, context, rendered_us = held[address]
            body = template.render(context | {"as_of": clock(rendered_us), "member": caller_of(request).member})
            return HTMLResponse(body, 503, {"Retry-After": "1"})
        if hasattr(response, "template"):
            held[address] = (response.template, dict(response.context), now_us())  # type: ignore[attr-defined]  # starlette's is private
            held.move_to_end(address)
            while len(held) > PAGES_HELD:
                held.popitem(last=False)
        return response

    return page
