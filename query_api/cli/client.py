"""The query API's client: answers as dicts, refusals as our errors."""

import json
import math
from collections.abc import Iterator
from typing import Any

import httpx

from infra.settings import Settings
from streams.errors import AssayError, Conflict, Invalid, NotFound, Unavailable

KINDS = {404: NotFound, 409: Conflict, 422: Invalid}


class Client:
    """Calls to the API at ASSAY_API."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.api
        key = settings.api_key.get_secret_value()
        self._http = httpx.Client(base_url=settings.api, timeout=60, headers={"Authorization": f"Bearer {key}"} if key else {})

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """A document; of a list in `query` each value is a parameter. Raises: NotFound, Invalid, Unavailable."""
        return dict(self._send("GET", path, params={name: value for name, value in query.items() if value is not None}).json())

    def whole(self, path: str, rows: str, **query: Any) -> dict[str, Any]:
        """A document of which `rows` is a list, with those of all of its pages. Raises: NotFound, Invalid, Unavailable."""
        return self._to_its_end(self.get(path, **query), path, rows, **query)

    def board(self, **query: Any) -> dict[str, Any]:
        """All of a board. The board that changed last may be another one before all of it is read: it is asked for by its name."""
        first = self.get("/v1/rankings", **query)
        return self._to_its_end(first, "/v1/rankings", "rows", board=first["board"])

    def _to_its_end(self, told: dict[str, Any], path: str, rows: str, **query: Any) -> dict[str, Any]:
        """The last page, with the rows of all from the first page `told` on."""
        found = told[rows]
        while told["next"]:
            told = self.get(path, **query, cursor=told["next"])
            found += told[rows]
        return told | {rows: found}

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a body. Raises: NotFound, Invalid, Conflict, Unavailable."""
        if fault := next(_unwritable(body, ()), None):
            raise Invalid(fault, code="not-json")
        return dict(self._send("POST", path, json=body).json())

    def lines(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """The documents of an answer of JSON lines."""
        given = {name: value for name, value in query.items() if value is not None}
        answer = self._send("GET", path, params=given, headers={"Accept": "application/x-ndjson"})
        yield from map(json.loads, answer.text.splitlines())

    def _send(self, method: str, path: str, **given: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **given)
        except httpx.HTTPError as error:
            raise Unavailable(f"no query API at {self._url} ({type(error).__name__}); is the stack up? `assay status`") from error
        if answer.is_error:
            raise _refusal(answer)
        return answer


def _unwritable(told: Any, way: tuple[str, ...]) -> Iterator[str]:
    """What of a body JSON has no form for, each with its place and what to do."""
    where = ".".join(way)
    match told:
        case float() if not math.isfinite(told):
            yield f"{where} {told}: give a number, or leave it out"
        case str() if told != told.encode(errors="replace").decode():
            yield f"{where} {told!a} is no text in UTF-8: rename it, or write it in a UTF-8 terminal"
        case dict():
            for name, value in told.items():
                yield from _unwritable(value, (*way, str(name)))
        case list() | tuple():
            for place, value in enumerate(told):
                yield from _unwritable(value, (*way, str(place)))


def _refusal(answer: httpx.Response) -> AssayError:
    try:
        told = answer.json()
    except ValueError:
        told = {"detail": answer.text[:300], "code": f"http-{answer.status_code}"}
    kind = KINDS.get(answer.status_code, Unavailable if answer.status_code >= 500 else Invalid)
    return kind(str(told.get("detail")), code=str(told.get("code")))
