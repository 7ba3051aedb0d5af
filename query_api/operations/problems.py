"""Errors as problem documents. Source: RFC 9457."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from streams.errors import AssayError, Conflict, Invalid, NotFound, Permanent, Temporary


class Malformed(Invalid):
    """The address itself is wrong: a parameter, a cursor."""

    code = "malformed"


class Unauthenticated(Permanent):
    """Who asks has shown no key that opens anything."""

    code = "no-key"


class Forbidden(Permanent):
    """Who asks may not do this."""

    code = "forbidden"


class TooOften(Temporary):
    """Who asks has asked too often."""

    code = "too-often"


STATUS: tuple[tuple[type[AssayError], int, str], ...] = (
    (NotFound, 404, "Not found"),
    (Conflict, 409, "Conflict"),
    (Malformed, 400, "Cannot be read"),
    (Unauthenticated, 401, "Not signed in"),
    (Forbidden, 403, "Not allowed"),
    (TooOften, 429, "Too often"),
    (Invalid, 422, "Cannot be done as asked"),
    (Temporary, 503, "Not available now"),
)


def problem(status: int, *, title: str, detail: str, code: str, headers: dict[str, str] | None = None) -> Response:
    """A problem document."""
    body = {"type": f"urn:assay:{code}", "title": title, "status": status, "detail": detail, "code": code}
    told = dict(headers or {}) | ({"Retry-After": "1"} if status == 503 else {})
    return JSONResponse(body, status, told, media_type="application/problem+json")


async def on_error(_request: Request, error: Exception) -> Response:
    """Ours, by its kind."""
    assert isinstance(error, AssayError)
    status, title = next(((status, title) for kind, status, title in STATUS if isinstance(error, kind)), (500, "Internal error"))
    return problem(status, title=title, detail=str(error), code=error.code, headers=_headers(error))


def _headers(error: AssayError) -> dict[str, str]:
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": 'Bearer realm="assay"'}
    return {"Retry-After": str(round(error.retry_after_s))} if isinstance(error, TooOften) else {}


async def on_http(_request: Request, error: Exception) -> Response:
    """The framework's: unknown path, wrong method."""
    assert isinstance(error, HTTPException)
    detail, status = f"{error.detail}; GET /v1 lists the routes", error.status_code
    return problem(status, title=error.detail, detail=detail, code=f"http-{status}", headers=dict(error.headers or {}))


async def on_fault(_request: Request, error: Exception) -> Response:
    """What nobody expected: a fault of ours. The log has it; the client is told no more than that."""
    detail = f"{type(error).__name__} in the API itself; its log says where"
    return problem(500, title="Internal error", detail=detail, code="internal-error")
