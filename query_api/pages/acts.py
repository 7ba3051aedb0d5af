"""Acts: what only some may do, when it was done, by whom, and to what."""

from starlette.requests import Request

from query_api.access.callers import check_may
from query_api.pages.rendering import Content, page
from query_api.routes.acts import ACTS
from query_api.state import state_of

SHOWN = 50


async def load(request: Request) -> Content:
    """A page of acts, the newest first. Raises: Forbidden where who asks may not look at them."""
    check_may(request, "operator")
    cursor = request.query_params.get("cursor", "")
    found, following = await state_of(request).reading.page(ACTS, sort="-at_us", limit=SHOWN, cursor=cursor, act="", about="")
    return {"title": "Acts", "acts": found, "next": following, "cursor": cursor}


ROUTES = page("/acts", "acts.html", load)
