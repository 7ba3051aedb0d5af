"""Whether two versions of a schema may live in one topic: FULL compatibility, each reads what the other wrote.

A field that only one of them has must have a default there; a field of both must have the same type, records by the same rule.
Source: Avro 1.11 specification, Schema Resolution; Confluent Schema Registry, Compatibility (FULL_TRANSITIVE: with every version).
"""

from collections.abc import Iterator
from typing import Any

Names = dict[str, Any]


def conflicts(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What stands in the way, field by field; empty where both read each other."""
    return list(_conflicts(old, new, at=old["name"], names=(_names(old), _names(new))))


def _conflicts(old: Any, new: Any, *, at: str, names: tuple[Names, Names]) -> Iterator[str]:
    old, new = _resolved(old, names[0]), _resolved(new, names[1])
    if isinstance(old, dict) and isinstance(new, dict) and old["type"] == new["type"] == "record":
        yield from _fields(old, new, at=at, names=names)
    elif isinstance(old, dict) and isinstance(new, dict) and old["type"] == new["type"]:
        inner = "items" if old["type"] == "array" else "values"
        yield from _conflicts(old[inner], new[inner], at=f"{at}[]", names=names)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for left, right in zip(old, new, strict=True):
            yield from _conflicts(left, right, at=at, names=names)
    elif old != new:
        yield f"{at} changes its type"


def _fields(old: dict[str, Any], new: dict[str, Any], *, at: str, names: tuple[Names, Names]) -> Iterator[str]:
    before, after = ({field["name"]: field for field in schema["fields"]} for schema in (old, new))
    for name in sorted(before.keys() ^ after.keys()):
        if "default" not in (before.get(name) or after[name]):
            yield f"{at}.{name} is in one version only and has no default"
    for name in sorted(before.keys() & after.keys()):
        yield from _conflicts(before[name]["type"], after[name]["type"], at=f"{at}.{name}", names=names)


def _names(schema: Any) -> Names:
    """The records of a schema by their full names: a second use of one is its name alone."""
    found: Names = {}
    if isinstance(schema, list):
        for branch in schema:
            found |= _names(branch)
    elif isinstance(schema, dict):
        if schema["type"] == "record":
            found[f"{schema.get('namespace', '')}.{schema['name']}"] = schema
        for inner in [*(field["type"] for field in schema.get("fields", ())), schema.get("items"), schema.get("values")]:
            found |= _names(inner)
    return found


def _resolved(schema: Any, names: Names) -> Any:
    return names.get(schema, schema) if isinstance(schema, str) else schema
