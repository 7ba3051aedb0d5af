"""The API's description, made from its operations: `python -m query_api.operations.description` writes it, `--check` compares.

Source: OpenAPI Specification 3.1.0, https://spec.openapis.org/oas/v3.1.0
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, models_json_schema

from infra.identity import release
from query_api.operations.routing import Operation
from query_api.operations.shapes import Nothing, Problem, Shape
from query_api.routes import OPERATIONS

WRITTEN = Path(__file__).parents[2] / "docs" / "openapi.json"
REFERENCE = "#/components/schemas/{model}"
PROBLEM = "application/problem+json"
# What an address's own parameters are.
PLACES = {"run_id": "the run's id", "suite": "the suite's name", "recommendation_id": "the recommendation's id",
          "decision_id": "the decision's id", "prediction_id": "the prediction's id"}  # fmt: skip
REASONS = {
    304: "What the client has (If-None-Match) is still so.",
    400: "The address itself is wrong: an unknown or wrong parameter.",
    401: "A key is wanted, and none was shown that opens anything.",
    403: "The key's role may not do this.",
    404: "There is no such thing.",
    409: "It collides with what is there.",
    422: "The body cannot be done as asked.",
    429: "The key has asked too often; Retry-After says when to come again.",
    503: "Something that the API needs is not there now; Retry-After says when to try again.",
}
ABOUT = (
    "Which open-weight model, measured and proved. Every answer is derived from the event log. Times are UTC microseconds (`_us`), "
    "durations seconds (`_s`) unless their suffix says otherwise; undefined is null, with its reason."
)


class Schemas(GenerateJsonSchema):
    """JSON Schema as the description has it: without titles that only repeat names, and with answers that may get more fields later."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """No."""
        return False

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        """A model: closed where it is taken, open where it is given."""
        told = super().model_schema(schema)
        del told["title"]
        return {name: value for name, value in told.items() if name != "additionalProperties"} if self.mode == "serialization" else told


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The description as an OpenAPI 3.1 document."""
    shapes = list(dict.fromkeys(_shapes(operations)))
    references, schemas = models_json_schema(shapes, ref_template=REFERENCE, schema_generator=Schemas)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Assay", "version": release(), "description": ABOUT},
        "servers": [{"url": "/"}],
        # A key is wanted where the API can be reached from elsewhere (docs/access.md).
        "security": [{}, {"key": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "an API key: `assay access create`"}},
        },
    }


def _shapes(operations: Sequence[Operation]) -> Iterator[tuple[type[Shape], JsonSchemaMode]]:
    yield Problem, "serialization"
    for operation in operations:
        if operation.body is not Nothing:
            yield operation.body, "validation"
        if operation.answer:
            yield operation.answer, "serialization"
        yield from ((shape, "serialization") for shape in operation.streams.values() if shape)


def _operation(operation: Operation, references: Any) -> dict[str, Any]:
    first, _, rest = (operation.handler.__doc__ or "").strip().partition("\n")
    told: dict[str, Any] = {
        "operationId": operation.handler.__name__,
        "summary": first,
        "description": " ".join(rest.split()) or first,
        "tags": [operation.tag],
        "parameters": [*_place_parameters(operation), *_query_parameters(operation.query)],
        "responses": _responses(operation, references),
    }
    if operation.body is not Nothing:
        required = any(info.is_required() for info in operation.body.model_fields.values())
        content = {"application/json": {"schema": references[operation.body, "validation"]}}
        told["requestBody"] = {"required": required, "content": content}
    return told


def _place_parameters(operation: Operation) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    return [
        {"name": name, "in": "path", "required": True, "description": PLACES[name], "schema": {"type": "string", "minLength": 1}}
        for name in names
    ]


def _query_parameters(shape: type[Shape]) -> list[dict[str, Any]]:
    properties = shape.model_json_schema(mode="validation", schema_generator=Schemas).get("properties", {})
    return [_query_parameter(name, told, required=shape.model_fields[name].is_required()) for name, told in properties.items()]


def _query_parameter(name: str, told: dict[str, Any], *, required: bool) -> dict[str, Any]:
    """A parameter; null is not among its values, for it cannot be said in an address."""
    schema = {key: value for key, value in told.items() if key not in ("description", "title", "anyOf")}
    schema |= next((one for one in told.get("anyOf", ()) if one.get("type") != "null"), {})
    if schema.get("default", "") is None:
        del schema["default"]
    return {"name": name, "in": "query", "required": required, "description": told.get("description", ""), "schema": schema}


def _responses(operation: Operation, references: Any) -> dict[str, Any]:
    contents: dict[str, Any] = {"application/json": {"schema": references[operation.answer, "serialization"]}} if operation.answer else {}
    for media, shape in operation.streams.items():
        contents[media] = {"schema": references[shape, "serialization"] if shape else {}}
    good: dict[str, Any] = {"description": (operation.answer.__doc__ if operation.answer else None) or "A stream.", "content": contents}
    if operation.location:
        good["headers"] = {"Location": {"schema": {"type": "string"}, "description": "the address of what was made"}}
    elif operation.answer and operation.method == "GET":
        good["headers"] = {"ETag": {"schema": {"type": "string"}, "description": "changes with the answer; for If-None-Match"}}
    problem = {"content": {PROBLEM: {"schema": references[Problem, "serialization"]}}}
    refusals = {str(status): {"description": REASONS[status], **problem} for status in _refused(operation)}
    unchanged = {"304": {"description": REASONS[304]}} if operation.answer and operation.method == "GET" else {}
    return {str(operation.status): good, **unchanged, **refusals}


def _refused(operation: Operation) -> list[int]:
    places, bodies = [404] if "{" in operation.path else [], [422] if operation.body is not Nothing else []
    return sorted({400, 401, 403, 429, 503, *places, *bodies, *operation.refuses})


def written() -> str:
    """The description as the committed copy holds it."""
    return json.dumps(document(OPERATIONS), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        if WRITTEN.read_text() != written():
            sys.exit(f"{WRITTEN} is not what the operations say; run `make schemas` and commit what it writes")
    else:
        WRITTEN.write_text(written())
