"""Writers' schemas whose bytes could take a decoder anywhere: types that hold themselves, and lists of nothing.

Of the first a few bytes nest as deep as they like, which ends a process; of the second they promise as many items as they like, which keeps
it. No event has either. Source: Apache Avro 1.12, Specification, Complex Types, Data Serialization.
"""

from collections.abc import Iterator
from typing import Any

DEEPEST = 64


def endless(schema: Any) -> str | None:
    """Why bytes of a parsed schema could have no end; None where they cannot."""
    return next(_faults(schema, ()), None)


def _faults(schema: Any, within: tuple[str, ...]) -> Iterator[str]:
    if len(within) > DEEPEST:
        yield f"it nests deeper than {DEEPEST} types"
    elif isinstance(schema, str) and schema in within:
        yield f"{schema} holds itself"
    elif isinstance(schema, list):
        for one in schema:
            yield from _faults(one, within)
    elif isinstance(schema, dict):
        yield from _of(schema, within)


def _of(schema: dict[str, Any], within: tuple[str, ...]) -> Iterator[str]:
    inner = (*within, str(schema["name"])) if "name" in schema else within
    for one in schema.get("fields", ()):
        yield from _faults(one["type"], inner)
    for name in ("items", "values"):
        if name in schema:
            if name == "items" and _is_nothing(schema[name]):
                yield "a list of items that take no bytes"
            yield from _faults(schema[name], inner)
    if isinstance(schema.get("type"), dict | list):
        yield from _faults(schema["type"], inner)


def _is_nothing(schema: Any) -> bool:
    """Whether a value takes no bytes at all."""
    if isinstance(schema, str):
        return schema == "null"
    if not isinstance(schema, dict):
        return False
    kind = schema.get("type")
    if kind in ("record", "error"):
        return all(_is_nothing(one["type"]) for one in schema.get("fields", ()))
    return kind == "null" or (kind == "fixed" and schema.get("size") == 0)
