"""Signing in and out, for browsers: a form that takes a key, and forgets it for a session."""

from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from query_api.access.door import Door
from query_api.access.sessions import COOKIE
from query_api.operations.parsing import bounded
from query_api.operations.problems import TooOften, Unauthenticated
from query_api.pages.rendering import TEMPLATES
from streams.errors import Invalid

LARGEST_FORM_BYTES = 16 * 1024


def _local(address: str) -> str:
    """The address where it is one of this site, else the first page."""
    return address if address.startswith("/") and not address.startswith(("//", "/\\")) else "/"


async def shown(request: Request) -> Response:
    """The form."""
    if "assay.door" not in request.scope:
        return RedirectResponse("/", 303)
    return _form(request, _local(request.query_params.get("next", "/")))


async def taken(request: Request) -> Response:
    """What the form sends: a session, or the form again with what is wrong."""
    door: Door | None = request.scope.get("assay.door")
    if door is None:
        return RedirectResponse("/", 303)
    raw = await bounded(request, LARGEST_FORM_BYTES)
    try:
        form = dict(parse_qsl(raw.decode(errors="replace"), max_num_fields=4))
    except ValueError as error:
        raise Invalid("that is not what this page's form sends; sign in by it", code="form") from error
    shown_key, address = form.get("key", ""), _local(form.get("next", "/"))
    try:
        key = await door.opened(request, shown_key)
    except Unauthenticated as error:
        return _form(request, address, wrong=str(error), status=401)
    except TooOften as error:
        return _form(request, address, wrong=str(error), status=429)
    answer = RedirectResponse(address, 303)
    assert door.sessions is not None
    door.sessions.begin(request, answer, key)
    return answer


async def ended(_request: Request) -> Response:
    """Forgets the session."""
    answer = RedirectResponse("/signin", 303)
    answer.delete_cookie(COOKIE)
    return answer


def _form(request: Request, address: str, *, wrong: str = "", status: int = 200) -> Response:
    told = {"content": "signin.html", "title": "Sign in", "fragment": "", "next": address, "wrong": wrong}
    return TEMPLATES.TemplateResponse(request, "base.html", told, status)


ROUTES = [
    Route("/signin", shown, methods=["GET"], name="page-signin"),
    Route("/signin", taken, methods=["POST"], name="signin"),
    Route("/signout", ended, methods=["POST"], name="signout"),
]
