"""Grids: heat maps of a campaign's loads."""

from starlette.requests import Request

from query_api.drawing.grids import maps
from query_api.pages.rendering import Content, page
from query_api.reading.grids import grid
from query_api.state import state_of


async def load(request: Request) -> Content:
    """The heat maps of the campaign that is asked for. Raises: NotFound."""
    told = await grid(state_of(request).reading, request.query_params.get("campaign", ""))
    models = sorted({f"{cell['model'].rstrip('/').rpartition('/')[2]} ({cell['engine']})" for cell in told["cells"]})
    return {"title": "Grid", "campaign": told["campaign"], "maps": maps(told["cells"]), "models": models, "count": len(told["cells"])}


ROUTES = page("/grid", "grid.html", load)
