"""Writers' schemas whose bytes could take a decoder anywhere: types that hold themselves, lists of nothing, and types without measure.

Of the first a few bytes nest as deep as they like, which ends a process; of the others a few bytes are worth as many steps as they like,
which keeps it. No event has any. Types are followed by their names too, of which thirty can stand for 3^30 values.
Source: Apache Avro 1.12, Specification, Complex Types, Names, Data Serialization.
"""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

DEEPEST: Final = 64
MOST_STEPS: Final = 20_000  # of one value, with one item in each of its lists; the largest event has some 400
STEPS_A_BYTE: Final = 4  # of what comes again and again: a text takes one, a record of one text two, within another three
PRIMITIVES: Final = MappingProxyType(
    {"null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "bytes": 1, "string": 1}
)  # the fewest bytes of each


def endless(schema: Any) -> str | None:
    """Why bytes of a parsed schema could have no end, or take any time; None where they cannot."""
    try:
        _Weighing().of(schema)
    except _Endless as error:
        return str(error)
    return None


class _Endless(Exception):
    """What the schema has that no event has."""


@dataclass(frozen=True, slots=True)
class _Weight:
    """How many steps a value takes at most; by how many they are more than its bytes allow, lists being empty; and how deep it nests."""

    steps: int
    excess: int
    depth: int


@dataclass(slots=True)
class _Weighing:
    """The named types that are known by now, and those in which what is weighed stands."""

    known: dict[str, _Weight] = field(default_factory=dict)
    within: list[str] = field(default_factory=list)

    def of(self, schema: Any) -> _Weight:
        """A type's weight. Raises: _Endless."""
        if isinstance(schema, str) and schema in PRIMITIVES:
            return _taking(PRIMITIVES[schema])
        if isinstance(schema, str):
            return self._named(schema)
        self.within.append(str(schema["name"]) if isinstance(schema, dict) and "name" in schema else "")
        if len(self.within) > DEEPEST:
            raise _Endless(f"it nests deeper than {DEEPEST} types")
        found = self._union(schema) if isinstance(schema, list) else self._complex(schema)
        if name := self.within.pop():
            self.known[name] = found
        return found

    def _named(self, name: str) -> _Weight:
        if name in self.within:
            raise _Endless(f"{name} holds itself")
        return self._sound(self.known[name])

    def _union(self, branches: list[Any]) -> _Weight:
        own = [self.of(one) for one in branches]
        return self._sound(_Weight(*(base + max((getattr(one, name) for one in own), default=0) for name, base in
                                     (("steps", 1), ("excess", 1 - STEPS_A_BYTE), ("depth", 1)))))  # fmt: skip

    def _complex(self, schema: dict[str, Any]) -> _Weight:
        kind = schema["type"]
        if kind in ("record", "error"):
            own = [self.of(one["type"]) for one in schema["fields"]]
            depth = max((one.depth for one in own), default=0)
            return self._sound(_Weight(1 + sum(one.steps for one in own), 1 + sum(one.excess for one in own), 1 + depth))
        if kind in ("array", "map"):
            return self._several(self.of(schema["items" if kind == "array" else "values"]), named=kind == "map")
        if kind in ("fixed", "enum"):
            return _taking(int(schema["size"]) if kind == "fixed" else 1)
        return self.of(kind)

    def _several(self, one: _Weight, *, named: bool) -> _Weight:
        """A list, or a map, whose values have names of a byte or more: empty, but for how many steps one item takes."""
        name = _taking(1 if named else 0)
        if (named and one.excess + name.excess > 0) or (not named and one.excess > 0):
            raise _Endless("a list of items that take no bytes, or next to none")
        return self._sound(_Weight(1 + one.steps, 1 - STEPS_A_BYTE, 1 + one.depth))

    def _sound(self, one: _Weight) -> _Weight:
        if one.steps > MOST_STEPS:
            raise _Endless(f"a value of it has more than {MOST_STEPS:,} parts")
        if len(self.within) + one.depth > DEEPEST:
            raise _Endless(f"it nests deeper than {DEEPEST} types")
        return one


def _taking(least_bytes: int) -> _Weight:
    return _Weight(1, 1 - STEPS_A_BYTE * least_bytes, 1)
