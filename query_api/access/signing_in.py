"""Signing in and out, for browsers: a form that takes a key, and forgets it for a session; or by way of the identity provider."""

from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from query_api.access.door import Door
from query_api.access.sessions import COOKIE, LEAVING
from query_api.operations.parsing import bounded
from query_api.operations.problems import TooOften, Unauthenticated
from query_api.pages.rendering import TEMPLATES
from schemas.trust import AccessChanged
from streams.errors import Invalid, Unavailable

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
    return _begun(request, door, key, address)


async def leaving(request: Request) -> Response:
    """Sends the browser to the identity provider."""
    door: Door | None = request.scope.get("assay.door")
    if door is None or door.provider is None or door.sessions is None:
        return RedirectResponse("/signin", 303)
    address = _local(request.query_params.get("next", "/"))
    try:
        to = await door.provider.leaving(back=_back(request))
    except Unavailable as error:
        return _form(request, address, wrong=str(error), status=503)
    answer = RedirectResponse(to.address, 303)
    door.sessions.leave(request, answer, {**to.kept, "next": address})
    return answer


async def returned(request: Request) -> Response:
    """What the identity provider sends the browser back with: a session, or the form with what is wrong."""
    door: Door | None = request.scope.get("assay.door")
    if door is None or door.provider is None or door.sessions is None:
        return RedirectResponse("/signin", 303)
    kept = door.sessions.left_with(request)
    address = _local(kept.get("next", "/"))
    try:
        vouched = await door.provider.returned(request.query_params, kept, back=_back(request))
        answer = _begun(request, door, await door.admitted(request, vouched), address)
    except Unauthenticated as error:
        answer = _form(request, address, wrong=str(error), status=401)
    except Unavailable as error:
        answer = _form(request, address, wrong=str(error), status=503)
    answer.delete_cookie(LEAVING)
    return answer


def _back(request: Request) -> str:
    return str(request.url.replace(path="/signin/back", query="", fragment=""))


def _begun(request: Request, door: Door, key: AccessChanged, address: str) -> Response:
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
    door: Door | None = request.scope.get("assay.door")
    provider = door.provider.host if door and door.provider else ""
    told = {"content": "signin.html", "title": "Sign in", "fragment": "", "next": address, "wrong": wrong, "provider": provider}
    return TEMPLATES.TemplateResponse(request, "base.html", told, status)


ROUTES = [
    Route("/signin", shown, methods=["GET"], name="page-signin"),
    Route("/signin", taken, methods=["POST"], name="signin"),
    Route("/signin/leave", leaving, methods=["GET"], name="signin-leave"),
    Route("/signin/back", returned, methods=["GET"], name="signin-back"),
    Route("/signout", ended, methods=["POST"], name="signout"),
]
