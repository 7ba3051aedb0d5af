"""Privileged acts, for owners: what was done with more rights than a submitter has, the newest first."""

from starlette.requests import Request

from query_api.access.callers import check_may
from query_api.pages.rendering import Content, page
from query_api.routes.acts import ACTS
from query_api.state import state_of

SHOWN = 50


async def load(request: Request) -> Content:
    """A page of acts. Raises: Forbidden for who is no owner."""
    check_may(request, "owner")
    cursor = request.query_params.get("cursor", "")
    found, following = await state_of(request).reading.page(ACTS, sort="-at_us", limit=SHOWN, cursor=cursor, kind="", about="")
    return {"title": "Acts", "acts": found, "next": following, "cursor": cursor}


ROUTES = page("/acts", "acts.html", load)
