"""Rows of a data set as a table; what cannot be one is told with its file, line and field, in plain words."""

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import datasets

from streams.errors import Invalid

CODE: Final = "data-row"
MOST_BITS: Final = 63
EXACT: Final = 2**53  # above it not every whole number is a double
SHOWN: Final = 40
DEEPEST: Final = 32
CHEAP: Final = 8  # lists within lists, beyond which the library takes twice as long a level to find that kinds are mixed
HALF: Final = "holds half of a letter (a lone surrogate), which UTF-8 has not; write the letter, or leave it out"


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that is no JSON, or holds a number that is none, and why; in which field, where one is to blame."""

    why: str
    field: str = ""


Numbered = Sequence[tuple[int, Any]]  # each row with its line


@dataclass(slots=True)
class Fractions:
    """Fields of which some rows have a whole number and others a fraction, so that all become fractions in a table: 1 is 1.0 then.

    `mixed`: those that are met; `bad`: those of which a fraction is a bad row, as of labels.
    """

    bad: frozenset[str] = frozenset()
    mixed: set[str] = dataclasses.field(default_factory=set)


def table(rows: Numbered, *, where: str, skipped: list[str] | None = None, fractions: Fractions | None = None) -> tuple[Any, list[int]]:
    """The rows as a data set, and the number of each: a field that some rows lack is null there. Raises: Invalid, naming line and field.

    Where `skipped` is given, rows that no table can hold are left out, and told there.
    """
    fractions = fractions or Fractions()
    bad = {number: f", line {number}{told}" for number, row in rows if (told := _no_row(row)) is not None}
    rows = _without(rows, bad, where, skipped)
    if broken := {number: told for number, row in rows if (told := _broken(row, number, fractions.bad)) is not None}:
        rows = _without(rows, broken, where, skipped)
    kinds = _numbers(rows)
    fractions.mixed |= {field for field, found in kinds.items() if "fraction" in found and len(found) > 1}
    if mixed := {field for field, found in kinds.items() if "pointed" in found and found & {"whole", "large"} and "fraction" not in found}:
        rows = [(number, _whole(row, mixed)) for number, row in rows]
    if any(way.count("[]") > CHEAP for way in kinds):
        rows = _sound(rows, where, skipped)
    if rounded := {field for field, found in kinds.items() if {"large", "fraction"} <= found}:
        rows = _without(rows, _inexact(rows, rounded), where, skipped)
    # The library looks for fields in the first row alone.
    columns = dict.fromkeys(name for _, row in rows for name in row)
    first, *others = (row for _, row in rows)
    try:
        return datasets.Dataset.from_list([columns | first, *others]), [number for number, _ in rows]
    except (ValueError, TypeError, OverflowError, RecursionError, datasets.exceptions.DatasetsError) as error:
        if len(left := _sound(rows, where, skipped)) == len(rows):
            raise Invalid(f"{where}: its rows make no table: {error}", code=CODE) from error
        return table(left, where=where, skipped=skipped, fractions=fractions)


def _sound(rows: Numbered, where: str, skipped: list[str] | None) -> Numbered:
    """The rows but for those that no table can hold. Raises: Invalid, as _without."""
    found = _too_deep(rows) or dict(reversed(list(_faults(rows))))
    return _without(rows, dict(sorted(found.items())), where, skipped)


def _without(rows: Numbered, bad: Mapping[int, str], where: str, skipped: list[str] | None) -> Numbered:
    """The rows but for the bad ones. Raises: Invalid for the first of these, where none are to be left out, or none is left."""
    told = [f"{where}{fault}" for fault in bad.values()]
    if told and skipped is None:
        raise Invalid(told[0], code=CODE)
    left = [(number, row) for number, row in rows if number not in bad]
    if not left:
        raise Invalid(f"{told[0]}; no row is left" if told else f"{where} holds no rows; fetch it again", code=CODE)
    if skipped is not None:
        skipped += told
    return left


def _no_row(row: Any) -> str | None:
    if isinstance(row, BadRow):
        return f", field {row.field}: {row.why}" if row.field else f": {row.why}"
    if isinstance(row, dict) and row:
        return None
    told = "an object without fields" if row == {} else kind_of(row)
    return f': a row must be an object such as {{"question": "…"}}, not {told}'


def kind_of(value: Any) -> str:
    """What a value is, as people say it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list() | tuple():
            return "a list"
        case dict():
            return "an object"
    return f"a {type(value).__name__}"


def shown(value: Any) -> str:
    """What a value is. No text is repeated: it may be a private run's, and a refusal is told to more than its owner."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"the number {value}"
    return f"{kind_of(value)} of {len(value)}" if isinstance(value, str | list | tuple | dict) else kind_of(value)


def half_a_letter(text: str) -> bool:
    """The text holds a lone surrogate, which UTF-8 has no form for."""
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def _numbers(rows: Numbered) -> dict[str, set[str]]:
    """How the numbers of each field are written: whole, large (no double may hold it), pointed (1.0), or with a fraction; if any is."""
    found: dict[str, set[str]] = {}
    for _, row in rows:
        for field, value in values(row):
            own = found.setdefault(field, set())
            if isinstance(value, float):
                own.add("pointed" if value.is_integer() else "fraction")
            elif type(value) is int:
                own.add("large" if _is_large(value) else "whole")
    return found


def _broken(row: Any, number: int, fields: Collection[str]) -> str | None:
    """That a row has a fraction in one of the fields, whose numbers are to be whole."""
    found = values(row) if fields else ()
    told = next(((way, one) for way, one in found if way in fields and isinstance(one, float) and not one.is_integer()), None)
    return f", line {number}, field {told[0]}: {told[1]} is a fraction, where other rows have whole numbers; write one" if told else None


def _is_large(value: Any) -> bool:
    return type(value) is int and EXACT < abs(value) < 2**MOST_BITS


def _whole(value: Any, fields: Collection[str], way: str = "") -> Any:
    """The value with 1.0 as 1 in those fields, whose numbers are all whole: the table would make 1.0 of every 1."""
    if isinstance(value, Mapping):
        return {name: _whole(one, fields, f"{way}.{name}" if way else str(name)) for name, one in value.items()}
    if isinstance(value, list):
        return [_whole(one, fields, f"{way}[]") for one in value]
    return int(value) if isinstance(value, float) and way in fields else value


def _inexact(rows: Numbered, fields: Collection[str]) -> dict[int, str]:
    """Rows with a whole number that a table of fractions cannot hold, in those fields, which have fractions too."""
    told = "beside fractions it would be rounded; write it as a text, in quotes"
    found = ((number, field, value) for number, row in rows for field, value in values(row) if field in fields and _is_large(value))
    return {number: f", line {number}, field {field}: {value}: {told}" for number, field, value in found}


def _faults(rows: Numbered) -> Iterator[tuple[int, str]]:
    """What is wrong with rows that no table can hold, each with its line: a field's kind is what most rows have."""
    counts: dict[str, Counter[str]] = {}
    first: dict[tuple[str, str], int] = {}
    for number, row in rows:
        for field, value in values(row):
            counts.setdefault(field, Counter())[kind_of(value)] += 1
            first.setdefault((field, kind_of(value)), number)
    usual = {field: kinds.most_common(1)[0][0] for field, kinds in counts.items()}
    for number, row in rows:
        if any(map(half_a_letter, _names(row))):
            yield number, f", line {number}: a field's name {HALF}"
            continue
        for field, value in values(row):
            if (told := _fault(value)) is not None:
                yield number, f", line {number}, field {field}: {told}"
            elif (kind := kind_of(value)) != usual[field]:
                told = f"{kind}, where line {first[field, usual[field]]} has {usual[field]}; give all rows the same kind, or null"
                yield number, f", line {number}, field {field}: {told}"


def _too_deep(rows: Numbered) -> dict[int, str]:
    """Rows with lists or objects within each other, deeper than a table can be made of."""
    return {number: f", line {number}: lists within lists, too deep to be read; write them flat" for number, row in rows if _deep(row)}


def _deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())]
        if not level:
            return False
    return True


def _fault(value: Any) -> str | None:
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return f"{str(value)[:SHOWN]} has more than 64 bits; write it as a text, in quotes"
    if isinstance(value, str) and half_a_letter(value):
        return HALF
    return None


def _names(value: Any) -> Iterator[str]:
    """The names of all fields in a row, and in the objects within it."""
    if isinstance(value, Mapping):
        yield from map(str, value)
    for one in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _names(one)


def values(value: Any, way: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in a row that is not null, with its field: `a.b` within an object, `a[]` within a list."""
    if isinstance(value, Mapping):
        if way:
            yield way, value
        for name, one in value.items():
            yield from values(one, f"{way}.{name}" if way else str(name))
    elif isinstance(value, list):
        yield way, value
        for one in value:
            yield from values(one, f"{way}[]")
    elif value is not None:
        yield way, value
