"""The API's description as the page /docs shows it: operations with curl examples, shapes with their fields. From the description alone."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, or a field of a shape. `shape` is the name of the shape that its type links to."""

    name: str
    type: str
    shape: str
    required: bool
    default: str
    about: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One status of an operation's answers, with its media type and shape."""

    status: str
    about: str
    media: str
    shape: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation."""

    name: str
    method: str
    path: str
    summary: str
    about: str
    parameters: tuple[Field, ...]
    body: str
    answers: tuple[Answer, ...]
    curl: str


@dataclass(frozen=True, slots=True)
class ShapeEntry:
    """One shape."""

    name: str
    about: str
    fields: tuple[Field, ...]


def entries(document: Document, *, address: str) -> dict[str, list[Entry]]:
    """The operations by their tags, in their order."""
    told: dict[str, list[Entry]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            told.setdefault(operation["tags"][0], []).append(_entry(document, method.upper(), path, operation, address))
    return told


def shapes(document: Document) -> list[ShapeEntry]:
    """All shapes, by name."""
    return [
        ShapeEntry(name, told.get("description", ""), _fields(told)) for name, told in sorted(document["components"]["schemas"].items())
    ]


def _entry(document: Document, method: str, path: str, operation: Mapping[str, Any], address: str) -> Entry:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    about = operation["description"] if operation["description"] != operation["summary"] else ""
    return Entry(
        operation["operationId"], method, path, operation["summary"], about, tuple(map(_parameter, operation["parameters"])), _link(body),
        tuple(answer for status, told in operation["responses"].items() for answer in _answers(status, told)),
        _curl(document, method, address + path, operation, _link(body)),
    )  # fmt: skip


def _parameter(told: Mapping[str, Any]) -> Field:
    return _field(told["name"], told["schema"], about=told["description"], required=told["required"])


def _fields(schema: Mapping[str, Any]) -> tuple[Field, ...]:
    required = schema.get("required", ())
    return tuple(
        _field(name, told, about=told.get("description", ""), required=name in required)
        for name, told in schema.get("properties", {}).items()
    )


def _field(name: str, schema: Mapping[str, Any], *, about: str, required: bool) -> Field:
    default = json.dumps(schema["default"], ensure_ascii=False) if "default" in schema else ""
    return Field(name, type_of(schema), _link(schema), required, default, about)


def type_of(schema: Mapping[str, Any]) -> str:
    """A type as people read it: text, `Score` list, one of …, or null."""
    if "$ref" in schema:
        return _link(schema)
    if "anyOf" in schema:
        return " or ".join(map(type_of, schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return " · ".join(json.dumps(one) for one in schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "array":
            return f"list of {type_of(schema['items'])}"
        case "object" if isinstance(schema.get("additionalProperties"), Mapping):
            return f"map to {type_of(schema['additionalProperties'])}"
        case str(kind):
            return f"{kind}{_bounds(schema)}"
    return "anything"


def prose(text: str) -> Markup:
    """A sentence with what stands in backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  # of escaped text


def _bounds(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    return f" {low} to {high}" if low is not None and high is not None else ""


def _link(schema: Mapping[str, Any]) -> str:
    """The name of the first shape that a schema refers to; empty for none."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    parts = [
        *schema.get("anyOf", ()),
        *(schema[name] for name in ("items", "additionalProperties") if isinstance(schema.get(name), Mapping)),
    ]
    return next((name for name in map(_link, parts) if name), "")


def _answers(status: str, told: Mapping[str, Any]) -> list[Answer]:
    contents = told.get("content", {"": {}})
    return [Answer(status, told["description"], media, _link(content.get("schema", {}))) for media, content in contents.items()]


def _curl(document: Document, method: str, address: str, operation: Mapping[str, Any], body: str) -> str:
    words = ["curl", re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), address)]
    if body:
        examples = document["components"]["schemas"][body].get("examples", [{}])
        words += ["--json", json.dumps(examples[0])]
    elif method != "GET":
        words += ["-X", method]
    if "text/event-stream" in operation["responses"]["200" if "200" in operation["responses"] else "202"].get("content", {}):
        words.insert(1, "-N")
    return shlex.join(words)
