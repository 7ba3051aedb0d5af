"""Events to bytes and back, framed as the ecosystem reads them: 0x00, a 4-byte schema id, the Avro body.

Source: Confluent wire format, https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop
"""

import io
import struct
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import fastavro
from pydantic import ValidationError

from schemas.avro import avro_schema
from schemas.canonical import Canonical
from schemas.endless import endless
from schemas.event import Event

E = TypeVar("E", bound=Event)
NOT_OURS = "not-our-schema"
_FRAME = struct.Struct(">bI")


class Undecodable(ValueError):
    """Bytes that are not an event of the type wanted. `code` names the reason for the dead letter."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class UnknownSchema(Undecodable):
    """A schema id that this codec has not been told of."""

    def __init__(self, schema_id: int) -> None:
        super().__init__("unknown-schema", f"schema id {schema_id} is not in the registry; register the writer's schema first")
        self.schema_id = schema_id


def size(event: Event) -> int:
    """How many bytes the event is, framed."""
    return _FRAME.size + len(_body(event))


def _body(event: Event) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, _reader(type(event)), event.model_dump())
    return out.getvalue()


@cache
def _reader(event: type[Event]) -> Any:
    return fastavro.parse_schema(avro_schema(event))


class Codec:
    """Encodes with the ids that a registry gave to our schemas; decodes whatever writer schema it was told of."""

    def __init__(self, ids: Mapping[str, int]) -> None:
        """`ids`: event name → schema id of its current schema."""
        self._ids = dict(ids)
        self._writers: dict[int, Any] = {}
        self._canonical: dict[int, Canonical] = {}

    def learn(self, schema_id: int, schema: dict[str, Any]) -> None:
        """From now on bytes written under `schema_id` can be decoded. Raises: Undecodable for a schema that no event can have."""
        try:
            parsed = fastavro.parse_schema(schema)
            if why := endless(parsed):
                raise Undecodable(NOT_OURS, f"schema id {schema_id}: {why}")
            self._canonical[schema_id] = Canonical(schema)
        except Undecodable:
            raise
        except Exception as error:  # whatever a schema of others leads the library to
            raise Undecodable(NOT_OURS, f"schema id {schema_id} is no schema of an Avro record: {type(error).__name__}: {error}") from error
        self._writers[schema_id] = parsed

    def encode(self, event: Event) -> bytes:
        """The framed bytes of an event. Raises: KeyError where its schema has no id."""
        return _FRAME.pack(0, self._ids[type(event).__name__]) + _body(event)

    def decode(self, payload: bytes, event: type[E]) -> E:
        """The event in framed bytes. Raises: Undecodable with the reason."""
        schema_id = self.schema_id(payload)
        if schema_id not in self._writers:
            raise UnknownSchema(schema_id)
        return self._validated(self._fields(payload, schema_id, event), event)

    def canonical(self, payload: bytes, event: type[Event]) -> bytes:
        """The canonical bytes of the event in framed bytes (schemas/canonical.py). Raises: Undecodable with the reason."""
        try:
            return self.writer(payload).of(payload[_FRAME.size :])
        except UnknownSchema:
            raise
        except Exception as error:  # as above
            raise Undecodable("corrupt-avro", f"not a {event.__name__}: {type(error).__name__}: {error}") from error

    def writer(self, payload: bytes) -> Canonical:
        """The schema that framed bytes were written under. Raises: Undecodable."""
        schema_id = self.schema_id(payload)
        if schema_id not in self._canonical:
            raise UnknownSchema(schema_id)
        return self._canonical[schema_id]

    @staticmethod
    def schema_id(payload: bytes) -> int:
        """The schema id in a frame. Raises: Undecodable where there is no frame."""
        if len(payload) < _FRAME.size or payload[0] != 0:
            raise Undecodable("not-avro", "not a framed Avro record: it must start with 0x00 and a 4-byte schema id")
        return int(_FRAME.unpack_from(payload)[1])

    def _fields(self, payload: bytes, schema_id: int, event: type[Event]) -> Any:
        body = io.BytesIO(payload)
        body.seek(_FRAME.size)
        own = self._ids.get(event.__name__) == schema_id
        try:
            return fastavro.schemaless_reader(body, self._writers[schema_id], None if own else _reader(event))
        except Exception as error:  # fastavro raises whatever the bytes led it to: EOFError, IndexError, UnicodeDecodeError …
            raise Undecodable("corrupt-avro", f"not a {event.__name__}: {type(error).__name__}: {error}") from error

    @staticmethod
    def _validated(fields: Any, event: type[E]) -> E:
        try:
            return event.model_validate(fields)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "(the whole)"
            raise Undecodable("invalid-event", f"{event.__name__}.{where}: {first['msg'].removeprefix('Value error, ')}") from error
