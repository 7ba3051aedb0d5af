"""The extremes of every field of an event, one at a time, as a foreign producer would send them."""

import io
import math
import struct
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import fastavro

from schemas.avro import avro_schema
from schemas.catalogue import EVENTS
from schemas.event import Double, Finite, Record, RunId
from schemas.released import releases
from tests.stored.write import filled

IDS = {release.event: release.schema_id for release in releases()}
WHOLE = (2**63 - 1, -(2**63), 0)
REAL = (math.nan, math.inf, -math.inf, -1.7e308)
WRITTEN = ("", "x" * 10_000, '\0\U0010ffff/../\n"`{{')
MANY = 150
EXTREMES: dict[Any, tuple[Any, ...]] = {int: WHOLE, float: REAL, str: WRITTEN, bytes: (b"", b"\xff\x00" * 5_000)}
# What is sent a second time otherwise filled, by the event's name: a meter of power is read where none counts energy.
ALSO: dict[str, dict[str, Any]] = {"ResourceRead": {"sensor": "nvml-device", "energy_uj": None}}
# What an event has no longer once it is made, and older producers send still.
OLDER: dict[str, dict[str, Any]] = {"TokensTimed": {"arrival_ns": (2**40,), "tokens_per_arrival": (2**40,)}}
Way = tuple[str | int, ...]


def leaves(hint: Any, way: Way) -> Iterator[tuple[Way, Any]]:
    """The way to every value in a filled record that has a form of its own, with its type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in (RunId, Double, Finite):
        yield way, hint
    elif origin is Annotated:
        yield from leaves(arguments[0], way)
    elif origin in (Union, types.UnionType):
        yield from leaves(next(one for one in arguments if one is not type(None)), way)
    elif origin in (tuple, dict):
        yield way, origin
        yield from leaves(arguments[-1 if origin is dict else 0], (*way, "key" if origin is dict else 0))
    elif isinstance(hint, type) and issubclass(hint, Record):
        for name, of in get_type_hints(hint, include_extras=True).items():
            if name in hint.model_fields:
                yield from leaves(of, (*way, name))
    else:
        yield way, str if origin is Literal else hint


def extremes(hint: Any, value: Any) -> tuple[Any, ...]:
    """What is sent in a value's place."""
    if hint in (tuple, dict):
        many = list(value) * MANY if hint is tuple else {f"{n}": next(iter(value.values())) for n in range(MANY)}
        return (hint(), many)
    plainly = {RunId: str, Double: float, Finite: float}.get(hint, hint)
    return EXTREMES.get(plainly, ())


def at(told: Any, way: Way) -> Any:
    """The value that lies there."""
    return at(told[way[0]], way[1:]) if way else told


def put(told: Any, way: Way, value: Any) -> Any:
    """The same with another value there."""
    if not way:
        return value
    if isinstance(told, dict):
        return told | {way[0]: put(told[way[0]], way[1:], value)}
    return [put(one, way[1:], value) if place == way[0] else one for place, one in enumerate(told)]


def sent(name: str) -> Iterator[tuple[Way, Any, Any, bytes]]:
    """An event of that name for each of its fields and each of the field's extremes: the way to it, its type, the extreme, the record."""
    event = EVENTS[name]
    schema, told = fastavro.parse_schema(avro_schema(event)), filled(event).model_dump() | {"event_id": ""} | OLDER.get(name, {})
    for filling in (told, *([told | ALSO[name]] if name in ALSO else [])):
        for way, hint in leaves(event, ()):
            for extreme in extremes(hint, at(filling, way)):
                out = io.BytesIO(struct.pack(">bI", 0, IDS[name]))
                out.seek(5)
                fastavro.schemaless_writer(out, schema, put(filling, way, extreme))
                yield way, hint, extreme, out.getvalue()
