"""The next run that a recommendation names: what asking for it would run and cost, to be confirmed; and the form that asks for it.

The recommendation is one that was made, by its id, or that the address's requirement comes to. As the form is sent it is looked up or
reckoned again, and must still be the one that was looked at.
"""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from query_api.access.callers import caller_of, check_may
from query_api.access.origins import check_origin
from query_api.operations.parsing import bounded
from query_api.pages.recommending import told_by
from query_api.pages.rendering import Content, page
from query_api.producing.buying import asked_before, bought, buying_of
from query_api.reading.deciding import Asking
from query_api.state import State, state_of
from schemas.decisions import RecommendationMade
from streams.deciding.reading import requirement_of
from streams.errors import Conflict, Invalid
from streams.trust.access import covers

LARGEST_FORM_BYTES = 16 * 1024
PLACE = "place"
BY = "the page"  # who asks, where nobody signs in


async def load(request: Request) -> Content:
    """What would run, for what price, and what is expected of it; with a button where who looks may ask for it."""
    query, state = dict(request.query_params), state_of(request)
    made = await _made(state, query)
    buying = buying_of(made, _place(query))
    there = await asked_before(state, buying.runs)
    return {
        "title": "Ask for the next run", "made": made, "buying": buying, "there": there, "action": f"/recommend/next?{request.url.query}",
        "may": covers(caller_of(request).role, "submitter"), "back": f"/recommend?{urlencode(_without_place(query))}",
    }  # fmt: skip


async def submitted(request: Request) -> Response:
    """Asks for it, and shows the recommendation with its runs. Raises: Forbidden, Invalid, Conflict where it is another one by now."""
    check_origin(request)
    check_may(request, "submitter")
    query, state = dict(request.query_params), state_of(request)
    form = await _form(request)
    by = caller_of(request).member or BY
    made = await _made(state, query)
    if made.recommendation_id != form.get("recommendation_id"):
        raise Conflict(
            "what was measured or is asked for has changed since this page was shown; look at the recommendation again", code="changed"
        )
    if "id" not in query:
        made = await state.deciding.recommended(_asking(query, by), state.log.publish)
    await bought(state, buying_of(made, _place(query)), by=by)
    return RedirectResponse(f"/recommend?{urlencode({'id': made.recommendation_id})}#next", 303)


async def _made(state: State, query: Mapping[str, str]) -> RecommendationMade:
    return await state.deciding.kept(query["id"]) if "id" in query else await state.deciding.reckoned(_asking(query, BY))


def _asking(query: Mapping[str, str], by: str) -> Asking:
    return Asking(requirement_of(told_by(_without_place(query))), by)


def _without_place(query: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in query.items() if name != PLACE}


def _place(query: Mapping[str, str]) -> int:
    told = query.get(PLACE, "0")
    if not told.isascii() or not told.isdigit() or len(told) > 3:
        raise Invalid(f"{PLACE} is {told[:20]!r}; write which of the next runs, as 0", code="invalid-parameter")
    return int(told)


async def _form(request: Request) -> dict[str, str]:
    raw = await bounded(request, LARGEST_FORM_BYTES)
    try:
        return dict(parse_qsl(raw.decode(errors="replace"), max_num_fields=4))
    except ValueError as error:
        raise Invalid("that is not what this page's form sends; ask by it", code="form") from error


ROUTES = page("/recommend/next", "recommend_next.html", load, live=False)
FORMS = [Route("/recommend/next", submitted, methods=["POST"], name="recommend-next")]
