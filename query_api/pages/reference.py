"""The API's reference, /docs, from its description."""

from starlette.requests import Request

from query_api.operations import manual
from query_api.pages.rendering import Content, page
from query_api.state import state_of


async def load(request: Request) -> Content:
    """What /docs shows."""
    described = request.app.state.description
    return {
        "title": "API", "about": described["info"]["description"], "shapes": manual.shapes(described),
        "entries": manual.entries(described, address=state_of(request).settings.api),
    }  # fmt: skip


ROUTES = page("/docs", "docs.html", load, live=False)
