"""Query parameters and bodies, validated; what is wrong is said with its name, its value and what to do."""

import json
import math
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from query_api.operations.problems import Malformed
from streams.errors import Invalid
from streams.numbers import shown
from streams.once import once

LARGEST_BODY_BYTES = 2**20
LARGEST_INTEGER = 2**63 - 1  # Avro's long
Model = TypeVar("Model", bound=BaseModel)


def query_of(request: Request, shape: type[Model]) -> Model:
    """The query parameters. Raises: Malformed for one that is unknown, wrong, or there twice where it is no list."""
    given = request.query_params.multi_items()
    names = [name for name, _ in given]
    known = ", ".join(shape.model_fields) or "none"
    if unknown := [name for name in names if name not in shape.model_fields]:
        raise Malformed(f"unknown query parameter {unknown[0]!r}; this address takes: {known}", code="unknown-parameter")
    several = frozenset(name for name, info in shape.model_fields.items() if get_origin(info.annotation) is tuple)
    if twice := [name for name in names if names.count(name) > 1 and name not in several]:
        raise Malformed(f"query parameter {twice[0]!r} is there twice; give it once", code="parameter-twice")
    lists = {name: [value for key, value in given if key == name] for name in names if name in several}
    try:
        asked = shape.model_validate(dict(given) | lists)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        value = f"={shown(first['input'])}" if name in names else ""
        raise Malformed(f"query parameter {name}{value}: {_plain(first['msg'])}", code="invalid-parameter") from error
    for name, text in given:
        number = getattr(asked, name)
        if (isinstance(number, int | float) and "_" in text) or (isinstance(number, float) and not math.isfinite(number)):
            raise Malformed(f"query parameter {name}={shown(text)}: give a number, or leave it out", code="invalid-parameter")
    return asked


async def bounded(request: Request, most: int) -> bytes:
    """The body's bytes. Raises: Invalid as soon as there are more than so many: the rest is not read."""
    raw = bytearray()
    async for piece in request.stream():
        raw += piece
        if len(raw) > most:
            raise Invalid(f"the body has more than {most:,} bytes, which is the most", code="body-too-long")
    return bytes(raw)


async def body_of(request: Request, shape: type[Model]) -> Model:
    """The body, a JSON object. Raises: Invalid, naming the field."""
    raw = await bounded(request, LARGEST_BODY_BYTES)
    try:
        body = json.loads(raw or b"{}", object_pairs_hook=once, parse_int=_integer, parse_float=_double, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"the body is not JSON: {error}", code="not-json") from error
    if not isinstance(body, dict):
        raise Invalid("the body must be a JSON object", code="not-json")
    return validated(raw or b"{}", shape)


def validated(raw: bytes, shape: type[Model]) -> Model:
    """A JSON document as its shape: nothing is converted. Raises: Invalid, naming the field."""
    try:
        return shape.model_validate_json(raw, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "the body"
        if first["type"] == "extra_forbidden":
            fields = f"; the fields are {', '.join(sorted(shape.model_fields))}" if len(first["loc"]) == 1 else ""
            raise Invalid(f"{name}: there is no such field{fields}", code="unknown-field") from error
        raise Invalid(f"{name}: {_plain(first['msg'])}", code="invalid-field") from error


def _plain(message: str) -> str:
    """Pydantic's sentence, without what only its users know."""
    return message.removeprefix("Value error, ").replace("Input should", "it should")


def _integer(text: str) -> int:
    value = int(text)
    if abs(value) > LARGEST_INTEGER:
        raise ValueError(f"{text[:40]} is too large; a whole number has at most 63 bits")
    return value


def _double(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is too large for a number")
    return value


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number in JSON")
