"""The canonical bytes of an event: one form for one event, however its producer wrote it. Seals are made over them.

    name of the event, UTF-8 · 0x00 · fingerprint of the schema that it was written under, 32 bytes · Avro body under that schema

Avro leaves a writer choices (arrays and maps in several blocks, maps in any order, longer integers than need be): the body is decoded and
encoded again, every array and map as one block, maps in the order of their keys. A registry's schema id is no part of it, nor is the place
in the log: a record that is copied to another log is the same event. A later release reads an old record under its own schema still, so
that its bytes stay what they were when they were sealed.
"""

import hashlib
import io
import json
from typing import Any

import fastavro

SEPARATOR = b"\x00"


def schema_text(schema: dict[str, Any]) -> str:
    """A schema in the form that its fingerprint is of: JSON, keys in order, without spaces, ASCII."""
    return json.dumps(schema, sort_keys=True, separators=(",", ":"))


def fingerprint(schema: dict[str, Any]) -> bytes:
    """The SHA-256 of a schema's text."""
    return hashlib.sha256(schema_text(schema).encode()).digest()


class Canonical:
    """What makes canonical bytes of bodies that were written under one schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        self._parsed = fastavro.parse_schema(schema)
        self._head = str(schema["name"]).encode() + SEPARATOR + fingerprint(schema)
        self._maps = '"type":"map"' in schema_text(schema)

    def of(self, body: bytes) -> bytes:
        """The canonical bytes of an Avro body. Raises: whatever fastavro does over bytes that are none."""
        told = fastavro.schemaless_reader(io.BytesIO(body), self._parsed, None)
        out = io.BytesIO()
        out.write(self._head)
        fastavro.schemaless_writer(out, self._parsed, _ordered(told) if self._maps else told)
        return out.getvalue()


def _ordered(told: Any) -> Any:
    """The same with every map in the order of its keys (a record's fields are in that of its schema anyway)."""
    if isinstance(told, dict):
        return {name: _ordered(told[name]) for name in sorted(told)}
    return [_ordered(one) for one in told] if isinstance(told, list) else told
