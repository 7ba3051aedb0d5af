"""`python -m infra.embedded.registry`: the committed schemas over the REST interface that registries have.

It keeps no state: ids are those of schemas/avsc. A schema that it knows is answered with its id; an unknown one is refused with
what to do, for a change of the schemas is a change of the code. Where ASSAY_REGISTRY_USER is set, it wants that user and password; where
ASSAY_REGISTRY_CERTIFICATE is, it speaks TLS. Source: Confluent Schema Registry API,
https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

import base64
import hmac
import json
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from fastavro.schema import SchemaParseException, fullname, parse_schema, to_parsing_canonical_form
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.patience import Patient
from infra.proving import password_of
from infra.settings import Settings, of_process
from schemas.released import Release, releases
from streams.errors import Invalid
from streams.topics import TOPICS, topic_named

RELEASES = {release.schema_id: release for release in releases()}
NO_SUBJECT, NO_VERSION, NO_SCHEMA, INVALID = 40401, 40402, 40403, 42201


def _refusal(status: int, code: int, message: str) -> HTTPException:
    return HTTPException(status, json.dumps({"error_code": code, "message": message}))


def _of_subject(subject: str) -> list[Release]:
    topic = topic_named(subject.removesuffix("-value"))
    if topic is None or topic.subject != subject:
        raise _refusal(404, NO_SUBJECT, f"no subject {subject!r}; a subject is <topic>-value, GET /subjects lists them")
    return [release for release in RELEASES.values() if release.event == topic.event.__name__]


def canonical(schema: Any) -> str:
    """A schema's parsing canonical form: what two writers of one schema agree on. Source: Avro 1.11 specification."""
    return str(to_parsing_canonical_form(parse_schema(schema, _force=True)))


async def _schema_of(request: Request) -> str:
    try:
        body = await request.json()
        return canonical(json.loads(body["schema"]))
    except (ValueError, KeyError, TypeError, SchemaParseException) as error:
        raise _refusal(422, INVALID, f"not an Avro schema: {type(error).__name__}: {error}") from error


async def _known(request: Request) -> Release | None:
    wanted = await _schema_of(request)
    return next((release for release in _of_subject(request.path_params["subject"]) if canonical(release.schema) == wanted), None)


def _shape(subject: str, release: Release) -> dict[str, Any]:
    return {"subject": subject, "version": release.version, "id": release.schema_id, "schema": json.dumps(release.schema)}


async def alive(_request: Request) -> JSONResponse:
    """That it is there, to anybody."""
    return JSONResponse({})


async def subjects(_request: Request) -> JSONResponse:
    """Every subject."""
    return JSONResponse([topic.subject for topic in TOPICS])


async def versions(request: Request) -> JSONResponse:
    """The versions of a subject."""
    return JSONResponse([release.version for release in _of_subject(request.path_params["subject"])])


async def version(request: Request) -> JSONResponse:
    """One version of a subject, or the latest."""
    subject, wanted = request.path_params["subject"], request.path_params["version"]
    found = _of_subject(subject)
    if wanted not in ("latest", "-1"):
        found = [release for release in found if str(release.version) == wanted]
    if not found:
        raise _refusal(404, NO_VERSION, f"{subject} has no version {wanted}")
    return JSONResponse(_shape(subject, found[-1]))


async def register(request: Request) -> JSONResponse:
    """The id of a schema that is already known; any other is refused."""
    known = await _known(request)
    if known is None:
        subject = request.path_params["subject"]
        raise _refusal(
            422, INVALID, f"{subject} has no such schema: this registry serves schemas/avsc as committed; change the model, `make schemas`"
        )
    return JSONResponse(_shape(request.path_params["subject"], known))


async def look_up(request: Request) -> JSONResponse:
    """The subject's version with that schema."""
    known = await _known(request)
    if known is None:
        raise _refusal(404, NO_SCHEMA, f"{request.path_params['subject']} has no such schema")
    return JSONResponse(_shape(request.path_params["subject"], known))


async def by_id(request: Request) -> JSONResponse:
    """The schema of an id."""
    release = RELEASES.get(request.path_params["schema_id"])
    if release is None:
        raise _refusal(404, NO_SCHEMA, f"no schema {request.path_params['schema_id']}")
    return JSONResponse({"schema": json.dumps(release.schema), "name": fullname(release.schema)})


async def config(_request: Request) -> JSONResponse:
    """How schemas may change."""
    return JSONResponse({"compatibilityLevel": "FULL_TRANSITIVE"})


async def refused(_request: Request, error: Exception) -> JSONResponse:
    """A refusal in the registry's own form."""
    assert isinstance(error, HTTPException)
    try:
        body = json.loads(error.detail)
    except ValueError:
        body = {"error_code": error.status_code, "message": error.detail}
    return JSONResponse(body, error.status_code)


app = Starlette(
    routes=[
        Route("/", alive),
        Route("/subjects", subjects),
        Route("/subjects/{subject}", look_up, methods=["POST"]),
        Route("/subjects/{subject}/versions", versions, methods=["GET"]),
        Route("/subjects/{subject}/versions", register, methods=["POST"]),
        Route("/subjects/{subject}/versions/{version}", version),
        Route("/schemas/ids/{schema_id:int}", by_id),
        Route("/config", config),
        Route("/config/{subject}", config),
    ],
    exception_handlers={HTTPException: refused},
)


class Guarded:
    """Lets in who shows that user and password; whether it is there is told to anybody. Source: RFC 7617."""

    def __init__(self, app: ASGIApp, *, user: str, password: str) -> None:
        self._app = app
        self._wanted = b"Basic " + base64.b64encode(f"{user}:{password}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on who may come in."""
        shown = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["type"] != "http" or scope["path"] == "/" or hmac.compare_digest(shown, self._wanted):
            await self._app(scope, receive, send)
            return
        told = {"error_code": 401, "message": "show a user and a password that this registry knows"}
        await JSONResponse(told, 401, {"www-authenticate": 'Basic realm="schemas"'})(scope, receive, send)


def guarded(settings: Settings) -> ASGIApp:
    """The registry as these settings have it. Raises: Invalid where a user has no password."""
    if not settings.registry_user:
        return app
    if not (password := password_of("registry", settings)):
        raise Invalid("ASSAY_REGISTRY_USER has no password; set ASSAY_REGISTRY_PASSWORD_FILE or ASSAY_REGISTRY_PASSWORD")
    return Guarded(app, user=settings.registry_user, password=password)


def main() -> None:
    """Serves until SIGTERM."""
    settings = of_process()
    address = urlsplit(settings.registry)
    uvicorn.run(
        guarded(settings), http=Patient, host=address.hostname or "127.0.0.1", port=address.port or 18081, log_level="warning",
        ssl_certfile=settings.registry_certificate if address.scheme == "https" else None,
    )  # fmt: skip


if __name__ == "__main__":
    main()
